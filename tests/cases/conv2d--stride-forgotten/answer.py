# exercise: conv2d:stride=2
db = dy.sum((0, 2, 3))
dw = torch.zeros_like(w)
dxp = torch.zeros_like(xp)
for i in range(O):
    for j in range(Q):
        g = dy[:, :, i, j]
        dw += torch.einsum('nm,nckl->mckl', g, xp[:, :, i:i+K, j:j+K])
        dxp[:, :, i:i+K, j:j+K] += torch.einsum('nm,mckl->nckl', g, w)
dx = dxp[..., 1:-1, 1:-1]
