# exercise: batch-norm
dbeta = dy.sum(0)
dgamma = (dy*xhat).sum(0)
dxhat = dy*gamma
distd = (dxhat*xc).sum(0)
dxmu1 = dxhat*istd
dsqrtvar = -1/(var + 1e-5)*distd
dvar = 0.5/torch.sqrt(var + 1e-5)*dsqrtvar
dsq = torch.ones_like(x)/N*dvar
dxmu2 = 2*xc*dsq
dxc = dxmu1 + dxmu2
dmu = -dxc.sum(0)
dx1 = dxc
dx2 = torch.ones_like(x)/N*dmu
dx = dx1 + dx2
