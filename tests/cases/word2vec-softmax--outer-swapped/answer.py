# exercise: word2vec-softmax
dz = p - F.one_hot(o, V)
dv = U.T @ dz
dU = torch.outer(v, dz)
