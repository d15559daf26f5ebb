# exercise: embedding-view:padding=yes
demb = dcat.view(N, T, D)
dC = torch.zeros_like(C)
for n in range(N):
    for t in range(T):
        dC[ix[n, t]] += demb[n, t]
