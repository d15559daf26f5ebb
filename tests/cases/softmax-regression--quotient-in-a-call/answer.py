# exercise: softmax-regression
dz = (p - y)/N
dW = torch.zeros_like(W)
dW.add_(x.T @ dL/dz)
db = dL/dz.sum(0)
