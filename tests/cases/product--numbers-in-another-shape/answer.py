# exercise: product
dx = [[0, 6, 0]]
