"""Two steps of gradient descent, and what happens when a gradient is not zeroed.

    y_pred = w*x + b
    L      = (y_pred - y)**2

After the backward pass the parameters move against their gradients, by the learning rate `eta`:

    w_new = w - eta*dw        with torch.no_grad(): w -= eta * w.grad
    b_new = b - eta*db

Then the second step. The loss is computed again at the new point, and so are its gradients; call
them `gw_new` and `gb_new`. With them:

* `w_second`, `b_second`: the parameters after the second step, when the gradients were zeroed in
  between, as `w.grad.zero_()` does;
* `w_accumulated`, `b_accumulated`: the parameters after the second step when nobody zeroed them.
  `backward()` *adds* to `.grad`, so the second update uses the sum of both gradients.

Everything is a scalar. Give `dw`, `db`, and each of the values named above; you may use the earlier
ones in the later ones. The worked instance is w=1, b=0, x=2, y=4 with eta=0.01.

Conventions: plain gradient descent, as torch's `SGD` without momentum: the step goes *against*
the gradient, and both parameters move at the same time, from gradients taken before either has
moved. The loss is the whole square. Some courses call the learning rate alpha, torch calls it
`lr`.
"""

from tutor import Exercise

exercise = Exercise(
    "sgd-step",
    title="Two steps of gradient descent",
    level=2,
    tags=["scalar", "optimisation", "update"],
    requires=["linear-regression"],
    hints=[
        "dw and db are those of linear-regression. The update itself needs no derivative.",
        "gw_new is dw's formula at another point: w and b have both moved, x and y have not.",
        "Without zeroing, what does w.grad hold when the second update reads it?",
    ],
)
w = exercise.parameter("w")
b = exercise.parameter("b")
x = exercise.input("x")
y = exercise.input("y")
eta = exercise.input("eta", domain="positive")
y_pred = exercise.step("y_pred", [], w * x + b)
L = exercise.loss("L", (y_pred - y) ** 2)

dw, db = exercise.gradient("w"), exercise.gradient("b")
w_new = exercise.value("w_new", [], w - eta * dw)
b_new = exercise.value("b_new", [], b - eta * db)
y_pred_new = exercise.value("y_pred_new", [], w_new * x + b_new)
gw_new = exercise.value("gw_new", [], 2 * (y_pred_new - y) * x)
gb_new = exercise.value("gb_new", [], 2 * (y_pred_new - y))
exercise.value("w_second", [], w_new - eta * gw_new)
exercise.value("b_second", [], b_new - eta * gb_new)
exercise.value("w_accumulated", [], w_new - eta * (dw + gw_new))
exercise.value("b_accumulated", [], b_new - eta * (db + gb_new))

exercise.ask("w", "b", "w_new", "b_new", "gw_new", "gb_new", "w_second", "b_second", "w_accumulated", "b_accumulated")
exercise.instance(w=1, b=0, x=2, y=4, eta=0.01)


@exercise.reference
def forward(t):
    import torch
    import torch.nn.functional as F

    def two_steps(zeroing):
        w, b = (p.detach().clone().requires_grad_() for p in (t.w, t.b))
        optimizer = torch.optim.SGD([w, b], lr=t.eta.detach().item())
        seen = []
        for _ in range(2):
            if zeroing:
                optimizer.zero_grad()
            F.mse_loss(torch.addcmul(b, w, t.x.detach()), t.y.detach()).backward()
            grads = w.grad.clone(), b.grad.clone()
            optimizer.step()
            seen.append((*grads, w.detach().clone(), b.detach().clone()))
        return seen

    with torch.enable_grad():
        (_, _, w_new, b_new), (gw_new, gb_new, w_second, b_second) = two_steps(zeroing=True)
        *_, w_accumulated, b_accumulated = two_steps(zeroing=False)[1]
    return {
        "L": F.mse_loss(torch.addcmul(t.b, t.w, t.x), t.y),
        "w_new": w_new, "b_new": b_new, "gw_new": gw_new, "gb_new": gb_new,
        "w_second": w_second, "b_second": b_second,
        "w_accumulated": w_accumulated, "b_accumulated": b_accumulated,
    }  # fmt: skip
