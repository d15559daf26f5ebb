# exercise: attention
dV = P.T @ dO
dP = dO @ V.T
da = dP*P*(1 - P)
dQ = da @ K/sqrt(D)
dK = da.T @ Q/sqrt(D)
