# exercise: mlp
dy_pred = 2*(y_pred - y)/15
dW2 = h1.T @ dy_pred
