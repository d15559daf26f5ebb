"""The bank of activation functions: one layer, `y = f(x)`, entry by entry.

| address | y = f(x) |
|---|---|
| `activations:function=relu` | x where x > 0, else 0 |
| `activations:function=leaky-relu` | x where x > 0, else x/100 |
| `activations:function=elu` | x where x > 0, else exp(x) - 1 |
| `activations:function=softplus` | log(1 + exp(x)) |
| `activations:function=sigmoid` | 1/(1 + exp(-x)) |
| `activations:function=tanh` | tanh(x) |
| `activations:function=softsign` | x/(1 + abs(x)) |
| `activations:function=silu` | x*sigmoid(x), also called swish |
| `activations:function=gelu` | x*Phi(x), with Phi(x) = (1 + erf(x/sqrt(2)))/2 |
| `activations:function=gelu-tanh` | x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))/2 |
| `activations:function=mish` | x*tanh(softplus(x)) |

`activations` without a choice is relu. Shapes: `x`, `y` (N,).

This is a layer: `dy` (N,) is given. Derive the gradient of `x`: `dy` times the slope of `f`,
taken at `x`. Two addresses side by side: `tutor compare activations activations:function=elu`.

Conventions: torch's default parameters, so the negative slope of leaky relu is 0.01 and elu's
alpha is 1. At the kink of relu and leaky relu (x = 0) every slope between the two sides is right;
torch takes the left one, 0 and 0.01. elu and softsign have none. torch computes softplus as x
itself beyond x = 20.
"""

from typing import Literal

from sympy import Abs, Piecewise, Rational, erf, exp, log, pi, sqrt, tanh

from tutor import Exercise
from tutor.functions import relu, sigmoid, softplus


def exercise(
    function: Literal[
        "relu", "leaky-relu", "elu", "softplus", "sigmoid", "tanh", "softsign", "silu", "gelu", "gelu-tanh", "mish"
    ] = "relu",
) -> Exercise:
    exercise = Exercise(
        "activations",
        title="Activation functions",
        level=2,
        tags=["activation", "elementwise", "layer", "kinks"],
        requires=["mse"],
        hints=[
            "Entry by entry: y[i] depends on x[i] alone, so there is no sum. What is the slope of f at x[i]?",
            "A function given by cases has a slope by cases. Where x times another function stands: product rule.",
            "Some slopes are short in terms of the output: sigmoid and tanh. Is it x or y that belongs there?",
        ],
    )
    N = exercise.sizes("N")
    i = exercise.indices(i=N)

    x = exercise.parameter("x", i)
    if function == "silu":
        g = exercise.step("g", [i], sigmoid(x[i]))
        value = x[i] * g[i]
    elif function == "gelu":
        Phi = exercise.step("Phi", [i], (1 + erf(x[i] / sqrt(2))) / 2)
        value = x[i] * Phi[i]
    elif function == "gelu-tanh":
        u = exercise.step("u", [i], sqrt(2 / pi) * (x[i] + Rational(44715, 10**6) * x[i] ** 3))
        t = exercise.step("t", [i], tanh(u[i]))
        value = x[i] * (1 + t[i]) / 2
    elif function == "mish":
        u = exercise.step("u", [i], softplus(x[i]))
        t = exercise.step("t", [i], tanh(u[i]))
        value = x[i] * t[i]
    else:
        value = {
            "relu": relu(x[i]),
            "leaky-relu": Piecewise((x[i], x[i] > 0), (x[i] / 100, True)),
            "elu": Piecewise((x[i], x[i] > 0), (exp(x[i]) - 1, True)),
            "softplus": log(1 + exp(x[i])),
            "sigmoid": sigmoid(x[i]),
            "tanh": tanh(x[i]),
            "softsign": x[i] / (1 + Abs(x[i])),
        }[function]
    exercise.output("y", [i], value)
    if function == "softplus":
        exercise.fails_at(x=[1000.0])  # exp(1000) is infinite
    exercise.example(N=7)

    @exercise.reference
    def forward(s):
        import torch.nn.functional as F

        if function == "gelu-tanh":
            return F.gelu(s.x, approximate="tanh")
        return getattr(F, function.replace("-", "_"))(s.x)

    return exercise
