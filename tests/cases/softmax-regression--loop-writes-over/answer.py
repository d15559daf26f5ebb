# exercise: softmax-regression
dz = (p - y)/N
dW = torch.zeros_like(W)
for i in range(N):
    dW = torch.outer(x[i], dz[i])
for i in range(N):
    db = dz[i]
