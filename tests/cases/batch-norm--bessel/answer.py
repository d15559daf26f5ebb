# exercise: batch-norm:asked=layer,variance=unbiased
dgamma = (dy*xhat).sum(0)
dbeta = dy.sum(0)
dx = gamma*istd/N*(N*dy - dy.sum(0) - xhat*(dy*xhat).sum(0))
