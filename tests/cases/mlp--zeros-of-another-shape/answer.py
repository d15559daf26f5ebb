# exercise: mlp
dW2 = torch.zeros_like(y)
dW2[i,k] = Sum(y[i,k], i)
