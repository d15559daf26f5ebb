# exercise: broadcast-gain
dX = dY*b
db = (dY*X).sum(0)
