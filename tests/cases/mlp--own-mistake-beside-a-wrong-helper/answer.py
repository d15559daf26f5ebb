# exercise: mlp:layers=3,activation=tanh
g3 = 2*(y_pred - y)/(N*D3)
dW3 = h2.T @ g3
db3 = g3.sum(0)
g2 = -(g3 @ W3.T)*(1 - h2**2)
dW2 = h1.T @ g2
db2 = g2.sum(0)
tt = g2 @ W2.T
buf = tt*(1 - h1**2)
dW1 = x.T @ buf
db1 = tt.sum(0)
