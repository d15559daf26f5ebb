# exercise: softmax
dz = dp * p * (1 - p)
