"""Cosine similarity of pairs of vectors, trained towards a given similarity.

    s[i]  = sum over j of a[i,j]*b[i,j]            the dot product of pair i
    na[i] = sqrt(sum over j of a[i,j]**2)
    nb[i] = sqrt(sum over j of b[i,j]**2)
    c[i]  = s[i] / (na[i]*nb[i])                   between -1 and 1
    L     = (sum over i of (c[i] - t[i])**2) / N

Shapes: `a`, `b` (N, D); `s`, `na`, `nb`, `c`, `t` (N,).

Derive the gradients of `c`, `a` and `b`. On the way: `dna`, `dnb`, `ds`. Sort what is left of
`da` into a part along `b` and a part along `a`; `c` itself appears in it.

Conventions: one pair per row, the mean over the pairs. torch's `F.cosine_similarity` replaces a
norm below 1e-8 by 1e-8: for a zero vector its gradient is as large as 1e8.
"""

from sympy import Sum, sqrt

from tutor import Exercise

exercise = Exercise(
    "cosine-similarity",
    title="Cosine similarity",
    level=4,
    tags=["normalisation", "loss", "embedding"],
    requires=["l2-normalize"],
    hints=[
        "dc is that of a mean square. Then treat each pair on its own: everything else stays within a row.",
        "a is used twice: by the dot product and by its own length. The length's part has a minus.",
        "In the part of the length, recognise c and write it as such.",
    ],
)
N, D = exercise.sizes("N D")
i, j = exercise.indices(i=N, j=D)

a = exercise.parameter("a", i, j)
b = exercise.parameter("b", i, j)
t = exercise.input("t", i)
s = exercise.step("s", [i], Sum(a[i, j] * b[i, j], j))
na = exercise.step("na", [i], sqrt(Sum(a[i, j] ** 2, j)))
nb = exercise.step("nb", [i], sqrt(Sum(b[i, j] ** 2, j)))
c = exercise.step("c", [i], s[i] / (na[i] * nb[i]))
L = exercise.loss("L", Sum((c[i] - t[i]) ** 2, i) / N)

exercise.ask("c", "a", "b")
exercise.points(a=2, b=2)
exercise.example(N=3, D=5)


@exercise.reference
def forward(given):
    import torch.nn.functional as F

    return F.mse_loss(F.cosine_similarity(given.a, given.b, dim=1), given.t)
