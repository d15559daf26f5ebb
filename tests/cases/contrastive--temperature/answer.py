# exercise: contrastive
dS = (p + q - 2*torch.eye(N))/(2*N)
dZ = dS @ Y
dY = dS.T @ Z
