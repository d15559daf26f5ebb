"""Rows of the library for what moves over an array: windows, convolutions, pooling.

They are put together from windows and products rather than handed to torch's kernels, so that their sizes are counted
like those of any other product, and many digits follow.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tutor.checking.library import (
    AXIS,
    Limits,
    Refusal,
    TorchRefuses,
    array,
    asking_torch,
    dims,
    flag,
    listed,
    real,
    scalar,
    shape_of,
    whole_number,
)
from tutor.language import said
from tutor.shown import shown_shape


def each(value: Any, rank: int, what: str, least: int = 1) -> tuple[int, ...]:
    """`2` or `(2, 1)`: one whole number for each axis."""
    made = dims(value) if isinstance(value, tuple) else (whole_number(value, what),) * rank
    if isinstance(made, tuple) and len(made) == 1:
        made = made * rank
    if not isinstance(made, tuple) or len(made) != rank:
        raise Refusal(said("{what} is one number, or one for each of {rank} axes", what=what, rank=rank))
    if min(made) < least:
        raise TorchRefuses(said("{what} is at least {least}", what=what, least=least), ())
    return made


def ranked(x: Tensor, least: int, what: str) -> Tensor:
    """Refused as torch would, before its axes are taken apart."""
    if x.ndim < least:
        raise TorchRefuses(
            said("{what} takes at least {least} axes, not {shape}", what=what, least=least, shape=shown_shape(x.shape)),
            (tuple(x.shape),),
        )
    return x


def surrounded(
    limits: Limits, x: Tensor, before: tuple[int, ...], after: tuple[int, ...], filler: float = 0.0
) -> Tensor:
    """Zeros (or others) around the last axes, or entries cut off where a width is below 0."""
    widths = [width for pair in zip(reversed(before), reversed(after), strict=True) for width in pair]
    if not any(widths):
        return x
    limits.room(*(max(n + a + b, 0) for n, a, b in zip(x.shape[-len(before) :], before, after, strict=True)), x.numel())
    return asking_torch(F.pad, x, widths, value=filler)


def windows(x: Tensor, extents: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> Tensor:
    """Views of the last axes: their windows, and behind all of them what the windows hold."""
    first = x.ndim - len(extents)
    for n, (extent, step, apart) in enumerate(zip(extents, stride, dilation, strict=True)):
        if step < 1 or apart < 1 or extent < 1:
            raise TorchRefuses(said("stride, dilation and the size of a window are at least 1"), (tuple(x.shape),))
        x = asking_torch(x.unfold, first + n, apart * (extent - 1) + 1, step)[..., ::apart]
    return x


def correlated(
    limits: Limits, x: Any, w: Any, bias: Any, stride: Any, padding: Any, dilation: Any, rank: int
) -> Tensor:
    """y[n, f, o] = sum_{c,k} x[n, c, s*o + d*k - p] w[f, c, k]"""
    x, w = real(x), real(w)
    shapes = (tuple(x.shape), tuple(w.shape))
    if w.ndim != rank + 2 or x.ndim not in (rank + 1, rank + 2):
        axes = "L" if rank == 1 else "H, W"
        raise TorchRefuses(
            said(
                "conv{rank}d takes x (N, C, {axes}) and w (F, C, ...), not {shapes} and {shapes2}",
                rank=rank,
                axes=axes,
                shapes=shapes[0],
                shapes2=shapes[1],
            ),
            shapes,
        )
    steps, apart, around = (
        each(stride, rank, "stride"),
        each(dilation, rank, "dilation"),
        each(padding, rank, "padding", 0),
    )
    if x.shape[-rank - 1] != w.shape[1]:
        raise TorchRefuses(
            said("x has {shape} channels and w is for {shape2}", shape=x.shape[-rank - 1], shape2=w.shape[1]), shapes
        )
    batched = x if x.ndim == rank + 2 else x[None]
    parts = windows(surrounded(limits, batched, around, around), tuple(w.shape[2:]), steps, apart)
    limits.work(parts.numel() * w.shape[0])
    places = tuple(range(2, 2 + rank))
    rows = parts.permute(0, *places, 1, *(n + rank for n in places)).reshape(-1, math.prod(w.shape[1:]))
    made = asking_torch(torch.matmul, rows, w.reshape(w.shape[0], -1).T)
    made = made.reshape(parts.shape[0], *(parts.shape[n] for n in places), w.shape[0]).movedim(-1, 1)
    if bias is not None:
        made = asking_torch(torch.add, made, real(bias).reshape(1, -1, *(1,) * rank))
    return made if x.ndim == rank + 2 else made[0]


def transposed(
    limits: Limits, y: Any, w: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any, rank: int
) -> Tensor:
    """x[n, c, i] = sum_{f,o} y[n, f, o] w[f, c, i - s*o + p]: what a convolution with w sends back."""
    y, w = real(y), real(w)
    shapes = (tuple(y.shape), tuple(w.shape))
    if w.ndim != rank + 2 or y.ndim not in (rank + 1, rank + 2):
        raise TorchRefuses(
            said("conv_transpose{rank}d takes y (N, F, ...) and w (F, C, ...), not {shapes}", rank=rank, shapes=shapes),
            shapes,
        )
    if y.shape[-rank - 1] != w.shape[0]:
        raise TorchRefuses(
            said("y has {shape} channels and w is for {shape2}", shape=y.shape[-rank - 1], shape2=w.shape[0]), shapes
        )
    steps, apart = each(stride, rank, "stride"), each(dilation, rank, "dilation")
    around, more = each(padding, rank, "padding", 0), each(output_padding, rank, "output_padding", 0)
    batched = y if y.ndim == rank + 2 else y[None]
    long = [s * (n - 1) + 1 for s, n in zip(steps, batched.shape[2:], strict=True)]
    if min(long) < 1:
        raise TorchRefuses(said("there is nothing to send back: an axis of y has no entries"), shapes)
    limits.room(*batched.shape[:2], *long)
    spread = batched.new_zeros(*batched.shape[:2], *long)
    apart_at: Any = (..., *(slice(None, None, s) for s in steps))
    spread[apart_at] = batched
    reach = [d * (k - 1) for d, k in zip(apart, w.shape[2:], strict=True)]
    before = tuple(r - p for r, p in zip(reach, around, strict=True))
    after = tuple(r - p + m for r, p, m in zip(reach, around, more, strict=True))
    flipped = w.transpose(0, 1).flip(tuple(range(2, rank + 2)))
    made = correlated(limits, surrounded(limits, spread, before, after), flipped, bias, 1, 0, apart, rank)
    return made if y.ndim == rank + 2 else made[0]


def sent_to_input(
    limits: Limits, size: Any, w: Any, dy: Any, stride: Any, padding: Any, dilation: Any, rank: int
) -> Tensor:
    """The gradient of the input of a convolution: the transposed one, filled up to the input's size."""
    shape, w, dy = shape_of((size,)), real(w), real(dy)
    if w.ndim != rank + 2 or len(shape) < rank or dy.ndim not in (rank + 1, rank + 2):
        raise TorchRefuses(
            said("conv{rank}d_input takes sizes, w (F, C, ...) and dy (N, F, ...)", rank=rank), (shape, tuple(w.shape))
        )
    steps, apart = (each(v, rank, said("stride and dilation")) for v in (stride, dilation))
    around = each(padding, rank, "padding", 0)
    more = tuple(
        n - (s * (o - 1) - 2 * p + d * (k - 1) + 1)
        for n, s, o, p, d, k in zip(shape[-rank:], steps, dy.shape[-rank:], around, apart, w.shape[-rank:], strict=True)
    )
    return transposed(limits, dy, w, None, steps, around, more, apart, rank)


def sent_to_weight(
    limits: Limits, x: Any, size: Any, dy: Any, stride: Any, padding: Any, dilation: Any, rank: int
) -> Tensor:
    """The gradient of the kernel: x with dy for a kernel, batch and channels exchanged, stride and dilation too."""
    shape, x, dy = shape_of((size,)), real(x), real(dy)
    if x.ndim != rank + 2 or dy.ndim != rank + 2:
        raise TorchRefuses(
            said("conv{rank}d_weight takes x and dy with a batch and channels", rank=rank),
            (tuple(x.shape), tuple(dy.shape)),
        )
    made = correlated(limits, x.transpose(0, 1), dy.transpose(0, 1), None, dilation, padding, stride, rank).transpose(
        0, 1
    )
    kept: Any = (..., *(slice(k) for k in shape[-rank:]))
    return made[kept]


def _conv(rank: int) -> None:
    @listed(f"conv{rank}d", method=False, rounds=True)
    def conv(limits, input, weight, bias=None, stride=1, padding=0, dilation=1):
        return correlated(limits, input, weight, bias, stride, padding, dilation, rank)

    @listed(f"conv_transpose{rank}d", method=False, rounds=True)
    def conv_transpose(limits, input, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1):
        most = zip(each(output_padding, rank, "output_padding", 0), each(stride, rank, "stride"),
                   each(dilation, rank, "dilation"), strict=True)  # fmt: skip
        if any(p >= max(s, d) for p, s, d in most):
            raise TorchRefuses(said("output_padding is smaller than the stride or the dilation"), ())
        return transposed(limits, input, weight, bias, stride, padding, output_padding, dilation, rank)

    @listed(f"conv{rank}d_input", method=False, rounds=True)
    def conv_input(limits, input_size, weight, grad_output, stride=1, padding=0, dilation=1):
        return sent_to_input(limits, input_size, weight, grad_output, stride, padding, dilation, rank)

    @listed(f"conv{rank}d_weight", method=False, rounds=True)
    def conv_weight(limits, input, weight_size, grad_output, stride=1, padding=0, dilation=1):
        return sent_to_weight(limits, input, weight_size, grad_output, stride, padding, dilation, rank)


def _pooled(rank: int) -> None:
    def cut(
        limits: Limits, x: Tensor, kernel_size: Any, stride: Any, padding: Any, filler: float
    ) -> tuple[Tensor, Any]:
        extents = each(kernel_size, rank, "kernel_size")
        steps = extents if stride is None else each(stride, rank, "stride")
        around = each(padding, rank, "padding", 0)
        ranked(x, rank, "pooling")
        if any(2 * p > k for p, k in zip(around, extents, strict=True)):
            raise TorchRefuses(said("the padding is at most half of the window"), (tuple(x.shape),))
        x = surrounded(limits, x, around, around, filler)
        parts = windows(x, extents, steps, (1,) * rank)
        limits.room(parts.numel())
        return parts.reshape(*parts.shape[: parts.ndim - rank], math.prod(extents)), (extents, steps, around)

    @listed(f"avg_pool{rank}d", method=False, rounds=True)
    def avg_pool(limits, input, kernel_size, stride=None, padding=0):
        return cut(limits, real(input), kernel_size, stride, padding, 0.0)[0].mean(-1)

    @listed(f"max_pool{rank}d", method=False, jumps=True)
    def max_pool(limits, input, kernel_size, stride=None, padding=0, return_indices=False):
        x = real(input)
        parts, (extents, steps, around) = cut(limits, x, kernel_size, stride, padding, -math.inf)
        best = parts.max(-1)
        if not flag(return_indices):
            return best.values
        return best.values, _flat_places(best.indices, x.shape[x.ndim - rank :], extents, steps, around)

    @listed(f"max_unpool{rank}d", method=False)
    def max_unpool(limits, input, indices, kernel_size, stride=None, padding=0, output_size=None):
        y, places = ranked(real(input), rank, f"max_unpool{rank}d"), array(indices)
        extents, around = each(kernel_size, rank, "kernel_size"), each(padding, rank, "padding", 0)
        steps = extents if stride is None else each(stride, rank, "stride")
        size = [s * (n - 1) + k - 2 * p for n, s, k, p in zip(y.shape[-rank:], steps, extents, around, strict=True)]
        if output_size is not None:
            size = list(shape_of((output_size,)))[-rank:]
        if len(size) != rank or min(size) < 1:
            raise TorchRefuses(said("output_size has {rank} axes of at least one entry", rank=rank), (tuple(y.shape),))
        if places.is_floating_point() or places.shape != y.shape:
            raise TorchRefuses(
                said("the places are those of max_pool with return_indices=True"), (tuple(places.shape),)
            )
        lead = y.shape[: y.ndim - rank]
        limits.room(*lead, *size)
        flat = y.new_zeros(*lead, math.prod(size))
        made = asking_torch(torch.scatter, flat, -1, places.flatten(-rank), y.flatten(-rank))
        return made.reshape(*lead, *size)


def _flat_places(within: Tensor, shape: Any, extents: Any, steps: Any, around: Any) -> Tensor:
    """Where in the flattened image the winner of each window stands."""
    rank, flat = len(extents), torch.zeros_like(within)
    for n in range(rank):
        below = math.prod(extents[n + 1 :])
        axis = torch.arange(within.shape[within.ndim - rank + n]).reshape(-1, *(1,) * (rank - 1 - n))
        flat = flat * shape[n] + axis * steps[n] + within // below % extents[n] - around[n]
    return flat


for _rank in (1, 2):
    _conv(_rank)
    _pooled(_rank)


@listed("unfold", function=False)
def _unfold(limits, x, dimension, size, step):
    x = array(x)
    extents = [whole_number(v, said("the size and the step of a window")) for v in (size, step)]
    if min(extents) < 1:
        raise TorchRefuses(said("the size and the step of a window are at least 1"), (tuple(x.shape),))
    limits.room(x.numel(), extents[0])
    return asking_torch(x.unfold, whole_number(dimension, AXIS), *extents)


@listed("unfold", method=False)
def _columns(limits, input, kernel_size, dilation=1, padding=0, stride=1):
    """torch's im2col: (N, C*K*K, L), every column what one window holds."""
    x = real(input)
    if x.ndim != 4:
        raise TorchRefuses(said("F.unfold takes images (N, C, H, W)"), (tuple(x.shape),))
    around = each(padding, 2, "padding", 0)
    extents, steps, apart = (each(v, 2, said("a window")) for v in (kernel_size, stride, dilation))
    parts = windows(surrounded(limits, x, around, around), extents, steps, apart)  # n c o q k l
    limits.room(parts.numel())
    return parts.permute(0, 1, 4, 5, 2, 3).flatten(4).flatten(1, 3)


@listed("fold", method=False, rounds=True)
def _folded(limits, input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """col2im: the columns added back where their windows stood."""
    columns = real(input)
    if columns.ndim != 3:
        raise TorchRefuses(said("F.fold takes columns (N, C*K*K, L)"), (tuple(columns.shape),))
    size, extents = each(output_size, 2, "output_size"), each(kernel_size, 2, "kernel_size")
    steps, apart = (each(v, 2, said("stride and dilation")) for v in (stride, dilation))
    around = each(padding, 2, "padding", 0)
    extended = [n + 2 * p for n, p in zip(size, around, strict=True)]
    limits.room(math.prod(extents), *extended)
    grid = torch.arange(math.prod(extended)).reshape(1, 1, *extended)
    places = windows(grid, extents, steps, apart).permute(0, 1, 4, 5, 2, 3).reshape(-1)
    taps = math.prod(extents)
    if columns.shape[1] % taps or places.numel() != taps * columns.shape[2]:
        raise TorchRefuses(
            said("these columns do not fold to {shape}", shape=shown_shape(size)), (tuple(columns.shape),)
        )
    flat = columns.reshape(columns.shape[0] * columns.shape[1] // taps, -1)
    limits.room(flat.shape[0], grid.numel())
    made = flat.new_zeros(flat.shape[0], grid.numel()).index_add(1, places, flat)
    made = made.reshape(columns.shape[0], -1, *grid.shape[2:])
    return made[:, :, around[0] : around[0] + size[0], around[1] : around[1] + size[1]]


@listed("interpolate", method=False)
def _interpolated(limits, input, scale_factor, mode="nearest"):
    """Every entry repeated over a block."""
    x = real(input)
    if mode != "nearest":
        raise Refusal(said("interpolate repeats entries here: mode='nearest'"))
    factors = each(scale_factor, max(x.ndim - 2, 1), "scale_factor")
    limits.room(x.numel(), *(max(f, 0) for f in factors))
    for axis, factor in enumerate(factors, 2):
        x = asking_torch(torch.repeat_interleave, x, factor, dim=axis)
    return x


# -- numpy's own ------------------------------------------------------------------------------------


def _slid(limits: Limits, a: Tensor, v: Tensor, mode: Any) -> Tensor:
    """c[i] = sum_k a[i + k] v[k]"""
    if a.ndim != 1 or v.ndim != 1 or not len(a) or not len(v):
        raise TorchRefuses(said("np.convolve and np.correlate take two vectors"), (tuple(a.shape), tuple(v.shape)))
    around = {"full": len(v) - 1, "same": None, "valid": 0}.get(str(mode), 0)
    if str(mode) not in ("full", "same", "valid"):
        raise Refusal(said("mode is 'full', 'same' or 'valid'"))
    before = len(v) // 2 if around is None else around
    after = len(v) - 1 - before if around is None else around
    limits.work(len(a) * len(v))
    return asking_torch(surrounded(limits, a, (before,), (after,)).unfold, 0, len(v), 1) @ v


@listed("correlate", numpy=True, rounds=True)
def _correlate(limits, a, v, mode="valid"):
    a, v = real(a), real(v)
    if v.numel() > a.numel():
        return _slid(limits, v, a, mode).flip(0)
    return _slid(limits, a, v, mode)


@listed("convolve", numpy=True, rounds=True)
def _convolve(limits, a, v, mode="full"):
    a, v = real(a), real(v)
    a, v = (v, a) if v.numel() > a.numel() else (a, v)
    return _slid(limits, a, v.flip(0) if v.ndim else v, mode)


@listed("pad", numpy=True)
def _numpy_pad(limits, x, pad_width, mode="constant", constant_values=0):
    x = array(x)
    if mode != "constant":
        raise Refusal(said("np.pad fills with a constant here: mode='constant'"))
    pairs = pad_width if isinstance(pad_width, tuple) else (pad_width,)
    if not any(isinstance(p, tuple) for p in pairs):
        pairs = (pairs,)
    pairs = tuple(each(p, 2, said("a width"), 0) for p in pairs)
    pairs = pairs * x.ndim if len(pairs) == 1 else pairs
    if len(pairs) != x.ndim:
        raise TorchRefuses(
            said("np.pad takes one pair of widths for each of {ndim} axes", ndim=x.ndim), (tuple(x.shape),)
        )
    limits.room(*(n + abs(a) + abs(b) for n, (a, b) in zip(x.shape, pairs, strict=True)))
    widths = [width for pair in reversed(pairs) for width in pair]
    return asking_torch(F.pad, x, widths, value=scalar(constant_values))
