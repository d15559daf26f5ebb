# exercise: layer-norm
dxhat = gamma · dy
dgamma = (dy · xhat).sum(0)
dbeta = dy.sum(0)
dx = istd[:, None] · (dxhat − dxhat.mean(1, keepdim=True) − xhat · (dxhat·xhat).mean(1, keepdim=True))
