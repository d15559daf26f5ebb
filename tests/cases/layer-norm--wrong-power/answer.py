# exercise: layer-norm
dxhat = dy*gamma
distd = (dxhat*xc).sum(1)
dvar = -0.5*istd**2*distd
dgamma = (dy*xhat).sum(0)
dbeta = dy.sum(0)
