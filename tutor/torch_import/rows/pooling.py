"""Pooling and resizing: windows over an axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from typing import Any

from sympy import Abs, Expr, Idx, Max, Min, Mul, S, sympify

from tutor.language import said
from tutor.symbolic.indices import bracket, reduce_over, within
from tutor.symbolic.operations import MaxOver
from tutor.torch_import.arrays import Array, remainder, whole_part
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.convolutions import OUTPUTS, Sides, bordered, per_axis, windowed
from tutor.torch_import.table import operation

# -- pooling -------------------------------------------------------------------------------------------------------


def _largest(g: Builder, x: Array, window: Sequence[Expr], outer: Sequence[Expr], stride: Sequence[Any],
             dilation: Sequence[int], finite: bool = True) -> Array:  # fmt: skip
    """The largest of each window: one index runs over it row by row, so that the first of equals wins.

    Windows that meet a border of minus infinity are not written out: a step has finite entries.
    """
    rank = len(window)
    lead = x.dim - rank
    count = Mul(*window)

    def pixel(out: Sequence[Expr], m: Expr) -> list[Expr]:
        digits: list[Expr] = []
        for side in reversed(window[1:]):
            digits.insert(0, remainder(m, side))
            m = whole_part(m, side)
        return [s * o + d * k for s, o, d, k in zip(stride, out, dilation, [m, *digits], strict=True)]

    win = g.inline([*x.shape[:lead], *outer, count], lambda *ix: x[(*ix[:lead], *pixel(ix[lead:-1], ix[-1]))])
    if sum(n != 1 for n in window) > 1 and finite:
        win = g.part("win", win.shape, win.at)

    def at(*ix: Expr) -> Expr:
        m = g.bound(count)
        return reduce_over(MaxOver, win[(*ix, m)], [m]) if isinstance(m, Idx) else win[(*ix, m)]

    return g.step([*x.shape[:lead], *outer], at, "y")


def _max_pooled(g: Builder, x: Array, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
                rank: int) -> Array:  # fmt: skip
    window = [sympify(n) for n in per_axis(kernel_size, rank)]
    strides = per_axis(stride or kernel_size, rank)
    spread = per_axis(dilation, rank)
    sides: Sides = [(p, p) for p in per_axis(padding, rank)]
    outer = windowed(g, x, window, strides, sides, spread, ceil_mode)
    finite = not any(map(any, sides))
    return _largest(g, bordered(g, x, sides, S.NegativeInfinity), window, outer, strides, spread, finite)


@operation("max_pool1d", torch="F.max_pool1d")
def max_pool1d(g: Builder, self: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False) -> Array:  # fmt: skip
    """xp = x with a border of minus infinity, y[n,c,o] = max_k xp[n,c,s o + d k], the first of equals"""
    return _max_pooled(g, self, kernel_size, stride, padding, dilation, ceil_mode, 1)


@operation("max_pool2d", torch="F.max_pool2d")
def max_pool2d(g: Builder, self: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False) -> Array:  # fmt: skip
    """win[n,c,o,q,m] = the pixels of a window row by row, y[n,c,o,q] = max_m win[n,c,o,q,m], the first of equals"""
    return _max_pooled(g, self, kernel_size, stride, padding, dilation, ceil_mode, 2)


@operation("max_pool1d_with_indices", torch="F.max_pool1d")
def max_pool1d_with_indices(g: Builder, self: Array, kernel_size: Any, stride: Any = None, padding: Any = 0,
                            dilation: Any = 1, ceil_mode: bool = False) -> list[Array]:  # fmt: skip
    """as max_pool1d"""
    return [_max_pooled(g, self, kernel_size, stride, padding, dilation, ceil_mode, 1)]


@operation("max_pool2d_with_indices", torch="F.max_pool2d")
def max_pool2d_with_indices(g: Builder, self: Array, kernel_size: Any, stride: Any = None, padding: Any = 0,
                            dilation: Any = 1, ceil_mode: bool = False) -> list[Array]:  # fmt: skip
    """as max_pool2d"""
    return [_max_pooled(g, self, kernel_size, stride, padding, dilation, ceil_mode, 2)]


def _averaged(g: Builder, x: Array, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, whole: bool,
              divisor: Any, rank: int) -> Array:  # fmt: skip
    window = [sympify(n) for n in per_axis(kernel_size, rank)]
    strides = per_axis(stride or kernel_size, rank)
    borders = per_axis(padding, rank)
    sides: Sides = [(p, p) for p in borders]
    outer = windowed(g, x, window, strides, sides, [1] * rank, ceil_mode)
    xp = bordered(g, x, sides, S.Zero)
    lead = x.dim - rank

    def places(out: Sequence[Expr], k: Sequence[Expr]) -> list[Expr]:
        return [s * o + j for s, o, j in zip(strides, out, k, strict=True)]

    def count(out: Sequence[Expr]) -> Expr:
        if divisor is not None:
            return g.scalar(divisor)
        if whole or not any(borders):
            return Mul(*window)
        made: Expr = S.One
        for d, (o, n) in enumerate(zip(out, window, strict=True)):
            made *= g.sum(lambda k, d=d, o=o: bracket(within(strides[d] * o + k - borders[d], x.shape[lead + d])), n)
        return made

    def at(*ix: Expr) -> Expr:
        out = ix[lead:]
        return g.sum(lambda *k: xp[(*ix[:lead], *places(out, k))], *window) / count(out)

    return g.step([*x.shape[:lead], *outer], at, "y")


@operation("avg_pool1d", torch="F.avg_pool1d")
def avg_pool1d(g: Builder, self: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> Array:  # fmt: skip
    """xp = x with a border of zeros, y[n,c,o] = sum_k xp[n,c,s o + k] / K"""
    return _averaged(g, self, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


@operation("avg_pool2d", torch="F.avg_pool2d")
def avg_pool2d(g: Builder, self: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: Any = None) -> Array:  # fmt: skip
    """xp = x with a border of zeros, y[n,c,o,q] = sum_{k,l} xp[n,c,s o + k,s q + l] / K**2"""
    return _averaged(g, self, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2)


@operation("avg_pool3d", torch="F.avg_pool3d")
def avg_pool3d(g: Builder, self: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: Any = None) -> Array:  # fmt: skip
    """as avg_pool2d, over three axes"""
    return _averaged(g, self, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3)


def _parts(g: Builder, x: Array, output_size: Any, rank: int) -> tuple[list[Expr], list[Expr]]:
    """Windows side by side that fill the axis, H = O R: the sizes of output and window."""
    wanted = list(output_size) if isinstance(output_size, (list, tuple)) else [output_size] * rank
    outer, window = [], []
    for d, extent in enumerate(x.shape[x.dim - rank :]):
        many, whole = g.number(wanted[d]), g.number(extent)
        if whole % many:
            raise g.refusal(said("{whole} entries make no {many} windows of one length", whole=whole, many=many))
        out, side = g.extent(wanted[d], OUTPUTS[rank][d]), g.extent(whole // many, "R")
        g.same(extent, out * side)
        outer.append(g.sizes.resolve(out))
        window.append(g.sizes.resolve(side))
    g.write("output_size", outer)
    return outer, window


def _adaptive_mean(g: Builder, x: Array, output_size: Any, rank: int) -> Array:
    outer, window = _parts(g, x, output_size, rank)
    lead = x.dim - rank

    def at(*ix: Expr) -> Expr:
        def pixel(*k: Expr) -> Expr:
            return x[(*ix[:lead], *(_place(o, n, side) + j for o, n, side, j in
                                    zip(ix[lead:], outer, window, k, strict=True)))]  # fmt: skip

        return g.mean(pixel, *window)

    return g.step([*x.shape[:lead], *outer], at, "y")


def _place(o: Expr, many: Expr, side: Expr) -> Expr:
    """Where a window begins; the only one at 0."""
    return S.Zero if many == 1 else side * o


@operation("adaptive_avg_pool1d", torch="F.adaptive_avg_pool1d")
def adaptive_avg_pool1d(g: Builder, self: Array, output_size: Any) -> Array:
    """y[n,c,o] = sum_r x[n,c,R o + r] / R; into one entry the mean"""
    return _adaptive_mean(g, self, output_size, 1)


@operation("adaptive_avg_pool2d", "_adaptive_avg_pool2d", torch="F.adaptive_avg_pool2d")
def adaptive_avg_pool2d(g: Builder, self: Array, output_size: Any) -> Array:
    """y[n,c,o,q] = sum_{r,s} x[n,c,R o + r,S q + s] / (R S); into one entry the mean"""
    return _adaptive_mean(g, self, output_size, 2)


def _adaptive_max(g: Builder, x: Array, output_size: Any, rank: int) -> list[Array]:
    outer, window = _parts(g, x, output_size, rank)
    stride = [S.Zero if n == 1 else side for n, side in zip(outer, window, strict=True)]
    return [_largest(g, x, window, outer, stride, [1] * rank)]


@operation("adaptive_max_pool1d", torch="F.adaptive_max_pool1d")
def adaptive_max_pool1d(g: Builder, self: Array, output_size: Any) -> list[Array]:
    """y[n,c,o] = max_r x[n,c,R o + r], the first of equals"""
    return _adaptive_max(g, self, output_size, 1)


@operation("adaptive_max_pool2d", torch="F.adaptive_max_pool2d")
def adaptive_max_pool2d(g: Builder, self: Array, output_size: Any) -> list[Array]:
    """win[n,c,o,q,m] = the pixels of a window row by row, y[n,c,o,q] = max_m win[n,c,o,q,m], the first of equals"""
    return _adaptive_max(g, self, output_size, 2)


@operation("im2col", torch="F.unfold")
def im2col(g: Builder, self: Array, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Array:
    """y[n,m,l] = the pixel m of window l, windows and pixels row by row, of all channels"""
    x = self
    (high, wide), spread, strides = per_axis(kernel_size, 2), per_axis(dilation, 2), per_axis(stride, 2)
    sides: Sides = [(p, p) for p in per_axis(padding, 2)]
    window = [sympify(high), sympify(wide)]
    outer = windowed(g, x, window, strides, sides, spread)
    xp = bordered(g, x, sides, S.Zero)
    lead, columns = x.dim - 3, outer[1]

    def at(*ix: Expr) -> Expr:
        *over, m, p = ix
        c, k = whole_part(m, Mul(*window)), remainder(m, Mul(*window))
        row, column = whole_part(k, window[1]), remainder(k, window[1])
        o, q = whole_part(p, columns), remainder(p, columns)
        return xp[(*over, c, strides[0] * o + spread[0] * row, strides[1] * q + spread[1] * column)]

    return g.step([*x.shape[:lead], x.shape[lead] * Mul(*window), Mul(*outer)], at, "y")


# -- resizing ------------------------------------------------------------------------------------------------------

Factors = list[tuple[Expr, Expr]]  # of each axis: how many times longer, how many times shorter


def _resized(g: Builder, x: Array, output_size: Any, scales: Sequence[Any]) -> tuple[list[Expr], Factors]:
    """The sizes of the output, and by which whole number each axis grows or shrinks; of an axis whose scale is given
    torch looks at the scale, which may be another than that of the sizes."""
    assert g.node is not None
    rank = len(scales)
    lead = x.dim - rank
    outer, factors = [], []
    for d, extent in enumerate(x.shape[lead:]):
        many, whole = g.node.shapes[0][lead + d], g.number(extent)
        if many % whole and whole % many:
            raise g.refusal(said("{whole} entries become {many}, which is no whole multiple", whole=whole, many=many))
        if scales[d] is not None and not isclose(scales[d], many / whole):
            raise g.refusal(said("{name}={value} is not in its row", name="scale_factor", value=scales[d]))
        up, down = sympify(max(many // whole, 1)), sympify(max(whole // many, 1))
        out = extent * up if down == 1 else g.extent(many, OUTPUTS[rank][d])
        g.same(extent * up, out * down)
        outer.append(g.sizes.resolve(out))
        factors.append((up, down))
    if output_size is not None:
        g.write("output_size", outer)
    return outer, factors


def _nearest(g: Builder, x: Array, output_size: Any, scales: Sequence[Any], middle: bool = False) -> Array:
    outer, factors = _resized(g, x, output_size, scales)
    lead = x.dim - len(scales)

    def place(i: Expr, up: Expr, down: Expr) -> Expr:
        return whole_part(i, up) if down == 1 else down * i + (down // 2 if middle else 0)

    def at(*ix: Expr) -> Expr:
        return x[(*ix[:lead], *(place(i, *factor) for i, factor in zip(ix[lead:], factors, strict=True)))]

    return g.step([*x.shape[:lead], *outer], at, "y")


def _enter_nearest(rank: int, letters: str) -> None:
    def nearest(g: Builder, self: Any = None, input: Any = None, output_size: Any = None, scale_factors: Any = None,
                scales: Any = None, scales_h: Any = None, scales_w: Any = None,
                scales_d: Any = None) -> Array:  # fmt: skip
        by = scale_factors or [scales_d, scales_h, scales if rank == 1 else scales_w][3 - rank :]
        return _nearest(g, input if self is None else self, output_size, by)

    def exact(g: Builder, self: Any = None, input: Any = None, output_size: Any = None, scale_factors: Any = None,
              scales: Any = None, scales_h: Any = None, scales_w: Any = None,
              scales_d: Any = None) -> Array:  # fmt: skip
        by = scale_factors or [scales_d, scales_h, scales if rank == 1 else scales_w][3 - rank :]
        return _nearest(g, input if self is None else self, output_size, by, middle=True)

    places = ",".join(f"floor({letter}/f)" for letter in letters)
    nearest.__doc__ = exact.__doc__ = f"y[n,c,{','.join(letters)}] = x[n,c,{places}]; f times as many entries"
    operation(f"upsample_nearest{rank}d", torch='F.interpolate(mode="nearest")')(nearest)
    operation(f"_upsample_nearest_exact{rank}d", torch='F.interpolate(mode="nearest-exact")')(exact)


_enter_nearest(1, "u")
_enter_nearest(2, "uv")
_enter_nearest(3, "uvw")


def _interpolated(g: Builder, x: Array, output_size: Any, aligned: bool, scales: Sequence[Any]) -> Array:
    """Each axis by weights that fall off linearly: max(0, 1 - |s(u) - i|), where s(u) is the place of u in x."""
    outer, factors = _resized(g, x, output_size, scales)
    lead = x.dim - len(scales)

    def source(u: Expr, n: Expr, out: Expr, up: Expr, down: Expr) -> Expr:
        if aligned:
            return S.Zero if out == 1 else u * (n - 1) / (out - 1)
        place = (u + S.Half) * down / up - S.Half
        return place if down != 1 else Min(Max(place, 0), n - 1)

    def at(*ix: Expr) -> Expr:
        inner = x.shape[lead:]
        places = [
            source(u, n, out, *factor) for u, n, out, factor in zip(ix[lead:], inner, outer, factors, strict=True)
        ]

        def share(*bound: Expr) -> Expr:
            near = (Max(0, 1 - Abs(s - i)) for s, i in zip(places, bound, strict=True))
            return Mul(*near) * x[(*ix[:lead], *bound)]

        return g.sum(share, *inner)

    return g.step([*x.shape[:lead], *outer], at, "y")


@operation("upsample_linear1d", torch='F.interpolate(mode="linear")')
def linear1d(g: Builder, align_corners: bool, self: Any = None, input: Any = None, output_size: Any = None,
             scale_factors: Any = None, scales: Any = None) -> Array:  # fmt: skip
    """y[n,c,u] = sum_i max(0, 1 - |s(u) - i|) x[n,c,i], s(u) = (u + 1/2)/f - 1/2 kept inside, or u (L-1)/(f L - 1)"""
    return _interpolated(g, input if self is None else self, output_size, align_corners, scale_factors or [scales])


@operation("upsample_bilinear2d", torch='F.interpolate(mode="bilinear")')
def bilinear2d(g: Builder, align_corners: bool, self: Any = None, input: Any = None, output_size: Any = None,
               scale_factors: Any = None, scales_h: Any = None, scales_w: Any = None) -> Array:  # fmt: skip
    """as upsample_linear1d along rows and columns: the product of both weights"""
    by = scale_factors or [scales_h, scales_w]
    return _interpolated(g, input if self is None else self, output_size, align_corners, by)


@operation("pixel_shuffle", torch="F.pixel_shuffle")
def pixel_shuffle(g: Builder, self: Array, upscale_factor: int) -> Array:
    """y[n,c,u,v] = x[n,c r**2 + (u mod r) r + v mod r,floor(u/r),floor(v/r)]"""
    r = sympify(upscale_factor)
    lead = self.dim - 3
    channels = g.extent(g.number(self.shape[lead]) // upscale_factor**2, "C")
    g.same(self.shape[lead], channels * r**2)

    def at(*ix: Expr) -> Expr:
        *over, c, u, v = ix
        return self[(*over, c * r**2 + remainder(u, r) * r + remainder(v, r), whole_part(u, r), whole_part(v, r))]

    shape = [*self.shape[:lead], g.sizes.resolve(channels), *(n * r for n in self.shape[lead + 1 :])]
    return g.step(shape, at, "y")


@operation("pixel_unshuffle", torch="F.pixel_unshuffle")
def pixel_unshuffle(g: Builder, self: Array, downscale_factor: int) -> Array:
    """y[n,m,o,q] = x[n,floor(m/r**2),r o + floor(m/r) mod r,r q + m mod r]"""
    r = sympify(downscale_factor)
    lead = self.dim - 3
    outer = []
    for d, n in enumerate(self.shape[lead + 1 :]):
        out = g.extent(g.number(n) // downscale_factor, OUTPUTS[2][d])
        g.same(n, out * r)
        outer.append(g.sizes.resolve(out))

    def at(*ix: Expr) -> Expr:
        *over, m, o, q = ix
        k = remainder(m, r**2)
        return self[(*over, whole_part(m, r**2), r * o + whole_part(k, r), r * q + remainder(k, r))]

    return g.step([*self.shape[:lead], self.shape[lead] * r**2, *outer], at, "y")


@operation("channel_shuffle", "native_channel_shuffle", torch="F.channel_shuffle")
def channel_shuffle(g: Builder, self: Array, groups: Any) -> Array:
    """y[n,c G + g] = x[n,g C + c]"""
    many = sympify(g.number(groups))
    each = g.extent(g.number(self.shape[1]) // int(many), "C")
    g.same(self.shape[1], many * each)
    each = g.sizes.resolve(each)

    def at(*ix: Expr) -> Expr:
        n, m, *rest = ix
        return self[(n, remainder(m, many) * each + whole_part(m, many), *rest)]

    return g.step(self.shape, at, "y")
