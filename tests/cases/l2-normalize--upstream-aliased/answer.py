# exercise: l2-normalize
dx = dh
dx /= n[:, None]
dn = -(dh*x).sum(1)/n**2
dx += (dn/n)[:, None]*x
