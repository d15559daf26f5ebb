# exercise: linear-regression
dy_pred = 2*(y - y_pred)
dw = dy_pred*x
db = dy_pred
