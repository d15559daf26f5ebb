# exercise: mlp
dy_pred = 2*(y_pred - y)/(N*D2)
dh1 = dy_pred @ W2.T
dW2 = dh1.T @ dy_pred
