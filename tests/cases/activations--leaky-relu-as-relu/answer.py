# exercise: activations:function=leaky-relu
dx = dy * (x > 0)
