# exercise: residual-block
dz = dy · (1 − f²)
dW = x.T · dz
dx = dy + dz @ W.T
