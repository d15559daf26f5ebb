"""Sums, means, variances, norms and extrema over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sympy import Abs, Expr, Idx, Max, Mul, Ne, Product, S, sqrt

from tutor.language import N_, said
from tutor.symbolic.indices import bracket, reduce_over
from tutor.symbolic.operations import AmaxOver, AminOver, MaxOver, MinOver
from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.table import operation, refused

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


@operation("var_mean", torch="torch.var_mean")
def var_mean(g: Builder, self: Array, dim: Axes = None, correction: Any = 1, keepdim: bool = False,
             unbiased: bool = True) -> list[Array]:  # fmt: skip
    """the variance and the mean"""
    over = Over(self, dim, keepdim)
    v = g.also("var", over.shape, variance(g, over, correction if unbiased else 0))
    return [v, _averaged(g, over)]


@operation("std_mean", torch="torch.std_mean")
def std_mean(g: Builder, self: Array, dim: Axes = None, correction: Any = 1, keepdim: bool = False,
             unbiased: bool = True) -> list[Array]:  # fmt: skip
    """the root of the variance, and the mean"""
    over = Over(self, dim, keepdim)
    v = g.part("var", over.shape, variance(g, over, correction if unbiased else 0))
    return [g.also("std", over.shape, lambda *ix: sqrt(v[ix])), _averaged(g, over)]


def _averaged(g: Builder, over: Over) -> Array:
    return g.also("m", over.shape, lambda *ix: g.mean(lambda *b: over.entry(ix, b), *over.extents))


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
    over = Over(x.numbers, dim, keepdim)
    return g.step(over.shape, _extreme(g, kind, over), name)


def _extreme(g: Builder, kind: Any, over: Over, of: Callable[[Expr], Expr] = lambda x: x) -> Callable[..., Expr]:
    """The largest entry over the axes, the product of all, ..."""

    def at(*ix: Expr) -> Expr:
        bound = [g.bound(n) for n in over.extents]
        return reduce_over(kind, of(over.entry(ix, bound)), [i for i in bound if isinstance(i, Idx)])

    return at


# -- norms and distances -----------------------------------------------------------------------------------------------


def normed(g: Builder, x: Array, order: Any, dim: Axes, keepdim: bool, settle: Callable[..., Array]) -> Array:
    """(sum_i |x[i]|**p)**(1/p); for 1 the sum, for 2 the root, for infinity the largest, for 0 how many are not 0."""
    over, p = Over(x.numbers, dim, keepdim), g.scalar(2 if order is None else order)
    if p in (S.Infinity, S.NegativeInfinity):
        return settle(over.shape, _extreme(g, AmaxOver if p > 0 else AminOver, over, Abs))

    def term(value: Expr) -> Expr:
        if p == 0:
            return bracket(Ne(value, 0))
        return value**p if p.is_Integer and p % 2 == 0 else Abs(value) ** p

    def inside(*ix: Expr) -> Expr:
        return g.sum(lambda *b: term(over.entry(ix, b)), *over.extents)

    if p in (0, 1):
        return settle(over.shape, inside)
    ss = g.part("ss", over.shape, inside)
    return settle(over.shape, lambda *ix: ss[ix] ** (1 / p))


@operation("linalg_vector_norm", torch="torch.linalg.vector_norm")
def vector_norm(g: Builder, self: Array, ord: Any = 2, dim: Axes = None, keepdim: bool = False) -> Array:
    """ss = sum_i |x[i]|**p, y = ss**(1/p); the largest |x[i]| for infinity"""
    return normed(g, self, ord, dim, keepdim, lambda shape, at: g.step(shape, at, "norm"))


@operation("norm", torch="torch.norm")
def norm(g: Builder, self: Array, p: Any = 2, dim: Axes = None, keepdim: bool = False) -> Array:
    """ss = sum_i |x[i]|**p, y = ss**(1/p)"""
    return vector_norm(g, self, p, dim, keepdim)


@operation("linalg_norm", torch="torch.linalg.norm")
def linalg_norm(g: Builder, self: Array, ord: Any = None, dim: Axes = None, keepdim: bool = False) -> Array:
    """of a vector ss = sum_i |x[i]|**p, y = ss**(1/p); of a matrix the root of the sum of squares (Frobenius)"""
    axes = self.dim if dim is None else 1 if isinstance(dim, int) else len(dim)
    if ord is not None and ord != "fro" and axes != 1:
        raise g.refusal(said("ord={value} is a norm of matrices by singular values or sums", value=repr(ord)))
    return vector_norm(g, self, 2 if ord in (None, "fro") else ord, dim, keepdim)


@operation("linalg_matrix_norm", torch="torch.linalg.matrix_norm")
def matrix_norm(g: Builder, self: Array, ord: Any = "fro", dim: Axes = (-2, -1), keepdim: bool = False) -> Array:
    """y = the root of sum_{i,j} x[i,j]**2 (Frobenius)"""
    if ord != "fro":
        raise g.refusal(said("ord={value} is a norm of matrices by singular values or sums", value=repr(ord)))
    return vector_norm(g, self, 2, dim, keepdim)


@operation("dist", torch="torch.dist")
def dist(g: Builder, self: Array, other: Array, p: Any = 2) -> Array:
    """r = a - b, y = (sum_i |r[i]|**p)**(1/p)"""
    shape = g.broadcast(self, other)
    r = g.part("r", shape, lambda *ix: self.spread(ix, shape) - other.spread(ix, shape))
    return vector_norm(g, r, p)


def difference(g: Builder, name: str, a: Array, b: Array, eps: Any) -> Array:
    """r = a - b + eps"""
    shape, small = g.broadcast(a, b), g.scalar(eps)
    return g.part(name, shape, lambda *ix: a.spread(ix, shape) - b.spread(ix, shape) + small)


def distance(g: Builder, name: str, a: Array, b: Array, p: Any, eps: Any) -> Array:
    """d = ||a - b + eps|| over the last axis, as a part."""
    r = difference(g, f"r_{name}", a, b, eps)
    return _plain_norm(g, r, p, lambda shape, at: g.part(name, shape, at))


def _plain_norm(g: Builder, r: Array, p: Any, settle: Callable[..., Array]) -> Array:
    over, power = Over(r, -1), g.scalar(p)
    if power == 2:
        return settle(over.shape, lambda *ix: sqrt(g.sum(lambda *b: over.entry(ix, b) ** 2, *over.extents)))

    def at(*ix: Expr) -> Expr:
        return g.sum(lambda *b: Abs(over.entry(ix, b)) ** power, *over.extents) ** (1 / power)

    return settle(over.shape, at)


@operation("pairwise_distance", torch="F.pairwise_distance")
def pairwise_distance(g: Builder, x1: Array, x2: Array, p: Any = 2, eps: Any = 1e-6, keepdim: bool = False) -> Array:
    """r = a - b + eps, d = (sum_i |r[i]|**p)**(1/p)"""
    r = difference(g, "r", x1, x2, eps)
    return normed(g, r, p, -1, keepdim, lambda shape, at: g.step(shape, at, "d"))


@operation("cdist", torch="torch.cdist")
def cdist(g: Builder, x1: Array, x2: Array, p: Any = 2, compute_mode: Any = None) -> Array:
    """d[i,j] = (sum_k |a[i,k] - b[j,k]|**p)**(1/p)"""
    g.same(x1.shape[-1], x2.shape[-1])
    lead = g.broadcast(Array(x1.shape[:-2], x1.at), Array(x2.shape[:-2], x2.at))
    rows, columns = x1.shape[-2], x2.shape[-2]

    def at(*ix: Expr) -> Expr:
        *over, i, j, k = ix
        return x1.met(over, lead, i, k) - x2.met(over, lead, j, k)

    r = g.part("r", (*lead, rows, columns, x1.shape[-1]), at)
    return normed(g, r, p, -1, False, lambda shape, at: g.step(shape, at, "d"))


@operation("cosine_similarity", torch="F.cosine_similarity")
def cosine_similarity(g: Builder, x1: Array, x2: Array, dim: int = 1, eps: Any = 1e-8) -> Array:
    """ab = a . b, na = ||a||, nb = ||b||, c = ab / (max(na, eps) max(nb, eps))"""
    shape, small = g.broadcast(x1, x2), g.scalar(eps)
    a, b = (x.seen(shape, lambda *ix, x=x: x.spread(ix, shape)) for x in (x1, x2))
    over, other = Over(a, dim), Over(b, dim)

    def product(*ix: Expr) -> Expr:
        return g.sum(lambda *k: over.entry(ix, k) * other.entry(ix, k), *over.extents)

    ab = g.part("ab", over.shape, product)
    na, nb = (
        g.part(name, over.shape, lambda *ix, o=o: sqrt(g.sum(lambda *k: o.entry(ix, k) ** 2, *o.extents)))
        for name, o in (("na", over), ("nb", other))
    )
    return g.step(over.shape, lambda *ix: ab[ix] / (Max(na[ix], small) * Max(nb[ix], small)), "c")


# -- sums on the way -------------------------------------------------------------------------------------------------


@operation("cumsum", torch="x.cumsum")
def cumsum(g: Builder, self: Array, dim: int) -> Array:
    """c[i] = sum_{j <= i} x[j]"""
    x, d = self.numbers, dim % max(self.dim, 1)
    if not x.dim:
        return x

    def at(*ix: Expr) -> Expr:
        return g.sum(lambda j: x[(*ix[:d], j, *ix[d + 1 :])] * bracket(j <= ix[d]), x.shape[d])

    return g.step(x.shape, at, "c")


refused("cumprod", "logcumsumexp", "cummax", "cummin",
        reason=N_("it is a recursion along the axis, and its gradient is no formula of one sum"))  # fmt: skip
refused("sort", "topk", "argsort", "median", "nanmedian", "kthvalue", "mode", "quantile", "unique",
        "unique_consecutive",
        "_unique2", "msort", "searchsorted", "bucketize", "histc", "bincount",
        reason=N_("the order of entries depends on their values, and index notation has no name for it"))  # fmt: skip
refused("nansum", "nanmean", "count_nonzero",
        reason=N_("it depends on which entries are numbers or zero; write the condition with torch.where"))  # fmt: skip
