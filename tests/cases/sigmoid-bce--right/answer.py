# exercise: sigmoid-bce
dp = (p - t)/(p*(1 - p))
dz = p - t
