"""The focal loss: cross-entropy that hardly counts what the model already knows.

    p = sigmoid(z)                 the probability of the true class
    q = 1 - p                      what is missing to 1
    L = -q**2 * log(p)             the factor q**2 is close to 0 for easy examples

Everything is a scalar. Derive the gradients of `q`, `p` and `z`. `p` is used twice, by `q` and by
the logarithm. Then the slope of the sigmoid cancels a good part.

The worked instance is z = 0: p = 1/2, where the example is undecided.

Conventions: focusing parameter gamma = 2, no class weight alpha, one example of the positive
class (for a negative one, p is the probability of the other class). The factor q**2 is
differentiated as well; a version that treats it as a constant weight is another loss.
"""

from sympy import log

from tutor import Exercise
from tutor.functions import sigmoid

exercise = Exercise(
    "focal-loss",
    title="Focal loss",
    level=3,
    tags=["scalar", "classification", "sigmoid", "loss"],
    source="Lin et al., Focal Loss for Dense Object Detection (RetinaNet)",
    requires=["sigmoid-bce"],
    hints=[
        "p reaches L by two paths: through the logarithm, and through q. Both parts are added.",
        "The path through q: the power rule gives dq, and the derivative of 1 - p by p is not 1.",
        "The slope of the sigmoid is p*(1 - p), that is p*q. Multiply it into every term and cancel.",
    ],
)
z = exercise.parameter("z")
p = exercise.step("p", [], sigmoid(z))
q = exercise.step("q", [], 1 - p)
L = exercise.loss("L", -(q**2) * log(p))

exercise.ask("q", "p", "z")
exercise.points(z=2)
exercise.instance(z=0)


@exercise.reference
def forward(t):
    import torch

    return -torch.sigmoid(-t.z).square() * torch.nn.functional.logsigmoid(t.z)
