"""What torch takes for a gradient where a function has none: its choices at kinks and ties.

    r[i] = x[i] - t[i]
    y[i] = f(r[i])
    L    = sum over i of c[i]*y[i]

| address | f | in torch |
|---|---|---|
| `kinks:of=relu` | r where r > 0, else 0 | `F.relu(r)` |
| `kinks:of=maximum` | the larger one of r and 0 | `torch.maximum(r, torch.zeros_like(r))` |
| `kinks:of=clamp` | r cut off below 0 | `r.clamp(min=0)` |
| `kinks:of=abs` | the absolute value | `r.abs()` |
| `kinks:of=leaky-relu` | r where r > 0, else r/10 | `F.leaky_relu(r, 0.1)` |
| `kinks:of=elu` | r where r > 0, else 2*(exp(r) - 1) | `F.elu(r, alpha=2.0)` |
| `kinks:of=clamp-both` | r cut off below -1 and above 1 | `r.clamp(-1, 1)` |
| `kinks:of=hardtanh` | the same function | `F.hardtanh(r)` |
| `kinks:of=max-of-two` | the larger one of x and t, without r | `torch.maximum(x, t)` |
| `kinks:of=min-of-two` | the smaller one of x and t, without r | `torch.minimum(x, t)` |

Two take the maximum of a whole row, `y[i] = max over k of x[i,k]`, without `r` and `t`:

| address | in torch |
|---|---|
| `kinks:of=max-over` | `x.max(1).values` |
| `kinks:of=amax` | `x.amax(1)` |

Shapes: `x`, `t`, `r`, `y`, `c` (N,); for the last two `x` (N, K), and `y`, `c` (N,).

Derive the gradient of `x`. Away from the kink that is easy. At the kink (or at a tie) a
subgradient is any value between the slopes on the two sides, and a program has to take one of
them. The first three of the table are one and the same function, and torch takes three different
values at r = 0.

Conventions: torch's, measured with torch 2.13, and judged strictly: here another subgradient is
wrong. relu takes 0 at its kink, abs takes 0, clamp takes 1 on its bounds, hardtanh 0 on them;
leaky relu and elu take the slope on the left. `maximum` and `minimum` of two tensors share the
gradient at a tie, half and half; `max(dim)` gives all of it to the first winner, `amax` shares it
among all winners. Other libraries choose otherwise, and torch may change: JAX agrees on relu and
on maximum, for example.
"""

from typing import Literal

from sympy import Abs, Max, Min, Piecewise, Sum, exp

from tutor import Exercise
from tutor.functions import clamp, relu
from tutor.operations import AmaxOver, MaxOver

OF_ONE = {
    "relu": relu,
    "maximum": lambda r: Max(r, 0),
    "clamp": lambda r: clamp(r, 0),
    "abs": Abs,
    "leaky-relu": lambda r: Piecewise((r, r > 0), (r / 10, True)),
    "elu": lambda r: Piecewise((r, r > 0), (2 * (exp(r) - 1), True)),
    "clamp-both": lambda r: clamp(r, -1, 1),
    "hardtanh": lambda r: Piecewise((-1, r <= -1), (1, r >= 1), (r, True)),
}
OF_TWO = {"max-of-two": Max, "min-of-two": Min}
OF_A_ROW = {"max-over": MaxOver, "amax": AmaxOver}


def exercise(
    of: Literal[
        "relu", "maximum", "clamp", "abs", "leaky-relu", "elu", "clamp-both", "hardtanh",
        "max-of-two", "min-of-two", "max-over", "amax",
    ] = "relu",
) -> Exercise:  # fmt: skip
    exercise = Exercise(
        "kinks",
        title="Kinks and ties: torch's choice",
        level=3,
        tags=["kinks", "elementwise", "activation"],
        requires=["activations"],
        strict_kinks=True,
        hints=[
            "dy first. Then the slope of f on the left of the kink, and on the right.",
            "Now the kink itself: which of the values between does torch take? The conventions say it.",
            "Is the comparison strict? (r > 0) and (r >= 0) differ at one point, and here that point counts.",
        ],
    )
    N = exercise.sizes("N")
    i = exercise.indices(i=N)
    if of in OF_A_ROW:
        K = exercise.sizes("K")
        k = exercise.indices(k=K)
        x = exercise.parameter("x", i, k)
        c = exercise.input("c", i)
        y = exercise.step("y", [i], OF_A_ROW[of](x[i, k], k))
        exercise.example(N=3, K=4)
        exercise.instance(x=[[1, 5, 5], [4, 2, 3]], c=[6, 7])
    else:
        x = exercise.parameter("x", i)
        t = exercise.input("t", i)
        c = exercise.input("c", i)
        if of in OF_ONE:
            r = exercise.step("r", [i], x[i] - t[i])
            y = exercise.step("y", [i], OF_ONE[of](r[i]))
        else:
            y = exercise.step("y", [i], OF_TWO[of](x[i], t[i]))
        exercise.example(N=7)
        exercise.instance(x=[0, 1, 2, 3, 4], t=[2, 2, 2, 2, 2], c=[3, 4, 5, 6, 7])
    exercise.loss("L", Sum(c[i] * y[i], i))

    @exercise.reference
    def forward(s):
        import torch
        import torch.nn.functional as F

        if of in OF_A_ROW:
            y = s.x.max(1).values if of == "max-over" else s.x.amax(1)
        elif of in OF_TWO:
            y = torch.maximum(s.x, s.t) if of == "max-of-two" else torch.minimum(s.x, s.t)
        else:
            r = s.x - s.t
            y = {
                "relu": lambda: F.relu(r),
                "maximum": lambda: torch.maximum(r, torch.zeros_like(r)),
                "clamp": lambda: r.clamp(min=0),
                "abs": lambda: r.abs(),
                "leaky-relu": lambda: F.leaky_relu(r, 0.1),
                "elu": lambda: F.elu(r, alpha=2.0),
                "clamp-both": lambda: r.clamp(-1, 1),
                "hardtanh": lambda: F.hardtanh(r),
            }[of]()
        return torch.dot(s.c, y)

    return exercise
