# exercise: layer-norm
dxhat = dy*gamma
distd = (dxhat*xc).sum(1)
dvar = -0.5*istd**3*distd
dxc = dxhat*istd[:, None] + 2*xc*dvar[:, None]/(D - 1)
