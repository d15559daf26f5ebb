# exercise: softmax-regression
dz = 3*(p - y)
dW = x.T @ dz
db = dz.sum(0)
