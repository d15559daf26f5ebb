# exercise: conv2d:stride=2
dw=torch.zeros_like(w)
dxp=torch.zeros_like(xp)
db=torch.zeros_like(b)
for n in range(N):
    for m in range(M):
        for i in range(O):
            for j in range(Q):
                db[m]+=dy[n,m,i,j]
                dw[m]+=dy[n,m,i,j]*xp[n,:,2*i:2*i+K,2*j:2*j+K]
                dxp[n,:,2*i:2*i+K,2*j:2*j+K]+=dy[n,m,i,j]*w[m]
dx=dxp[:,:,1:-1,1:-1]
