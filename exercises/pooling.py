"""Pooling: every window of an image becomes one number.

    win[n,c,o,q,m] = x[n,c,K*o + m//K,K*q + m%K]       the K*K pixels of window (o, q), row by row
    y[n,c,o,q]     = max over m of win[n,c,o,q,m]              kind=max, the output
    y[n,c,o,q]     = (sum over m of win[n,c,o,q,m]) / (K*K)    kind=avg, the output

K is the number given as `window`: windows are K pixels high and wide, and lie side by side without
overlapping. Shapes: `x` (N, C, K*O, K*Q), `win` (N, C, O, Q, K*K), `y` (N, C, O, Q).

This is a layer, not a loss: the gradient `dy` (N, C, O, Q) of the output comes from above and is given.
Derive `dwin` and `dx`.

Conventions: torch's `F.max_pool2d(x, K)` and `F.avg_pool2d(x, K)`, whose stride is the window unless
another is given. `win` writes the windows out, as the im2col version of CS231n does. Where several
pixels of a window are the largest, torch's max pooling gives the whole gradient to the first of
them, row by row, and so must you; `x.amax()` would share it out evenly.
"""

from typing import Annotated, Literal

from sympy import Mod, Sum, floor

from tutor import Exercise
from tutor.operations import MaxOver


def exercise(kind: Literal["max", "avg"] = "max", window: Annotated[int, range(2, 4)] = 2) -> Exercise:
    exercise = Exercise(
        "pooling",
        title="Max and average pooling",
        level=6,
        tags=["convolution", "pooling", "layer", "kinks"],
        source="CS231n, assignment 2",
        requires=["conv1d"],
        strict_kinks=kind == "max",
        hints=[
            "Change one pixel of a window a little. By how much does its output change, for max and for avg?",
            "Each window has one dy to pass on: to the pixel that won, or in equal parts to all of them.",
            "No pixel lies in two windows, so dx only puts the entries of dwin back where they came from.",
            "(m == win.argmax(-1)) is a one-hot vector for each window. Of equal pixels argmax names the first.",
        ],
    )
    N, C, O, Q = exercise.sizes("N C O Q")  # noqa: E741
    n, c, o, q, m = exercise.indices(n=N, c=C, o=O, q=Q, m=window**2)
    i, j = exercise.indices(i=window * O, j=window * Q)

    x = exercise.input("x", n, c, i, j)
    pixel = x[n, c, window * o + floor(m / window), window * q + Mod(m, window)]
    win = exercise.step("win", [n, c, o, q, m], pixel)
    entries = win[n, c, o, q, m]
    pooled = MaxOver(entries, m) if kind == "max" else Sum(entries, m) / window**2
    exercise.output("y", [n, c, o, q], pooled)

    exercise.ask("win", "x")
    exercise.example(N=2, C=3, O=5, Q=4)

    @exercise.reference
    def forward(t):
        import torch.nn.functional as F

        return {"max": F.max_pool2d, "avg": F.avg_pool2d}[kind](t.x, window)

    return exercise
