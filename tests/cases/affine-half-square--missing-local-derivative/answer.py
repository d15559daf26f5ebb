# exercise: affine-half-square
dr = r
dw = dr
db = dr
