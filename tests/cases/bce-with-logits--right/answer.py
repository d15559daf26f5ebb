# exercise: bce-with-logits
dz = (torch.sigmoid(z) - t) / N
