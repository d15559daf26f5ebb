# exercise: cross-entropy-weighted
dlogp = -q / N
dz = (F.softmax(z, 1) - F.one_hot(y, K)) / N
