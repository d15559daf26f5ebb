# exercise: attention
c = D
dP = dO @ V.T
da = P * (dP - (dP * P).sum(1, keepdim=True))
dQ = da @ K / c
dK = da.T @ Q / c
dV = P.T @ dO
