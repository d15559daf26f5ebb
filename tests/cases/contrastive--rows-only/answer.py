# exercise: contrastive
dS = (p - torch.eye(N))/N
dZ = dS @ Y/tau
dY = dS.T @ Z/tau
