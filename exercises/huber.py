"""The Huber loss: a square near zero, a straight line further out.

    r[i] = x[i] - y[i]                                the residuals
    h(r) = r**2/2                if abs(r) <= delta
           delta*(abs(r) - delta/2)   otherwise       loss=huber
    L    = sum over i of h(r[i])

With `loss=smooth-l1` every `h(r[i])` is divided by `delta`.

Shapes: `x`, `y`, `r` are (N,); the positive number `delta` says where the square ends.
Derive the gradients of `r` and `x`. Both can be written without a case distinction, with `clamp`.

Conventions: the *sum* over the entries (torch's default is the mean). `loss=huber` is torch's
`huber_loss` with its `delta`; `loss=smooth-l1` is its `smooth_l1_loss`, where the threshold is
called `beta`. Where `abs(r[i])` is `delta` both branches have the same slope, so there is no
kink.
"""

from typing import Literal

from sympy import Abs, Piecewise, Sum

from tutor import Exercise


def exercise(loss: Literal["huber", "smooth-l1"] = "huber") -> Exercise:
    exercise = Exercise(
        "huber",
        title="Huber loss",
        level=3,
        tags=["vector", "loss", "regression", "piecewise"],
        requires=["mse"],
        hints=[
            "Take the two branches one at a time: each is differentiated on its own side.",
            "Beyond delta the loss is a straight line. Its slope is the same everywhere, up to a sign.",
            "Draw the slope over r: rising through zero, then flat on both sides. Which function clips like that?",
        ],
    )
    N = exercise.sizes("N")
    i = exercise.indices(i=N)

    x = exercise.input("x", i)
    y = exercise.input("y", i)
    delta = exercise.input("delta", domain="positive")
    r = exercise.step("r", [i], x[i] - y[i])
    square, line = r[i] ** 2 / 2, delta * (Abs(r[i]) - delta / 2)
    if loss == "smooth-l1":
        square, line = r[i] ** 2 / (2 * delta), Abs(r[i]) - delta / 2
    exercise.loss("L", Sum(Piecewise((square, Abs(r[i]) <= delta), (line, True)), i))

    exercise.ask("r", "x")
    exercise.points(r=2)
    exercise.example(N=5)

    @exercise.reference
    def forward(t):
        import torch.nn.functional as F

        x, y = t.x / t.delta, t.y / t.delta  # torch's own threshold is a plain number
        if loss == "huber":
            return t.delta**2 * F.huber_loss(x, y, reduction="sum")
        return t.delta * F.smooth_l1_loss(x, y, reduction="sum")

    return exercise
