# exercise: linear-regression
dy_pred = y_pred - y
dw = 2*dy_pred*x
db = 2*dy_pred
