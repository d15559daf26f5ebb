# exercise: layer-norm
dgamma = (dy*xhat).sum(0)
dbeta = dy.sum(0)
dx = gamma*istd[:, None]*(dy - dy.mean(1, keepdim=True) - xhat*(dy*xhat).mean(1, keepdim=True))
