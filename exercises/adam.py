"""Two steps of Adam, with its bias correction.

    p = w*x
    L = (p - y)**2

Adam keeps two running averages, of the gradient and of its square, and corrects both for having
started at 0. With the gradient `dw` at the starting point:

    m1 = (1 - beta1)*dw                     v1 = (1 - beta2)*dw**2
    mhat1 = m1/(1 - beta1)                  vhat1 = v1/(1 - beta2)
    w1 = w - eta*mhat1/(sqrt(vhat1) + eps)

Then the second step. The loss is computed again at `w1`, and so is its gradient; call that `g2`:

    m2 = beta1*m1 + (1 - beta1)*g2          v2 = beta2*v1 + (1 - beta2)*g2**2
    mhat2 = m2/(1 - beta1**2)               vhat2 = v2/(1 - beta2**2)
    w2 = w1 - eta*mhat2/(sqrt(vhat2) + eps)

Everything is a scalar. Give `dw`, `m1`, `v1`, `w1`, `g2`, `m2`, `v2` and `w2`; you may use the
earlier ones in the later ones, and `mhat1`, `vhat1`, `mhat2`, `vhat2` once they have lines as well.

Conventions: those of torch's `Adam`. The small number `eps` is added *outside* of the square
root, and the correction of step number s divides by `1 - beta**s`. No weight decay.
"""

from sympy import sqrt

from tutor import Exercise

exercise = Exercise(
    "adam",
    title="Two steps of Adam",
    level=3,
    tags=["scalar", "optimisation", "update"],
    requires=["momentum"],
    hints=[
        "dw is a gradient like any other. All the rest is arithmetic with it, and needs no derivative.",
        "In the first step the corrections undo the factors 1 - beta1 and 1 - beta2. What is left of mhat1?",
        "g2 is dw's formula at another point: w has moved to w1, x and y have not.",
        "In the second step the corrections have another exponent than in the first.",
    ],
)
w = exercise.parameter("w")
x = exercise.input("x")
y = exercise.input("y")
eta = exercise.input("eta", domain="positive")
beta1 = exercise.input("beta1", domain="fraction")
beta2 = exercise.input("beta2", domain="fraction")
eps = exercise.input("eps", domain="positive")
p = exercise.step("p", [], w * x)
exercise.loss("L", (p - y) ** 2)

g1 = exercise.gradient("w")
m1 = exercise.value("m1", [], (1 - beta1) * g1)
v1 = exercise.value("v1", [], (1 - beta2) * g1**2)
mhat1 = exercise.value("mhat1", [], m1 / (1 - beta1))
vhat1 = exercise.value("vhat1", [], v1 / (1 - beta2))
w1 = exercise.value("w1", [], w - eta * mhat1 / (sqrt(vhat1) + eps))
g2 = exercise.value("g2", [], 2 * (w1 * x - y) * x)
m2 = exercise.value("m2", [], beta1 * m1 + (1 - beta1) * g2)
v2 = exercise.value("v2", [], beta2 * v1 + (1 - beta2) * g2**2)
mhat2 = exercise.value("mhat2", [], m2 / (1 - beta1**2))
vhat2 = exercise.value("vhat2", [], v2 / (1 - beta2**2))
exercise.value("w2", [], w1 - eta * mhat2 / (sqrt(vhat2) + eps))

exercise.ask("w", "m1", "v1", "w1", "g2", "m2", "v2", "w2")
exercise.instance(w=1, x=2, y=4, eta=0.1, beta1=0.9, beta2=0.99, eps=0.001)


@exercise.reference
def forward(t):
    import torch
    import torch.nn.functional as F

    w = t.w.detach().clone().requires_grad_()
    rate, beta1, beta2, eps = (q.detach().item() for q in (t.eta, t.beta1, t.beta2, t.eps))
    optimizer = torch.optim.Adam([w], lr=rate, betas=(beta1, beta2), eps=eps)
    seen = []
    with torch.enable_grad():
        for _ in range(2):
            optimizer.zero_grad()
            F.mse_loss(w * t.x.detach(), t.y.detach()).backward()
            optimizer.step()
            state = optimizer.state[w]
            seen.append((w.detach().clone(), w.grad.clone(), state["exp_avg"].clone(), state["exp_avg_sq"].clone()))
    (w1, _, m1, v1), (w2, g2, m2, v2) = seen
    loss = F.mse_loss(torch.mul(t.w, t.x), t.y)
    return {"L": loss, "m1": m1, "v1": v1, "w1": w1, "g2": g2, "m2": m2, "v2": v2, "w2": w2}
