# exercise: broadcast-gain
t = dY
t *= X
db = t.sum(0) + dY.sum(0)
dX = dY*b
