# exercise: attention
dV = P.T @ dO
dP = dO @ V.T
da = P*(dP - (dP*P).sum(1, keepdim=True))
dQ = (da @ K).T/D**0.5
dK = da.T @ Q/D**0.5
