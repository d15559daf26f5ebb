# exercise: add-mul-gate
dq = q
dz = z
dx = dq
dy = dq
