# exercise: word2vec-softmax
y_hat = softmax(U @ v)
y = np.eye(V)[o]
dz = y_hat - y
dv = np.dot(U.T, dz)
dU = np.outer(dz, v)
