# exercise: bce-with-logits:form=naive
dp = ((1 - t) / (1 - p) - t / p) / N
dz = dp * z * (1 - z)
