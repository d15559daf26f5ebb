"""Convolution: windows over an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sympy import And, Eq, Expr, Piecewise, S, sympify

from tutor.language import said
from tutor.symbolic.indices import bracket, within
from tutor.torch_import.arrays import Array, remainder, whole_part
from tutor.torch_import.builder import Builder
from tutor.torch_import.table import operation

OUTPUTS = {1: ["O"], 2: ["O", "Q"], 3: ["O", "P", "Q"]}  # names of an output's axes
Sides = list[tuple[Any, Any]]  # of each axis: what is added before and behind it


def per_axis(value: Any, rank: int) -> list[int]:
    """One number for every axis, or one for each."""
    given = [value] if not isinstance(value, (list, tuple)) else list(value)
    numbers = [int(v) for v in given]
    return numbers * rank if len(numbers) == 1 else numbers


def bordered(g: Builder, x: Array, sides: Sides, filler: Expr) -> Array:
    """xp: x with a border of zeros (or of minus infinity) around its last axes; x itself where there is none."""
    if not any(before or behind for before, behind in sides):
        return x
    lead = x.dim - len(sides)
    in_front = all(before for before, behind in sides if behind)  # a longer index by itself needs the guard
    shape = [*x.shape[:lead], *(n + a + b for n, (a, b) in zip(x.shape[lead:], sides, strict=True))]

    def at(*ix: Expr) -> Expr:
        places = [i - before for i, (before, _) in zip(ix[lead:], sides, strict=True)]
        inside = And(*(within(p, n) for p, n, side in zip(places, x.shape[lead:], sides, strict=True) if any(side)))
        entry = x[(*ix[:lead], *places)]
        return entry * bracket(inside) if filler == 0 and in_front else Piecewise((entry, inside), (filler, True))

    return g.part("xp", shape, at) if filler == 0 else g.also("xp", shape, at)


def windowed(g: Builder, x: Array, kernel: Sequence[Expr], stride: Sequence[int], sides: Sides, dilation: Sequence[int],
             ceil: bool = False) -> list[Expr]:  # fmt: skip
    """The sizes of the output, which are the free ones: H = s (O - 1) + d (K - 1) + 1 - the border.

    Of an input that has such a size itself, as H + 2, only a number of taps leaves one that is a size.
    """
    rank = len(kernel)
    made = []
    for d, extent in enumerate(x.shape[x.dim - rank :]):
        length = dilation[d] * (kernel[d] - 1) + 1 - sum(sides[d])
        count, rest = divmod(g.number(extent) - g.number(length), stride[d])
        if ceil and rest:
            raise g.refusal(said("with ceil_mode=True the last window reaches over the edge here"))
        out = g.extent(count + 1, OUTPUTS[rank][d])
        needed = stride[d] * (out - 1) + length + rest
        if extent.is_Add and g.sizes.resolve(extent - needed).expand() != 0:
            g.sizes.pin(kernel[d])
        g.same(extent, needed)
        made.append(g.sizes.resolve(out))
    return made


# -- convolution ---------------------------------------------------------------------------------------------------


def _kernel(g: Builder, weight: Array) -> list[Expr]:
    """The sides of the filters; a square is one size."""
    sides = weight.shape[2:]
    for n in sides[1:]:
        if g.number(n) == g.number(sides[0]):
            g.same(sides[0], n)
    for n in sides:
        g.wish(n, "K", "S", default=True)
    return [g.sizes.resolve(n) for n in sides]


def _fixed(g: Builder, kernel: Sequence[Expr]) -> list[Expr]:
    """A border is as wide as it is for the filters that there are, so their sides are numbers."""
    for n in kernel:
        g.sizes.pin(n)
    return [g.sizes.resolve(n) for n in kernel]


def _groups(g: Builder, x_channels: Expr, weight: Array, groups: int) -> tuple[Expr, Expr, Expr]:
    """The number of groups, and how many channels each has in the input and in the filters' first axis."""
    g.wish(weight.shape[0], "M", "F")
    if groups == 1:
        g.wish(x_channels, "C")
        return S.One, x_channels, weight.shape[0]
    first = g.number(weight.shape[0]) // groups
    if g.number(x_channels) == groups:  # each channel by itself
        many = x_channels
        g.wish(x_channels, "C")
    else:
        many = sympify(groups)
    each = g.extent(g.number(x_channels) // groups, "C")
    g.same(x_channels, many * each)
    own = g.extent(first, "M", "F")
    g.same(weight.shape[0], many * own)
    many = g.sizes.resolve(many)
    g.write("groups", many)
    return many, g.sizes.resolve(each), g.sizes.resolve(own)


def _convolved(g: Builder, x: Array, weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any,
               groups: Any, rank: int) -> Array:  # fmt: skip
    strides, spread, groups = per_axis(stride, rank), per_axis(dilation, rank), g.number(groups)
    kernel = _kernel(g, weight)
    if padding == "same":
        kernel = _fixed(g, kernel)
        whole = [d * (int(k) - 1) for d, k in zip(spread, kernel, strict=True)]
        sides: Sides = [(n // 2, n - n // 2) for n in whole]
    else:
        sides = [(p, p) for p in per_axis(0 if padding == "valid" else padding, rank)]
        if any(map(any, sides)):
            kernel = _fixed(g, kernel)
    channel = x.dim - rank - 1
    many, _, own = _groups(g, x.shape[channel], weight, groups)
    if groups == 1:
        g.same(x.shape[channel], weight.shape[1])
    elif weight.shape[1] != 1:
        g.same(x.shape[channel], many * weight.shape[1])
    if bias is not None:
        g.same(bias.shape[0], weight.shape[0])
    outer = windowed(g, x, kernel, strides, sides, spread)
    xp = bordered(g, x, sides, S.Zero)
    shape = [*x.shape[:channel], weight.shape[0], *outer]
    each = g.sizes.resolve(weight.shape[1])

    def product(*ix: Expr) -> Expr:
        lead, m, out = ix[:channel], ix[channel], ix[channel + 1 :]

        def tap(c: Expr, *k: Expr) -> Expr:
            places = [s * o + d * j for s, o, d, j in zip(strides, out, spread, k, strict=True)]
            first = c if groups == 1 else whole_part(m, own) * each + c
            return xp[(*lead, first, *places)] * weight[(m, c, *k)]

        return g.sum(tap, each, *kernel)

    return _biased(g, shape, product, bias, channel)


def _biased(g: Builder, shape: Sequence[Expr], product: Callable[..., Expr], bias: Array | None, channel: int) -> Array:
    if bias is None:
        return g.step(shape, product, "y")
    xw = g.detail("xw", shape, product)
    return g.step(shape, lambda *ix: xw[ix] + bias[ix[channel]], "y")


@operation("conv1d", torch="F.conv1d")
def conv1d(g: Builder, input: Array, weight: Array, bias: Array | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: Any = 1) -> Array:  # fmt: skip
    """xp = x with a border of zeros, y[n,m,o] = sum_{c,k} xp[n,c,s o + d k] w[m,c,k] + b[m]"""
    return _convolved(g, input, weight, bias, stride, padding, dilation, groups, 1)


@operation("conv2d", torch="F.conv2d")
def conv2d(g: Builder, input: Array, weight: Array, bias: Array | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: Any = 1) -> Array:  # fmt: skip
    """xp = x with a border of zeros, y[n,m,o,q] = sum_{c,k,l} xp[n,c,s o + d k,s q + d l] w[m,c,k,l] + b[m]"""
    return _convolved(g, input, weight, bias, stride, padding, dilation, groups, 2)


@operation("conv3d", torch="F.conv3d")
def conv3d(g: Builder, input: Array, weight: Array, bias: Array | None = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: Any = 1) -> Array:  # fmt: skip
    """xp = x with a border of zeros, y = the sum of the taps over channels and three axes, plus b[m]"""
    return _convolved(g, input, weight, bias, stride, padding, dilation, groups, 3)


@operation("convolution", torch="F.conv2d")
def convolution(g: Builder, input: Array, weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any,
                transposed: bool, output_padding: Any, groups: Any) -> Array:  # fmt: skip
    """a convolution, or a transposed one"""
    rank = weight.dim - 2
    if not transposed:
        return _convolved(g, input, weight, bias, stride, padding, dilation, groups, rank)
    return _transposed(g, input, weight, bias, stride, padding, output_padding, groups, dilation, rank)


def _transposed(g: Builder, x: Array, weight: Array, bias: Array | None, stride: Any, padding: Any, output_padding: Any,
                groups: Any, dilation: Any, rank: int) -> Array:  # fmt: skip
    strides, spread, groups = per_axis(stride, rank), per_axis(dilation, rank), g.number(groups)
    cut, more = per_axis(padding, rank), per_axis(output_padding, rank)
    kernel = _kernel(g, weight)
    apart = [g.number(k) == s and d == 1 and not p and not e
             for k, s, d, p, e in zip(kernel, strides, spread, cut, more, strict=True)]  # fmt: skip
    if any(apart) or any(cut) or any(more):
        kernel = _fixed(g, kernel)
    channel = x.dim - rank - 1
    g.same(x.shape[channel], weight.shape[0])
    g.wish(weight.shape[1], "M", "F")
    each = g.sizes.resolve(weight.shape[0])
    if groups == 1:
        g.wish(each, "C")
        many: Expr = S.One
    else:
        many = each if g.number(each) == groups else sympify(groups)
        part = g.extent(g.number(each) // groups, "C")
        g.same(each, many * part)
        each = g.sizes.resolve(part)
        g.write("groups", g.sizes.resolve(many))
    own = g.sizes.resolve(weight.shape[1])
    filters = g.sizes.resolve(many) * own
    if bias is not None:
        g.same(bias.shape[0], filters)
    inner = x.shape[channel + 1 :]
    outer = [s * (n - 1) + d * (k - 1) + 1 + e - 2 * p
             for n, s, d, k, e, p in zip(inner, strides, spread, kernel, more, cut, strict=True)]  # fmt: skip
    axes = [_Stamp(*given) for given in zip(inner, strides, spread, kernel, cut, apart, strict=True)]

    def product(*ix: Expr) -> Expr:
        lead, m, out = ix[:channel], ix[channel], ix[channel + 1 :]

        def tap(c: Expr, *bound: Expr) -> Expr:
            rest, places, taps, inside = list(bound), [], [], []
            for axis, u in zip(axes, out, strict=True):
                own_bound = [rest.pop(0) for _ in axis.summed]
                place, k, condition = axis.meets(u, own_bound)
                places.append(place)
                taps.append(k)
                inside.append(condition)
            first, second = (c, m) if groups == 1 else (whole_part(m, own) * each + c, remainder(m, own))
            return x[(*lead, first, *places)] * weight[(first, second, *taps)] * bracket(And(*inside))

        return g.sum(tap, each, *(n for axis in axes for n in axis.summed))

    return _biased(g, [*x.shape[:channel], filters, *(n.expand() for n in outer)], product, bias, channel)


class _Stamp:
    """One axis of a transposed convolution: entry i puts the filter down at s i - p, its taps d apart."""

    def __init__(self, length: Expr, stride: int, dilation: int, kernel: Expr, cut: int, apart: bool):
        self.length, self.stride, self.dilation, self.kernel = length, stride, dilation, kernel
        self.cut, self.apart = cut, apart

    @property
    def summed(self) -> list[Expr]:
        """What is summed over: nothing where filters lie side by side; the taps, the entries, or both."""
        if self.apart:
            return []
        if self.stride == 1:
            return [self.kernel]
        return [self.length] if self.dilation == 1 else [self.length, self.kernel]

    def meets(self, u: Expr, bound: Sequence[Expr]) -> tuple[Expr, Expr, Any]:
        """The entry, the tap, and the condition under which they meet at u."""
        if self.apart:
            side = sympify(self.stride)
            return whole_part(u, side), remainder(u, side), S.true
        if self.stride == 1:
            place = u + self.cut - self.dilation * bound[0]
            return place, bound[0], within(place, self.length)
        if self.dilation == 1:
            tap = u + self.cut - self.stride * bound[0]
            return bound[0], tap, within(tap, self.kernel)
        i, k = bound
        return i, k, Eq(u + self.cut, self.stride * i + self.dilation * k)


@operation("conv_transpose1d", torch="F.conv_transpose1d")
def conv_transpose1d(g: Builder, input: Array, weight: Array, bias: Array | None = None, stride: Any = 1,
                     padding: Any = 0, output_padding: Any = 0, groups: Any = 1,
                     dilation: Any = 1) -> Array:  # fmt: skip
    """y[n,m,u] = sum_{c,i} x[n,c,i] w[c,m,u + p - s i] + b[m], of the taps that there are"""
    return _transposed(g, input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


@operation("conv_transpose2d", torch="F.conv_transpose2d")
def conv_transpose2d(g: Builder, input: Array, weight: Array, bias: Array | None = None, stride: Any = 1,
                     padding: Any = 0, output_padding: Any = 0, groups: Any = 1,
                     dilation: Any = 1) -> Array:  # fmt: skip
    """y[n,m,u,v] = sum_{c,i,j} x[n,c,i,j] w[c,m,u + p - s i,v + p - s j] + b[m], of the taps that there are"""
    return _transposed(g, input, weight, bias, stride, padding, output_padding, groups, dilation, 2)
