"""Normalisation: by the statistics of a row, of a batch, of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import Expr, S, sqrt

from tutor.torch_import.arrays import Array, remainder, whole_part
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
    axes = _last(g, input, normalized_shape, weight, bias)
    xhat = normalised(g, input, list(axes), eps)
    return scaled(g, xhat, weight, bias, lambda ix: tuple(ix[axes.start :]))


@operation("native_layer_norm", torch="F.layer_norm")
def native_layer_norm(g: Builder, input: Array, normalized_shape: Sequence[Any], weight: Array | None = None,
                      bias: Array | None = None, eps: Any = 1e-5) -> list[Array]:  # fmt: skip
    """as layer_norm"""
    return [layer_norm(g, input, normalized_shape, weight, bias, eps)]


def _last(g: Builder, x: Array, shape: Sequence[Any], *given: Array | None) -> range:
    """The last axes, which weights share."""
    axes = range(x.dim - len(shape), x.dim)
    for weights in given:
        for d, n in zip(axes, weights.shape if weights is not None else (), strict=False):
            g.same(x.shape[d], n)
    g.write("normalized_shape", [x.shape[d] for d in axes])
    return axes


@operation("rms_norm", torch="F.rms_norm")
def rms_norm(g: Builder, input: Array, normalized_shape: Sequence[Any], weight: Array | None = None,
             eps: Any = None) -> Array:  # fmt: skip
    """ms = mean(x**2), irms = 1/sqrt(ms + eps), xhat = x irms, y = gamma xhat; no eps is that of the dtype"""
    axes = _last(g, input, normalized_shape, weight)
    small = g.epsilon if eps is None else g.scalar(eps)
    over = Over(input, list(axes))
    ms = g.part("ms", over.shape, lambda *ix: g.mean(lambda *b: over.entry(ix, b) ** 2, *over.extents))
    irms = over.back(g.part("irms", over.shape, lambda *ix: 1 / sqrt(ms[ix] + small)))
    if weight is None:
        return g.step(input.shape, lambda *ix: input[ix] * irms[ix], "y")
    xhat = g.part("xhat", input.shape, lambda *ix: input[ix] * irms[ix])
    return scaled(g, xhat, weight, None, lambda ix: tuple(ix[axes.start :]))


# -- over a batch ----------------------------------------------------------------------------------------------


def _by_channel(g: Builder, x: Array, *given: Array | None) -> None:
    for weights in given:
        if weights is not None:
            g.same(x.shape[1], weights.shape[0])
    if x.dim > 2:
        g.wish(x.shape[1], "C")


def _batch(g: Builder, x: Array, weight: Array | None, bias: Array | None, mean: Array | None, var: Array | None,
           training: bool, eps: Any, dims: Sequence[int]) -> Array:  # fmt: skip
    _by_channel(g, x, weight, bias, mean, var)
    if training:
        return scaled(g, normalised(g, x, dims, eps), weight, bias, lambda ix: (ix[1],))
    assert mean is not None and var is not None
    g.domain(mean, "real")
    g.domain(var, "positive")
    istd = g.part("istd", var.shape, lambda c: 1 / sqrt(var[c] + g.scalar(eps)))
    xhat = g.part("xhat", x.shape, lambda *ix: (x[ix] - mean[ix[1]]) * istd[ix[1]])
    return scaled(g, xhat, weight, bias, lambda ix: (ix[1],))


def _all_but_channels(x: Array) -> list[int]:
    return [d for d in range(x.dim) if d != 1]


@operation("batch_norm", torch="F.batch_norm")
def batch_norm(g: Builder, input: Array, weight: Array | None, bias: Array | None, running_mean: Array | None,
               running_var: Array | None, training: bool, eps: Any) -> Array:  # fmt: skip
    """in training mu, xc = x - mu, var, istd = 1/sqrt(var + eps), xhat = xc istd over all axes but the channels,
    y = gamma xhat + beta; in eval the running mean and variance are given"""
    return _batch(g, input, weight, bias, running_mean, running_var, training, eps, _all_but_channels(input))


@operation("_native_batch_norm_legit", "_native_batch_norm_legit_functional", "native_batch_norm",
           torch="F.batch_norm")  # fmt: skip
def native_batch_norm(g: Builder, input: Array, weight: Array | None, bias: Array | None, training: bool, eps: Any,
                      running_mean: Array | None = None, running_var: Array | None = None) -> list[Array]:  # fmt: skip
    """as batch_norm"""
    return [batch_norm(g, input, weight, bias, running_mean, running_var, training, eps)]


@operation("_batch_norm_with_update_functional", torch="F.batch_norm")
def updating_batch_norm(g: Builder, input: Array, weight: Array | None, bias: Array | None, running_mean: Array | None,
                        running_var: Array | None, eps: Any) -> list[Array]:  # fmt: skip
    """as batch_norm in training"""
    return [batch_norm(g, input, weight, bias, running_mean, running_var, True, eps)]


@operation("instance_norm", torch="F.instance_norm")
def instance_norm(g: Builder, input: Array, weight: Array | None, bias: Array | None, running_mean: Array | None,
                  running_var: Array | None, use_input_stats: bool, eps: Any) -> Array:  # fmt: skip
    """mu, xc = x - mu, var, istd = 1/sqrt(var + eps), xhat = xc istd over each channel of each image,
    y = gamma xhat + beta"""
    axes = list(range(2, input.dim))
    return _batch(g, input, weight, bias, running_mean, running_var, use_input_stats, eps, axes)


# -- over groups of channels -----------------------------------------------------------------------------------


@operation("group_norm", torch="F.group_norm")
def group_norm(g: Builder, input: Array, num_groups: Any, weight: Array | None = None, bias: Array | None = None,
               eps: Any = 1e-5) -> Array:  # fmt: skip
    """mu, xc = x - mu, var, istd = 1/sqrt(var + eps), xhat = xc istd over the channels and places of each group,
    y[n,m] = gamma[m] xhat[n,floor(m/C),m mod C] + beta[m]"""
    return _grouped(g, input, num_groups, weight, bias, eps, "num_groups")


@operation("native_group_norm", torch="F.group_norm")
def native_group_norm(g: Builder, input: Array, weight: Array | None, bias: Array | None, group: Any, N: Any = None,
                      C: Any = None, HxW: Any = None, eps: Any = 1e-5) -> list[Array]:  # fmt: skip
    """as group_norm"""
    made = _grouped(g, input, group, weight, bias, eps, "group")
    places = S.One
    for n in input.shape[2:]:
        places *= n
    for name, extent in (("N", input.shape[0]), ("C", input.shape[1]), ("HxW", places)):
        g.write(name, g.sizes.resolve(extent))
    return [made]


def _grouped(g: Builder, x: Array, groups: Any, weight: Array | None, bias: Array | None, eps: Any, name: str) -> Array:
    _by_channel(g, x, weight, bias)
    channels = g.number(x.shape[1])
    many, each = g.extent(groups, "G"), g.extent(channels // g.number(groups), "C")
    g.same(x.shape[1], many * each)
    many, each = g.sizes.resolve(many), g.sizes.resolve(each)
    g.write(name, many)
    if many == 1 or each == 1:  # all channels together, or each by itself
        axes = range(1 if many == 1 else 2, x.dim)
        return scaled(g, normalised(g, x, axes, eps), weight, bias, lambda ix: (ix[1],))
    apart = Array((x.shape[0], many, each, *x.shape[2:]), lambda n, a, c, *ix: x[(n, a * each + c, *ix)])
    xhat = normalised(g, apart, range(2, x.dim + 1), eps)
    joined = g.inline(x.shape, lambda n, m, *ix: xhat[(n, whole_part(m, each), remainder(m, each), *ix)])
    return scaled(g, joined, weight, bias, lambda ix: (ix[1],))


# -- of a weight -----------------------------------------------------------------------------------------------


@operation("_weight_norm", torch="torch.nn.utils.parametrizations.weight_norm")
def weight_norm(builder: Builder, v: Array, g: Array, dim: int = 0) -> Array:
    """norm[m] = sqrt(sum v[m]**2), w = g v / norm"""
    return _weight_normed(builder, v, g, dim)


@operation("_weight_norm_interface", torch="torch.nn.utils.parametrizations.weight_norm")
def weight_norm_interface(builder: Builder, v: Array, g: Array, dim: int = 0) -> list[Array]:
    """as _weight_norm"""
    return [_weight_normed(builder, v, g, dim)]


def _weight_normed(builder: Builder, v: Array, g: Array, dim: int) -> Array:
    axes = list(range(v.dim)) if dim == -1 else [d for d in range(v.dim) if d != dim % v.dim]
    over = Over(v, axes)
    shape = builder.broadcast(v, g)
    norm = builder.part("norm", over.shape, lambda *ix: sqrt(
        builder.sum(lambda *b: over.entry(ix, b) ** 2, *over.extents)))  # fmt: skip
    length = over.back(norm)
    return builder.step(shape, lambda *ix: g.spread(ix, shape) * v[ix] / length[ix], "w")
