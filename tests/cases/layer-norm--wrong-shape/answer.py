# exercise: layer-norm
dgamma = (dy*xhat).sum(0, keepdim=True)
dbeta = dy.sum(0)
