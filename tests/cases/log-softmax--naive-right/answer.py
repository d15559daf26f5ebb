# exercise: log-softmax:form=naive
dp = dlogp / p
ds = -(dp * e).sum(1) / s**2
de = dp / s[:, None] + ds[:, None]
dz = de * e
