# exercise: linear-regression
dL/dy_pred = 2*(y_pred - y)
dy_pred/dw = x
dL/dw = dL/dy_pred * dy_pred/dw
db = b.grad
