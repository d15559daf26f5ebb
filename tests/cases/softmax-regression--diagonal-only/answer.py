# exercise: softmax-regression
dp = -y/(N*p)
dz = dp*p*(1 - p)
dW = x.T @ dz
db = dz.sum(0)
