# exercise: mlp:activation=tanh
delta2 = y - y_pred
delta1 = (delta2 @ W2.T) * (1 - z1**2)
dW1 = x.T @ delta1
db1 = delta1.sum(0)
dW2 = h1.T @ delta2
db2 = delta2.sum(0)
