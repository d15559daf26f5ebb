# exercise: mlp
dy_pred = 2*(y_pred - y)/(N*D2)
dh1 = dy_pred @ W2.T
dz1 = h1*(z1 > 0)
