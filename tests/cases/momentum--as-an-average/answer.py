# exercise: momentum
dw = 2*(p - y)*x
m1 = (1 - beta)*dw
w1 = w - eta*m1
g2 = 2*(w1*x - y)*x
m2 = beta*m1 + (1 - beta)*g2
w2 = w1 - eta*m2
