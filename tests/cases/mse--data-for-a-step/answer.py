# exercise: mse
x = torch.randn(5)
r = torch.randn(5)
dq = torch.ones_like(q) / N
dr = 2 * r / N
dx = torch.randn(5)
