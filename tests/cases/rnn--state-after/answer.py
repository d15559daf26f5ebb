# exercise: rnn
dh4 = dy4
da4 = dh4*(1 - h4**2)
dh3 = dy3 + da4 @ Wh.T
da3 = dh3*(1 - h3**2)
dh2 = dy2 + da3 @ Wh.T
da2 = dh2*(1 - h2**2)
dh1 = dy1 + da2 @ Wh.T
da1 = dh1*(1 - h1**2)
dWx = x1.T @ da1 + x2.T @ da2 + x3.T @ da3 + x4.T @ da4
dWh = h1.T @ da1 + h2.T @ da2 + h3.T @ da3 + h4.T @ da4
db = (da1 + da2 + da3 + da4).sum(0)
dh0 = da1 @ Wh.T
dx1 = da1 @ Wx.T
dx2 = da2 @ Wx.T
dx3 = da3 @ Wx.T
dx4 = da4 @ Wx.T
