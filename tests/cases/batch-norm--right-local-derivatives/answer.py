# exercise: batch-norm
dxhat = dy*gamma
dvar_dxc = 2*xc/N
dmu_dx = torch.ones_like(x)/N
distd = (dxhat*xc).sum(0)
dvar = -distd*istd**3/2
dxc = dxhat*istd + dvar*dvar_dxc
dmu = -dxc.sum(0)
dx = dxc + dmu*dmu_dx

# exercise: batch-norm
dvar_dxc[j,i] = 2*xc[i,j]/N
dmu_dx[i,j] = 1/N
