# exercise: focal-loss
dp = -q**2 / p
dz = dp * p * (1 - p)
