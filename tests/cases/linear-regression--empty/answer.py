# exercise: linear-regression
