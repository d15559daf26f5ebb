"""A GRU cell: one step of a gated recurrent unit, as torch computes it.

    ar[i,k] = x @ Wr + h @ Ur + br               the reset gate
    r[i,k]  = sigmoid(ar[i,k])
    az[i,k] = x @ Wz + h @ Uz + bz               the update gate
    z[i,k]  = sigmoid(az[i,k])
    q[i,k]  = h @ Un + cn                        what the reset gate acts upon
    an[i,k] = x @ Wn + bn + r*q                  the candidate
    n[i,k]  = tanh(an[i,k])
    y[i,k]  = (1 - z)*n + z*h                    the new hidden state

(entries [i,k] everywhere; `x @ Wr` is the sum over j of x[i,j]*Wr[j,k], `h @ Ur` that over l of
h[i,l]*Ur[l,k].) Shapes: `x` (N, D); `h` and all that follows (N, H); `Wr`, `Wz`, `Wn` (D, H);
`Ur`, `Uz`, `Un` (H, H); `br`, `bz`, `bn`, `cn` (H,).

This is a layer: the gradient `dy` (N, H) of the new state is given. Derive the gradients of `x`,
of the old state `h`, and of all weights and biases.

Conventions: rows are examples, weights are stored (in, out). This is the form of torch's
`nn.GRUCell`: r multiplies `h @ Un + cn` *after* the matrix product (the original paper, and d2l,
multiply h by r before it), and z keeps the *old* state (some papers exchange z and 1 - z). torch
stacks the three gates in the order r, z, n, with two biases each; those of r and z only matter as
a sum.
"""

from sympy import Expr, Sum, tanh

from tutor import Exercise
from tutor.functions import sigmoid

exercise = Exercise(
    "gru-cell",
    title="GRU cell",
    level=7,
    tags=["recurrence", "gates", "layer", "matrix"],
    source="torch's documentation of nn.GRUCell; d2l, gated recurrent units",
    requires=["rnn"],
    hints=[
        "y reads z, n and h, each with a simple local derivative. z is there twice: which sign has each part?",
        "From dn to dan through tanh; an is a sum, so its gradient goes on unchanged to every term, r*q included.",
        "h is used four times: in y directly, and by the three matrix products. All four parts are added.",
        "The gates have the pattern of any layer: multiply by s*(1 - s), then weights, bias and input.",
    ],
)
N, D, H = exercise.sizes("N D H")
i, j, k, l = exercise.indices(i=N, j=D, k=H, l=H)  # noqa: E741

x = exercise.input("x", i, j)
h = exercise.input("h", i, k)
Wr = exercise.parameter("Wr", j, k)
Ur = exercise.parameter("Ur", l, k)
br = exercise.parameter("br", k)
Wz = exercise.parameter("Wz", j, k)
Uz = exercise.parameter("Uz", l, k)
bz = exercise.parameter("bz", k)
Wn = exercise.parameter("Wn", j, k)
Un = exercise.parameter("Un", l, k)
bn = exercise.parameter("bn", k)
cn = exercise.parameter("cn", k)


def from_x(W) -> Expr:
    return Sum(x[i, j] * W[j, k], j)


def from_h(U) -> Expr:
    return Sum(h[i, l] * U[l, k], l)


ar = exercise.step("ar", [i, k], from_x(Wr) + from_h(Ur) + br[k])
r = exercise.step("r", [i, k], sigmoid(ar[i, k]))
az = exercise.step("az", [i, k], from_x(Wz) + from_h(Uz) + bz[k])
z = exercise.step("z", [i, k], sigmoid(az[i, k]))
q = exercise.step("q", [i, k], from_h(Un) + cn[k])
an = exercise.step("an", [i, k], from_x(Wn) + bn[k] + r[i, k] * q[i, k])
n = exercise.step("n", [i, k], tanh(an[i, k]))
y = exercise.output("y", [i, k], (1 - z[i, k]) * n[i, k] + z[i, k] * h[i, k])

exercise.ask("Wr", "Ur", "br", "Wz", "Uz", "bz", "Wn", "Un", "bn", "cn", "x", "h")
exercise.points(h=3)
exercise.example(N=3, D=5, H=4)


@exercise.reference
def forward(t):
    import torch

    from_x, from_h = torch.cat([t.Wr, t.Wz, t.Wn], 1).T, torch.cat([t.Ur, t.Uz, t.Un], 1).T
    nothing = torch.zeros_like(t.br)
    return torch.gru_cell(t.x, t.h, from_x, from_h, torch.cat([t.br, t.bz, t.bn]), torch.cat([nothing, nothing, t.cn]))
