# exercise: softmax-regression
dz = (p - y)/(N*0)
dW = x.T @ dz
db = dz.sum(0)
