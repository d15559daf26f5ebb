# exercise: embedding-view
demb = dcat.view(N, T, D)
dC = torch.zeros_like(C)
dC[ix] += demb
