# exercise: softmax-regression
dz[n,c] = (p[n,c] - y[n,c])/N
dW[j,k] = Sum(x[i,j]*dz[i,k], i)
db[k] = Sum(dz[i,k], i)
