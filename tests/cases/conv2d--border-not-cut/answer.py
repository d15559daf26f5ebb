# exercise: conv2d
db = dy.sum((0, 2, 3))
dw = F.conv2d(xp.transpose(0, 1), dy.transpose(0, 1)).transpose(0, 1)
dx = F.conv_transpose2d(dy, w)
