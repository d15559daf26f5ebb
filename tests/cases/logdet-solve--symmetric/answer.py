# exercise: logdet-solve
dx = b/2
db = x
dA = (torch.linalg.inv(A).T - torch.outer(x, x))/2
