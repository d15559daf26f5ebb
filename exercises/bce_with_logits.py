"""Binary cross-entropy from logits, in the form that never overflows.

    a[i] = abs(z[i])
    e[i] = exp(-a[i])                                    between 0 and 1
    q[i] = log1p(e[i])                                   log(1 + e)
    L    = (sum over i of relu(z[i]) - t[i]*z[i] + q[i]) / N

`bce-with-logits:form=naive` is what the formula says first:

    p[i] = sigmoid(z[i])
    L    = -(sum over i of t[i]*log(p[i]) + (1 - t[i])*log(1 - p[i])) / N

Both are the same function of `z`. But at z = -1000 with t = 1 the naive `p` underflows to 0: its
logarithm is -infinity and the gradient nan; the first form gives the loss 1000 and the gradient -1.

Shapes: `z`, `t`, `a`, `e`, `q`, `p` (N,). `t` holds the labels, 0 or 1.

Derive the gradient of `z`. Both forms lead to the same short formula. In the first one, relu and
abs have a kink at 0, and yet the whole is smooth there: the two kinks cancel.

Conventions: the mean over all entries, natural logarithm; `t` is given. torch's
`F.binary_cross_entropy`, which takes `p`, cuts its logarithms off at -100: at z = -1000 its
gradient is 0, not -1. At exactly z = 0 torch's slopes of the two pieces (relu 0, abs 0) do not
fit together; the slope of the smooth whole is found with 1/2 for relu. Here every value between
the two sides is right.
"""

from typing import Literal

from sympy import Abs, Sum, exp, log

from tutor import Exercise
from tutor.functions import log1p, relu, sigmoid


def exercise(form: Literal["stable", "naive"] = "stable") -> Exercise:
    exercise = Exercise(
        "bce-with-logits",
        title="Binary cross-entropy with logits",
        level=4,
        tags=["classification", "sigmoid", "loss", "numerics", "kinks"],
        requires=["sigmoid-bce", "logsumexp"],
        hints=[
            "Every z[i] occurs in one term of the loss: treat it as a scalar, and keep the 1/N.",
            "With p: the derivative of the logarithms by p first, then the slope of the sigmoid, then cancel.",
            "With abs: look at z > 0 and z < 0 apart. Both cases give the same expression in sigmoid(z).",
        ],
    )
    N = exercise.sizes("N")
    i = exercise.indices(i=N)

    z = exercise.parameter("z", i)
    t = exercise.input("t", i, domain="mask")
    if form == "stable":
        a = exercise.step("a", [i], Abs(z[i]))
        e = exercise.step("e", [i], exp(-a[i]))
        q = exercise.step("q", [i], log1p(e[i]))
        exercise.loss("L", Sum(relu(z[i]) - t[i] * z[i] + q[i], i) / N)
    else:
        p = exercise.step("p", [i], sigmoid(z[i]))
        exercise.loss("L", -Sum(t[i] * log(p[i]) + (1 - t[i]) * log(1 - p[i]), i) / N)
        exercise.fails_at(z=[-1000.0], t=[1.0])

    @exercise.reference
    def forward(s):
        import torch

        return torch.nn.functional.binary_cross_entropy_with_logits(s.z, s.t)

    return exercise
