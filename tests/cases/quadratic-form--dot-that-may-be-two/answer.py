# exercise: quadratic-form
dx = A·x + A.T·x
