# exercise: l2-normalize
dn = -(dh*x).sum(1)/n**2
dh_dx = torch.eye(x.shape[1])[None]/n[:,None,None] - x[:,:,None]*x[:,None,:]/n[:,None,None]**3
dx = torch.einsum('ij,ijl->il', dh, dh_dx)

# exercise: l2-normalize
dn = -(dh*x).sum(1)/n**2
dh_dx = torch.eye(x.shape[1])[None]/n[:,None,None] - x[:,:,None]*x[:,None,:]/n[:,None,None]**2
dx = torch.einsum('ij,ijl->il', dh, dh_dx)
