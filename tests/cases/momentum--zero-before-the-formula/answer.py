# exercise: momentum
dw = 2*(p - y)*x
m = 0
m = m + dw
m1 = m
w1 = w - eta*m1
m *= beta
m += 2*(w1*x - y)*x
m2 = m
