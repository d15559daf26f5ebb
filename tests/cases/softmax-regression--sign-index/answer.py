# exercise: softmax-regression
dz[i,k] = (y[i,k] - p[i,k])/N
dW[j,k] = Sum(x[i,j]*dz[i,k], i)
db[k] = Sum(dz[i,k], i)
