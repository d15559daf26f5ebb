"""Normalisation: by the statistics of a row, of a batch, of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import Expr, sqrt

from tutor.torch_import.arrays import Array
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.reductions import Over, centred
from tutor.torch_import.table import operation


def normalised(g: Builder, x: Array, dims: Sequence[int], eps: Any) -> Array:
    """mu, xc = x - mu, var = mean(xc**2), istd = 1/sqrt(var + eps), xhat = xc istd, over the axes `dims`."""
    xc = centred(g, Over(x, dims))
    over = Over(xc, dims)
    var = g.part("var", over.shape, lambda *ix: g.mean(lambda *b: over.entry(ix, b) ** 2, *over.extents))
    istd = over.back(g.part("istd", over.shape, lambda *ix: 1 / sqrt(var[ix] + g.scalar(eps))))
    return g.part("xhat", x.shape, lambda *ix: xc[ix] * istd[ix])


def scaled(g: Builder, xhat: Array, weight: Array | None, bias: Array | None, place: Any) -> Array:
    """y = gamma xhat + beta; `place` takes the indices of the result to those of gamma and beta."""

    def at(*ix: Expr) -> Expr:
        made = xhat[ix] if weight is None else weight[place(ix)] * xhat[ix]
        return made if bias is None else made + bias[place(ix)]

    return g.step(xhat.shape, at, "y")


@operation("layer_norm", torch="F.layer_norm")
def layer_norm(g: Builder, input: Array, normalized_shape: Sequence[Any], weight: Array | None = None,
               bias: Array | None = None, eps: Any = 1e-5) -> Array:  # fmt: skip
    """mu, xc = x - mu, var, istd = 1/sqrt(var + eps), xhat = xc istd, y = gamma xhat + beta, over the last axes"""
    axes = range(input.dim - len(normalized_shape), input.dim)
    for given in (weight, bias):
        for d, n in zip(axes, given.shape if given is not None else (), strict=False):
            g.same(input.shape[d], n)
    g.write("normalized_shape", [input.shape[d] for d in axes])
    xhat = normalised(g, input, list(axes), eps)
    return scaled(g, xhat, weight, bias, lambda ix: tuple(ix[axes.start :]))
