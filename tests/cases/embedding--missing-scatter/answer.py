# exercise: embedding
demb = 2*(emb - y)/(N*D)
dE = torch.zeros_like(E)
dE[t] = demb
