# exercise: softmax
dz = np.zeros_like(z)
for n in range(N):
    for i in range(K):
        for j in range(K):
            dz[n, j] += dp[n, i] * p[n, i] * ((i == j) - p[n, j])
