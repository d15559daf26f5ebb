# exercise: batch-norm
dgamma = (dy * xhat).sum(0)
dbeta = dy.sum(0)
dxhat = dy * gamma
distd = (dxhat * xc).sum(0)
dvar = -distd * istd**3 / 2
dxc = dxhat * istd + 2 * xc * dvar / N
dmu = -dxc.sum(0)
dx = dxc + dmu / dy.shape[0]
