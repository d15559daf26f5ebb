"""Logistic loss of one score: a sigmoid, then the binary cross-entropy.

    p = sigma(z) = 1/(1 + exp(-z))               the probability of class 1
    L = -(t*log(p) + (1 - t)*log(1 - p))         form=naive
    L = log(1 + exp(z)) - t*z                    form=stable, the same loss; `softplus(z) - t*z`

Everything is a scalar: the score (logit) `z`, and the target `t`, which is 0 or 1 or a number
between. Derive the gradient of `z`; in the naive form also that of `p`, on the way.

Conventions: natural logarithm; one point, so there is no mean. The two forms have the same
gradient `dz`, but the naive one cannot compute it everywhere: at z=1000 the float `p` is exactly
1, `1 - p` is 0, and the chain rule multiplies by a quotient 0/0. That is why libraries have a
loss that takes the logit, such as torch's `binary_cross_entropy_with_logits`.
"""

from typing import Literal

from sympy import log

from tutor import Exercise
from tutor.functions import sigmoid, softplus


def exercise(form: Literal["naive", "stable"] = "naive") -> Exercise:
    exercise = Exercise(
        "sigmoid-bce",
        title="Sigmoid and binary cross-entropy of one score",
        level=2,
        tags=["scalar", "classification", "sigmoid", "loss"],
        source="Deep Learning Specialization, course 1, week 2 (logistic regression)",
        requires=["tanh-neuron"],
        hints=[
            "In the naive form, start with dp: two logarithms, and in the second one the inner derivative is -1.",
            "Write the derivative of the sigmoid with its output p. Then look at the denominators of dp.",
            "Bring dp over a common denominator before you multiply: nearly everything cancels.",
            "In the stable form, differentiate log(1 + exp(z)) and compare what you find with p.",
        ],
    )
    z = exercise.parameter("z")
    t = exercise.input("t")
    if form == "naive":
        p = exercise.step("p", [], sigmoid(z))
        exercise.loss("L", -(t * log(p) + (1 - t) * log(1 - p)))
        exercise.ask("p", "z")
        exercise.points(z=2)
        exercise.fails_at(z=1000.0, t=1.0)
    else:
        exercise.loss("L", softplus(z) - t * z)
    exercise.instance(z=2, t=1)

    @exercise.reference
    def forward(t):
        import torch

        return torch.nn.functional.binary_cross_entropy_with_logits(t.z, t.t)

    return exercise
