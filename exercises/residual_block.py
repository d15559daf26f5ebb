"""A residual block: the input is added to what the layer makes of it.

    z[n,d] = sum over c of x[n,c]*W[c,d]      a linear layer of the same width
    f[n,d] = tanh(z[n,d])
    y[n,d] = x[n,d] + f[n,d]                  the output: a skip connection takes x past the layer

Shapes: `x`, `z`, `f`, `y` (N, D); `W` (D, D).

This is a layer, not a loss: the gradient `dy` (N, D) of the output comes from above and is given.
Derive the gradients of `z`, `W` and `x`.

Conventions: rows are examples, and W is stored (in, out), so that the layer is `x @ W`; torch's
`nn.Linear` stores (out, in). W is square, because x and f must have one shape to be added: here
the shapes alone do not tell you where a transpose belongs. The nonlinearity stands before the
addition; many networks apply another one after it.
"""

from sympy import Sum, tanh

from tutor import Exercise

exercise = Exercise(
    "residual-block",
    title="Residual block",
    level=4,
    tags=["layer", "skip connection", "matrix"],
    source="Prince, Understanding Deep Learning, chapter 11: residual networks",
    requires=["mlp"],
    hints=[
        "y is a plain sum: what arrives at y goes on to both of its terms unchanged.",
        "x is used twice, in y directly and inside z. Find what each of the two sends back to x, then add.",
        "For the way through the layer, walk tanh and then the matrix product, as in any network.",
    ],
)
N, D = exercise.sizes("N D")
n, d, c = exercise.indices(n=N, d=D, c=D)

x = exercise.input("x", n, d)
W = exercise.parameter("W", c, d)
z = exercise.step("z", [n, d], Sum(x[n, c] * W[c, d], c))
f = exercise.step("f", [n, d], tanh(z[n, d]))
y = exercise.output("y", [n, d], x[n, d] + f[n, d])

exercise.ask("z", "W", "x")
exercise.points(x=2)
exercise.example(N=3, D=4)


@exercise.reference
def forward(t):
    import torch

    return torch.addcmul(t.x, torch.tanh(torch.mm(t.x, t.W)), torch.ones_like(t.x))
