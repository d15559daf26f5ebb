"""Two refinements of cross-entropy: smoothed labels, and a weight for every class.

Both start with the log-softmax of the logits:

    e[i,k]    = exp(z[i,k])
    s[i]      = sum over k of e[i,k]
    logp[i,k] = z[i,k] - log(s[i])

`cross-entropy-weighted` smooths the labels: the target of a row is no longer 1 at the true class
and 0 elsewhere, but takes a share `alpha` away from it and spreads that evenly over all K
classes:

    q[i,k] = (1 - alpha)*[k is y[i]] + alpha/K
    L      = -(sum over i, k of q[i,k]*logp[i,k]) / N

`cross-entropy-weighted:variant=weights` weighs the rows by their true class, for rare classes:

    c[i] = w[y[i]]                             the weight of the true class of row i
    S    = sum over i of c[i]
    L    = -(sum over i of c[i]*logp[i,y[i]]) / S

Shapes: `z`, `e`, `logp`, `q` (N, K); `s`, `c` (N,); `w` (K,); `alpha`, `S` are scalars. `y` (N,)
holds class indices below K.

Derive the gradients of `logp` and `z`.

Conventions: torch's `CrossEntropyLoss(label_smoothing=alpha)` spreads alpha over *all* K classes,
the true one included; some papers spread it over the K - 1 others. `CrossEntropyLoss(weight=w)`
divides by the sum of the weights, not by N. `alpha` and `w` are given numbers, not learnt.
"""

from typing import Literal

from sympy import KroneckerDelta, Sum, exp, log

from tutor import Exercise


def exercise(variant: Literal["smoothing", "weights"] = "smoothing") -> Exercise:
    exercise = Exercise(
        "cross-entropy-weighted",
        title="Cross-entropy, smoothed or weighted",
        level=4,
        tags=["classification", "softmax", "gather", "loss"],
        requires=["cross-entropy"],
        hints=[
            "dlogp first: what multiplies logp[i,k] in the loss? Neither the targets nor the weights depend on z.",
            "From logp to z it is the same for every loss: z is used by logp directly, and through s by the whole row.",
            "What is the sum of dlogp over one row? Targets that sum to 1 make it simple.",
            "Mind the divisor: N where the labels are smoothed, the sum of the weights where they weigh.",
        ],
    )
    N, K = exercise.sizes("N K")
    i, k = exercise.indices(i=N, k=K)

    z = exercise.parameter("z", i, k)
    y = exercise.input("y", i, domain="index", below=K)
    if variant == "smoothing":
        alpha = exercise.input("alpha", domain="fraction")
        q = exercise.step("q", [i, k], (1 - alpha) * KroneckerDelta(k, y[i]) + alpha / K)
    else:
        w = exercise.input("w", k, domain="positive")
        c = exercise.step("c", [i], w[y[i]])
        S = exercise.step("S", [], Sum(c[i], i))
    e = exercise.step("e", [i, k], exp(z[i, k]))
    s = exercise.step("s", [i], Sum(e[i, k], k))
    logp = exercise.step("logp", [i, k], z[i, k] - log(s[i]))
    if variant == "smoothing":
        exercise.loss("L", -Sum(q[i, k] * logp[i, k], i, k) / N)
    else:
        exercise.loss("L", -Sum(c[i] * logp[i, y[i]], i) / S)
    exercise.ask("logp", "z")
    exercise.points(z=2)
    exercise.example(N=5, K=4)

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        if variant == "weights":
            own = F.cross_entropy(t.z, t.y, weight=t.w.detach())  # torch has no gradient for w here; add it
            w = t.w[t.y]
            of_w = torch.dot(w, F.cross_entropy(t.z.detach(), t.y, reduction="none")) / w.sum()
            return own + of_w - of_w.detach()
        plain, uniform = (F.cross_entropy(t.z, t.y, label_smoothing=share) for share in (0.0, 1.0))
        return torch.lerp(plain, uniform, t.alpha)  # it is linear in alpha

    return exercise
