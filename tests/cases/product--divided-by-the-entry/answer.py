# exercise: product
dx = f/x
