"""A quadratic form, with a matrix that need not be symmetric.

    v[i] = sum over j of A[i,j]*x[j]      v = A @ x
    f    = sum over i of x[i]*v[i]        f = x @ v

Shapes: `x` and `v` (n,), `A` (n, n), `f` a scalar. Derive the gradients of `v`, `x` and `A`.

Conventions: every entry of `A` is free, and nothing says that `A` equals its transpose. For a
symmetric matrix the gradient of `x` takes a simpler form that many books print; here it is wrong.
The gradient of `A` has one entry for each of the n*n entries of `A`.
"""

from sympy import Sum

from tutor import Exercise

exercise = Exercise(
    "quadratic-form",
    title="Quadratic form",
    level=3,
    tags=["matrix", "vector", "accumulation"],
    requires=["linear-regression-batch"],
    hints=[
        "x is used twice: in the last product, and inside v. Find the part that comes through each of them.",
        "Through v: each x[j] meets a whole column of A. Which product with A collects a column?",
        "A[i,j] stands in one entry of v only, multiplied by x[j].",
    ],
)
n = exercise.sizes("n")
i, j = exercise.indices(i=n, j=n)

A = exercise.parameter("A", i, j)
x = exercise.parameter("x", j)
v = exercise.step("v", [i], Sum(A[i, j] * x[j], j))
exercise.loss("f", Sum(x[i] * v[i], i))

exercise.ask("v", "x", "A")
exercise.points(x=2)
exercise.example(n=3)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.bilinear(t.x, t.x, t.A[None])[0]
