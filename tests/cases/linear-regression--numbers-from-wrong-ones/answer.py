# exercise: linear-regression
dw = 8
db = dw/2
db = dw/4
