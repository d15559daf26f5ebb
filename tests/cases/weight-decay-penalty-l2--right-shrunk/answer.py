# exercise: weight-decay:penalty=l2
dw = X.T @ r/N + 2*lam*w
db = r.mean()
w_new = (1 - 2*eta*lam)*w - eta*X.T @ r/N
