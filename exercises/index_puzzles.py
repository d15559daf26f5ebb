"""Eight small functions of a vector that only move, repeat, scale or add up entries.

`index-puzzles:part=shift` is one of them; `part` says which:

| `part` | function | in torch |
|---|---|---|
| `mean` | `y = (x[0] + ... + x[N-1])/N`, a scalar | `x.mean()` |
| `repeat` | `y[m] = x[m mod N]`, K times as long | `x.repeat(K)` |
| `scale` | `y[i] = s[i]*x[i]`, with a given `s` (N,) | `s * x` |
| `negate` | `y[i] = -x[i]` | `-x` |
| `shift` | `y[0] = 0`, then `y[i] = x[i-1]`; the last one is lost | `F.pad(x[:-1], (1, 0))` |
| `flip` | `y[i] = x[N-1-i]` | `x.flip(0)` |
| `slice` | `y[k] = x[k+1]`, one entry shorter | `x[1:]` |
| `cumsum` | `y[i] = x[0] + ... + x[i]` | `x.cumsum(0)` |

Shapes: `x` (N,), and `y` as the table says: a scalar, (K*N,), (N-1,), or (N,). This is a layer:
the gradient `dy` of the output is given. Derive the gradient of `x`, of shape (N,).

A way that always works: write down the Jacobian first. Its entry for `y[o]` and `x[i]` is 1, or
some factor, where `y[o]` contains `x[i]`, and 0 elsewhere. Then multiply by `dy[o]` and add up
over o.

Conventions: indices count from 0. In a Jacobian the output's index comes first; the gradient of a
vector has the vector's own shape, and entries of `x` that are not used have the gradient 0.
"""

from typing import Literal

from sympy import Mod, Piecewise, Sum

from tutor import Exercise
from tutor.operations import CumulativeSum, Flip


def exercise(
    part: Literal["mean", "repeat", "scale", "negate", "shift", "flip", "slice", "cumsum"] = "cumsum",
) -> Exercise:
    exercise = Exercise(
        "index-puzzles",
        title="Moving, repeating, adding up entries",
        level=2,
        tags=["vector", "indices", "layer", "puzzle"],
        source="Sasha Rush, Autodiff Puzzles",
        requires=["mse"],
        hints=[
            "Take N = 3 and write every entry of y out. Which of them contain x[0]? Which contain x[2]?",
            "Each entry of x collects from all entries of y that contain it, with the factor it has there.",
            "What went forward comes back the other way: what was spread is added up, what was moved is moved back.",
        ],
    )
    N = exercise.sizes("N")
    i = exercise.indices(i=N)
    s = exercise.input("s", i) if part == "scale" else None
    x = exercise.input("x", i)
    if part == "mean":
        exercise.output("y", [], Sum(x[i], i) / N)
    elif part == "repeat":
        K = exercise.sizes("K")
        m = exercise.indices(m=K * N)
        exercise.output("y", [m], x[Mod(m, N)])
    elif part == "slice":
        k = exercise.indices(k=N - 1)
        exercise.output("y", [k], x[k + 1])
    elif s is not None:
        exercise.output("y", [i], s[i] * x[i])
    elif part == "negate":
        exercise.output("y", [i], -x[i])
    elif part == "shift":
        exercise.output("y", [i], Piecewise((x[i - 1], i >= 1), (0, True)))
    elif part == "flip":
        exercise.output("y", [i], Flip(x)[i])
    else:
        exercise.output("y", [i], CumulativeSum(x[i], i))

    exercise.ask("x")
    exercise.example(**({"N": 3, "K": 5} if part == "repeat" else {"N": 5}))

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        x = t.x
        return {
            "mean": lambda: x.mean(),
            "repeat": lambda: x.repeat(t.K),
            "scale": lambda: torch.mul(t.s, x),
            "negate": lambda: torch.neg(x),
            "shift": lambda: F.pad(x[:-1], (1, 0)),
            "flip": lambda: x.flip(0),
            "slice": lambda: x[1:],
            "cumsum": lambda: x.cumsum(0),
        }[part]()

    return exercise
