# exercise: conv1d
dw = np.correlate(x, dy, mode='valid')
dx = torch.zeros_like(x)
for o in range(O):
    dx[o:o+K] = dy[o]*w
