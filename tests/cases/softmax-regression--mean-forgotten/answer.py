# exercise: softmax-regression
dz = p - y
dW = x.T @ dz
db = dz.sum(0)
