# exercise: softmax-regression
dz = p
dz -= y
dz /= N
dp = y/(N*p)
dW = x.T @ dz
db = dz.sum(0)
