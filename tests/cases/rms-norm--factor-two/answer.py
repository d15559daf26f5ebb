# exercise: rms-norm
dgamma = (dy*xhat).sum(0)
q = dy*gamma
dx = irms[:, None]*q - 2*x*irms[:, None]**3*(q*x).mean(1, keepdim=True)
