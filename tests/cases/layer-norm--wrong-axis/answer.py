# exercise: layer-norm
dgamma = (dy*xhat).sum(1)
dbeta = dy.sum(0)
