# exercise: hessian-vector:of=softmax,way=backward
dp = X @ V/N
dz = dp*p*(1-p)
dW = X.T @ dz
