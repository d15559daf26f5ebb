"""A recurrent network, and backpropagation through time.

One layer reads a row of the batch, word by word, and keeps a hidden state. With `steps=4`:

    a1[n,k] = sum over d of x1[n,d]*Wx[d,k], plus sum over l of h0[n,l]*Wh[l,k], plus b[k]
    h1[n,k] = tanh(a1[n,k])                  a1 = x1 @ Wx + h0 @ Wh + b
    y1[n,k] = h1[n,k]                        the output of step 1 is its hidden state

and so on: `a2`, `h2`, `y2` from `x2` and `h1`; then `x3`, `x4`. Every step uses the *same* `Wx`,
`Wh` and `b`. Shapes: `x1` to `x4` (N, D); `h0` and all `a`, `h`, `y` (N, H); `Wx` (D, H), `Wh`
(H, H), `b` (H,).

This is a layer: the gradients `dy1` to `dy4` of the outputs come from above and are given. Derive
those of `Wx`, `Wh`, `b`, of the initial state `h0`, and of the inputs `x1`, `x2`, `x3`, `x4`. On
the way you need `dh4`, `da4`, then `dh3`, `da3`, down to `dh1`, `da1`. Choose the length with
`steps`.

Conventions: batch first, row vectors and weights stored (in, out), so that a step is
`x @ Wx + h @ Wh + b`. torch's `nn.RNN` stores (out, in) and has two biases, of which only the sum
matters; its input is one tensor with an axis for time, here each step has a name of its own.
Nothing is truncated.
"""

from typing import Annotated

from sympy import Sum, tanh

from tutor import Exercise


def exercise(steps: Annotated[int, range(1, 9)] = 4) -> Exercise:
    exercise = Exercise(
        "rnn",
        title="Recurrent network",
        level=6,
        tags=["recurrence", "layer", "shared parameter", "matrix"],
        source="CS231n assignment 3; d2l, backpropagation through time",
        requires=["mlp", "residual-block"],
        hints=[
            "The last state is used once, by its own output. Every earlier one is used twice: who else reads it?",
            "Walk back in time: from dh of a step to da of the step, and from there to dh of the step before.",
            "Pretend each step had weights of its own and find their gradients; then remember that they are one.",
            "h0 is a hidden state like the others, but no output reads it.",
        ],
    )
    N, D, H = exercise.sizes("N D H")
    n, d, k, l = exercise.indices(n=N, d=D, k=H, l=H)  # noqa: E741
    times = range(1, steps + 1)

    x = {t: exercise.input(f"x{t}", n, d) for t in times}
    h = exercise.input("h0", n, k)
    Wx = exercise.parameter("Wx", d, k)
    Wh = exercise.parameter("Wh", l, k)
    b = exercise.parameter("b", k)
    states = {}
    for t in times:
        reads = Sum(x[t][n, d] * Wx[d, k], d) + Sum(h[n, l] * Wh[l, k], l) + b[k]
        a = exercise.step(f"a{t}", [n, k], reads)
        h = states[t] = exercise.step(f"h{t}", [n, k], tanh(a[n, k]))
    for t in times:
        exercise.output(f"y{t}", [n, k], states[t][n, k])

    exercise.ask("Wx", "Wh", "b", "h0", *(f"x{t}" for t in times))
    exercise.points(Wx=2, Wh=2)
    exercise.example(N=3, D=5, H=4)

    @exercise.reference
    def forward(t):
        import torch

        sequence = torch.stack([t[f"x{step}"] for step in times])
        weights = [t.Wx.T, t.Wh.T, t.b, torch.zeros_like(t.b)]
        outputs, _ = torch.rnn_tanh(sequence, t.h0[None], weights, True, 1, 0.0, False, False, False)
        return dict(zip([f"y{step}" for step in times], outputs, strict=True))

    return exercise
