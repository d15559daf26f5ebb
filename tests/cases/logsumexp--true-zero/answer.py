# exercise: logsumexp
dm = 0*s
ds = 2/s
dz = 2*e/s + dm*s + ds*0
