# exercise: attention
dP[n,m] = Sum(dO[n,c]*V[m,c], c)
da[n,m] = dP[n,m]*P[n,m]*(1 - P[n,m])
