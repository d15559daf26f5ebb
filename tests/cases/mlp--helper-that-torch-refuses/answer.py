# exercise: mlp
delta2 = 2 * (y_pred - y) / (N*D2)
delta1 = (delta2 @ W2) * (z1 > 0)
dW2 = h1.T @ delta2
db2 = delta2.sum(0)
dW1 = x.T @ delta1
db1 = delta1.sum(0)
