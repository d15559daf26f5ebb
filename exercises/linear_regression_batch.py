"""Linear regression on a batch of N points with D features each.

    y_pred[i] = sum over j of X[i,j]*w[j], plus b      one prediction a row
    r[i]      = y_pred[i] - y[i]                       the residual
    L         = (sum over i of r[i]**2) / (2*N)        half the mean of the squares

Shapes: `X` (N, D), `w` (D,), `b` a scalar, `y`, `y_pred` and `r` (N,).

Derive the gradients of `w` and `b`. Every row contributes to both. You may give `dX`, of shape
(N, D), as well.

Conventions: the mean over the batch, and a factor 1/2 that will meet the 2 of the power rule.
torch's `mse_loss` has the mean without the 1/2; the textbook's least squares often have neither,
and a sum instead of the mean. One example a row: `y_pred = X @ w + b`.
"""

from sympy import Sum

from tutor import Exercise

exercise = Exercise(
    "linear-regression-batch",
    title="Linear regression on a batch",
    level=2,
    tags=["regression", "batch", "matrix"],
    requires=["linear-regression"],
    hints=[
        "Begin with dr. L adds up N terms, and r[i] occurs in one of them.",
        "How often is w[j] used? Once in each row: what comes back from the rows is added up.",
        "dw must have the shape (D,) of w, and dr has shape (N,): which way round does X go in between?",
        "b is one number that was added to N predictions.",
    ],
)
N, D = exercise.sizes("N D")
i, j = exercise.indices(i=N, j=D)

X = exercise.input("X", i, j)
w = exercise.parameter("w", j)
b = exercise.parameter("b")
y = exercise.input("y", i)
y_pred = exercise.step("y_pred", [i], Sum(X[i, j] * w[j], j) + b)
r = exercise.step("r", [i], y_pred[i] - y[i])
L = exercise.loss("L", Sum(r[i] ** 2, i) / (2 * N))

exercise.example(N=5, D=3)


@exercise.reference
def forward(t):
    import torch

    y_pred = torch.addmv(t.b.expand(t.X.shape[0]), t.X, t.w)
    return torch.nn.functional.mse_loss(y_pred, t.y) / 2
