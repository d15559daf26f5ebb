# exercise: linear-regression
y_hat = w*x + b
dloss_dw = 2*(y_hat - y)*x
dLdb = 2*(ŷ − y)
