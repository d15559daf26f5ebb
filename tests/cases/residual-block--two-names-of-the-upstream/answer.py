# exercise: residual-block
df = dy
dz = df
dz *= 1 - f**2
dW = x.T @ dz
dx = dy + dz @ W.T
