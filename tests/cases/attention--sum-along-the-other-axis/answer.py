# exercise: attention
dP[n,m] = Sum(dO[n,k]*V[m,k], k)
da[n,m] = P[n,m]*(dP[n,m] - Sum(P[l,m]*dP[l,m], l))
