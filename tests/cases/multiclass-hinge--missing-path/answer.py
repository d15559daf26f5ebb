# exercise: multiclass-hinge
dmargin = (margin > 0) * (1 - F.one_hot(y, K)) / N
ds = dmargin
