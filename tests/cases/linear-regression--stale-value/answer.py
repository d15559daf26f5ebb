# exercise: linear-regression
dy_pred = y_pred - y
dw = dy_pred*x
dy_pred *= 2
db = dy_pred
