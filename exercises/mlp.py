"""A multilayer perceptron for regression.

Each hidden layer is linear, then an activation `g`:

    z1[n,i1] = sum over i0 of x[n,i0]*W1[i0,i1], plus b1[i1]
    h1[n,i1] = g(z1[n,i1])

and so on with z2, h2, W2, b2. The last layer is linear only and gives `y_pred`. The loss is a mean
over *all* entries of the predictions, as torch's `mse_loss` and `l1_loss` take it:

    L = (sum over n, k of (y_pred[n,k] - y[n,k])**2) / (N*K)      loss=mse
    L = (sum over n, k of abs(y_pred[n,k] - y[n,k])) / (N*K)      loss=mae

(where `k` is the index of the last layer and `K` its width). Shapes: `x` (N, D0), `W1` (D0, D1),
`b1` (D1,), `z1` and `h1` (N, D1), ...: every layer has a width of its own.

Derive the gradients of all weights and biases. Choose with `layers`, the number of linear layers,
`activation` and `loss`.

Conventions: one example a row, and weights stored (in, out), so that a layer is `h @ W + b`;
torch's `nn.Linear` stores (out, in). The mean is over all N*K entries, where many courses divide
by N alone and put 1/2 in front. The slope of relu at 0 is 0 in torch, that of the absolute error
too; every subgradient is accepted.
"""

from typing import Annotated, Literal

from sympy import Abs, Sum, tanh

from tutor import Exercise
from tutor.functions import relu, sigmoid

ACTIVATIONS = {"relu": relu, "tanh": tanh, "sigmoid": sigmoid}
LOSSES = {"mse": lambda r: r**2, "mae": Abs}


def exercise(
    layers: Annotated[int, range(1, 9)] = 2,
    activation: Literal["relu", "tanh", "sigmoid"] = "relu",
    loss: Literal["mse", "mae"] = "mse",
) -> Exercise:
    exercise = Exercise(
        "mlp",
        title="Multilayer perceptron",
        level=4,
        tags=["network", "regression", "activation", "matrix"],
        requires=["linear-regression-batch"],
        hints=[
            "Go back layer by layer. Each has the same pattern: dz gives dW, db, and the dh of the layer below.",
            "The local derivative of an activation is taken entry by entry at z, the value before the activation.",
            "Check shapes: dW has the shape of W, and there is one way to multiply h and dz that gives it.",
            "A bias was added to every row of the batch.",
        ],
    )
    N = exercise.sizes("N")
    widths = [exercise.sizes(f"D{m}") for m in range(layers + 1)]
    n = exercise.indices(n=N)
    axes = [exercise.indices(**{f"i{m}": width}) for m, width in enumerate(widths)]

    h = exercise.input("x", n, axes[0])
    y = exercise.input("y", n, axes[-1])
    for m in range(1, layers + 1):
        below, here = axes[m - 1], axes[m]
        W = exercise.parameter(f"W{m}", below, here)
        b = exercise.parameter(f"b{m}", here)
        name = f"z{m}" if m < layers else "y_pred"
        z = exercise.step(name, [n, here], Sum(h[n, below] * W[below, here], below) + b[here])
        if m < layers:
            h = exercise.step(f"h{m}", [n, here], ACTIVATIONS[activation](z[n, here]))
    k, K = axes[-1], widths[-1]
    exercise.loss("L", Sum(LOSSES[loss](z[n, k] - y[n, k]), n, k) / (N * K))

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        g = {"relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[activation]
        h = F.linear(t.x, t["W1"].T, t["b1"])
        for m in range(2, layers + 1):
            h = F.linear(g(h), t[f"W{m}"].T, t[f"b{m}"])
        return {"mse": F.mse_loss, "mae": F.l1_loss}[loss](h, t.y)

    return exercise
