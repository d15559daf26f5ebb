# exercise: linear-regression-batch
dr[i] = r[i]
dw[j] = Sum(dr[i]*X[i,j], i)
db = Sum(dr[i], i)
