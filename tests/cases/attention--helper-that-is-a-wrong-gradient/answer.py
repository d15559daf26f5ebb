# exercise: attention
dV = P.T @ dO
dP = dO @ V.T
g = P * (1 - P) * dP
da = g
dQ = g @ K / D**0.5
dK = g.T @ Q / D**0.5
