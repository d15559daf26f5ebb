# exercise: mse
dq = np.ones(N)/N
dr = 2/N*(x - y)
dx = 2*np.subtract(x, y)/N
