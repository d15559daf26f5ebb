# exercise: mlp
dy = 2*(y_pred - y)/N
dW2 = h1.T @ dy
db2 = dy.sum(0)
dh1 = dy @ W2.T
