"""The classifier of a first PyTorch lesson: `nn.Linear(784, 10)`, `CrossEntropyLoss`, SGD.

    z[n,k]    = sum over d of x[n,d]*W[k,d], plus b[k]     the logits: z = x @ W.T + b
    e[n,k]    = exp(z[n,k])
    s[n]      = sum over k of e[n,k]
    logp[n,k] = z[n,k] - log(s[n])                         log-softmax
    L         = -(sum over n of logp[n,y[n]]) / N          the mean over the batch

`x` (N, D) holds N flattened images, D = 784 pixels each in the lesson. `y` (N,) holds the classes
as *integers* below K = 10, not one-hot rows: `logp[n,y[n]]` picks one entry of each row. `W` has
torch's layout (K, D), that is (out, in).

Derive the gradients of all weights and biases. The step of SGD that follows is `W_new = W -
eta*dW`, `b_new = b - eta*db`.

`image-classifier:layers=3` puts two hidden layers with relu in front: `z1 = x @ W1.T + b1`, `h1 =
relu(z1)`, and so on; the layer that gives the logits keeps the names `W`, `b`, `z`. Add layers and
watch the backward pass grow by the same pattern.

Conventions: `nn.Linear`'s layout, `W` stored (out, in); many courses store (in, out) and write `x
@ W`. The loss is the mean over the batch (`CrossEntropyLoss`'s default), classes are indices. At
relu's kink torch takes the slope 0; any subgradient is right. The update is plain SGD with
learning rate `eta`.
"""

from typing import Annotated

from sympy import Sum, exp, log

from tutor import Exercise
from tutor.functions import relu


def exercise(layers: Annotated[int, range(1, 5)] = 1) -> Exercise:
    exercise = Exercise(
        "image-classifier",
        title="Image classifier with class indices",
        level=4,
        tags=["classification", "softmax", "network", "gather", "update"],
        requires=["softmax-regression", "sgd-step"],
        hints=[
            "dlogp is zero nearly everywhere: which entry of each row does the loss read?",
            "z is used twice by log-softmax: in logp directly, and through e and s.",
            "With one-hot rows you know dz from softmax-regression. F.one_hot(y, K), KroneckerDelta(k, y[n]), is one.",
            "W is stored (out, in) and used transposed: dW has the shape (K, D) of W.",
        ],
    )
    N, D = exercise.sizes("N D")
    widths = [D, *(exercise.sizes(f"H{m}") for m in range(1, layers)), exercise.sizes("K")]
    n, d = exercise.indices(n=N, d=D)
    axes = [d, *(exercise.indices(**{f"i{m}": widths[m]}) for m in range(1, layers)), exercise.indices(k=widths[-1])]
    k, K = axes[-1], widths[-1]

    h = exercise.input("x", n, d)
    y = exercise.input("y", n, domain="index", below=K)
    eta = exercise.input("eta", domain="positive")
    suffixes = [*map(str, range(1, layers)), ""]  # the output layer is W, b, z in every member of the family
    weights = []
    for suffix, below, here in zip(suffixes, axes, axes[1:], strict=False):
        W = exercise.parameter(f"W{suffix}", here, below)
        b = exercise.parameter(f"b{suffix}", here)
        z = exercise.step(f"z{suffix}", [n, here], Sum(h[n, below] * W[here, below], below) + b[here])
        if suffix:
            h = exercise.step(f"h{suffix}", [n, here], relu(z[n, here]))
        weights += [(f"W{suffix}", W[here, below], [here, below]), (f"b{suffix}", b[here], [here])]
    e = exercise.step("e", [n, k], exp(z[n, k]))
    s = exercise.step("s", [n], Sum(e[n, k], k))
    logp = exercise.step("logp", [n, k], z[n, k] - log(s[n]))
    exercise.loss("L", -Sum(logp[n, y[n]], n) / N)

    for name, entry, indices in weights:
        exercise.value(f"{name}_new", indices, entry - eta * exercise.gradient(name)[tuple(indices)])

    if layers == 1:  # the lesson's own network; deeper ones would overflow exp with weights that are not scaled
        exercise.full_size(N=64, D=784, K=10)
        exercise.full_size(N=1, D=784, K=10)  # its single image

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        def loss(p):
            h = t.x
            for suffix in suffixes[:-1]:
                h = F.relu(F.linear(h, p[f"W{suffix}"], p[f"b{suffix}"]))
            return F.cross_entropy(F.linear(h, p["W"], p["b"]), t.y)

        fresh = {name: t[name].detach().clone().requires_grad_() for name, *_ in weights}
        with torch.enable_grad():
            loss(fresh).backward()
        torch.optim.SGD(fresh.values(), lr=t.eta.detach().item()).step()
        return {"L": loss(t), **{f"{name}_new": p.detach() for name, p in fresh.items()}}

    return exercise
