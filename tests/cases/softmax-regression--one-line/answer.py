# exercise: softmax-regression
dW = x.T @ (p - y)/N
db = ((p - y)/N).sum(0)
