"""Batch normalisation in training: every column is centred and scaled by the statistics of the batch.

    mu[j]     = (sum over i of x[i,j]) / N
    xc[i,j]   = x[i,j] - mu[j]
    var[j]    = (sum over i of xc[i,j]**2) / N            variance=biased
    var[j]    = (sum over i of xc[i,j]**2) / (N - 1)      variance=unbiased
    istd[j]   = 1 / sqrt(var[j] + 1/100000)               the small constant is torch's default eps = 1e-5
    xhat[i,j] = xc[i,j]*istd[j]
    y[i,j]    = gamma[j]*xhat[i,j] + beta[j]              the output

Shapes: `x`, `xc`, `xhat`, `y` (N, D); `mu`, `var`, `istd`, `gamma`, `beta` (D,).

This is a layer, not a loss: the gradient `dy` (N, D) of the output comes from above and is given.
With asked=steps, derive the gradient of every name on the way back: `dxhat`, `distd`, `dvar`,
`dxc`, `dmu`, then `dx`, `dgamma` and `dbeta`. With asked=layer, only `dx`, `dgamma` and `dbeta`
are asked: the whole of `dx` fits on one line.

Conventions: the statistics are those of a column, over the N rows of the batch; layer norm takes
those of a row. In training torch's `F.batch_norm` divides the variance by N (biased), as CS231n
does; the running variance that torch keeps for evaluation divides by N - 1, and makemore divides
by N - 1 in the forward pass too. CS231n writes the upstream gradient `dout`; here it is `dy`.
"""

from typing import Literal

from sympy import Rational, Sum, sqrt

from tutor import Exercise


def exercise(
    variance: Literal["biased", "unbiased"] = "biased", asked: Literal["steps", "layer"] = "steps"
) -> Exercise:
    exercise = Exercise(
        "batch-norm",
        title="Batch normalisation",
        level=5,
        tags=["normalisation", "layer", "broadcasting"],
        source="CS231n, assignment 2; unbiased: Andrej Karpathy, makemore part 4, exercise 3",
        requires=["linear-regression-batch"],
        hints=[
            "dgamma and dbeta first: gamma and beta were broadcast over the rows, so which axis is summed?",
            "xc is used twice: in xhat, and in var. var itself takes part only through istd.",
            "mu was subtracted from every row. Of the two parts of its gradient one is zero: what is the sum of xc "
            "over a column?",
            "For one line: two sums over a column are left, that of dy, and that of dy times xhat. gamma can be taken "
            "out of both.",
        ],
    )
    N, D = exercise.sizes("N D")
    i, j = exercise.indices(i=N, j=D)

    x = exercise.input("x", i, j)
    gamma = exercise.parameter("gamma", j)
    beta = exercise.parameter("beta", j)
    mu = exercise.step("mu", [j], Sum(x[i, j], i) / N)
    xc = exercise.step("xc", [i, j], x[i, j] - mu[j])
    var = exercise.step("var", [j], Sum(xc[i, j] ** 2, i) / (N if variance == "biased" else N - 1))
    istd = exercise.step("istd", [j], 1 / sqrt(var[j] + Rational(1, 10**5)))
    xhat = exercise.step("xhat", [i, j], xc[i, j] * istd[j])
    exercise.output("y", [i, j], gamma[j] * xhat[i, j] + beta[j])

    if asked == "steps":
        exercise.ask("xhat", "istd", "var", "xc", "mu", "x", "gamma", "beta")
    else:
        exercise.ask("x", "gamma", "beta")
    exercise.points(x=3)
    exercise.example(N=5, D=3)

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        if variance == "biased":
            return F.batch_norm(t.x, None, None, t.gamma, t.beta, training=True, eps=1e-5)
        var, mean = torch.var_mean(t.x, 0)  # unbiased
        return torch.addcmul(t.beta, t.gamma, (t.x - mean) * torch.rsqrt(var + 1e-5))

    return exercise
