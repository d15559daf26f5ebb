"""RMS normalisation: every row is divided by its root mean square.

    ms[i]     = (sum over j of x[i,j]**2) / D
    irms[i]   = 1 / sqrt(ms[i] + 1/100000)
    xhat[i,j] = x[i,j]*irms[i]
    y[i,j]    = gamma[j]*xhat[i,j]              the output

Shapes: `x`, `xhat`, `y` (N, D); `ms`, `irms` (N,); `gamma` (D,).

This is a layer, not a loss: the gradient `dy` (N, D) of the output comes from above and is given.
Derive the gradients of `x` and `gamma`. `x` reaches the output by two paths; the whole of `dx` can
be written in one line.

Conventions: no mean is subtracted and there is no `beta`, which is what separates it from layer
norm. The statistics are those of a row. The small constant stands inside the root, as in torch's
`F.rms_norm`; its value, 1/100000, is the one of Llama. Some write the root mean square itself and
divide by it: `xhat = x / rms`.
"""

from sympy import Rational, Sum, sqrt

from tutor import Exercise

exercise = Exercise(
    "rms-norm",
    title="RMS normalisation",
    level=5,
    tags=["normalisation", "layer"],
    source="Zhang and Sennrich, Root Mean Square Layer Normalization",
    requires=["linear-regression-batch"],
    hints=[
        "gamma was broadcast over the rows: which axis is summed for dgamma? gamma also multiplies every row of dy.",
        "x is used twice: as it stands in xhat, and squared in ms. ms takes part only through irms.",
        "irms is one number for a whole row: its gradient is a sum over j. The exponent -1/2 gives -irms**3/2.",
        "The 2 of the square and the 1/2 of the root cancel. What is left is one sum over a row, of dxhat times xhat.",
    ],
)
N, D = exercise.sizes("N D")
i, j = exercise.indices(i=N, j=D)

x = exercise.input("x", i, j)
gamma = exercise.parameter("gamma", j)
ms = exercise.step("ms", [i], Sum(x[i, j] ** 2, j) / D)
irms = exercise.step("irms", [i], 1 / sqrt(ms[i] + Rational(1, 10**5)))
xhat = exercise.step("xhat", [i, j], x[i, j] * irms[i])
y = exercise.output("y", [i, j], gamma[j] * xhat[i, j])

exercise.ask("x", "gamma")
exercise.points(x=3)
exercise.example(N=3, D=5)


@exercise.reference
def forward(t):
    import torch.nn.functional as F

    return F.rms_norm(t.x, t.gamma.shape, t.gamma, eps=1e-5)
