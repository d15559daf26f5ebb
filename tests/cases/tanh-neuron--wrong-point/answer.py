# exercise: tanh-neuron
dn = 1 - n**2
dw1 = dn*x1
dw2 = dn*x2
db = dn
dx1 = dn*w1
dx2 = dn*w2
