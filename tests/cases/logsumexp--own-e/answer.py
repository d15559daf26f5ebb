# exercise: logsumexp
e = exp(1)
dz = e**z / sum(e**z)
