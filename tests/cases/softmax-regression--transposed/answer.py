# exercise: softmax-regression
dz = (p - y)/N
dW = dz.T @ x
db = dz.sum(0)
