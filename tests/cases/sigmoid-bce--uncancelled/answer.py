# exercise: sigmoid-bce
dp = (1 - t)/(1 - p) - t/p
dz = dp*z*(1 - z)
