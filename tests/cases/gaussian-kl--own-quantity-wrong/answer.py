# exercise: gaussian-kl
v = exp(logvar)
dz = z - x
dmu = dz + mu
dv = dz*eps
dlogvar = dv*v
