# exercise: layer-norm
dxhat = dy*gamma
distd = (dxhat*xc).sum(1)
dvar = -0.5*istd**3*distd
dxc = dxhat*istd[:, None] + 2*xc*dvar[:, None]/D
dmu = -(dxhat*istd[:, None]).sum(1)
dx = dxc + dmu[:, None]/D
dgamma = (dy*xhat).sum(0)
dbeta = dy.sum(0)
