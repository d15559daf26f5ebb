# exercise: affine
dX = dY @ W
dW = dY.T @ X
db = dY
