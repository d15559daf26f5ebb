# exercise: linear-regression:loss=mae
u = y_pred + y
dw = x*torch.sign(u)
db = torch.sign(y_pred - y)
