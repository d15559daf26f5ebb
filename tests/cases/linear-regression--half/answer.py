# exercise: linear-regression
dy_pred = y_pred - y
dw = dy_pred*x
db = dy_pred
