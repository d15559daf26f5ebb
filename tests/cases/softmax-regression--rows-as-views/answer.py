# exercise: softmax-regression
dz = p.clone()
for i in range(N):
    row = dz[i]
    row -= y[i]
    row /= N
dW = x.T @ dz
db = dz.sum(0)
