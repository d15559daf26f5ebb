"""One number, used three times.

    f = a*a + a + sin(a)

Everything is a scalar. Derive the gradient of `a`: every use of `a` sends its own part back.

Conventions: `f` is what is differentiated, so the gradient that arrives at it is 1. `a*a` counts as
two uses of `a`, or as one use of its square; both give the same.
"""

from sympy import sin

from tutor import Exercise

exercise = Exercise(
    "reused-scalar",
    title="One number, used three times",
    level=1,
    tags=["scalar", "chain rule", "accumulation"],
    source="Andrej Karpathy, micrograd: the spelled-out intro to neural networks and backpropagation",
    requires=["add-mul-gate"],
    hints=[
        "How many arrows lead from a to f? Each of them contributes one term.",
        "The terms are added. A program that overwrites the gradient at each use keeps only the last one.",
        "The middle use is the plain a: moving a by a little moves f by just as much.",
    ],
)
a = exercise.parameter("a")
exercise.loss("f", a * a + a + sin(a))

exercise.instance(a=2)


@exercise.reference
def forward(t):
    import torch

    return torch.addcmul(t.a, t.a, t.a) + torch.sin(t.a)
