"""An addition and a multiplication: the two gates that everything else is built with.

    q = x + y
    f = q*z

Everything is a scalar. Derive the gradients of `q` and of the three inputs `x`, `y` and `z`.

Conventions: `f` itself is what is differentiated, so the gradient that arrives at it is 1. In a
larger network another number would arrive there and multiply all that follows.
"""

from tutor import Exercise

exercise = Exercise(
    "add-mul-gate",
    title="An addition and a multiplication",
    level=1,
    tags=["scalar", "chain rule"],
    source="CS231n, notes on backpropagation (optimization-2)",
    hints=[
        "The multiplication first: if z stays as it is and q grows a little, by how much does f grow?",
        "An addition hands what arrives to both of its inputs unchanged. A multiplication does not.",
        "The gradient of one factor of a product contains the value of the other factor.",
    ],
)
x = exercise.input("x")
y = exercise.input("y")
q = exercise.step("q", [], x + y)
z = exercise.input("z")
exercise.loss("f", q * z)

exercise.ask("q", "x", "y", "z")
exercise.instance(x=-2, y=5, z=-4)


@exercise.reference
def forward(t):
    import torch

    return torch.mul(torch.add(t.x, t.y), t.z)
