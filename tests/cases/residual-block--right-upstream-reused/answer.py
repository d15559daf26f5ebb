# exercise: residual-block
dz = dy*(1 - f**2)
dW = x.T @ dz
dx = dy
dx += dz @ W.T
