# exercise: word2vec-negative-sampling
da = p - 1
db = q
dv = da*uo + un.T @ db
duo = da*v
dun = torch.outer(db, v)
dU = torch.zeros_like(U)
dU[o] += duo
dU[neg] += dun
