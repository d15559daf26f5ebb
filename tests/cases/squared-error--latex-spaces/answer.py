# exercise: squared-error
dw = 2 \, x \, (p - y)
