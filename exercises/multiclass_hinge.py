"""The multiclass hinge loss of a support vector machine: the true class must win by a margin of 1.

    margin[i,k] = s[i,k] - s[i,y[i]] + 1             how far class k intrudes on the true one
    h[i,k]      = relu(margin[i,k]), but 0 where k is y[i]
    L           = (sum over i, k of h[i,k]) / N

Shapes: `s`, `margin`, `h` (N, K). `y` (N,) holds the true classes as integers below K.

Derive the gradients of `margin` and of the scores `s`. The score of the true class occurs in
every margin of its row: count how often.

Conventions: margin 1, the label's own column left out, the sum divided by the batch size N. torch's
`F.multi_margin_loss` divides by the number of classes as well. At a margin of exactly 0 any
subgradient is right; torch's relu takes 0 there.
"""

from sympy import KroneckerDelta, Sum

from tutor import Exercise
from tutor.functions import relu

exercise = Exercise(
    "multiclass-hinge",
    title="Multiclass hinge loss",
    level=4,
    tags=["classification", "gather", "loss", "kinks"],
    source="CS231n assignment 1",
    requires=["cross-entropy"],
    hints=[
        "dh first, then the mask: which margins are positive, and which column never counts?",
        "s[i,k] enters its own margin with +1. Where else does the score of the true class enter, with which sign?",
        "The true class collects one part from every active margin of its row: a sum over the row.",
    ],
)
N, K = exercise.sizes("N K")
i, k = exercise.indices(i=N, k=K)

s = exercise.parameter("s", i, k)
y = exercise.input("y", i, domain="index", below=K)
margin = exercise.step("margin", [i, k], s[i, k] - s[i, y[i]] + 1)
h = exercise.step("h", [i, k], relu(margin[i, k]) * (1 - KroneckerDelta(k, y[i])))
L = exercise.loss("L", Sum(h[i, k], i, k) / N)

exercise.ask("margin", "s")
exercise.points(s=2)
exercise.example(N=5, K=4)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.multi_margin_loss(t.s, t.y) * t.s.shape[1]
