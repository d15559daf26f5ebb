"""Word2vec with the naive softmax: a centre word predicts one of the words around it.

    z[w] = sum over d of U[w,d]*v[d]     the score of every word w of the vocabulary: z = U @ v
    e[w] = exp(z[w])
    s    = sum over w of e[w]
    p[w] = e[w] / s                      the softmax over the vocabulary
    L    = -log(p[o])                    o is the word that was seen

Shapes: `v` (D,), the vector of the centre word; `U` (V, D), one row for each outside word; `z`,
`e`, `p` (V,); `s` and `L` are numbers. `o` is an integer below V, and has no gradient.

Derive the gradients of `z`, `v` and `U`. Insert the steps into each other until `dz` is as short
as it gets; the other two are then a line each.

Conventions: one pair of words and the natural logarithm, no mean. The outside vectors are the
*rows* of U; the handout of CS224n stores them as columns, and there every product is transposed.
"""

from sympy import Sum, exp, log

from tutor import Exercise

exercise = Exercise(
    "word2vec-softmax",
    title="Word2vec with the naive softmax",
    level=4,
    tags=["embedding", "softmax", "gather"],
    source="CS224n assignment 2",
    requires=["softmax-regression", "embedding"],
    hints=[
        "The loss reads a single entry of p: where is dp zero, and what stands at o?",
        "Every p[w] is divided by the same s, so ds is a sum over the vocabulary. Part of it survives in de.",
        "With dz in hand: z = U @ v is a matrix times a vector. Which product of dz with v has the shape of U?",
        "F.one_hot(o, V) in torch, or KroneckerDelta(w, o) with indices, is 1 at the seen word and 0 elsewhere.",
    ],
)
V, D = exercise.sizes("V D")
w, d = exercise.indices(w=V, d=D)

v = exercise.parameter("v", d)
U = exercise.parameter("U", w, d)
o = exercise.input("o", domain="index", below=V)
z = exercise.step("z", [w], Sum(U[w, d] * v[d], d))
e = exercise.step("e", [w], exp(z[w]))
s = exercise.step("s", [], Sum(e[w], w))
p = exercise.step("p", [w], e[w] / s)
L = exercise.loss("L", -log(p[o]))

exercise.ask("z", "v", "U")
exercise.points(z=2)
exercise.example(V=5, D=3)


@exercise.reference
def forward(t):
    import torch.nn.functional as F

    return F.cross_entropy(F.linear(t.v[None], t.U), t.o[None])
