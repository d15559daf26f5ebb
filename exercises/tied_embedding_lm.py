"""A language model with tied embeddings: one table reads the words and scores them.

    h[n,d] = E[ix[n],d]                                the word that is read: a row of the table
    z[n,w] = sum over d of h[n,d]*E[w,d]               the logits: z = h @ E.T, with the same table
    e[n,w] = exp(z[n,w])
    s[n]   = sum over w of e[n,w]
    p[n,w] = e[n,w] / s[n]                             the softmax over the vocabulary
    L      = -(sum over n of log(p[n,y[n]])) / N       the mean over the batch

Shapes: `E` (V, D); `h` (N, D); `z`, `e`, `p` (N, V); `s` (N,). `ix` (N,), the words read, and `y`
(N,), the words that follow, are integers below V. A word may be read several times.

Derive the gradients of `z`, `h` and `E`. A single parameter plays two roles here.

Conventions: the loss is a mean over the N examples. The rows of E are words, so that reading is
`E[ix]` and scoring is `h @ E.T`; there is no bias. Real models have layers between h and z.
"""

from sympy import Sum, exp, log

from tutor import Exercise

exercise = Exercise(
    "tied-embedding-lm",
    title="Language model with tied embeddings",
    level=5,
    tags=["embedding", "softmax", "gather", "scatter", "shared parameter"],
    source="Press and Wolf, Using the Output Embedding to Improve Language Models",
    requires=["embedding", "image-classifier"],
    hints=[
        "From L back to z it is the classifier with class indices: dz has its usual short form.",
        "E appears in two formulas. Pretend for a moment that these are two tables, and find the gradient of each.",
        "As the scoring table, E is the factor of a matrix product; as the reading table, rows of it were picked.",
        "The part from reading adds rows of dh into rows of the table, repeated words included.",
    ],
)
V, D, N = exercise.sizes("V D N")
n, d, w = exercise.indices(n=N, d=D, w=V)

E = exercise.parameter("E", w, d)
ix = exercise.input("ix", n, domain="index", below=V)
y = exercise.input("y", n, domain="index", below=V)
h = exercise.step("h", [n, d], E[ix[n], d])
z = exercise.step("z", [n, w], Sum(h[n, d] * E[w, d], d))
e = exercise.step("e", [n, w], exp(z[n, w]))
s = exercise.step("s", [n], Sum(e[n, w], w))
p = exercise.step("p", [n, w], e[n, w] / s[n])
L = exercise.loss("L", -Sum(log(p[n, y[n]]), n) / N)

exercise.ask("z", "h", "E")
exercise.points(E=2)
exercise.example(V=5, D=3, N=7)


@exercise.reference
def forward(t):
    import torch.nn.functional as F

    return F.cross_entropy(F.linear(F.embedding(t.ix, t.E), t.E), t.y)
