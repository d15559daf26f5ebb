# exercise: softmax-regression
dz = (p - y)/N
d = dz
d *= 2
dW = x.T @ dz
db = dz.sum(0)
