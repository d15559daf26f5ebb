# exercise: tied-embedding-lm
dz = (p - F.one_hot(y, V))/N
dh = dz @ E
dE = dz.T @ h
dE[ix] += dh
