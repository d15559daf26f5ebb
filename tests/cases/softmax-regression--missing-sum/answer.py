# exercise: softmax-regression
dz = (p - y)/N
dW = x.T @ dz
db = dz
