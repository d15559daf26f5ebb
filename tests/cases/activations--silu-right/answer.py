# exercise: activations:function=silu
dx = dy * torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))
