# exercise: squared-error
dr = r
dp = dr
dw = dp*x
