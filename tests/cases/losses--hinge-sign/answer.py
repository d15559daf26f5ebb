# exercise: losses:of=hinge
df = (2 * y - 1) * (m < 1) / N
