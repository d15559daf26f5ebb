# exercise: softmax-regression
dL/dz = (p - y)/N
dL/dW = (dL/dz.T @ x).T
dL/db = dL/dz.sum(0)
