# exercise: sgd-step
dy_pred = 2*(y_pred - y)
dw = dy_pred*x
db = dy_pred
w_new = w - eta*dw
b_new = b - eta*db
y_pred_new = w_new*x + b_new
dy_pred_new_dw_new = w_new
dgw_new_dy_pred_new = 2*x
gw_new = 2*(y_pred_new - y)*dy_pred_new_dw_new
