"""A symmetric contrastive loss, as in CLIP: each picture finds its text, each text its picture.

    S[i,j] = (sum over d of Z[i,d]*Y[j,d]) / tau      how well row i of Z goes with row j of Y
    e[i,j] = exp(S[i,j])
    r[i]   = sum over j of e[i,j]                     the sums of the rows
    c[j]   = sum over i of e[i,j]                     the sums of the columns
    p[i,j] = e[i,j] / r[i]                            a softmax over each row
    q[i,j] = e[i,j] / c[j]                            a softmax over each column
    L      = -(sum over i of log(p[i,i]) + log(q[i,i])) / (2*N)

Shapes: `Z`, `Y` (N, D), where row i of Z belongs to row i of Y; `S`, `e`, `p`, `q` (N, N); `r`,
`c` (N,). `tau` is a positive number, the temperature.

Derive the gradients of `S`, `Z` and `Y`. Insert the steps into each other until `dS` is short.

Conventions: L is the mean of two cross-entropies, each itself a mean over the N pairs; the class
of row i is i. The scores are divided by tau (CLIP learns the logarithm of 1/tau and multiplies),
and the rows of Z and Y are taken as they are, not normalised first.
"""

from sympy import Sum, exp, log

from tutor import Exercise

exercise = Exercise(
    "contrastive",
    title="Symmetric contrastive loss",
    level=6,
    tags=["softmax", "contrastive", "matrix"],
    source="Radford et al., Learning Transferable Visual Models From Natural Language Supervision",
    requires=["softmax-regression", "attention"],
    hints=[
        "Take the two halves apart: each is a softmax with cross-entropy, and you know its gradient at S.",
        "The second half has its sums over columns: what was summed over j before is summed over i now.",
        "The right class of row i is i: as a matrix of one-hot rows, that is the identity, torch.eye(N).",
        "Z and Y stand in one matrix product. The 1/tau between S and both of them stays.",
    ],
)
N, D = exercise.sizes("N D")
i, j, d = exercise.indices(i=N, j=N, d=D)

Z = exercise.input("Z", i, d)
Y = exercise.input("Y", j, d)
tau = exercise.input("tau", domain="positive")
S = exercise.step("S", [i, j], Sum(Z[i, d] * Y[j, d], d) / tau)
e = exercise.step("e", [i, j], exp(S[i, j]))
r = exercise.step("r", [i], Sum(e[i, j], j))
c = exercise.step("c", [j], Sum(e[i, j], i))
p = exercise.step("p", [i, j], e[i, j] / r[i])
q = exercise.step("q", [i, j], e[i, j] / c[j])
L = exercise.loss("L", -Sum(log(p[i, i]) + log(q[i, i]), i) / (2 * N))

exercise.ask("S", "Z", "Y")
exercise.points(S=2)
exercise.example(N=4, D=3)


@exercise.reference
def forward(t):
    import torch
    import torch.nn.functional as F

    scores, pairs = torch.mm(t.Z, t.Y.T).div(t.tau), torch.arange(t.N)
    return (F.cross_entropy(scores, pairs) + F.cross_entropy(scores.T, pairs)) / 2
