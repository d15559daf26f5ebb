"""Softmax, log-softmax and attention."""

from __future__ import annotations

from typing import Any

from sympy import Expr, Piecewise, S, exp, log, sqrt

from tutor.language import N_
from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.pointwise import plus
from tutor.torch_import.rows.reductions import Over
from tutor.torch_import.table import operation


def exponentials(g: Builder, x: Array, dim: int) -> tuple[Array, Array]:
    """e = exp(z), and s = sum_k e[k], which is seen as broadcast over k."""
    e = g.part("e", x.shape, lambda *ix: exp(x[ix]))
    over = Over(e, dim)
    s = g.part("s", over.shape, lambda *ix: g.sum(lambda *b: over.entry(ix, b), *over.extents))
    return e, over.back(s)


@operation("softmax", "_softmax", torch="F.softmax")
def softmax(g: Builder, self: Array, dim: int) -> Array:
    """e = exp(z), s = sum_k e[k], p = e / s"""
    e, s = exponentials(g, self, dim)
    return g.step(self.shape, lambda *ix: e[ix] / s[ix], "p")


@operation("log_softmax", "_log_softmax", torch="F.log_softmax")
def log_softmax(g: Builder, self: Array, dim: int) -> Array:
    """e = exp(z), s = sum_k e[k], logp = z - log(s)"""
    return g.step(self.shape, log_probabilities(g, self, dim), "logp")


def log_probabilities(g: Builder, z: Array, dim: int) -> Any:
    """logp = z - log(s)"""
    _, s = exponentials(g, z, dim)
    return lambda *ix: z[ix] - log(s[ix])


@operation("logsumexp", torch="torch.logsumexp")
def logsumexp(g: Builder, self: Array, dim: Any, keepdim: bool = False) -> Array:
    """e = exp(z), s = sum_k e[k], y = log(s)"""
    e = g.part("e", self.shape, lambda *ix: exp(self[ix]))
    over = Over(e, dim, keepdim)
    s = g.part("s", over.shape, lambda *ix: g.sum(lambda *b: over.entry(ix, b), *over.extents))
    return g.step(over.shape, lambda *ix: log(s[ix]), "y")


@operation("scaled_dot_product_attention", torch="F.scaled_dot_product_attention")
def attention(g: Builder, query: Array, key: Array, value: Array, attn_mask: Array | None = None, dropout_p: Any = 0.0,
              is_causal: bool = False, scale: Any = None) -> Array:  # fmt: skip
    """a[n,m] = sum_d q[n,d] k[m,d] / sqrt(D), masked; p = softmax(a); y[n,c] = sum_m p[n,m] v[m,c]"""
    g.same(query.shape[-1], key.shape[-1])
    g.same(key.shape[-2], value.shape[-2])
    lead = g.broadcast(*(Array(x.shape[:-2], x.at) for x in (query, key, value)))
    width = g.sizes.resolve(query.shape[-1])
    by = 1 / sqrt(width) if scale is None else g.scalar(scale)
    g.wish(width, "D")
    for extent in lead[1:2]:
        g.wish(extent, "R", "H")
    shape = (*lead, query.shape[-2], key.shape[-2])

    def scores(*ix: Expr) -> Expr:
        *over, n, m = ix
        return g.sum(lambda d: query.met(over, lead, n, d) * key.met(over, lead, m, d), width) * by

    a = g.part("a", shape, scores)
    masked = _masked(g, a, attn_mask, is_causal)
    e, s = exponentials(g, masked, -1)
    p = g.part("p", shape, lambda *ix: e[ix] / s[ix])
    if dropout_p == 1:
        raise g.refusal(N_("with dropout_p=1 nothing of it is left"))
    if dropout_p:
        mask, keep = g.mask("mask", shape), 1 - g.scalar(dropout_p)
        whole = p
        p = g.part("pd", shape, lambda *ix: mask[ix] * whole[ix] / keep)

    def at(*ix: Expr) -> Expr:
        *over, n, c = ix
        return g.sum(lambda m: p[(*over, n, m)] * value.met(over, lead, m, c), value.shape[-2])

    return g.step((*lead, query.shape[-2], value.shape[-1]), at, "y")


def _masked(g: Builder, a: Array, mask: Array | None, causal: bool) -> Array:
    """Minus infinity where a query may not look."""
    if causal:
        seen = Array(a.shape[-2:], lambda n, m: m <= n, "bool")
        return _masked(g, a, seen, False)
    if mask is None:
        return a
    shape = g.broadcast(a, mask)
    if mask.kind == "bool":
        return g.part("am", shape, lambda *ix: Piecewise((a[ix], mask.spread(ix, shape)), (S.NegativeInfinity, True)))
    return g.part("am", shape, lambda *ix: plus(a[ix], mask.spread(ix, shape)))
