# exercise: mlp:activation=sigmoid
dy_pred = 2*(y_pred - y)/(N*D2)
dh1 = dy_pred @ W2.T
dz1[n,i1] = dh1[n,i1]*z1[n,i1]*(1 - z1[n,i1])
