"""An LSTM cell: one step of a long short-term memory, with upstream gradients on both states.

    ai[n,k] = x @ Wi + h @ Ui + bi          i[n,k] = sigmoid(ai[n,k])    the input gate
    af[n,k] = x @ Wf + h @ Uf + bf          f[n,k] = sigmoid(af[n,k])    the forget gate
    ao[n,k] = x @ Wo + h @ Uo + bo          o[n,k] = sigmoid(ao[n,k])    the output gate
    ag[n,k] = x @ Wg + h @ Ug + bg          g[n,k] = tanh(ag[n,k])       the candidate
    s[n,k]  = f*c + i*g                     the new cell state
    t[n,k]  = tanh(s[n,k])
    hn[n,k] = o*t                           the new hidden state
    cn[n,k] = s[n,k]                        the new cell state, handed on as well

(entries [n,k] everywhere; `x @ Wi` is the sum over d of x[n,d]*Wi[d,k], `h @ Ui` that over l of
h[n,l]*Ui[l,k].) Shapes: `x` (N, D); the old states `h`, `c` and all that follows (N, H); `Wi`,
`Wf`, `Wo`, `Wg` (D, H); `Ui`, `Uf`, `Uo`, `Ug` (H, H); `bi`, `bf`, `bo`, `bg` (H,).

This is a layer with two outputs: `dhn` and `dcn` (N, H) come from above and are given. Derive the
gradients of `x`, of the old states `h` and `c`, and of all weights and biases. On the way you
need `do`, `dt`, `ds`, then the other three gates.

Conventions: rows are examples, weights are stored (in, out). Each gate has weights of its own
here; CS231n stacks them side by side in the order i, f, o, g, torch's `nn.LSTMCell` in the order
i, f, g, o (and stores (out, in), with two biases of which only the sum matters). There are no
peepholes: the gates do not see c.
"""

from sympy import Expr, Sum, tanh

from tutor import Exercise
from tutor.functions import sigmoid

exercise = Exercise(
    "lstm-cell",
    title="LSTM cell",
    level=7,
    tags=["recurrence", "gates", "layer", "matrix"],
    source="CS231n assignment 3",
    requires=["rnn"],
    hints=[
        "Begin at hn, a product: what does it send back to o and to t? From t a tanh leads on to s.",
        "The state s is used twice, inside t and by the output cn. Which gradient from above joins the one from t?",
        "From ds, each of f, c, i and g is one factor of a product. c is done there; the gates go on.",
        "Each gate ends in the pattern of a layer. x and h are read by all four: their gradients have four parts.",
    ],
)
N, D, H = exercise.sizes("N D H")
n, d, k, l = exercise.indices(n=N, d=D, k=H, l=H)  # noqa: E741

x = exercise.input("x", n, d)
h = exercise.input("h", n, k)
c = exercise.input("c", n, k)
weights = {}
for gate in "ifog":
    W, U, b = (f"{letter}{gate}" for letter in "WUb")
    weights[gate] = exercise.parameter(W, d, k), exercise.parameter(U, l, k), exercise.parameter(b, k)


def layer(gate: str) -> Expr:
    W, U, b = weights[gate]
    return Sum(x[n, d] * W[d, k], d) + Sum(h[n, l] * U[l, k], l) + b[k]


before = {gate: exercise.step(f"a{gate}", [n, k], layer(gate)) for gate in "ifog"}
i = exercise.step("i", [n, k], sigmoid(before["i"][n, k]))
f = exercise.step("f", [n, k], sigmoid(before["f"][n, k]))
o = exercise.step("o", [n, k], sigmoid(before["o"][n, k]))
g = exercise.step("g", [n, k], tanh(before["g"][n, k]))
s = exercise.step("s", [n, k], f[n, k] * c[n, k] + i[n, k] * g[n, k])
t = exercise.step("t", [n, k], tanh(s[n, k]))
exercise.output("hn", [n, k], o[n, k] * t[n, k])
exercise.output("cn", [n, k], s[n, k])

exercise.ask("Wi", "Ui", "bi", "Wf", "Uf", "bf", "Wo", "Uo", "bo", "Wg", "Ug", "bg", "x", "h", "c")
exercise.points(c=3, x=2, h=2)
exercise.example(N=3, D=5, H=4)


@exercise.reference
def forward(t):
    import torch

    W, U, b = (torch.cat([t[letter + gate] for gate in "ifgo"], -1) for letter in "WUb")  # torch's order
    hidden, cell = torch.lstm_cell(t.x, (t.h, t.c), W.T, U.T, b, torch.zeros_like(b))
    return {"hn": hidden, "cn": cell}
