# exercise: attention:causal=true
dV = P @ dO
dP = dO @ V.T
db = P*(dP - (dP*P).sum(1, keepdim=True))
da = torch.tril(db)
dQ = da @ K/D**0.5
dK = da @ Q/D**0.5
