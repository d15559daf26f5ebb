# exercise: layer-norm
dxhat = dy*gamma
dx = dxhat*istd[:, None]
dgamma = (dy*xhat).sum(0)
dbeta = dy.sum(0)
