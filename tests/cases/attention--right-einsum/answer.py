# exercise: attention
dV = torch.einsum('nm,nc->mc', P, dO)
dP = dO @ V.T
da = P*(dP - (P*dP).sum(1)[:, None])
dQ = da @ K/torch.sqrt(torch.tensor(D))
dK = da.T @ Q/D**0.5
