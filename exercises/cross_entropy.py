"""Cross-entropy from logits and class indices, step by step.

    e[i,k]    = exp(z[i,k])
    s[i]      = sum over k of e[i,k]
    logp[i,k] = z[i,k] - log(s[i])             log-softmax
    pick[i]   = logp[i,y[i]]                   the log-probability of the true class
    L         = -(sum over i of pick[i]) / N   the mean over the batch

Shapes: `z`, `e`, `logp` (N, K); `s`, `pick` (N,). `y` (N,) holds the true classes as integers
below K.

Derive the gradients of `pick`, `logp` and `z`. `logp[i,y[i]]` is a gather: going back, each row
of `dlogp` receives its entry at the place where it was taken, and zeros elsewhere. `y` itself
holds integers and has no gradient.

Conventions: the mean over the batch (`reduction="mean"`, torch's default), class indices and not
one-hot rows, natural logarithm. With `ignore_index`, torch divides by the number of rows that are
kept, not by N. In the code of a real program the largest logit is subtracted first, as in
`logsumexp`.
"""

from sympy import Sum, exp, log

from tutor import Exercise

exercise = Exercise(
    "cross-entropy",
    title="Cross-entropy with class indices",
    level=3,
    tags=["classification", "softmax", "gather", "loss"],
    source="Andrej Karpathy, makemore part 4: becoming a backprop ninja, exercise 2",
    requires=["log-softmax"],
    hints=[
        "pick[i] is one entry of row i. dlogp is zero nearly everywhere: where is it not?",
        "A way to write it: F.one_hot(y, K), or KroneckerDelta(k, y[i]), says where the true class is.",
        "z is used twice: in logp itself, and through e and s by the whole row.",
        "Each row of dz must sum to zero. Why? Use it to check your line.",
    ],
)
N, K = exercise.sizes("N K")
i, k = exercise.indices(i=N, k=K)

z = exercise.parameter("z", i, k)
y = exercise.input("y", i, domain="index", below=K)
e = exercise.step("e", [i, k], exp(z[i, k]))
s = exercise.step("s", [i], Sum(e[i, k], k))
logp = exercise.step("logp", [i, k], z[i, k] - log(s[i]))
pick = exercise.step("pick", [i], logp[i, y[i]])
L = exercise.loss("L", -Sum(pick[i], i) / N)

exercise.ask("pick", "logp", "z")
exercise.points(z=2)
exercise.example(N=5, K=4)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.cross_entropy(t.z, t.y)
