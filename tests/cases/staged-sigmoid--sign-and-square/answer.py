# exercise: staged-sigmoid
dinvden = num
dden = dinvden/den
dsigx = dden
dxpy = 2*xpy*dden
dx = 1*dxpy
dx += sigx*(1 - sigx)*dsigx
dx += invden
dy = 1*dxpy
dy += sigy*(1 - sigy)*invden
