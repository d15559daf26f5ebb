# exercise: affine
dX = np.dot(dY, W.T)
dW = np.dot(X.T, dY)
db = np.sum(dY, axis=0)
