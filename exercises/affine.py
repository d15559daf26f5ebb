"""An affine layer: a matrix product and a bias.

    Y[i,k] = (sum over j of X[i,j]*W[j,k]) + b[k]      Y = X @ W + b

Shapes: `X` (N, D), `W` (D, M), `b` (M,), `Y` (N, M): a batch of N rows.

This is a layer: the gradient `dY` (N, M) of the output is given. Derive the gradients of `X`, `W`
and `b`.

Conventions: row vectors, one example a row, and weights stored (in, out). `nn-linear` has the
layout of torch's module, (out, in). Courses with column vectors, one example a column, have
everything transposed and often divide by the batch size here; this layer has no mean in it.
"""

from sympy import Sum

from tutor import Exercise

exercise = Exercise(
    "affine",
    title="Affine layer",
    level=3,
    tags=["matrix", "layer", "broadcasting"],
    source="CS231n assignment 2",
    requires=["broadcast-gain"],
    hints=[
        "Begin with one entry of W: in which entries of Y does W[j,k] stand, and what does it meet there?",
        "Check shapes: of dY, W and X only one product and one order gives the shape you need.",
        "b[k] was added to every row i: what comes back from the rows is added up.",
    ],
)
N, D, M = exercise.sizes("N D M")
i, j, k = exercise.indices(i=N, j=D, k=M)

X = exercise.input("X", i, j)
W = exercise.parameter("W", j, k)
b = exercise.parameter("b", k)
exercise.output("Y", [i, k], Sum(X[i, j] * W[j, k], j) + b[k])

exercise.ask("X", "W", "b")
exercise.example(N=3, D=5, M=4)


@exercise.reference
def forward(t):
    import torch

    return torch.addmm(t.b, t.X, t.W)
