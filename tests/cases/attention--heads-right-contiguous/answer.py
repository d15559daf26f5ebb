# exercise: attention:heads=2
do = dO.view(N, 2, E).transpose(0, 1)
dv = P.mT @ do
dP = do @ v.mT
da = P*(dP - (dP*P).sum(-1, keepdim=True))
dq = da @ k/math.sqrt(D)
dk = da.mT @ q/math.sqrt(D)
dV = dv.transpose(0, 1).contiguous().view(M, 2*E)
dQ = dq.transpose(0, 1).contiguous().view(N, 2*D)
dK = dk.transpose(0, 1).contiguous().view(M, 2*D)
