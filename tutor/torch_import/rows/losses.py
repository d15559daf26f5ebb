"""Losses, as torch reduces them: 0 none, 1 mean, 2 sum."""

from __future__ import annotations

from typing import Any

from sympy import Expr

from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.softmax import log_probabilities
from tutor.torch_import.table import operation

NONE, MEAN, SUM = 0, 1, 2


def reduced(g: Builder, terms: Array, reduction: int, sign: int = 1) -> Array:
    """Each term by itself, their mean, or their sum; `sign` stands before it."""
    if reduction == NONE:
        return g.step(terms.shape, lambda *ix: sign * terms[ix], "l")
    made = g.mean if reduction == MEAN else g.sum
    return g.step((), lambda: sign * made(lambda *ix: terms[ix], *terms.shape), "L")


@operation("mse_loss", torch="F.mse_loss")
def mse(g: Builder, self: Array, target: Array, reduction: int = MEAN) -> Array:
    """r = y - t, L = the mean of r**2"""
    shape = g.broadcast(self, target)
    r = g.part("r", shape, lambda *ix: self.spread(ix, shape) - target.spread(ix, shape))
    q = g.detail("q", shape, lambda *ix: r[ix] ** 2)
    return reduced(g, q, reduction)


@operation("cross_entropy_loss", torch="F.cross_entropy")
def cross_entropy(g: Builder, self: Array, target: Array, weight: Array | None = None, reduction: int = MEAN,
                  ignore_index: Any = -100) -> Array:  # fmt: skip
    """e = exp(z), s = sum_k e[k], logp = z - log(s), L = -the mean of logp[n, y[n]]"""
    classes = 1 if self.dim > 1 else 0
    g.wish(self.shape[classes], "K")
    logp = g.part("logp", self.shape, log_probabilities(g, self, classes))
    return picked(g, logp, target, reduction, classes)


def picked(g: Builder, logp: Array, target: Array, reduction: int, classes: int) -> Array:
    """-logp at the class of each row: of class indices the entry, of probabilities the weighted sum."""
    rows = [n for d, n in enumerate(logp.shape) if d != classes]
    if target.kind == "int":
        g.below(target, logp.shape[classes])
        for n, m in zip(rows, target.shape, strict=True):
            g.same(n, m)

        def term(*ix: Expr) -> Expr:
            return logp[(*ix[:classes], target[ix], *ix[classes:])]

        return reduced(g, g.inline(rows, term), reduction, -1)
    g.domain(target, "distribution")
    g.broadcast(logp, target)

    def row(*ix: Expr) -> Expr:
        def product(k: Expr) -> Expr:
            place = (*ix[:classes], k, *ix[classes:])
            return target[place] * logp[place]

        return g.sum(product, logp.shape[classes])

    return reduced(g, g.inline(rows, row), reduction, -1)


@operation("nll_loss", "nll_loss_nd", "nll_loss2d", torch="F.nll_loss")
def nll(g: Builder, self: Array, target: Array, weight: Any = None, reduction: int = MEAN,
        ignore_index: Any = -100) -> Array:  # fmt: skip
    """L = -the mean of logp[n, y[n]]"""
    classes = 1 if self.dim > 1 else 0
    g.wish(self.shape[classes], "K")
    return picked(g, self, target, reduction, classes)
