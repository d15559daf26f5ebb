"""A network with one unit a layer: sin, exp and cos in a row.

    f0 = b0 + w0*x
    h1 = sin(f0)
    f1 = b1 + w1*h1
    h2 = exp(f1)
    f2 = b2 + w2*h2
    h3 = cos(f2)
    f3 = b3 + w3*h3
    L  = (f3 - y)**2

Everything is a scalar. Derive the gradients of the intermediate values `f3`, `h3`, `f2`, `h2`,
`f1`, `h1`, `f0`, and of the parameters: the biases `b0`, `b1`, `b2`, `b3` and the weights `w0`,
`w1`, `w2`, `w3`.

Conventions: the whole square, no factor 1/2. `f` counts from 0, the activations `h` from 1: `w1`
multiplies `h1`, and the result is `f1`. The first weight multiplies the input `x`.
"""

from sympy import cos, exp, sin

from tutor import Exercise

exercise = Exercise(
    "sin-exp-cos-chain",
    title="A chain of sin, exp and cos",
    level=2,
    tags=["scalar", "network", "chain rule"],
    source="Simon Prince, Understanding Deep Learning, notebook 7.1 (backpropagation in a toy model)",
    requires=["tanh-neuron"],
    hints=[
        "Walk back: f3, h3, f2, h2, f1, h1, f0. Each gradient is the one before, times one local derivative.",
        "From f to h below it the factor is a weight. From h to f below it the factor is a derivative of a function.",
        "cos has a minus sign in its derivative; exp is its own derivative, so its output h2 is enough.",
        "The parameters come last: the gradient of a bias is that of its f, a weight has one factor more.",
    ],
)
b = [exercise.parameter(f"b{k}") for k in range(4)]
w = [exercise.parameter(f"w{k}") for k in range(4)]
below = exercise.input("x")
y = exercise.input("y")
for k, function in enumerate((sin, exp, cos, None)):
    f = exercise.step(f"f{k}", [], b[k] + w[k] * below)
    below = exercise.step(f"h{k + 1}", [], function(f)) if function else f
exercise.loss("L", (f - y) ** 2)

exercise.ask(*"f3 h3 f2 h2 f1 h1 f0 b3 w3 b2 w2 b1 w1 b0 w0".split())
exercise.instance(x=2.3, y=2, b0=1, b1=2, b2=-3, b3=0.4, w0=0.1, w1=-0.4, w2=2, w3=3)


@exercise.reference
def forward(t):
    import torch

    h = torch.sin(torch.addcmul(t.b0, t.w0, t.x))
    h = torch.exp(torch.addcmul(t.b1, t.w1, h))
    h = torch.cos(torch.addcmul(t.b2, t.w2, h))
    return torch.nn.functional.mse_loss(torch.addcmul(t.b3, t.w3, h), t.y)
