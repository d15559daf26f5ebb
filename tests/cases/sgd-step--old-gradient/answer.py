# exercise: sgd-step
dw = 2*(y_pred - y)*x
w_new = w - eta*dw
w_second = w_new - eta*dw
