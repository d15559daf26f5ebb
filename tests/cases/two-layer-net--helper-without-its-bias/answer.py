# exercise: two-layer-net
hidden = torch.relu(X @ W1)
probs = torch.softmax(z2, 1)
dz2 = (probs - F.one_hot(y, C))/N
dW2 = hidden.T @ dz2 + 2*lam*W2
db2 = dz2.sum(0)
dz1 = (dz2 @ W2.T) * (hidden > 0)
dW1 = X.T @ dz1 + 2*lam*W1
db1 = dz1.sum(0)
