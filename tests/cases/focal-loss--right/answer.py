# exercise: focal-loss
dq = -2 * q * log(p)
dp = 2 * (1 - p) * log(p) - (1 - p)**2 / p
dz = (1 - p)**2 * (2 * p * log(p) - (1 - p))
