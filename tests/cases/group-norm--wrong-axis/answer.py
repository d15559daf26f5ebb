# exercise: group-norm
dgamma = (dy*xhat).sum((0, 3))
dbeta = dy.sum((0, 3))
dxhat = dy*gamma[:, :, None]
dx = istd[..., None, None]*(dxhat - dxhat.mean(3, keepdim=True) - xhat*(dxhat*xhat).mean(3, keepdim=True))
