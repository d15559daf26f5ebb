"""One neuron without a nonlinearity: a line through one point.

    y_pred = w*x + b          the prediction
    L      = (y_pred - y)**2  how far off it is

Everything is a scalar. Derive the gradient of the loss with respect to the weight `w` and the bias
`b`.

Conventions: `L` is the whole square, without a factor 1/2; with it, as some courses have it, both
gradients are half as large. The residual is prediction minus target. Of the other losses below,
the absolute error has a kink where prediction and target agree: any slope from -1 to 1 is right
there, and torch takes 0. The Huber loss has its factor 1/2, and no kink.

This is the worked example of a tutorial on backpropagation. With w=1, b=0, x=2, y=4 it prints
"Gradient of w: 4, Gradient of b: 2". Both numbers are wrong. Work it out, and see what was lost on
the way.

Then swap the loss and watch what changes and what does not:

| address | the loss, with r = y_pred - y |
|---|---|
| `linear-regression` | squared error: `r**2` |
| `linear-regression:loss=mae` | absolute error: `abs(r)` |
| `linear-regression:loss=huber` | `r**2/2` while `abs(r) <= 1`, beyond that `abs(r) - 1/2` |
| `linear-regression:loss=log-cosh` | `log(cosh(r))` |
"""

from typing import Literal

from sympy import Abs, Expr, Piecewise, Rational, cosh, log

from tutor import Exercise

LOSSES = {
    "mse": lambda r: r**2,
    "mae": Abs,
    "huber": lambda r: Piecewise((r**2 / 2, Abs(r) <= 1), (Abs(r) - Rational(1, 2), True)),
    "log-cosh": lambda r: log(cosh(r)),
}  # fmt: skip


def exercise(loss: Literal["mse", "mae", "huber", "log-cosh"] = "mse") -> Exercise:
    exercise = Exercise(
        "linear-regression",
        title="Linear regression on one point",
        level=1,
        tags=["scalar", "regression", "chain rule"],
        hints=[
            "Start at the end: how does L change when y_pred moves a little, and in which direction? That is dy_pred.",
            "w reaches L only through y_pred. The chain rule multiplies dy_pred by the local derivative of w*x + b.",
            "Is y_pred above or below y in the worked instance? The sign of dy_pred must say so.",
        ],
    )
    w = exercise.parameter("w")
    b = exercise.parameter("b")
    x = exercise.input("x")
    y = exercise.input("y")
    y_pred = exercise.step("y_pred", [], w * x + b)
    residual: Expr = y_pred - y
    exercise.loss("L", LOSSES[loss](residual))

    exercise.instance(w=1, b=0, x=2, y=4)

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        y_pred = torch.addcmul(t.b, t.w, t.x)
        if loss == "log-cosh":  # torch has none: log(e^r + e^-r) - log 2
            r = y_pred - t.y
            return torch.logaddexp(r, -r) - torch.log(torch.tensor(2.0, dtype=r.dtype, device=r.device))
        return {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}[loss](y_pred, t.y)

    return exercise
