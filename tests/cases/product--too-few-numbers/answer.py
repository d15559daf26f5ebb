# exercise: product
dx = [0, 6]
