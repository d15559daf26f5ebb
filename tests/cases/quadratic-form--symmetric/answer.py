# exercise: quadratic-form
dv = x
dx = 2*A @ x
dA = torch.outer(x, x)
