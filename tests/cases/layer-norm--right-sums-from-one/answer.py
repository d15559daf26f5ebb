# exercise: layer-norm
dx[i,j] = istd[i]*(gamma[j]*dy[i,j] - Sum(gamma[k]*dy[i,k], (k, 1, D))/D - xhat[i,j]*Sum(gamma[m]*dy[i,m]*xhat[i,m], (m, 1, D))/D)
