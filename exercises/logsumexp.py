"""Log-sum-exp, the smooth maximum: naively it overflows, shifted by the maximum it does not.

    m    = max over k of z[k]
    e[k] = exp(z[k] - m)
    s    = sum over k of e[k]
    L    = m + log(s)                  which is log(sum over k of exp(z[k]))

`logsumexp:form=naive` leaves `m` out: `e[k] = exp(z[k])`, `L = log(s)`. The same function, and
the same gradient. But at z = [1000, 1000] the naive form computes exp(1000), which is infinite in
floats, and its gradient is infinity over infinity: nan. The stable form gives 1000.693 and two
equal halves.

Shapes: `z`, `e` (K,); `m`, `s`, `L` are scalars.

Derive the gradient of `z`. In the stable form `z` is used in two places. What `m` gets from them
adds up to something simple.

Conventions: natural logarithm; no mean, no batch. torch calls it `torch.logsumexp`.
"""

from typing import Literal

from sympy import Sum, exp, log

from tutor import Exercise
from tutor.operations import MaxOver


def exercise(form: Literal["stable", "naive"] = "stable") -> Exercise:
    exercise = Exercise(
        "logsumexp",
        title="Log-sum-exp",
        level=3,
        tags=["softmax", "numerics", "vector"],
        source="d2l, chapter on softmax regression",
        requires=["softmax"],
        hints=[
            "From the end: log gives one over its argument, and every e[k] enters the sum s with factor 1.",
            "exp is its own derivative. What is e[k]/s called?",
            "m is used by L and by every e[k], there with a minus. Add all of its parts before you go on.",
        ],
    )
    K = exercise.sizes("K")
    k = exercise.indices(k=K)

    z = exercise.parameter("z", k)
    if form == "stable":
        m = exercise.step("m", [], MaxOver(z[k], k))
        e = exercise.step("e", [k], exp(z[k] - m))
        s = exercise.step("s", [], Sum(e[k], k))
        exercise.loss("L", m + log(s))
    else:
        e = exercise.step("e", [k], exp(z[k]))
        s = exercise.step("s", [], Sum(e[k], k))
        exercise.loss("L", log(s))
        exercise.fails_at(z=[1000.0, 1000.0])

    @exercise.reference
    def forward(t):
        import torch

        return torch.logsumexp(t.z, 0)

    return exercise
