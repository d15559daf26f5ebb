# exercise: attention
dV = P.T @ dO
dP = dO @ V.T
da = P*(dP - (dP*P).sum(1, keepdim=True))
dQ = da @ K
dK = da.T @ Q/sqrt(D)
