# exercise: softmax-regression
dz = p - y
dz.div_(-N)
dW = x.T @ dz
db = dz.sum(0)
db.zero_()
