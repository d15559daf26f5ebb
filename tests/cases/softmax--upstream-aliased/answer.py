# exercise: softmax
e2 = dp
e2 *= p
dz = e2 - p*(p*dp).sum(1, keepdim=True)
