"""Log-softmax as a layer: why the logarithm and the softmax are computed together.

    m[i]      = max over k of z[i,k]
    e[i,k]    = exp(z[i,k] - m[i])
    s[i]      = sum over k of e[i,k]
    logp[i,k] = z[i,k] - m[i] - log(s[i])         the output

`log-softmax:form=naive` takes the logarithm of a finished softmax instead: `p[i,k] =
e[i,k]/s[i]`, then `logp[i,k] = log(p[i,k])`. On paper that is the same. At z = [1000, 0] it is
not: the second probability underflows to 0, its logarithm is -infinity and the gradient nan,
while the form above gives -1000 and an ordinary gradient.

Shapes: `z`, `e`, `logp` (and `p`) (N, K); `m`, `s` (N,).

This is a layer: `dlogp` (N, K) is given. Derive the gradient of `z`; it takes one line with the
softmax (`e/s`) and one sum of each row.

Conventions: natural logarithm, over the last axis, as `torch.log_softmax(z, -1)`.
"""

from typing import Literal

from sympy import Sum, exp, log

from tutor import Exercise
from tutor.operations import MaxOver


def exercise(form: Literal["stable", "naive"] = "stable") -> Exercise:
    exercise = Exercise(
        "log-softmax",
        title="Log-softmax",
        level=3,
        tags=["softmax", "numerics", "layer"],
        requires=["softmax", "logsumexp"],
        hints=[
            "Which logp of a row move when one z[i,k] does? Its own directly, and all of them through the sum s.",
            "ds[i] collects dlogp over the whole row: that sum is all that is left of the coupling.",
            "The maximum m was only subtracted for safety. The parts that reach it cancel.",
        ],
    )
    N, K = exercise.sizes("N K")
    i, k = exercise.indices(i=N, k=K)

    z = exercise.parameter("z", i, k)
    m = exercise.step("m", [i], MaxOver(z[i, k], k))
    e = exercise.step("e", [i, k], exp(z[i, k] - m[i]))
    s = exercise.step("s", [i], Sum(e[i, k], k))
    if form == "stable":
        exercise.output("logp", [i, k], z[i, k] - m[i] - log(s[i]))
    else:
        p = exercise.step("p", [i, k], e[i, k] / s[i])
        exercise.output("logp", [i, k], log(p[i, k]))
        exercise.fails_at(z=[[1000.0, 0.0]])
    exercise.example(N=3, K=5)

    @exercise.reference
    def forward(t):
        import torch

        return torch.log_softmax(t.z, -1)

    return exercise
