"""Embedding, gather, and indexing with integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import Eq, Expr, Integer

from tutor.language import N_
from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.views import reshaped
from tutor.torch_import.sizes import product
from tutor.torch_import.table import operation, refused


@operation("embedding", torch="F.embedding")
def embedding(g: Builder, weight: Array, indices: Array, padding_idx: int = -1) -> Array:
    """h[n,d] = E[t[n],d]"""
    if padding_idx >= 0:
        raise g.refusal(N_(
            "torch gives the row of padding_idx no gradient, which no formula of the output says; leave padding_idx out"
        ))  # fmt: skip
    g.wish(weight.shape[0], "V")
    g.wish(weight.shape[1], "E", "D")
    g.below(indices, weight.shape[0])
    return g.step((*indices.shape, weight.shape[1]), lambda *ix: weight[(indices[ix[:-1]], ix[-1])], "h")


@operation("gather", torch="torch.gather")
def gather(g: Builder, self: Array, dim: int, index: Array) -> Array:
    """y[n,m] = x[n, t[n,m]]"""
    d = dim % max(self.dim, 1)
    for axis, (extent, used) in enumerate(zip(self.shape, index.shape, strict=True)):
        if axis != d:
            g.sizes.at_least(extent, used)
    g.below(index, self.shape[d])
    return g.step(index.shape, lambda *ix: self[(*ix[:d], index[ix], *ix[d + 1 :])], "y")


@operation("take_along_dim", torch="torch.take_along_dim")
def take_along_dim(g: Builder, self: Array, indices: Array, dim: Any = None) -> Array:
    """y[n,m] = x[n, t[n,m]]; axes of one entry are broadcast"""
    if dim is None:
        return take(g, self, indices)
    d = dim % self.dim
    g.below(indices, self.shape[d])
    ones = Integer(1)
    x, t = (Array(tuple(ones if a == d else n for a, n in enumerate(v.shape)), v.at) for v in (self, indices))
    other = g.broadcast(x, t)
    shape = (*other[:d], indices.shape[d], *other[d + 1 :])

    def at(*ix: Expr) -> Expr:
        place = [i if n != 1 else Integer(0) for i, n in zip(ix, self.shape, strict=True)]
        place[d] = indices.spread(ix, shape)
        return self[tuple(place)]

    return g.step(shape, at, "y")


@operation("take", torch="torch.take")
def take(g: Builder, self: Array, index: Array) -> Array:
    """y[m] = x[t[m]], of all entries in a row"""
    flat = reshaped(g, self, [product(self.shape)])
    g.below(index, flat.shape[0])
    return g.step(index.shape, lambda *ix: flat[index[ix]], "y")


@operation("index_select", torch="torch.index_select")
def index_select(g: Builder, self: Array, dim: int, index: Array) -> Array:
    """y[n,m] = x[n, t[m]]"""
    d = dim % max(self.dim, 1)
    g.below(index, self.shape[d])
    shape = (*self.shape[:d], index.shape[0], *self.shape[d + 1 :])
    return g.step(shape, lambda *ix: self[(*ix[:d], index[ix[d]], *ix[d + 1 :])], "y")


@operation("index", torch="x[t]")
def index(g: Builder, self: Array, indices: Sequence[Array | None]) -> Array:
    """y[m,d] = x[t[m], d]; several arrays of integers are broadcast and taken together: logp[arange(N), y]"""
    given = {d: t for d, t in enumerate(indices) if t is not None}
    if any(t.kind == "bool" for t in given.values()):
        raise g.refusal(
            N_("a mask of conditions takes as many entries as are true; multiply by it, or use torch.where")
        )
    if any(t.kind != "int" for t in given.values()):
        raise g.refusal(N_("its indices are computed, and nothing says what they stay under"))
    met = g.broadcast(*given.values())
    for d, t in given.items():
        g.below(t, self.shape[d])
    axes = sorted(given)
    together = axes == list(range(axes[0], axes[-1] + 1))
    first = axes[0] if together else 0
    rest = [n for d, n in enumerate(self.shape) if d not in given]
    shape = (*rest[:first], *map(g.sizes.resolve, met), *rest[first:])

    def at(*ix: Expr) -> Expr:
        own = ix[first : first + len(met)]
        others = iter((*ix[:first], *ix[first + len(met) :]))
        return self[tuple(given[d].spread(own, met) if d in given else next(others) for d in range(self.dim))]

    return g.step(shape, at, "y")


@operation("one_hot", torch="F.one_hot")
def one_hot(g: Builder, self: Array, num_classes: Any = -1) -> Array:
    """y[n,k] = 1 where k = t[n], else 0"""
    if g.number(num_classes) < 0:
        raise g.refusal(N_("without num_classes its size depends on values; give num_classes"))
    classes = g.extent(num_classes, "K")
    g.below(self, classes)
    g.write("num_classes", g.sizes.resolve(classes))
    return Array((*self.shape, g.sizes.resolve(classes)), lambda *ix: Eq(self[ix[:-1]], ix[-1]), "bool")


refused("argmax", "argmin",
        reason=N_("the place of an extreme entry is an integer without a gradient; use amax or a softmax"))  # fmt: skip
refused("scatter", "scatter_add", "scatter_reduce", "index_add", "index_put", "index_copy", "index_fill",
        "masked_scatter", "put", "index_put_",
        reason=N_("which entries are written depends on values; write the sum with a one-hot matrix"))  # fmt: skip
refused("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only",
        reason=N_("its bags begin at offsets that are values; use nn.Embedding and a sum or a mean"))  # fmt: skip
refused("masked_select", "nonzero", "nonzero_static",
        reason=N_("the size of its result depends on values; multiply by the mask, or use torch.where"))  # fmt: skip
