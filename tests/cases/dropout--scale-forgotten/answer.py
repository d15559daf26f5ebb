# exercise: dropout
dx = dy * mask
