"""A vector that scales every row of a matrix, and is added to it as well.

    Y[i,j] = X[i,j]*b[j] + b[j]

Shapes: `X` and `Y` (N, D), `b` (D,). The same `b` is used in every row, and twice in each.

This is a layer: the gradient `dY` (N, D) of the output is given. Derive the gradients of `X` and
`b`.

Conventions: `b` has shape (D,) and is broadcast over the rows, as torch and numpy do it: shapes are
lined up from the right. The gradient has the shape of what it belongs to, so `db` is (D,). A course
that keeps `b` as (1, D) sums with `keepdim=True`.
"""

from tutor import Exercise

exercise = Exercise(
    "broadcast-gain",
    title="A vector broadcast over a matrix",
    level=2,
    tags=["matrix", "broadcasting", "layer"],
    requires=["mse"],
    hints=[
        "X is used entry by entry. What multiplies X[i,j]?",
        "b[j] stands twice in the formula: once as a factor, once as a term. Both uses send a part back.",
        "b[j] is used in every row i: what comes back from the rows is added up.",
        "Compare the shapes of b and of what you have before the sum: over which axis was b broadcast?",
    ],
)
N, D = exercise.sizes("N D")
i, j = exercise.indices(i=N, j=D)

X = exercise.input("X", i, j)
b = exercise.parameter("b", j)
exercise.output("Y", [i, j], X[i, j] * b[j] + b[j])

exercise.ask("X", "b")
exercise.points(b=2)
exercise.example(N=3, D=5)


@exercise.reference
def forward(t):
    import torch

    return torch.addcmul(t.b.expand_as(t.X), t.X, t.b.expand_as(t.X))
