# exercise: two-layer-net
dz2 = (exp(logp) - F.one_hot(y, C))/N
dW2 = a.T @ dz2 + 2*lam*W2
db2 = dz2.sum(0)
da = dz2 @ W2.T
dz1 = da*a
dW1 = X.T @ dz1 + 2*lam*W1
db1 = dz1.sum(0)
