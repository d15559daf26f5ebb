# exercise: softmax-regression
dz = (p - y)/N
dW = x.T @ z
db = dz.sum(0)
