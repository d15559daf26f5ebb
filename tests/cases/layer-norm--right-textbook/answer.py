# exercise: layer-norm
q = dy*gamma
dx = istd[:, None]*(q - q.mean(1, keepdim=True) - xhat*(q*xhat).mean(1, keepdim=True))
dgamma = (dy*xhat).sum(0)
dbeta = dy.sum(0)
