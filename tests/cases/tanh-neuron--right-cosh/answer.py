# exercise: tanh-neuron
dn = 1/cosh(n)**2
dw1 = dn*x1
dw2 = x2/cosh(n)**2
db = (1 - o)*(1 + o)
dx1 = dn*w1
dx2 = w2*(1 - tanh(n)**2)
