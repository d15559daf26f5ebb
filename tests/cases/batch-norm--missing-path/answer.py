# exercise: batch-norm
dxhat = dy*gamma
distd = (dxhat*xc).sum(0)
dvar = -distd*istd**3/2
dxc = dxhat*istd
dmu = -dxc.sum(0)
dx = dxc + dmu/N
dgamma = (dy*xhat).sum(0)
dbeta = dy.sum(0)
