# exercise: deep-chain:depth=3
df2 = sin(f2) + f2*cos(f2)
df1 = df2*cos(f1)
dx = df1*(sin(x) + x*cos(x))
