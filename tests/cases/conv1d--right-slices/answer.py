# exercise: conv1d
dx = torch.zeros_like(x)
dw = torch.zeros_like(w)
for o in range(O):
    dx[o:o+K] += dy[o]*w
    dw += dy[o]*x[o:o+K]
