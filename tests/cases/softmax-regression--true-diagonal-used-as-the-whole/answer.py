# exercise: softmax-regression
dp = -y/(N*p)
dp_dz[i,k,i,k] = p[i,k]*(1 - p[i,k])
dz[i,k] = dp[i,k]*dp_dz[i,k,i,k]
dW = x.T @ dz

# exercise: softmax-regression
dp = -y/(N*p)
dp_dz[i,k,i,k] = p[i,k]*(1 + p[i,k])

# exercise: softmax-regression
dp = -y/(N*p)
dp_dz = p*(1 - p)
dz = dp*dp_dz
