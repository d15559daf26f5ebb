# exercise: image-classifier
dz = (torch.exp(logp) - y)/N
dW = dz.T @ x
db = dz.sum(0)
