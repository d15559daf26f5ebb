"""One scalar, sent through the same function again and again.

    f1 = sin(x)*x
    f2 = sin(f1)*f1
    ...
    L  = sin(f)*f        the last one

Derive the gradient of `x`. `deep-chain:depth=8` has eight such steps.

Conventions: `L` itself is what is differentiated. The steps are numbered from 1, the last one is
called `L`, and angles are in radians.

Written out as one expression, the derivative grows exponentially with the depth. Walking back one
step at a time it does not: each step costs the same. That is the whole idea of backpropagation.
"""

from typing import Annotated

from sympy import sin

from tutor import Exercise


def exercise(depth: Annotated[int, range(1, 2001)] = 4) -> Exercise:
    exercise = Exercise(
        "deep-chain",
        title="A deep chain of one function",
        level=2,
        tags=["scalar", "chain rule", "product rule"],
        requires=["linear-regression"],
        hints=[
            "In sin(f)*f the variable occurs twice: the product rule gives one term for each.",
            "Do not insert the steps into each other. Find df for the last step, and use it in the one before.",
            "Every step has the same local derivative, taken at its own argument.",
        ],
    )
    f = x = exercise.parameter("x")
    for n in range(1, depth):
        f = exercise.step(f"f{n}", [], sin(f) * f)
    exercise.loss("L", sin(f) * f)

    # above pi/2 the values stay there; below it they shrink to nothing within a few steps
    exercise.instance(**{x.name: 2})

    @exercise.reference
    def forward(t):
        import torch

        f = t.x
        for _ in range(depth):
            f = torch.mul(torch.sin(f), f)
        return f

    return exercise
