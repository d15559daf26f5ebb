"""A two-layer network for classification: relu, softmax cross-entropy, a penalty on the weights.

    z1[n,h]   = sum over d of X[n,d]*W1[d,h], plus b1[h]
    a[n,h]    = relu(z1[n,h])
    z2[n,c]   = sum over h of a[n,h]*W2[h,c], plus b2[c]      the logits
    e[n,c]    = exp(z2[n,c])
    s[n]      = sum over c of e[n,c]
    logp[n,c] = z2[n,c] - log(s[n])                           log-softmax
    L         = -(sum over n of logp[n,y[n]]) / N             the data loss, a mean over the batch
                + lam*(sum of W1**2 + sum of W2**2)           over all entries of both matrices

Shapes: `X` (N, D0), `W1` (D0, H), `b1` (H,), `W2` (H, C), `b2` (C,); `y` (N,) holds class indices
below C; `lam` is a scalar.

Derive the gradients of `W1`, `b1`, `W2` and `b2`, and on the way those of `z2` and `z1`.

| address | the penalty |
|---|---|
| `two-layer-net` | `lam` times the sum of squares |
| `two-layer-net:penalty=half` | `lam/2` times the sum of squares |
| `two-layer-net:penalty=none` | none |

Conventions: weights are stored (in, out), so a layer is `X @ W + b`. The data loss is a mean over
the batch; the penalty is not divided by N, and the biases are not penalised. Courses differ in
the factor of the penalty: `lam` or `lam/2`. The optimizer's `weight_decay` in torch is the half
form, put into the gradient and not into the loss. relu takes the slope 0 at 0, as in torch; any
subgradient is right.
"""

from typing import Literal

from sympy import Sum, exp, log

from tutor import Exercise
from tutor.functions import relu


def exercise(penalty: Literal["whole", "half", "none"] = "whole") -> Exercise:
    exercise = Exercise(
        "two-layer-net",
        title="Two-layer network with weight penalty",
        level=4,
        tags=["network", "classification", "softmax", "activation", "matrix", "regularisation"],
        source="CS231n assignment 1",
        requires=["image-classifier"],
        hints=[
            "From the logits on it is cross-entropy with class indices: dz2 needs the softmax e/s and F.one_hot(y, C).",
            "Each layer goes back alike: dz gives dW with the layer's input, db by a sum over the batch.",
            "relu's mask is taken from z1, the value before it; the sign of da does not matter.",
            "W1 and W2 are used twice: in their layer, and in the penalty. Does its square leave a factor 2?",
        ],
    )
    N, D0, H, C = exercise.sizes("N D0 H C")
    n, d, h, c = exercise.indices(n=N, d=D0, h=H, c=C)

    X = exercise.input("X", n, d)
    y = exercise.input("y", n, domain="index", below=C)
    if penalty != "none":
        lam = exercise.input("lam", domain="positive")
    W1 = exercise.parameter("W1", d, h)
    b1 = exercise.parameter("b1", h)
    W2 = exercise.parameter("W2", h, c)
    b2 = exercise.parameter("b2", c)
    z1 = exercise.step("z1", [n, h], Sum(X[n, d] * W1[d, h], d) + b1[h])
    a = exercise.step("a", [n, h], relu(z1[n, h]))
    z2 = exercise.step("z2", [n, c], Sum(a[n, h] * W2[h, c], h) + b2[c])
    e = exercise.step("e", [n, c], exp(z2[n, c]))
    s = exercise.step("s", [n], Sum(e[n, c], c))
    logp = exercise.step("logp", [n, c], z2[n, c] - log(s[n]))
    loss = -Sum(logp[n, y[n]], n) / N
    if penalty != "none":
        factor = lam if penalty == "whole" else lam / 2
        loss += factor * (Sum(W1[d, h] ** 2, d, h) + Sum(W2[h, c] ** 2, h, c))
    exercise.loss("L", loss)

    exercise.ask("z2", "W2", "b2", "z1", "W1", "b1")
    exercise.points(z2=2)
    exercise.example(N=5, D0=3, H=4, C=2)

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        loss = F.cross_entropy(F.linear(F.relu(F.linear(t.X, t.W1.T, t.b1)), t.W2.T, t.b2), t.y)
        if penalty == "none":
            return loss
        squares = torch.linalg.matrix_norm(t.W1) ** 2 + torch.linalg.matrix_norm(t.W2) ** 2
        return loss + (t.lam if penalty == "whole" else t.lam / 2) * squares

    return exercise
