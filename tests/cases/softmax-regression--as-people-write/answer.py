# exercise: softmax-regression
∂L/∂z = [p − y]/N
dW := xᵀ dz
dW = x^T @ ∂L/∂z
db[k] = Σ(dz[i,k], (i, 1, N))
db: dz.sum(0)
db = dz.sum(2)
