# exercise: reused-scalar
da = cos(a)
