"""Two steps of gradient descent with momentum.

    p = w*x
    L = (p - y)**2

The optimiser remembers where it was going. With the gradient `dw` at the starting point:

    m1 = dw                      the memory, after the first gradient
    w1 = w - eta*m1

Then the second step. The loss is computed again at `w1`, and so is its gradient; call that `g2`:

    m2 = beta*m1 + g2
    w2 = w1 - eta*m2             method=heavy-ball
    w2 = w1 - eta*(g2 + beta*m2)      method=nesterov

With `method=nesterov` the first step is `w1 = w - eta*(dw + beta*m1)` as well.

Everything is a scalar. Give `dw`, `m1`, `w1`, `g2`, `m2` and `w2`; you may use the earlier ones
in the later ones.

Conventions: those of torch's `SGD(momentum=beta, nesterov=...)`. The memory starts with the first
gradient, not with 0, and the new gradient comes in with the factor 1. Others write `beta*m + (1 -
beta)*g`, an average, or put the learning rate into the memory; their steps are different numbers.
"""

from typing import Literal

from tutor import Exercise


def exercise(method: Literal["heavy-ball", "nesterov"] = "heavy-ball") -> Exercise:
    exercise = Exercise(
        "momentum",
        title="Two steps with momentum",
        level=2,
        tags=["scalar", "optimisation", "update"],
        requires=["sgd-step"],
        hints=[
            "dw is a gradient like any other. All the rest is arithmetic with it, and needs no derivative.",
            "g2 is dw's formula at another point: w has moved to w1, x and y have not.",
            "The memory keeps all of its past, shrunk by beta at every step, and takes in the new gradient whole.",
        ],
    )
    w = exercise.parameter("w")
    x = exercise.input("x")
    y = exercise.input("y")
    eta = exercise.input("eta", domain="positive")
    beta = exercise.input("beta", domain="fraction")
    p = exercise.step("p", [], w * x)
    exercise.loss("L", (p - y) ** 2)

    def moved(gradient, memory):
        return gradient + beta * memory if method == "nesterov" else memory

    dw = exercise.gradient("w")
    m1 = exercise.value("m1", [], dw)
    w1 = exercise.value("w1", [], w - eta * moved(dw, m1))
    g2 = exercise.value("g2", [], 2 * (w1 * x - y) * x)
    m2 = exercise.value("m2", [], beta * m1 + g2)
    exercise.value("w2", [], w1 - eta * moved(g2, m2))

    exercise.ask("w", "m1", "w1", "g2", "m2", "w2")
    exercise.instance(w=1, x=2, y=4, eta=0.01, beta=0.9)

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        w = t.w.detach().clone().requires_grad_()
        rate, beta = t.eta.detach().item(), t.beta.detach().item()
        optimizer = torch.optim.SGD([w], lr=rate, momentum=beta, nesterov=method == "nesterov")
        seen = []
        with torch.enable_grad():
            for _ in range(2):
                optimizer.zero_grad()
                F.mse_loss(w * t.x.detach(), t.y.detach()).backward()
                optimizer.step()
                seen.append((w.detach().clone(), w.grad.clone(), optimizer.state[w]["momentum_buffer"].clone()))
        (w1, _, m1), (w2, g2, m2) = seen
        return {"L": F.mse_loss(torch.mul(t.w, t.x), t.y), "m1": m1, "w1": w1, "g2": g2, "m2": m2, "w2": w2}

    return exercise
