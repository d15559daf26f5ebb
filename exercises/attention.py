"""Scaled dot-product attention, one head, no mask.

    a[n,m] = (sum over d of Q[n,d]*K[m,d]) / sqrt(D)     scores: how well query n matches key m
    e[n,m] = exp(a[n,m])
    s[n]   = sum over m of e[n,m]
    P[n,m] = e[n,m] / s[n]                               each row of P is a softmax over the keys
    O[n,c] = sum over m of P[n,m]*V[m,c]                 the output: a weighted mean of the values

Shapes: N queries `Q` (N, D), M keys `K` (M, D) with a value each, `V` (M, E); `a`, `e`, `P` (N, M);
`O` (N, E).

This is a layer: the gradient `dO` (N, E) of the output is given. Derive the gradients of `Q`, `K`
and `V`.
"""

from sympy import Sum, exp, sqrt

from tutor import Exercise

exercise = Exercise(
    "attention",
    title="Scaled dot-product attention",
    level=5,
    tags=["attention", "softmax", "layer", "matrix"],
    requires=["softmax-regression"],
    hints=[
        "O is a matrix product: its two factors give dV and dP at once. Which of P, V, dO is transposed where?",
        "The softmax couples the entries of a row: da needs dP of the whole row, not only the entry's own.",
        "Multiplying dP by P*(1 - P) alone forgets the sum s.",
        "The factor 1/sqrt(D) sits between a and both Q and K.",
    ],
)
N, M, D, E = exercise.sizes("N M D E")
n, m, d, c = exercise.indices(n=N, m=M, d=D, c=E)

Q = exercise.input("Q", n, d)
K = exercise.input("K", m, d)
V = exercise.input("V", m, c)
a = exercise.step("a", [n, m], Sum(Q[n, d] * K[m, d], d) / sqrt(D))
e = exercise.step("e", [n, m], exp(a[n, m]))
s = exercise.step("s", [n], Sum(e[n, m], m))
P = exercise.step("P", [n, m], e[n, m] / s[n])
O = exercise.output("O", [n, c], Sum(P[n, m] * V[m, c], m))  # noqa: E741

exercise.ask("Q", "K", "V")
exercise.example(N=3, M=5, D=4, E=2)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.scaled_dot_product_attention(t.Q[None], t.K[None], t.V[None])[0]
