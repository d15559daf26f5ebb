# exercise: conv1d
dw = x.unfold(0, K, 1).T @ dy
dx = F.pad(dy, (K - 1, K - 1)).unfold(0, K, 1) @ w
