"""Embedding, gather, and indexing with integers."""

from __future__ import annotations

from typing import Any

from sympy import Expr

from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.table import operation


@operation("embedding", torch="F.embedding")
def embedding(g: Builder, weight: Array, indices: Array) -> Array:
    """h[n,d] = E[t[n],d]"""
    g.wish(weight.shape[0], "V")
    g.wish(weight.shape[1], "E", "D")
    g.below(indices, weight.shape[0])
    return g.step((*indices.shape, weight.shape[1]), lambda *ix: weight[indices[ix[:-1]], ix[-1]], "h")
