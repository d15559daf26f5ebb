# exercise: attention:heads=2
do = dO.view(N, 2, E).transpose(0, 1)
dv = P.transpose(1, 2) @ do
dV = dv.transpose(0, 1).reshape(M, 2*E)
dP = do @ v.mT
da = P*(dP - (dP*P).sum(-1, keepdim=True))
dq = da @ k/sqrt(D)
dk = da.mT @ q/sqrt(D)
dQ = dq.transpose(0, 1).reshape(N, -1)
dK = dk.transpose(0, 1).reshape(M, -1)
