"""Every row divided by its length: the layer that puts embeddings on the unit sphere.

    n[i]   = sqrt(sum over j of x[i,j]**2)       the length of row i
    h[i,j] = x[i,j] / n[i]                       the output: each row has length 1

Shapes: `x`, `h` (N, D); `n` (N,).

This is a layer: `dh` (N, D) is given. Derive the gradients of `n` and `x`. Making a row longer
does not change `h`. What does that say about the part of `dx` along the row?

Conventions: the Euclidean norm of each row. torch's `F.normalize` divides by max(n, 1e-12); the
rows here are not that short. At a zero row torch's `x.norm()` has gradient 0, but
`(x**2).sum().sqrt()` has nan.
"""

from sympy import Sum, sqrt

from tutor import Exercise

exercise = Exercise(
    "l2-normalize",
    title="L2 normalisation of rows",
    level=3,
    tags=["normalisation", "layer"],
    requires=["softmax"],
    hints=[
        "n depends on x as well: x[i,j] reaches its row of h directly, and through the length.",
        "dn[i] is a sum over the row: every h[i,j] was divided by n[i].",
        "The derivative of the length by x[i,j] is a component of h itself.",
        "For one line: how much of dh points along h? That part is taken off, and the rest divided by n.",
    ],
)
N, D = exercise.sizes("N D")
i, j = exercise.indices(i=N, j=D)

x = exercise.parameter("x", i, j)
n = exercise.step("n", [i], sqrt(Sum(x[i, j] ** 2, j)))
h = exercise.output("h", [i, j], x[i, j] / n[i])

exercise.ask("n", "x")
exercise.points(x=2)
exercise.example(N=3, D=5)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.normalize(t.x, dim=1)
