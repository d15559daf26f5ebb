# exercise: linear-regression
dy_pred = 2(y_pred - y)
dw = dy_pred*x
db = dy_pred
