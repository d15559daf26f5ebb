"""Group normalisation: the channels of an example are normalised in groups.

    mu[n,g]       = (sum over c, p of x[n,g,c,p]) / (C*P)
    xc[n,g,c,p]   = x[n,g,c,p] - mu[n,g]
    var[n,g]      = (sum over c, p of xc[n,g,c,p]**2) / (C*P)
    istd[n,g]     = 1 / sqrt(var[n,g] + 1/100000)
    xhat[n,g,c,p] = xc[n,g,c,p]*istd[n,g]
    y[n,g,c,p]    = gamma[g,c]*xhat[n,g,c,p] + beta[g,c]      the output

There are G groups of C channels each, and P pixels (an image's rows and columns as one axis).
Shapes: `x`, `xc`, `xhat`, `y` (N, G, C, P); `mu`, `var`, `istd` (N, G); `gamma`, `beta` (G, C).

This is a layer, not a loss: the gradient `dy` (N, G, C, P) of the output comes from above and is
given. Derive the gradients of `x`, `gamma` and `beta`.

Conventions: the channels already stand as (G, C), where torch keeps one axis of G*C channels, so
that torch's `F.group_norm` gets `x.view(N, G*C, P)`. The statistics are biased, over the channels
of a group and all pixels of one example; nothing is averaged over the batch. One group of all
channels is a layer norm, one channel in each group is instance norm.
"""

from sympy import Rational, Sum, sqrt

from tutor import Exercise

exercise = Exercise(
    "group-norm",
    title="Group normalisation",
    level=6,
    tags=["normalisation", "layer", "broadcasting"],
    source="CS231n, assignment 2",
    requires=["layer-norm"],
    hints=[
        "gamma and beta have one entry for each channel: over which axes of y was each entry broadcast?",
        "It is layer norm with another set of entries: each (n, g) is normalised over its channels and pixels.",
        "xc is used in xhat and in var; x is used in xc and in mu. Each time, the parts are added.",
        "For one line: of dxhat and of xhat times dxhat the mean over a group is needed, and both means have shape "
        "(N, G).",
    ],
)
N, G, C, P = exercise.sizes("N G C P")
n, g, c, p = exercise.indices(n=N, g=G, c=C, p=P)

x = exercise.input("x", n, g, c, p)
gamma = exercise.parameter("gamma", g, c)
beta = exercise.parameter("beta", g, c)
mu = exercise.step("mu", [n, g], Sum(x[n, g, c, p], c, p) / (C * P))
xc = exercise.step("xc", [n, g, c, p], x[n, g, c, p] - mu[n, g])
var = exercise.step("var", [n, g], Sum(xc[n, g, c, p] ** 2, c, p) / (C * P))
istd = exercise.step("istd", [n, g], 1 / sqrt(var[n, g] + Rational(1, 10**5)))
xhat = exercise.step("xhat", [n, g, c, p], xc[n, g, c, p] * istd[n, g])
y = exercise.output("y", [n, g, c, p], gamma[g, c] * xhat[n, g, c, p] + beta[g, c])

exercise.ask("x", "gamma", "beta")
exercise.points(x=3)
exercise.example(N=3, G=2, C=4, P=5)


@exercise.reference
def forward(t):
    import torch.nn.functional as F

    groups = t.x.shape[1]
    flat = F.group_norm(t.x.flatten(1, 2), groups, t.gamma.flatten(), t.beta.flatten(), eps=1e-5)
    return flat.view(t.x.shape)
