"""Log-determinant and a linear system: the core of a Gaussian log-likelihood.

    x[i] = sum over j of A^-1[i,j]*b[j]      the solution of A @ x = b
    g    = log|det A|
    q    = sum over i of b[i]*x[i]           that is b.T @ A^-1 @ b
    L    = (g + q) / 2

Shapes: `A` (N, N), invertible and *not* symmetric; `b`, `x` (N,); `g`, `q`, `L` are numbers.

Derive the gradients of `x`, `b` and `A`. Write the inverse of A as `torch.linalg.inv(A)`, in
LaTeX as `A^{-1}`; the gradient of log|det A| and that of the inverse are rules worth knowing by
heart.

Conventions: L is the negative log-likelihood of a Gaussian with covariance A, without its constant;
that is where the half comes from, and texts that leave it out have everything twice. But here all
N*N entries of A are independent. A covariance is symmetric: its entries move in pairs, and the
gradient with respect to the free ones is another matrix, which many books state. `log|det A|` takes
the absolute value of the determinant, as `torch.linalg.slogdet` does.
"""

from sympy import Sum

from tutor import Exercise
from tutor.operations import Inverse, LogDet

exercise = Exercise(
    "logdet-solve",
    title="Log-determinant and a linear system",
    level=7,
    tags=["matrix", "inverse", "determinant", "likelihood"],
    source="Deisenroth, Faisal and Ong, Mathematics for Machine Learning, chapter 5",
    requires=["linear-regression-batch"],
    hints=[
        "b is used twice: in q by its own name, and inside x. What does x send back to b?",
        "Differentiate A @ A^-1 = I by an entry of A: that gives the rule for the inverse, with a minus.",
        "A is used by the log-determinant and by x. For the second part you need a system with A transposed.",
        "The part through x is a column times a row, with nothing but two vectors in it.",
    ],
)
N = exercise.sizes("N")
i, j = exercise.indices(i=N, j=N)

A = exercise.parameter("A", i, j)
b = exercise.parameter("b", i)
x = exercise.step("x", [i], Sum(Inverse(A)[i, j] * b[j], j))
g = exercise.step("g", [], LogDet(A))
q = exercise.step("q", [], Sum(b[i] * x[i], i))
L = exercise.loss("L", (g + q) / 2)

exercise.ask("x", "b", "A")
exercise.points(A=2)
exercise.example(N=4)


@exercise.reference
def forward(t):
    import torch

    return (torch.linalg.slogdet(t.A).logabsdet + torch.dot(t.b, torch.linalg.solve(t.A, t.b))) / 2
