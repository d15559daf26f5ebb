# exercise: staged-sigmoid
dnum = invden
dinvden = num
dden = -dinvden/den**2
dxpy = 2*xpy*dden
dx = 1*dxpy
dy = 1*dxpy
dx = (1 - sigx)*sigx*dden
dx += dnum
dy += (1 - sigy)*sigy*dnum
