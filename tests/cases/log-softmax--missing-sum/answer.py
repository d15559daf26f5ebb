# exercise: log-softmax
p = torch.softmax(z, 1)
dz = dlogp - p * dlogp
