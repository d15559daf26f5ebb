# exercise: mlp:activation=tanh
dy_pred = 2*(y_pred - y)/(N*D2)
dh1 = dy_pred @ W2.T
dz1 = dh1
dW1 = x.T @ dz1
