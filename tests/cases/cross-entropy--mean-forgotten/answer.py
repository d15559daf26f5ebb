# exercise: cross-entropy
dpick = -torch.ones(N)
dlogp = torch.zeros_like(logp)
dlogp[range(N), y] = dpick
dz = dlogp - F.softmax(z, 1) * dlogp.sum(1, keepdim=True)
