# exercise: gaussian-kl
dz = z - x
dmu = mu
dlogvar = 0.5 * (torch.exp(logvar) - 1)
