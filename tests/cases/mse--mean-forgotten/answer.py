# exercise: mse
dq = torch.ones(N)
dr = 2*dq*r
dx = dr
