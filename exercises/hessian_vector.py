"""The Hessian times a vector: how the gradient changes along a direction, without the Hessian.

`hessian-vector` takes linear regression:

    r[n] = sum over d of X[n,d]*w[d], minus y[n]
    L    = (sum over n of r[n]**2) / (2*N)

First the gradient `dw`. Then let w move along a direction v, to w + t*v: how fast do L, r and dw
change with t, at t = 0?

    Lv    = the rate of change of L
    rv[n] = that of r[n]
    Hv[d] = that of dw[d]: the sum over c of H[d,c]*v[c], where H holds the second derivatives of L

Shapes: `X` (N, D); `y`, `r`, `rv` (N,); `w`, `v`, `Hv` (D,); `Lv` is a number. Derive `dw`, `Lv`,
`rv` and `Hv`; you may use earlier ones in later ones. No matrix of shape (D, D) is needed.

`hessian-vector:of=softmax` takes softmax regression:

    z = X @ W,   p = the softmax of each row of z,   L = -(sum over n of log(p[n,y[n]])) / N

with `W`, `V`, `dW`, `HV` of shape (D, K), and asks the rates `LV`, `zV` and `pV` of L, z and p on
the way to `HV`.

`way=backward` is the way of automatic differentiation. The gradient of L is written down as a
step `g` of the program, and the program ends with R, the sum of g times v over all entries. Walk
back from R once more, as from any loss: the gradient of R with respect to w is the Hessian times
v. Asked are `dr` and `dw` (with `of=softmax` it is `dp`, `dz` and `dW`).

Conventions: v is a constant, and so are X and y. L has the factor 1/(2*N), for softmax 1/N: both
are carried by Hv as well. In torch this is a second backward pass, through the first one: that
needs `torch.autograd.grad(L, w, create_graph=True)`, or the graph of the first pass is gone.
"""

from typing import Literal

from sympy import KroneckerDelta, Sum, exp, log

from tutor import Exercise


def exercise(
    of: Literal["linear-regression", "softmax"] = "linear-regression",
    way: Literal["forward", "backward"] = "forward",
) -> Exercise:
    exercise = Exercise(
        "hessian-vector",
        title="Hessian times vector",
        level=7,
        tags=["second derivative", "matrix"],
        requires=["linear-regression-batch", "softmax-regression"],
        hints=[
            "The rate of L is what the gradient is for: how does L change when w makes a small step along v?",
            "X does not move. In the formula of dw, which quantity depends on w? Let that one move.",
            "A product of a matrix with (w + t*v) is linear in t: its rate of change is the matrix times v.",
            "A softmax couples its row: when all scores of a row move, p follows them less the row's average move.",
        ],
    )
    build = softmax if of == "softmax" else linear_regression
    build(exercise, backward=way == "backward")
    return exercise


def linear_regression(exercise: Exercise, backward: bool) -> None:
    N, D = exercise.sizes("N D")
    n, d = exercise.indices(n=N, d=D)
    X = exercise.input("X", n, d)
    y = exercise.input("y", n)
    v = exercise.input("v", d)
    w = exercise.parameter("w", d)
    r = exercise.step("r", [n], Sum(X[n, d] * w[d], d) - y[n])
    exercise.example(N=5, D=3)
    if backward:
        g = exercise.step("g", [d], Sum(X[n, d] * r[n], n) / N)
        exercise.loss("R", Sum(g[d] * v[d], d))
        exercise.ask("r", "w")
    else:
        exercise.loss("L", Sum(r[n] ** 2, n) / (2 * N))
        exercise.value("Lv", [], Sum(exercise.gradient("w")[d] * v[d], d))
        rv = exercise.value("rv", [n], Sum(X[n, d] * v[d], d))
        exercise.value("Hv", [d], Sum(X[n, d] * rv[n], n) / N)
        exercise.ask("w", "Lv", "rv", "Hv")
        exercise.points(Hv=2)

    @exercise.reference
    def forward(t):
        import torch.nn.functional as F

        def loss(w, X, y):
            return F.mse_loss(X @ w, y) / 2

        if backward:
            return first_derivative(loss, t.w, t.v, t.X, t.y)
        return second_derivative(t, "w", "v", lambda w: loss(w, t.X, t.y), rv=lambda w: t.X @ w)


def softmax(exercise: Exercise, backward: bool) -> None:
    N, D, K = exercise.sizes("N D K")
    n, d, k = exercise.indices(n=N, d=D, k=K)
    X = exercise.input("X", n, d)
    y = exercise.input("y", n, domain="index", below=K)
    V = exercise.input("V", d, k)
    W = exercise.parameter("W", d, k)
    z = exercise.step("z", [n, k], Sum(X[n, d] * W[d, k], d))
    e = exercise.step("e", [n, k], exp(z[n, k]))
    s = exercise.step("s", [n], Sum(e[n, k], k))
    p = exercise.step("p", [n, k], e[n, k] / s[n])
    exercise.example(N=5, D=3, K=4)
    if backward:
        g = exercise.step("g", [d, k], Sum(X[n, d] * (p[n, k] - KroneckerDelta(k, y[n])), n) / N)
        exercise.loss("R", Sum(g[d, k] * V[d, k], d, k))
        exercise.ask("p", "z", "W")
        exercise.points(z=2)
    else:
        exercise.loss("L", -Sum(log(p[n, y[n]]), n) / N)
        exercise.value("LV", [], Sum(exercise.gradient("W")[d, k] * V[d, k], d, k))
        zV = exercise.value("zV", [n, k], Sum(X[n, d] * V[d, k], d))
        pV = exercise.value("pV", [n, k], p[n, k] * (zV[n, k] - Sum(p[n, k] * zV[n, k], k)))
        exercise.value("HV", [d, k], Sum(X[n, d] * pV[n, k], n) / N)
        exercise.ask("W", "LV", "zV", "pV", "HV")
        exercise.points(pV=2)

    @exercise.reference
    def forward(t):
        import torch.nn.functional as F

        def loss(W, X, y):
            return F.cross_entropy(X @ W, y)

        if backward:
            return first_derivative(loss, t.W, t.V, t.X, t.y)
        rates = {"zV": lambda W: t.X @ W, "pV": lambda W: F.softmax(t.X @ W, 1)}
        return second_derivative(t, "W", "V", lambda W: loss(W, t.X, t.y), **rates)


def first_derivative(loss, point, direction, X, y):
    """The gradient of the loss times the direction, as a value that can be differentiated once more."""
    import torch

    with torch.enable_grad():
        start = point if point.requires_grad else point.clone().requires_grad_()
        (first,) = torch.autograd.grad(loss(start, X, y), start, create_graph=True)
    return (first * direction).sum()


def second_derivative(t, point, direction, loss, **rates):
    """The loss, the Hessian of it times the direction by a second backward pass, and rates of change along it."""
    import torch

    w, v = t[point].detach(), t[direction].detach()
    with torch.enable_grad():
        start = w.clone().requires_grad_()
        (first,) = torch.autograd.grad(loss(start), start, create_graph=True)
        (second,) = torch.autograd.grad(first, start, v)
        moved = {name: torch.autograd.functional.jvp(rate, w, v)[1] for name, rate in rates.items()}
        along = torch.autograd.functional.jvp(loss, w, v)[1]
    return {"L": loss(t[point]), f"L{direction}": along, f"H{direction}": second, **moved}
