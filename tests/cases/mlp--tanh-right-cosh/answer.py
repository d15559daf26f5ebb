# exercise: mlp:activation=tanh
dy_pred = 2/(N*D2)*(y_pred - y)
dh1 = dy_pred @ W2.T
dz1 = dh1/torch.cosh(z1)**2
dW1 = x.T @ dz1
db1 = dz1.sum(0)
dW2 = h1.T @ dy_pred
db2 = dy_pred.sum(0)
