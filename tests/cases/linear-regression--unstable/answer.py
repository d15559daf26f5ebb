# exercise: linear-regression
dy_pred = 2*((y_pred + 10^12) - (y + 10^12))
dw = dy_pred*x
db = dy_pred
