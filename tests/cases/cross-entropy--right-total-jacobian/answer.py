# exercise: cross-entropy
dpick[i] = -1/N
dlogp[i,c] = dpick[i]*KroneckerDelta(c, y[i])
dlogp_dz[i,c,m,k] = KroneckerDelta(i, m)*(KroneckerDelta(c, k) - e[i,k]/s[i])
dz[i,k] = Sum(dlogp[i,c]*dlogp_dz[i,c,i,k], c)

# exercise: cross-entropy
dpick[i] = -1/N
dlogp[i,c] = dpick[i]*KroneckerDelta(c, y[i])
dlogp_dz[i,c,m,k] = KroneckerDelta(i, m)*KroneckerDelta(c, k)
ds[i] = -Sum(dlogp[i,c], c)/s[i]
dz[i,k] = Sum(dlogp[i,c]*dlogp_dz[i,c,i,k], c) + ds[i]*e[i,k]
