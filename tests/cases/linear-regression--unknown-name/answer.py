# exercise: linear-regression
dy_pred = 2*(yhat - y)
dw = dy_pred*x
db = dy_pred
