# exercise: deep-chain:depth=3
dL_df2 = sin(f2) + f2*cos(f2)
df2_df1 = sin(f1) + f1*cos(f1)
df1 = df2*df2_df1
df1_dx = sin(x) + x*cos(x)
dx = df1*df1_dx
