# exercise: layer-norm
dxhat = dy*gamma
dgamma = (dy*dxhat).sum(0)
