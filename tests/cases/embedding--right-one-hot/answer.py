# exercise: embedding
demb = 2*(emb - y)/(N*D)
dE = F.one_hot(t, V).T @ demb
