# exercise: softmax-regression
dp[i,k] = -y[i,k]/(N*p[i,k])
ds[i] = -Sum(dp[i,k]*e[i,k], k)/s[i]**3
