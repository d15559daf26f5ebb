# exercise: reused-scalar
da = a
da += a
da = da + 1 + cos(a)
