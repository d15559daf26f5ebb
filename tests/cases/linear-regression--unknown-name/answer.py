# exercise: linear-regression
dy_pred = 2*(guess - y)
dw = dy_pred*x
db = dy_pred
