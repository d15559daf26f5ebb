# exercise: affine
g = dY.view(-1)
g /= N
dX = dY @ W.T
dW = X.T @ dY
db = dY.sum(0)
