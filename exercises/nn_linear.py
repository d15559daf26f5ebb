"""The affine layer as torch stores it: the weight matrix is (out, in).

    Y[i,k] = (sum over j of X[i,j]*W[k,j]) + b[k]      Y = X @ W.T + b

Shapes: `X` (N, D), `W` (M, D), `b` (M,), `Y` (N, M): a batch of N rows.

This is a layer: the gradient `dY` (N, M) of the output is given. Derive the gradients of `X`, `W`
and `b`.

Conventions: the layout of torch's `nn.Linear`, weights (out, in), examples as rows. It is the
same map as `affine` with the matrix stored the other way round, and each gradient is stored as
its quantity is. Courses with examples as columns write `Z = W A + b` and get `dW = dZ A^T`, often
with 1/m for a mean over m examples.
"""

from sympy import Sum

from tutor import Exercise

exercise = Exercise(
    "nn-linear",
    title="Affine layer in torch's layout",
    level=3,
    tags=["matrix", "layer", "broadcasting"],
    requires=["affine"],
    hints=[
        "Where does W[k,j] stand in Y? It meets X[i,j] and goes into Y[i,k], once in every row i.",
        "The gradient of W must come out as (M, D), that of X as (N, D): which factor is transposed, if any?",
        "The layout of W makes no difference to b, which was added to every row.",
    ],
)
N, D, M = exercise.sizes("N D M")
i, j, k = exercise.indices(i=N, j=D, k=M)

X = exercise.input("X", i, j)
W = exercise.parameter("W", k, j)
b = exercise.parameter("b", k)
exercise.output("Y", [i, k], Sum(X[i, j] * W[k, j], j) + b[k])

exercise.ask("X", "W", "b")
exercise.example(N=3, D=5, M=4)


@exercise.reference
def forward(t):
    import torch

    return torch.nn.functional.linear(t.X, t.W, t.b)
