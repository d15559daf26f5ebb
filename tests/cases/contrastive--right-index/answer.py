# exercise: contrastive
dS[i,j] = ((p[i,j] + q[i,j])/2 - KroneckerDelta(i,j))/N
dZ[i,d] = Sum(dS[i,j]*Y[j,d], j)/tau
dY[j,d] = Sum(dS[i,j]*Z[i,d], i)/tau
