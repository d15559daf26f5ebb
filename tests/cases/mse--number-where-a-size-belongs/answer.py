# exercise: mse
dx = 2*r/10
