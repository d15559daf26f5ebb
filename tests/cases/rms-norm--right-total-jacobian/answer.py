# exercise: rms-norm
dxhat[i,j] = dy[i,j]*gamma[j]
dxhat_dx[i,j,m,l] = KroneckerDelta(i, m)*irms[i]*(KroneckerDelta(j, l) - xhat[i,j]*xhat[i,l]/D)
dx[i,l] = Sum(dxhat[i,j]*dxhat_dx[i,j,i,l], j)

# exercise: batch-norm
dxc_dx[i,j,l,m] = KroneckerDelta(j, m)*(KroneckerDelta(i, l) - 1/N)

# exercise: softmax-regression
dp_de[i,k,m,l] = KroneckerDelta(i, m)*(KroneckerDelta(k, l)/s[i] - e[i,k]/s[i]**2)
