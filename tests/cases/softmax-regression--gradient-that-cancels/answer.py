# exercise: softmax-regression
dp = -p / (N * p)
ds = -(dp * e).sum(1) / s**2
de = dp / s[:, None] + ds[:, None]
dz = 3 * de * e
dW = -x.T @ dz * N
db = 5 * dz.sum(0)
