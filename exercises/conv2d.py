"""A convolution of images, with channels, padding and stride.

    xp[n,c,u,v] = x[n,c,u-1,v-1], with a border of zeros              padding=1 only
    y[n,m,o,q]  = sum over c, k, l of xp[n,c,s*o+k,s*q+l]*w[m,c,k,l], plus b[m]      the output

Here s is the number given as `stride`; with padding=0 there is no `xp`, and `x` stands in its place.
Shapes: N images of C channels in `x` (N, C, H, W), M square filters of side K in `w` (M, C, K, K),
one bias for each filter in `b` (M,), and `y` (N, M, O, Q). The sizes of the output are the ones with
names: H = s*(O-1) + K - 2*padding, and W the same from Q. `xp` is larger than `x` by the border.

This is a layer, not a loss: the gradient `dy` (N, M, O, Q) of the output comes from above and is given.
Derive `dx`, `dw` and `db`; with padding, `dxp` may be given on the way. In torch's spelling loops,
slices and calls such as `F.conv2d` or `F.conv_transpose2d` may all be used.

Conventions: torch's layout and torch's `F.conv2d`: the kernel is not turned around, padding is a
border of zeros on all four sides, and the stride is the same in both directions. CS231n calls the
upstream gradient `dout` and the number of filters F. TensorFlow keeps the channels last.
"""

from typing import Annotated

from sympy import Sum

from tutor import Exercise
from tutor.operations import Pad


def exercise(padding: Annotated[int, range(0, 2)] = 1, stride: Annotated[int, range(1, 3)] = 1) -> Exercise:
    exercise = Exercise(
        "conv2d",
        title="Convolution of images",
        level=7,
        tags=["convolution", "layer"],
        source="CS231n, assignment 2",
        requires=["conv1d"],
        hints=[
            "db first: b[m] was added to every pixel of every image. Which three axes of dy are summed?",
            "dw: one entry of a filter meets, at every position (o, q), another pixel. Add dy times that pixel over "
            "all images and positions.",
            "dx: send each dy[n,m,o,q] back to the window it was made from, each pixel weighted by its entry of the "
            "filter. Windows overlap, so add.",
            "With padding, do this for the image with its border, and cut the border off at the end: nobody asks for "
            "the gradient of its zeros.",
        ],
    )
    N, C, M, O, Q, K = exercise.sizes("N C M O Q K")  # noqa: E741
    high, wide = (stride * (extent - 1) + K for extent in (O, Q))  # with the border
    n, c, m, k, l, o, q = exercise.indices(n=N, c=C, m=M, k=K, l=K, o=O, q=Q)  # noqa: E741
    i, j = exercise.indices(i=high - 2 * padding, j=wide - 2 * padding)

    x = exercise.input("x", n, c, i, j)
    xp = x
    if padding:
        u, v = exercise.indices(u=high, v=wide)
        xp = exercise.step("xp", [n, c, u, v], Pad(x, (0, 0, padding, padding))[n, c, u, v])
    w = exercise.parameter("w", m, c, k, l)
    b = exercise.parameter("b", m)
    taps = xp[n, c, stride * o + k, stride * q + l] * w[m, c, k, l]
    exercise.output("y", [n, m, o, q], Sum(taps, c, k, l) + b[m])

    exercise.ask("x", "w", "b")
    exercise.points(x=2, w=2)
    exercise.example(N=7, C=2, M=4, O=5, Q=6, K=3)

    @exercise.reference
    def forward(t):
        import torch.nn.functional as F

        return F.conv2d(t.x, t.w, t.b, stride=stride, padding=padding)

    return exercise
