# exercise: conv2d
db = np.sum(dy, axis=(0, 2, 3))
x_pad = np.pad(x, ((0,), (0,), (1,), (1,)), 'constant')
dx_pad = np.zeros_like(x_pad)
dw = np.zeros_like(w)
for n in range(N):
    for f in range(M):
        for i in range(O):
            for j in range(Q):
                dw[f] += x_pad[n, :, i:i+K, j:j+K]*dy[n, f, i, j]
                dx_pad[n, :, i:i+K, j:j+K] += w[f]*dy[n, f, i, j]
dx = dx_pad[:, :, 1:-1, 1:-1]
