# exercise: layer-norm
dxhat = dy * gamma
distd = (dxhat * xc).sum(1, keepdim=True)
dvar = -0.5 * distd * istd[:, None]**3
dxc = dxhat * istd[:, None] + 2 / D * xc * dvar
dmu = -dxc.sum(1, keepdim=True)
dx = dxc + dmu / D
dgamma = (dy * xhat).sum(0)
dbeta = dy.sum(0)
