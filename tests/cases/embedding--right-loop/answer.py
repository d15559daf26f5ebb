# exercise: embedding
demb = 2*(emb - y)/(N*D)
dE = torch.zeros_like(E)
for i in range(N):
    dE[t[i]] += demb[i]
