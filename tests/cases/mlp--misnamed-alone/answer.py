# exercise: mlp
dy = 2*(y_pred - y)/N
