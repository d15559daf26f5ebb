# exercise: sin-exp-cos-chain
df3 = 2*(f3 - y)
dh3 = df3*w3
df2 = dh3*sin(f2)
dh2 = df2*w2
df1 = dh2*h2
dw3 = dh3*h3
