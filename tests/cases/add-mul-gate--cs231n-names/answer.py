# exercise: add-mul-gate
dfdz = q
dfdq = z
dqdx = 1.0
dqdy = -1.0
dfdx = dfdq * dqdx
dfdy = dfdq * dqdy
