# exercise: makemore-mlp
dlogits = (probs - F.one_hot(Yb, V))/n
dh = dlogits @ W2.T
dhpreact = (1.0 - h**2)*dh
dbngain = (bnraw*dhpreact).sum(0)
