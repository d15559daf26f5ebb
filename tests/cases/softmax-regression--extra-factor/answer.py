# exercise: softmax-regression
dz = p*(p - y)/N
dW = x.T @ dz
db = dz.sum(0)
