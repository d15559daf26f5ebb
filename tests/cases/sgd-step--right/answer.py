# exercise: sgd-step
dy_pred = 2*(y_pred - y)
dw = dy_pred*x
db = dy_pred
w_new = w - eta*dw
b_new = b - eta*db
