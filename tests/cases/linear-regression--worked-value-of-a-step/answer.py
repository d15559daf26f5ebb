# exercise: linear-regression
w, b, x, y = 1, 0, 2, 4
y_pred = 2
dw = 2*(y_pred - y)*x
db = (y_pred - y)
