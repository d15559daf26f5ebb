# exercise: multiclass-hinge
dmargin = (margin > 0).double() / N
dmargin[range(N), y] = 0
ds = dmargin.clone()
ds[range(N), y] = -dmargin.sum(1)
