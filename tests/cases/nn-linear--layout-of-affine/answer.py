# exercise: nn-linear
dX = dY @ W.T
dW = X.T @ dY
db = dY.sum(0)
