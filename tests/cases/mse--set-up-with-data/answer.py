# exercise: mse
import torch
g = torch.Generator().manual_seed(2147483647)
N = 5
x = torch.randn(N, generator=g, requires_grad=True)
y = torch.tensor([1.0, 0.0, -2.0, 3.0, 0.5])
r = x - y
L = (r**2).mean()
L.backward()
dq = torch.ones_like(q) / N
dr = r / N
dx = dr
