# exercise: quadratic-form
dv[i] = x[i]
dx[i] = Sum((A[i,j] + A[j,i])*x[j], j)
dA[i,j] = x[i]*x[j]
