"""A convolution in one dimension: a kernel slides along a signal.

    y[o] = sum over k of x[o+k]*w[k]        the output

Shapes: the signal `x` (O+K-1,), the kernel `w` (K,), the output `y` (O,). Every position at which the
kernel lies inside the signal gives one output.

This is a layer, not a loss: the gradient `dy` (O,) of the output comes from above and is given.
Derive `dx` and `dw`.

Conventions: this is what deep learning calls a convolution, and torch's `F.conv1d`: the kernel is
not turned around. Signal processing calls it a correlation, and np.correlate computes it. Nothing is
added at the ends ("valid"), and the kernel moves by one entry at a time.
"""

from sympy import Sum

from tutor import Exercise

exercise = Exercise(
    "conv1d",
    title="Convolution in one dimension",
    level=6,
    tags=["convolution", "layer"],
    source="Autodiff Puzzles; minitorch, module 4",
    requires=["linear-regression-batch"],
    hints=[
        "Write out O = 3, K = 2: three equations. In which of them does w[0] stand, and next to which entries of x?",
        "x[i] stands in y[o] where o + k = i. For a given o, which k is that, and when is there such a k?",
        "Entries near the ends of x were used less often than those in the middle. What must dx add up there?",
        "Going backwards the kernel runs the other way: slide the flipped kernel over dy, with K - 1 zeros at each "
        "end.",
    ],
)
O, K = exercise.sizes("O K")  # noqa: E741
i, o, k = exercise.indices(i=O + K - 1, o=O, k=K)

x = exercise.input("x", i)
w = exercise.parameter("w", k)
y = exercise.output("y", [o], Sum(x[o + k] * w[k], k))

exercise.ask("x", "w")
exercise.points(x=2)
exercise.example(O=5, K=3)


@exercise.reference
def forward(t):
    import torch.nn.functional as F

    return F.conv1d(t.x[None, None], t.w[None, None])[0, 0]
