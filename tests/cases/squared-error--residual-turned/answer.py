# exercise: squared-error
dr = -2*(y - p)
dp = -2*(y - p)
dw = -2*(y - w*x)*x
