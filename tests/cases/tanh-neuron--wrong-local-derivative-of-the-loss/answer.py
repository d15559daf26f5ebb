# exercise: tanh-neuron
do_dn = 1 - n**2
dn = do*do_dn
db = dn

# exercise: tanh-neuron
do_dn = 1 - o**2
dn = 2*do*do_dn
db = dn
