# exercise: affine
dL/dX = dL/dY @ W.T
dL/dW = X.T @ dL/dY
dL/db = dL/dY.sum(0)
