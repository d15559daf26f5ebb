# exercise: logsumexp
dz = e**z / sum(e**z)
