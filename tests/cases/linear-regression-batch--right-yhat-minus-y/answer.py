# exercise: linear-regression-batch
yhat = X @ w + b
dw = X.T @ (yhat - y)/N
db = (yhat - y).mean()
