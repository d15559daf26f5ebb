"""Layer normalisation: every row is centred and scaled by its own statistics.

    mu[i]     = (sum over j of x[i,j]) / D
    xc[i,j]   = x[i,j] - mu[i]
    var[i]    = (sum over j of xc[i,j]**2) / D        biased: divided by D, not by D - 1
    istd[i]   = 1 / sqrt(var[i] + 1/100000)           the small constant is torch's default eps = 1e-5
    xhat[i,j] = xc[i,j]*istd[i]
    y[i,j]    = gamma[j]*xhat[i,j] + beta[j]          the output

Shapes: `x`, `xc`, `xhat`, `y` (N, D); `mu`, `var`, `istd` (N,); `gamma`, `beta` (D,).

This is a layer, not a loss: the gradient `dy` (N, D) of the output comes from above and is given.
Derive the gradients of `x`, `gamma` and `beta`. `x` reaches the output by several paths; the whole
of `dx` can be written in one line.

Conventions: the statistics are those of a row, over its D features; batch norm takes those of a
column. The variance is biased (divided by D), as in torch's `F.layer_norm`. `gamma` and `beta`
belong to the features, so that `gamma` stands inside of every sum over a row.
"""

from sympy import Rational, Sum, sqrt

from tutor import Exercise

exercise = Exercise(
    "layer-norm",
    title="Layer normalisation",
    level=5,
    tags=["normalisation", "layer"],
    requires=["linear-regression-batch"],
    hints=[
        "dgamma and dbeta first: along which axis were gamma and beta broadcast?",
        "xc is used twice: in xhat, and in var. var itself takes part only through istd.",
        "mu[i] is subtracted from a whole row: its gradient is a sum over j. Part of that sum vanishes. Why?",
        "For one line: two sums over a row are left, that of dxhat, and that of xhat times dxhat.",
    ],
)
N, D = exercise.sizes("N D")
i, j = exercise.indices(i=N, j=D)

x = exercise.input("x", i, j)
gamma = exercise.parameter("gamma", j)
beta = exercise.parameter("beta", j)
mu = exercise.step("mu", [i], Sum(x[i, j], j) / D)
xc = exercise.step("xc", [i, j], x[i, j] - mu[i])
var = exercise.step("var", [i], Sum(xc[i, j] ** 2, j) / D)
istd = exercise.step("istd", [i], 1 / sqrt(var[i] + Rational(1, 10**5)))
xhat = exercise.step("xhat", [i, j], xc[i, j] * istd[i])
y = exercise.output("y", [i, j], gamma[j] * xhat[i, j] + beta[j])

exercise.ask("x", "gamma", "beta")
exercise.points(x=3)
exercise.example(N=3, D=5)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.layer_norm(t.x, t.gamma.shape, t.gamma, t.beta, eps=1e-5)
