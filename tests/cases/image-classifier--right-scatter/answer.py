# exercise: image-classifier
dlogits = F.softmax(z, 1)
dlogits[range(N), y] -= 1
dz = dlogits/N
dW = dz.T @ x
db = dz.sum(0)
