# exercise: layer-norm
dgamma = dy*xhat
dbeta = dy.sum(0)
