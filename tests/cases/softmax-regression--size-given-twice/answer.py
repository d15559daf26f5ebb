# exercise: softmax-regression
# sizes: N=3, N=4
dz = (p - y)/N
dW = x.T @ dz
db = dz.sum(0)
