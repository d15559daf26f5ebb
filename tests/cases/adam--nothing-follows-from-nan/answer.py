# exercise: adam
dw = 2*(p - y)*x
m1 = (1 - beta1)*dw
v1 = (beta2 - 1)*dw**2
w1 = w + eta*m1/sqrt(v1)
