"""Scaled dot-product attention.

    a[n,m] = (sum over d of Q[n,d]*K[m,d]) / sqrt(D)     scores: how well query n matches key m
    e[n,m] = exp(a[n,m])
    s[n]   = sum over m of e[n,m]
    P[n,m] = e[n,m] / s[n]                               each row of P is a softmax over the keys
    O[n,c] = sum over m of P[n,m]*V[m,c]                 the output: a weighted mean of the values

Shapes: N queries `Q` (N, D), M keys `K` (M, D) with a value each, `V` (M, E); `a`, `e`, `P`
(N, M); `O` (N, E).

This is a layer: the gradient `dO` (N, E) of the output is given. Derive the gradients of `V` and
`P`, then `a`, `Q` and `K`.

`attention:causal=true` lets a query see only the keys up to its own position. Queries and keys
stand at the same N positions, and the scores are masked before the softmax: `b[n,m] = a[n,m]`
where m <= n, minus infinity elsewhere, and `e = exp(b)`. The gradient of `b` is asked as well.

`attention:heads=2` splits the columns of Q, K and V into two heads (or more) of D, or E, columns
each: `q = Q.view(N, R, D).transpose(0, 1)` has the shape (R, N, D) for R heads, likewise `k` and
`v`. Every head attends for itself, `a`, `e`, `P` are (R, N, M), and the outputs `o` (R, N, E) are
put side by side again: `O = o.transpose(0, 1).reshape(N, R*E)`.

Conventions: scores are divided by sqrt(D), where D is the width of *one* head. Rows are
positions; there is no batch, no dropout, and no linear layer before or after, as in torch's
`scaled_dot_product_attention`. A row that is masked as a whole has no softmax (torch gives nan):
with a causal mask every query sees at least itself.
"""

from typing import Annotated

from sympy import Mod, Piecewise, S, Sum, exp, floor, sqrt

from tutor import Exercise
from tutor.operations import Reshape


def exercise(causal: bool = False, heads: Annotated[int, range(1, 9)] = 1) -> Exercise:
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
    N = exercise.sizes("N")
    M = N if causal else exercise.sizes("M")
    D, E = exercise.sizes("D E")
    n, m, d, c = exercise.indices(n=N, m=M, d=D, c=E)

    if heads == 1:
        head: tuple = ()
        Q = exercise.input("Q", n, d)
        K = exercise.input("K", m, d)
        V = exercise.input("V", m, c)
        q, k, v = Q, K, V
    else:
        r, j, i = exercise.indices(r=heads, j=heads * D, i=heads * E)
        head = (r,)
        Q = exercise.input("Q", n, j)
        K = exercise.input("K", m, j)
        V = exercise.input("V", m, i)
        q = exercise.step("q", [r, n, d], Reshape(Q, (N, heads, D))[n, r, d])
        k = exercise.step("k", [r, m, d], Reshape(K, (M, heads, D))[m, r, d])
        v = exercise.step("v", [r, m, c], Reshape(V, (M, heads, E))[m, r, c])
    a = scores = exercise.step("a", [*head, n, m], Sum(q[*head, n, d] * k[*head, m, d], d) / sqrt(D))
    if causal:
        seen = Piecewise((a[*head, n, m], m <= n), (-S.Infinity, True))
        scores = exercise.step("b", [*head, n, m], seen)
    e = exercise.step("e", [*head, n, m], exp(scores[*head, n, m]))
    s = exercise.step("s", [*head, n], Sum(e[*head, n, m], m))
    P = exercise.step("P", [*head, n, m], e[*head, n, m] / s[*head, n])
    output = Sum(P[*head, n, m] * v[*head, m, c], m)
    if heads == 1:
        exercise.output("O", [n, c], output)
    else:
        o = exercise.step("o", [*head, n, c], output)
        exercise.output("O", [n, i], o[floor(i / E), n, Mod(i, E)])

    exercise.ask("V", "P", *("b" if causal else ""), "a", "Q", "K")
    exercise.points(a=2)
    sizes = {"N": 3, "D": 4, "E": 2} if causal else {"N": 3, "M": 5, "D": 4, "E": 2}
    exercise.example(**{name: 7 if extent == heads else extent for name, extent in sizes.items()})

    @exercise.reference
    def forward(t):
        import torch

        q, k, v = (part.unflatten(1, (heads, -1)).transpose(0, 1) for part in (t.Q, t.K, t.V))
        output = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=causal)
        return output[0].transpose(0, 1).flatten(1)

    return exercise
