"""Word2vec with negative sampling: the seen word against K words drawn at random.

    uo[d]   = U[o,d]                          the row of the word that was seen
    un[k,d] = U[neg[k],d]                     the rows of the K negative samples
    a       = sum over d of uo[d]*v[d]        the score of the seen word
    b[k]    = sum over d of un[k,d]*v[d]      the scores of the negative samples
    p       = sigmoid(a)
    q[k]    = sigmoid(b[k])
    L       = -log(p) - (sum over k of log(1 - q[k]))

Shapes: `v` (D,), the vector of the centre word; `U` (V, D), one row for each outside word; `un`
(K, D); `b` and `q` (K,). `o` and the entries of `neg` (K,) are integers below V. The same word
may be drawn *several times*, and here a word drawn may even be the seen one.

Derive the gradients of `a`, `b`, `v`, and of the rows `uo` and `un`; then that of the table `U`,
into which all of these rows flow.

Conventions: one pair of words, the sum over the negative samples (no mean). `log(1 - q[k])` is
what the handout of CS224n writes as the log of the sigmoid of *minus* the score. Outside vectors
are the rows of U; the handout stores columns.
"""

from sympy import Sum, log

from tutor import Exercise
from tutor.functions import sigmoid

exercise = Exercise(
    "word2vec-negative-sampling",
    title="Word2vec with negative sampling",
    level=4,
    tags=["embedding", "sigmoid", "gather", "scatter"],
    source="CS224n assignment 2",
    requires=["word2vec-softmax"],
    hints=[
        "log and sigmoid undo each other: put the local derivatives of both together before you go on.",
        "v is used by the seen word's score and by all K others: K + 1 contributions in all.",
        "For the rows uo and un no word needs to be told apart: each has one score, and v beside it.",
        "A word drawn twice has two rows in un and one in U: both gradients count. Does dU[neg] += ... add them?",
    ],
)
V, D, K = exercise.sizes("V D K")
w, d, k = exercise.indices(w=V, d=D, k=K)

v = exercise.parameter("v", d)
U = exercise.parameter("U", w, d)
o = exercise.input("o", domain="index", below=V)
neg = exercise.input("neg", k, domain="index", below=V)
uo = exercise.step("uo", [d], U[o, d])
un = exercise.step("un", [k, d], U[neg[k], d])
a = exercise.step("a", [], Sum(uo[d] * v[d], d))
b = exercise.step("b", [k], Sum(un[k, d] * v[d], d))
p = exercise.step("p", [], sigmoid(a))
q = exercise.step("q", [k], sigmoid(b[k]))
L = exercise.loss("L", -log(p) - Sum(log(1 - q[k]), k))

exercise.ask("a", "b", "v", "uo", "un", "U")
exercise.points(U=2)
exercise.example(V=5, D=3, K=7)


@exercise.reference
def forward(t):
    import torch.nn.functional as F

    seen, drawn = F.embedding(t.o, t.U), F.embedding(t.neg, t.U)
    return -F.logsigmoid(seen.dot(t.v)) - F.logsigmoid(-drawn.mv(t.v)).sum()
