"""An embedding: rows of a table, picked by integers.

    emb[n,d] = E[t[n],d]                                       row t[n] of the table
    L        = (sum over n, d of (emb[n,d] - y[n,d])**2) / (N*D)   the mean over all N*D entries

Shapes: the table `E` (V, D), the integers `t` (N,) with 0 <= t[n] < V, the targets `y` (N, D). The
same row may be picked several times, and some rows may not be picked at all. Integers have no
gradient.

Derive `demb` and `dE`.

Conventions: the loss is a mean over all entries, as torch's `mse_loss` takes it; a mean over the N
rows alone would be D times as large. Row v of `E` belongs to the integer v (torch's
`nn.Embedding`); some handouts store one column for each word instead.
"""

from sympy import Sum

from tutor import Exercise

exercise = Exercise(
    "embedding",
    title="Embedding with repeated rows",
    level=3,
    tags=["gather", "scatter", "embedding"],
    requires=["linear-regression-batch"],
    hints=[
        "demb is the gradient of a mean of squares over all entries of a matrix.",
        "Which n use row v of the table? Their gradients all flow back into that row.",
        "In torch, dE[t] += demb keeps only one of several contributions to a row. Which call adds them all?",
        "In index form, KroneckerDelta(v, t[n]) is 1 where n picked row v.",
    ],
)
V, N, D = exercise.sizes("V N D")
n, d = exercise.indices(n=N, d=D)
v = exercise.indices(v=V)

E = exercise.parameter("E", v, d)
t = exercise.input("t", n, domain="index", below=V)
y = exercise.input("y", n, d)
emb = exercise.step("emb", [n, d], E[t[n], d])
L = exercise.loss("L", Sum((emb[n, d] - y[n, d]) ** 2, n, d) / (N * D))

exercise.ask("emb", "E")
exercise.example(V=5, N=7, D=3)


@exercise.reference
def forward(t):
    import torch.nn.functional as F

    return F.mse_loss(F.embedding(t["t"], t.E), t.y)
