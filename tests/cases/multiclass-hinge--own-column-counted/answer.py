# exercise: multiclass-hinge
ds = torch.zeros_like(s)
dmargin = torch.zeros_like(margin)
for i in range(N):
    for k in range(K):
        if k == y[i]:
            continue
        if margin[i,k] > 0:
            dmargin[i,k] = 1/N
            ds[i,k] += 1/N
            ds[i,y[i]] += 1/N
