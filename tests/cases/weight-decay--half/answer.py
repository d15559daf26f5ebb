# exercise: weight-decay
dr = r/N
dw = X.T @ dr + lam*w + mu*torch.sign(w)
db = dr.sum()
w_new = w - eta*dw
