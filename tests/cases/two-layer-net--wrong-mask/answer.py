# exercise: two-layer-net
dz2 = F.softmax(z2, 1)
dz2[range(N), y] -= 1
dz2 /= N
dW2 = a.T @ dz2 + 2 * lam * W2
db2 = dz2.sum(0)
da = dz2 @ W2.T
dz1 = da * (da > 0)
dW1 = X.T @ dz1 + 2 * lam * W1
db1 = dz1.sum(0)
