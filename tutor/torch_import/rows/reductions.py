"""Sums, means, variances, norms and extrema over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sympy import Expr, Idx, Mul, Product, S, sqrt

from tutor.symbolic.indices import reduce_over
from tutor.symbolic.operations import AmaxOver, AminOver, MaxOver, MinOver
from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.table import operation

Axes = int | Sequence[int] | None


class Over:
    """Which axes of an array are reduced, and how its entries are found from the others."""

    def __init__(self, x: Array, dim: Axes, keepdim: bool = False):
        dims = range(x.dim) if dim is None or dim == [] else [dim] if isinstance(dim, int) else list(dim)
        self.x = x
        self.gone = [d % max(x.dim, 1) for d in dims] if x.dim else []
        self.kept = [d for d in range(x.dim) if d not in self.gone]
        self.keepdim = keepdim

    @property
    def extents(self) -> list[Expr]:
        return [self.x.shape[d] for d in self.gone]

    @property
    def shape(self) -> list[Expr]:
        if self.keepdim:
            return [S.One if d in self.gone else n for d, n in enumerate(self.x.shape)]
        return [self.x.shape[d] for d in self.kept]

    def entry(self, ix: Sequence[Expr], bound: Sequence[Expr]) -> Expr:
        """x at the indices of the result and those that are summed."""
        outer = [ix[d] for d in self.kept] if self.keepdim else list(ix)
        place = {**dict(zip(self.kept, outer, strict=True)), **dict(zip(self.gone, bound, strict=True))}
        return self.x[tuple(place[d] for d in range(self.x.dim))]

    def back(self, reduced: Array) -> Array:
        """A reduced array seen along the axes that are gone, where all entries are equal."""
        return reduced.seen(self.x.shape, lambda *ix: reduced[tuple(ix[d] for d in self.kept)])


@operation("sum", torch="x.sum")
def total(g: Builder, self: Array, dim: Axes = None, keepdim: bool = False) -> Array:
    """s = sum_i x[i]"""
    over = Over(self.numbers, dim, keepdim)
    return g.step(over.shape, lambda *ix: g.sum(lambda *b: over.entry(ix, b), *over.extents), "s")


@operation("mean", torch="x.mean")
def mean(g: Builder, self: Array, dim: Axes = None, keepdim: bool = False) -> Array:
    """m = sum_i x[i] / N"""
    over = Over(self.numbers, dim, keepdim)
    return g.step(over.shape, lambda *ix: g.mean(lambda *b: over.entry(ix, b), *over.extents), "m")


def centred(g: Builder, over: Over) -> Array:
    """xc = x - mean(x) over the axes."""
    flat = Over(over.x, over.gone)
    mu = flat.back(g.part("mu", flat.shape, lambda *ix: g.mean(lambda *b: flat.entry(ix, b), *flat.extents)))
    return g.part("xc", over.x.shape, lambda *ix: over.x[ix] - mu[ix])


def variance(g: Builder, over: Over, correction: Any) -> Callable[..., Expr]:
    """var = sum_i (x[i] - mu)**2 / (N - correction)"""
    deviations = Over(centred(g, over), over.gone, over.keepdim)
    count = Mul(*over.extents) - g.scalar(1 if correction is None else correction)
    return lambda *ix: g.sum(lambda *b: deviations.entry(ix, b) ** 2, *over.extents) / count


@operation("var", torch="x.var")
def var(g: Builder, self: Array, dim: Axes = None, correction: Any = 1, keepdim: bool = False,
        unbiased: bool = True) -> Array:  # fmt: skip
    """the mean, the centred values, the mean of their squares"""
    over = Over(self, dim, keepdim)
    return g.step(over.shape, variance(g, over, correction if unbiased else 0), "var")


@operation("std", torch="x.std")
def std(g: Builder, self: Array, dim: Axes = None, correction: Any = 1, keepdim: bool = False,
        unbiased: bool = True) -> Array:  # fmt: skip
    """the root of the variance"""
    over = Over(self, dim, keepdim)
    v = g.part("var", over.shape, variance(g, over, correction if unbiased else 0))
    return g.step(over.shape, lambda *ix: sqrt(v[ix]), "std")


@operation("prod", torch="x.prod")
def prod(g: Builder, self: Array, dim: Axes = None, keepdim: bool = False) -> Array:
    """p = the product of x[i]"""
    return _reduced(g, Product, self, dim, keepdim, "p")


@operation("amax", torch="x.amax")
def amax(g: Builder, self: Array, dim: Axes = None, keepdim: bool = False) -> Array:
    """m = max_i x[i]; at a tie all that are largest share the gradient"""
    return _reduced(g, AmaxOver, self, dim, keepdim, "m")


@operation("amin", torch="x.amin")
def amin(g: Builder, self: Array, dim: Axes = None, keepdim: bool = False) -> Array:
    """m = min_i x[i]; at a tie all that are smallest share the gradient"""
    return _reduced(g, AminOver, self, dim, keepdim, "m")


@operation("max", torch="x.max")
def largest(g: Builder, self: Array, dim: Any = None, keepdim: bool = False) -> Any:
    """m = max_i x[i]; over an axis the first of what is tied has the gradient"""
    if dim is None:
        return _reduced(g, AmaxOver, self, None, False, "m")
    return [_reduced(g, MaxOver, self, dim, keepdim, "m")]


@operation("min", torch="x.min")
def smallest(g: Builder, self: Array, dim: Any = None, keepdim: bool = False) -> Any:
    """m = min_i x[i]; over an axis the first of what is tied has the gradient"""
    if dim is None:
        return _reduced(g, AminOver, self, None, False, "m")
    return [_reduced(g, MinOver, self, dim, keepdim, "m")]


def _reduced(g: Builder, kind: Any, x: Array, dim: Axes, keepdim: bool, name: str) -> Array:
    over = Over(x, dim, keepdim)

    def at(*ix: Expr) -> Expr:
        bound = [g.bound(n) for n in over.extents]
        return reduce_over(kind, over.entry(ix, bound), [i for i in bound if isinstance(i, Idx)])

    return g.step(over.shape, at, name)
