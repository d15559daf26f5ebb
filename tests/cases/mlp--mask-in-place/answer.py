# exercise: mlp
dy_pred = 2*(y_pred - y)/(N*D2)
dh1 = dy_pred @ W2.T
dz1 = dh1.clone()
dz1[dh1 <= 0] = 0
