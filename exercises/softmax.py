"""The softmax on its own: every output of a row depends on every input of that row.

    m[i]   = max over k of z[i,k]          the largest logit of the row, so that exp cannot overflow
    e[i,k] = exp(z[i,k] - m[i])
    s[i]   = sum over k of e[i,k]
    p[i,k] = e[i,k] / s[i]                 the output: each row of p sums to 1

Shapes: `z`, `e`, `p` (N, K); `m`, `s` (N,).

This is a layer: the gradient `dp` (N, K) of the output comes from above and is given. Derive the
gradient of `z`. On the way: `ds`, `de`, `dm`. The whole of `dz` fits in one line that needs only
`p` and `dp`.

Subtracting `m` changes nothing in `p`: numerator and denominator shrink by the same factor. What
must `dm` be, then? Work it out and see.

Conventions: the softmax runs over the last axis, one row for each example. For a single row, the
local derivatives make a K x K matrix, the Jacobian; courses write it with `diag(p)`. A layer
needs only its product with `dp`, so nobody builds that matrix. Some courses leave `m` out: `p`
and `dz` are the same, but exp(1000) overflows.
"""

from sympy import Sum, exp

from tutor import Exercise
from tutor.operations import MaxOver

exercise = Exercise(
    "softmax",
    title="Softmax, a layer of its own",
    level=3,
    tags=["softmax", "layer"],
    source="CS231n, notes on linear classification",
    requires=["mse"],
    hints=[
        "e[i,k] is used twice: in p[i,k] itself, and in s[i], which all p of its row use.",
        "ds[i]: every p[i,k] of the row is divided by s[i], so there is a sum over k, and a minus from 1/s.",
        "p*(1 - p) is only the diagonal of the Jacobian. How does p[i,k] move when another z[i,l] does?",
        "Put ds into de, then write e/s as p. One sum over the row is left: that of dp times p.",
    ],
)
N, K = exercise.sizes("N K")
i, k = exercise.indices(i=N, k=K)

z = exercise.parameter("z", i, k)
m = exercise.step("m", [i], MaxOver(z[i, k], k))
e = exercise.step("e", [i, k], exp(z[i, k] - m[i]))
s = exercise.step("s", [i], Sum(e[i, k], k))
p = exercise.output("p", [i, k], e[i, k] / s[i])

exercise.example(N=3, K=5)


@exercise.reference
def forward(t):
    import torch

    return torch.softmax(t.z, -1)
