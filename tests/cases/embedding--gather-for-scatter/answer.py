# exercise: embedding
demb = 2*(emb - y)/(N*D)
dE = demb[t]
