# exercise: softmax-regression
dp = -y/(N*p)
ds = -(dp*e).sum(1)/s
de = dp/s[:, None] + ds[:, None]
dz = de*e
dW = x.T @ dz
db = dz.sum(0)
