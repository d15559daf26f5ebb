"""The bank of losses: a prediction, a target, and seven ways to say how far apart they are.

With the prediction `f` and the target `y`, entry by entry, and the residual `r[i] = f[i] - y[i]`:

| address | the loss of one example |
|---|---|
| `losses:of=mse` | r**2 |
| `losses:of=mae` | abs(r) |
| `losses:of=huber` | r**2/2 while abs(r) <= 1, beyond that abs(r) - 1/2 |
| `losses:of=log-cosh` | log(cosh(r)) |

For two classes `y` is 0 or 1, and `f` a score, the larger the more it speaks for class 1:

| address | the loss of one example |
|---|---|
| `losses:of=hinge` | relu(1 - m) with the margin m = (2*y - 1)*f |
| `losses:of=bce` | -(y*log(p) + (1 - y)*log(1 - p)) with p = sigmoid(f) |
| `losses:of=focal` | -q**2*log(p) with p = sigmoid(m), for the true class, and q = 1 - p |

The loss `L` is the mean of them, or with `reduction=sum` their sum. Shapes: `f`, `y`, `r`, `m`,
`p`, `q` (N,).

Derive the gradient of `f`. Compare two of them: `tutor compare losses losses:of=huber`. How much
do large residuals pull, and how much small ones?

Conventions: the whole square in `mse`, half of it in `huber` (its delta is 1, as in torch). The
mean divides by N. At a kink (r = 0 for `mae`, m = 1 for `hinge`) every subgradient is right;
torch's abs and relu take the slope 0 there.
"""

from typing import Literal

from sympy import Abs, Expr, Piecewise, Rational, Sum, cosh, log

from tutor import Exercise
from tutor.functions import relu, sigmoid


def exercise(
    of: Literal["mse", "mae", "huber", "log-cosh", "hinge", "bce", "focal"] = "mse",
    reduction: Literal["mean", "sum"] = "mean",
) -> Exercise:
    exercise = Exercise(
        "losses",
        title="Losses side by side",
        level=2,
        tags=["loss", "elementwise", "regression", "classification", "kinks"],
        requires=["mse"],
        hints=[
            "f[i] occurs in one term of the sum: take the slope of that term. Does the mean leave a factor?",
            "The residual's derivative by f is 1, and that of the margin is 2*y - 1: a sign.",
            "A loss by cases has a slope by cases; abs has the sign as its slope.",
        ],
    )
    N = exercise.sizes("N")
    i = exercise.indices(i=N)

    f = exercise.parameter("f", i)
    residual = of in ("mse", "mae", "huber", "log-cosh")
    y = exercise.input("y", i, domain="real" if residual else "mask")
    if residual:
        r = exercise.step("r", [i], f[i] - y[i])
    elif of == "bce":
        p = exercise.step("p", [i], sigmoid(f[i]))
    else:
        m = exercise.step("m", [i], (2 * y[i] - 1) * f[i])
    if of == "focal":
        p = exercise.step("p", [i], sigmoid(m[i]))
        q = exercise.step("q", [i], 1 - p[i])
    one: Expr = {
        "mse": lambda: r[i] ** 2,
        "mae": lambda: Abs(r[i]),
        "huber": lambda: Piecewise((r[i] ** 2 / 2, Abs(r[i]) <= 1), (Abs(r[i]) - Rational(1, 2), True)),
        "log-cosh": lambda: log(cosh(r[i])),
        "hinge": lambda: relu(1 - m[i]),
        "bce": lambda: -(y[i] * log(p[i]) + (1 - y[i]) * log(1 - p[i])),
        "focal": lambda: -(q[i] ** 2) * log(p[i]),
    }[of]()
    exercise.loss("L", Sum(one, i) / (N if reduction == "mean" else 1))
    exercise.example(N=7)

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        if of in ("mse", "mae", "huber"):
            return {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}[of](t.f, t.y, reduction=reduction)
        if of == "bce":
            return F.binary_cross_entropy_with_logits(t.f, t.y, reduction=reduction)
        if of == "hinge":  # as the ranking of f above -f, by half a margin each
            return F.margin_ranking_loss(t.f / 2, -t.f / 2, 2 * t.y - 1, margin=1.0, reduction=reduction)
        if of == "log-cosh":
            r = t.f - t.y
            one = torch.logaddexp(r, -r) - torch.log(torch.tensor(2.0, dtype=r.dtype, device=r.device))
        else:
            cross = -F.logsigmoid((2 * t.y - 1) * t.f)
            one = torch.expm1(-cross).square() * cross  # exp(-cross) is the probability of the true class
        return one.mean() if reduction == "mean" else one.sum()

    return exercise
