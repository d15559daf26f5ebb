# exercise: attention:causal=true
dV = P.T @ dO
dP = dO @ V.T
db = P*(dP - (dP*P).sum(1, keepdim=True))
da = torch.tril(db, -1)
dQ = da @ K/D**0.5
dK = da.T @ Q/D**0.5
