# exercise: softmax-regression
dz[i,k] = (exp(z[i,k] + 1000)/Sum(exp(z[i,c] + 1000), c) - y[i,k])/N
dW[j,k] = Sum(x[i,j]*dz[i,k], i)
db[k] = Sum(dz[i,k], i)
