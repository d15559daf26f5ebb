# exercise: weight-decay
dw = X.T @ r/N + 2*lam*w + mu
db = r.mean()
w_new = w - eta*dw
