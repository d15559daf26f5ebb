# exercise: contrastive
dq = -torch.eye(N)/(2*N*q)
dp = -torch.eye(N)/(2*N*p)
dc = -(dq*torch.exp(S)).sum(0)/c**2
dr = 1/(2*N*r)
de = dr[:, None]
de = de + dq/c + dp/r[:, None] + dc
