"""The mean squared error of a vector of predictions.

    r[i] = x[i] - y[i]              the residuals
    q[i] = r[i]**2                  their squares
    L    = (sum over i of q[i])/N   the mean of the squares

Shapes: the predictions `x`, the targets `y`, `r` and `q` are (N,). Derive the gradients of `q`,
`r` and `x`.

Conventions: the *mean* over the N entries, no factor 1/2; so does torch's `mse_loss`. With
`reduction="sum"`, or in a course that adds up, the factor 1/N is missing, here and in the
gradient. For predictions of shape (N, D) torch's mean divides by the number of all entries, N*D,
where many courses divide by the batch size N alone: read which one is meant before you compare
numbers.
"""

from sympy import Sum

from tutor import Exercise

exercise = Exercise(
    "mse",
    title="Mean squared error",
    level=2,
    tags=["vector", "loss", "regression", "mean"],
    requires=["squared-error"],
    hints=[
        "Look at one entry: q[i] occurs in one term of the mean. With which factor?",
        "The square is taken entry by entry, so r[i] reaches the loss through q[i] only.",
        "Every gradient here has the shape (N,) of its vector: nothing is left to sum.",
    ],
)
N = exercise.sizes("N")
i = exercise.indices(i=N)

x = exercise.input("x", i)
y = exercise.input("y", i)
r = exercise.step("r", [i], x[i] - y[i])
q = exercise.step("q", [i], r[i] ** 2)
exercise.loss("L", Sum(q[i], i) / N)

exercise.ask("q", "r", "x")
exercise.points(x=2)
exercise.example(N=5)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.mse_loss(t.x, t.y)
