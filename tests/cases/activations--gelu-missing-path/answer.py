# exercise: activations:function=gelu
dx = dy * Phi
