"""Inverted dropout: some entries are switched off, the others made larger to make up for it.

    y[i,j] = x[i,j]*mask[i,j] / keep             the output

Shapes: `x`, `mask`, `y` (N, D); `keep`, the probability with which an entry is kept, is a scalar.
`mask` was drawn once, 0 or 1, and is given.

This is a layer: `dy` (N, D) is given. Derive the gradient of `x`.

Conventions: *inverted* dropout scales while training, by 1/`keep`, so that at test time the layer
is the identity. torch's `F.dropout(x, p)` takes the probability `p` of dropping, 1 - `keep`. The
backward pass needs the mask of the forward pass: drawing a new one would give the gradient of
another function.
"""

from tutor import Exercise

exercise = Exercise(
    "dropout",
    title="Inverted dropout",
    level=2,
    tags=["regularisation", "layer", "elementwise"],
    source="CS231n assignment 2",
    requires=["mse"],
    hints=[
        "The layer works entry by entry, and the mask is a constant like any other.",
        "y is linear in x. By which factor is x[i,j] multiplied? All of it goes back, the scale as well.",
    ],
)
N, D = exercise.sizes("N D")
i, j = exercise.indices(i=N, j=D)

x = exercise.parameter("x", i, j)
mask = exercise.input("mask", i, j, domain="mask")
keep = exercise.input("keep", domain="fraction")
y = exercise.output("y", [i, j], x[i, j] * mask[i, j] / keep)

exercise.example(N=3, D=5)


@exercise.reference
def forward(t):
    import torch

    return torch.mul(t.x, t.mask).div(t.keep)
