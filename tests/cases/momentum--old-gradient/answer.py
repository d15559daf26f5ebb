# exercise: momentum
dw = 2*(p - y)*x
m1 = dw
w1 = w - eta*m1
g2 = dw
m2 = beta*m1 + g2
w2 = w1 - eta*m2
