# exercise: hessian-vector
dw = X.T @ r/N
Lv = dw @ v
rv = X @ v
Hv = X.T @ rv
