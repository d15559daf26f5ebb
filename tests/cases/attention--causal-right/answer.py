# exercise: attention:causal=true
mask = torch.tril(torch.ones(N, N)) == 0
dV = P.T @ dO
dP = dO @ V.T
db = P*(dP - (dP*P).sum(1, keepdim=True))
da = db.masked_fill(mask, 0)
dQ = da @ K/D**0.5
dK = da.T @ Q/D**0.5
