# exercise: image-classifier:layers=2
dz = (torch.softmax(z, dim=1) - F.one_hot(y, K)) / N
dh1 = (dz @ W)*(h1 > 0)
dW1 = dh1.T @ x
db1 = dh1.sum(0)
dW = dz.T @ h1
db = dz.sum(0)
