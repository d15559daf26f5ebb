"""The product of all entries of a vector.

    f = x[0] * x[1] * ... * x[N-1]

`x` has shape (N,), `f` is a scalar. Derive the gradient of `x`.

Conventions: `f` is what is differentiated. Entries may be 0: the worked instance is x = (2, 0,
3), where only one entry has a gradient other than 0. A formula that is right only where no entry
is 0 is not the gradient; torch's `prod` gives the exact one there too.
"""

from sympy import Product

from tutor import Exercise

exercise = Exercise(
    "product",
    title="The product of all entries",
    level=2,
    tags=["vector", "reduction", "product rule"],
    source="Sasha Rush, Autodiff Puzzles",
    requires=["add-mul-gate", "mse"],
    hints=[
        "Take three entries and write the product out. Which factors are left when you differentiate by the first?",
        "The gradient of one entry is a product again, with one factor less.",
        "Dividing by the entry is tempting. What does it give at the worked instance, where one entry is 0?",
    ],
)
N = exercise.sizes("N")
i = exercise.indices(i=N)

x = exercise.parameter("x", i)
exercise.loss("f", Product(x[i], i))

exercise.example(N=5)
exercise.instance(x=[2.0, 0.0, 3.0])


@exercise.reference
def forward(t):
    import torch

    return torch.prod(t.x)
