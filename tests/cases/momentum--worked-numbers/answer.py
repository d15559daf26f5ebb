# exercise: momentum
dw = -8
m1 = -8
w1 = 1.08
g2 = -7.36
m2 = -14.56
w2 = 1.2256
