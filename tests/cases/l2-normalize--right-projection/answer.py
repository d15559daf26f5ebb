# exercise: l2-normalize
dn[i] = -Sum(dh[i,j]*h[i,j], j)/n[i]
dx[i,j] = (dh[i,j] - h[i,j]*Sum(h[i,k]*dh[i,k], k))/n[i]
