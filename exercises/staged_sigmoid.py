"""A rational function with sigmoids, taken apart into stages.

The function is `f = (x + sigma(y)) / (sigma(x) + (x + y)**2)`, where `sigma(t) = 1/(1 + exp(-t))`.
Nobody would want to differentiate it in one go. In stages, every step is easy:

    sigy   = sigma(y)
    num    = x + sigy           the numerator
    sigx   = sigma(x)
    xpy    = x + y
    xpysqr = xpy**2
    den    = sigx + xpysqr      the denominator
    invden = 1/den
    f      = num*invden

Everything is a scalar. Derive the gradients of `x` and `y`. `x` is used in three stages and `y` in
two: each use sends its own part back.

Conventions: `f` is what is differentiated. The local derivative of `sigma` may be written with its
output, `sigx` or `sigy`, or with `sigmoid(x)`, `torch.sigmoid(x)` and the like; both are right.
"""

from tutor import Exercise
from tutor.functions import sigmoid

exercise = Exercise(
    "staged-sigmoid",
    title="A rational function in stages",
    level=2,
    tags=["scalar", "chain rule", "sigmoid"],
    source="CS231n, notes on backpropagation (optimization-2)",
    requires=["add-mul-gate", "reused-scalar"],
    hints=[
        "Go back through the stages one at a time, from f to invden and num, and so on. Do not put them together.",
        "For 1/den the power rule holds with exponent -1: mind the sign and the new exponent.",
        "sigma can be differentiated with its own output: the output times one minus the output.",
        "x stands in num, in sigx and in xpy. Add the three parts; `+=` is the safe way to write it.",
    ],
)
x = exercise.input("x")
y = exercise.input("y")
sigy = exercise.step("sigy", [], sigmoid(y))
num = exercise.step("num", [], x + sigy)
sigx = exercise.step("sigx", [], sigmoid(x))
xpy = exercise.step("xpy", [], x + y)
xpysqr = exercise.step("xpysqr", [], xpy**2)
den = exercise.step("den", [], sigx + xpysqr)
invden = exercise.step("invden", [], 1 / den)
exercise.loss("f", num * invden)

exercise.ask("x", "y")
exercise.points(x=3, y=2)
exercise.instance(x=3, y=-4)


@exercise.reference
def forward(t):
    import torch

    return (t.x + torch.special.expit(t.y)) / (torch.special.expit(t.x) + torch.square(t.x + t.y))
