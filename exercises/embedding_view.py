"""Embeddings of several characters, laid side by side: a gather, then a view.

    emb[n,t,d] = C[ix[n,t],d]                     row ix[n,t] of the table; with padding=yes, 0 where ix[n,t] is 0
    cat[n,m]   = emb[n,t,d] with m = t*D + d      the output: emb.view(N, T*D)

Shapes: the table `C` (V, D), the integers `ix` (N, T) with 0 <= ix[n,t] < V, `emb` (N, T, D), `cat`
(N, T*D). A character may stand in many places, and some may not occur at all.

This is a layer, not a loss: the gradient `dcat` (N, T*D) of the output comes from above and is given.
Derive `demb` and `dC`.

Conventions: `view` lays the rows of one example side by side, as makemore does before its first
linear layer. Integers have no gradient. With padding=yes row 0 of the table is a filler: it counts
as zeros. torch's `padding_idx=0` does the backward half of that: that row gets no gradient, while
its forward value is whatever stands there, zeros at the start.
"""

from typing import Literal

from sympy import Ne, Piecewise

from tutor import Exercise
from tutor.operations import Reshape


def exercise(padding: Literal["no", "yes"] = "no") -> Exercise:
    exercise = Exercise(
        "embedding-view",
        title="Embeddings laid side by side",
        level=4,
        tags=["gather", "scatter", "embedding", "view"],
        source="Andrej Karpathy, makemore part 4: becoming a backprop ninja, exercise 1",
        requires=["embedding"],
        hints=[
            "A view moves nothing: each entry of cat is one entry of emb. Which view leads back to (N, T, D)?",
            "Which places (n, t) use row v of the table? All their gradients flow back into that row, added up.",
            "dC[ix] += demb keeps one of the parts of a row that was picked twice. Which call adds them all?",
        ],
    )
    N, T, V, D = exercise.sizes("N T V D")
    n, t, v, d, m = exercise.indices(n=N, t=T, v=V, d=D, m=T * D)

    ix = exercise.input("ix", n, t, domain="index", below=V)
    C = exercise.parameter("C", v, d)
    row = C[ix[n, t], d]
    emb = exercise.step("emb", [n, t, d], row if padding == "no" else Piecewise((row, Ne(ix[n, t], 0)), (0, True)))
    exercise.output("cat", [n, m], Reshape(emb, (N, T * D))[n, m])

    exercise.ask("emb", "C")
    exercise.example(N=5, T=3, V=7, D=2)

    @exercise.reference
    def forward(t):
        import torch
        import torch.nn.functional as F

        if padding == "no":
            return F.embedding(t.ix, t.C).flatten(1)
        table = torch.cat([torch.zeros_like(t.C[:1]), t.C[1:]])
        return F.embedding(t.ix, table, padding_idx=0).flatten(1)

    return exercise
