# exercise: mlp
r = y_pred - y
dr = 2*r
dr = dr/(N*D2)
dW2 = h1.T @ dr
db2 = dr.sum(0)
dz1 = (dr @ W2.T)*(z1>0)
dW1 = x.T @ dz1
db1 = dz1.sum(0)
