"""Half the squared error of a line through one point.

    p = w*x + b     the prediction
    r = p - y       the residual
    L = r**2/2      the loss, with a factor 1/2

Everything is a scalar. Derive the gradients of the weight `w` and the bias `b`.

Conventions: half the square. The factor 1/2 is there for one reason only, and you will meet it at
once. `linear-regression` takes the whole square, and so does torch's `mse_loss`: with it, both
gradients are twice as large.
"""

from tutor import Exercise

exercise = Exercise(
    "affine-half-square",
    title="Half the squared error of a line",
    level=1,
    tags=["scalar", "regression", "chain rule"],
    requires=["squared-error"],
    hints=[
        "Begin with the residual: the power rule gives a factor 2. What does the 1/2 do to it?",
        "Both w and b reach the loss only through p, so both gradients start with the one of p.",
        "If b grows by a little, p grows by the same amount. If w does, p grows by x times as much.",
    ],
)
w = exercise.parameter("w")
b = exercise.parameter("b")
x = exercise.input("x")
y = exercise.input("y")
p = exercise.step("p", [], w * x + b)
r = exercise.step("r", [], p - y)
exercise.loss("L", r**2 / 2)

exercise.instance(w=2, b=1, x=3, y=4)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.huber_loss(torch.addcmul(t.b, t.w, t.x), t.y, delta=1e6)
