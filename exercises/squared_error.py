"""The squared error of one weight on one point.

    p = w*x       the prediction
    r = p - y     the residual: how far the prediction is above the target
    L = r**2      the loss

Everything is a scalar. `x` and `y` are given, `w` is learnt. Derive the gradient of `w`, and
those of `r` and `p` on the way.

Conventions: the residual is prediction minus target, and the loss is the whole square, as in
torch's `mse_loss`. Many courses put a factor 1/2 in front, which later meets the 2 of the power
rule; others write the residual as `y - p`, which flips the sign of `r` and of its gradient, and
of nothing else.
"""

from tutor import Exercise

exercise = Exercise(
    "squared-error",
    title="The squared error of one weight",
    level=1,
    tags=["scalar", "regression", "chain rule"],
    hints=[
        "Walk back from the loss: first how L changes with r, then how r changes with p, then how p changes with w.",
        "The power rule brings the exponent down as a factor. Nothing in this loss takes it away again.",
        "When w grows a little, by how much does p = w*x grow? That factor belongs into the gradient of w.",
    ],
)
w = exercise.parameter("w")
x = exercise.input("x")
y = exercise.input("y")
p = exercise.step("p", [], w * x)
r = exercise.step("r", [], p - y)
exercise.loss("L", r**2)

exercise.ask("r", "p", "w")
exercise.instance(w=2, x=3, y=5)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.mse_loss(torch.mul(t.w, t.x), t.y)
