"""One neuron with a tanh.

    n = x1*w1 + x2*w2 + b     the weighted sum
    o = tanh(n)               the output

Everything is a scalar. The output `o` is what is differentiated. Derive the gradients of `n`, of
the weights `w1` and `w2`, the bias `b`, and of the inputs `x1` and `x2`.

Conventions: the gradient that arrives at `o` is 1. The derivative of tanh can be written in two
ways, with the value before it or with the value after it; take care which of the two your formula
needs.
"""

from sympy import tanh

from tutor import Exercise

exercise = Exercise(
    "tanh-neuron",
    title="One neuron with a tanh",
    level=1,
    tags=["scalar", "activation", "chain rule"],
    source="Andrej Karpathy, micrograd: the spelled-out intro to neural networks and backpropagation",
    requires=["affine-half-square"],
    hints=[
        "First the gradient of n: everything else is a multiple of it.",
        "The derivative of tanh is one minus the square of tanh. Which of n and o is already that tanh?",
        "x1 and w1 are the two factors of a product: each gets the other one as its local derivative.",
    ],
)
x1 = exercise.input("x1")
x2 = exercise.input("x2")
w1 = exercise.parameter("w1")
w2 = exercise.parameter("w2")
b = exercise.parameter("b")
n = exercise.step("n", [], x1 * w1 + x2 * w2 + b)
exercise.loss("o", tanh(n))

exercise.ask("n", "w1", "w2", "b", "x1", "x2")
exercise.instance(x1=2, x2=0, w1=-3, w2=1, b=6.8813735870195432)


@exercise.reference
def forward(t):
    import torch

    inputs, weights = torch.stack([t.x1, t.x2]), torch.stack([t.w1, t.w2])
    return torch.tanh(torch.dot(inputs, weights) + t.b)
