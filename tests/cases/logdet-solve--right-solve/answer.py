# exercise: logdet-solve
dx = b/2
u = torch.linalg.solve(A.T, b)
db = 0.5*(x + u)
dA = 0.5*(torch.inverse(A).T - torch.outer(u, x))
