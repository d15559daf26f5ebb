# exercise: gaussian-kl
# the inner derivative 1/2 of exp(logvar/2) is forgotten
dz = z - x
dmu = dz + mu
dlogvar = (torch.exp(logvar) - 1) / 2 + dz * eps * sd
