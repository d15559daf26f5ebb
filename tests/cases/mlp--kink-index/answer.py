# exercise: mlp
dy_pred[n,m] = 2*(y_pred[n,m] - y[n,m])/(N*D2)
dh1[n,a] = Sum(dy_pred[n,m]*W2[a,m], m)
dz1[n,a] = dh1[n,a]*Piecewise((1, z1[n,a] >= 0), (0, True))
dW1[c,a] = Sum(x[n,c]*dz1[n,a], n)
db1[a] = Sum(dz1[n,a], n)
