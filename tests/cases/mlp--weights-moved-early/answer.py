# exercise: mlp
dy_pred = 2*(y_pred - y)/(N*D2)
dW2 = h1.T @ dy_pred
db2 = dy_pred.sum(0)
W2 -= 0.1*dW2
dh1 = dy_pred @ W2.T
dz1 = dh1*(z1 > 0)
dW1 = x.T @ dz1
db1 = dz1.sum(0)
