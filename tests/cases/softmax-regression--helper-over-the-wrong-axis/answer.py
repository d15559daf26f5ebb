# exercise: softmax-regression
q = e / e.sum(0)
dW = x.T @ (q - y) / N
db = (q - y).sum(0) / N
dx = (q - y) @ W.T / N
