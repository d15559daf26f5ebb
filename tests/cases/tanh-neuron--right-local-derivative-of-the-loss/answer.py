# exercise: tanh-neuron
do_dn = 1 - o**2
dn = do*do_dn
db = dn
dw1 = dn*x1
dw2 = dn*x2
dx1 = dn*w1
dx2 = dn*w2
