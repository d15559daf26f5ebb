# exercise: softmax-regression
dz = (p - y)/N
dW = x @ dz
db = dz.sum(0)
