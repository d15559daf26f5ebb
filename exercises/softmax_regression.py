"""Softmax regression with cross-entropy, from the inputs to the loss in five named steps.

    z[i,k] = sum over j of x[i,j]*W[j,k], plus b[k]       the logits
    e[i,k] = exp(z[i,k])
    s[i]   = sum over k of e[i,k]
    p[i,k] = e[i,k] / s[i]                                the softmax: each row of p sums to 1
    L      = -(sum over i, k of y[i,k]*log(p[i,k])) / N   the mean over the batch

Shapes: `x` (N, D), `W` (D, K), `b` (K,), `y` (N, K). `y` is one-hot: each row has a single 1, at
the true class.

Derive the gradients of `W` and `b`. Walk back one step at a time: `dp`, `ds`, `de`, `dz`. When you
have `dz`, insert the earlier results and simplify: what is left is short and worth remembering.

Conventions: the mean over the batch, as torch's `cross_entropy` takes it; some courses sum. One
example per row, `W` stored (in, out), so that the logits are `x @ W + b`; `nn.Linear` stores the
transpose. Natural logarithm. Real programs subtract the largest logit of a row first
(`logsumexp`): the same loss.
"""

from sympy import Sum, exp, log

from tutor import Exercise

exercise = Exercise(
    "softmax-regression",
    title="Softmax regression",
    level=3,
    tags=["classification", "softmax", "matrix"],
    source="CS231n assignment 1",
    requires=["linear-regression-batch"],
    hints=[
        "Start at p: each p[i,k] occurs in one term of the loss. Keep the minus and the N.",
        "e[i,k] is used twice: in p[i,k] directly, and in the row's sum s[i]. Both paths count.",
        "s[i] is used by every class of its row, so ds[i] is a sum over k.",
        "To simplify dz, write e/s as p again, and use that each row of y sums to 1.",
    ],
)
N, D, K = exercise.sizes("N D K")
i, j, k = exercise.indices(i=N, j=D, k=K)

x = exercise.input("x", i, j)
y = exercise.input("y", i, k, domain="one-hot")
W = exercise.parameter("W", j, k)
b = exercise.parameter("b", k)
z = exercise.step("z", [i, k], Sum(x[i, j] * W[j, k], j) + b[k])
e = exercise.step("e", [i, k], exp(z[i, k]))
s = exercise.step("s", [i], Sum(e[i, k], k))
p = exercise.step("p", [i, k], e[i, k] / s[i])
L = exercise.loss("L", -Sum(y[i, k] * log(p[i, k]), i, k) / N)

exercise.example(N=3, D=5, K=4)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.cross_entropy(torch.addmm(t.b, t.x, t.W), t.y)
