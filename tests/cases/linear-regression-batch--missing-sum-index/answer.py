# exercise: linear-regression-batch
dr[i] = r[i]/N
dw[j] = Sum(dr[i]*X[i,j], i)
db = dr.mean()
