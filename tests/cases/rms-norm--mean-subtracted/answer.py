# exercise: rms-norm
dgamma = (dy*xhat).sum(0)
q = dy*gamma
dx = irms[:, None]*(q - q.mean(1, keepdim=True) - xhat*(q*xhat).mean(1, keepdim=True))
