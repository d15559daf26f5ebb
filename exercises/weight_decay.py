"""Linear regression with a penalty on the weights, and one step of gradient descent.

    r[i] = (sum over j of X[i,j]*w[j]) + b - y[i]                  the residuals
    sq   = sum over j of w[j]**2                                   penalty=l2 or both
    ab   = sum over j of abs(w[j])                                 penalty=l1 or both
    L    = (sum over i of r[i]**2) / (2*N) + lam*sq + mu*ab        each penalty where it is asked for

Then the weights move against their gradient, by the learning rate `eta`:

    w_new = w - eta*dw

Shapes: `X` (N, D), `w`, `w_new` (D,), `r`, `y` (N,); `b`, `lam`, `mu`, `eta` are scalars, `sq`
and `ab` too. Derive the gradients of `w` and `b`, and give `w_new`.

Conventions: the penalty is `lam` times the square, *not* `lam/2` times it; with 1/2 in front, as
many courses and torch's `weight_decay` have it, the 2 of the power rule is gone. Penalties are
sums over the weights, never means, and the bias is not penalised. The absolute value has a kink
at 0: every number from -1 to 1 is a subgradient there, and torch takes sign(0) = 0.
"""

from typing import Literal

from sympy import Abs, Sum

from tutor import Exercise


def exercise(penalty: Literal["l2", "l1", "both"] = "both") -> Exercise:
    exercise = Exercise(
        "weight-decay",
        title="Weight decay, L1 and L2",
        level=3,
        tags=["regression", "regularisation", "update", "kink"],
        source="CS231n assignment 1",
        requires=["linear-regression-batch", "sgd-step"],
        hints=[
            "w reaches the loss twice: through the residuals, and through the penalty. The two parts are added.",
            "The data part is that of linear regression on a batch. The penalty works entry by entry.",
            "The slope of the absolute value is 1 on one side of zero and -1 on the other.",
            "Is there a path from b into the penalty?",
        ],
    )
    N, D = exercise.sizes("N D")
    i, j = exercise.indices(i=N, j=D)

    X = exercise.input("X", i, j)
    y = exercise.input("y", i)
    lam = exercise.input("lam", domain="positive") if penalty != "l1" else None
    mu = exercise.input("mu", domain="positive") if penalty != "l2" else None
    eta = exercise.input("eta", domain="positive")
    w = exercise.parameter("w", j)
    b = exercise.parameter("b")
    r = exercise.step("r", [i], Sum(X[i, j] * w[j], j) + b - y[i])
    squares = lam * exercise.step("sq", [], Sum(w[j] ** 2, j)) if lam is not None else 0
    sizes = mu * exercise.step("ab", [], Sum(Abs(w[j]), j)) if mu is not None else 0
    exercise.loss("L", Sum(r[i] ** 2, i) / (2 * N) + squares + sizes)
    exercise.value("w_new", [j], w[j] - eta * exercise.gradient("w")[j])

    exercise.ask("w", "b", "w_new")
    exercise.points(w=2)
    exercise.example(N=5, D=3)

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        def loss(w, b):
            total = F.mse_loss(torch.addmv(b.expand(t.X.shape[0]), t.X, w), t.y) / 2
            if penalty != "l1":
                total = total + t.lam * F.mse_loss(w, torch.zeros_like(w), reduction="sum")
            return total if penalty == "l2" else total + t.mu * torch.linalg.vector_norm(w, ord=1)

        with torch.enable_grad():
            w, b = (p.detach().clone().requires_grad_() for p in (t.w, t.b))
            loss(w, b).backward()
        optimizer = torch.optim.SGD([w], lr=t.eta.detach().item())
        optimizer.step()
        return {"L": loss(t.w, t.b), "w_new": w.detach()}

    return exercise
