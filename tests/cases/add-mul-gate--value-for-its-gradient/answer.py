# exercise: add-mul-gate
q = 3
dq = q
