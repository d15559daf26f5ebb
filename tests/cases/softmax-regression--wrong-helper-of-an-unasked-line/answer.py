# exercise: softmax-regression
q = p + y
dz = q/N
dW = x.T @ q/N
db = q.sum(0)/N
