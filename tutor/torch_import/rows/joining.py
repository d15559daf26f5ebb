"""Views that put together, turn around, pad and write into: where to look, nothing to compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import Eq, Expr, Integer, Piecewise, S, sympify

from tutor.language import N_, said
from tutor.symbolic.indices import bracket, never_negative
from tutor.torch_import.arrays import Array, At, remainder, whole_part
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.constants import as_kind
from tutor.torch_import.rows.views import cut, expand, permute, reshaped, select, transpose, unsqueeze
from tutor.torch_import.sizes import product
from tutor.torch_import.table import operation, refused

# -- put together and turned around --------------------------------------------------------------------------------


@operation("cat", "concat", "concatenate", torch="torch.cat")
def cat(g: Builder, tensors: Sequence[Array], dim: int = 0) -> Array:
    """one array after the other along an axis"""
    arrays = [a.numbers for a in tensors if not (a.dim == 1 and a.shape[0] == 0)]
    kind = "int" if all(a.kind == "int" for a in tensors) else "float"
    d = dim % arrays[0].dim
    for array in arrays[1:]:
        for axis in range(array.dim):
            if axis != d:
                g.same(arrays[0].shape[axis], array.shape[axis])
    total = sum((a.shape[d] for a in arrays), S.Zero)

    def at(*ix: Expr) -> Expr:
        branches, start = [], S.Zero
        for array in arrays:
            here = ix[d] - start if array.shape[d] != 1 else S.Zero
            start = start + array.shape[d]
            branches.append((array[(*ix[:d], here, *ix[d + 1 :])], ix[d] < start))
        return _chosen(branches)

    below = _highest(g, arrays) if kind == "int" else None
    return Array((*arrays[0].shape[:d], total, *arrays[0].shape[d + 1 :]), at, kind, below=below)


def _highest(g: Builder, arrays: Sequence[Array]) -> Expr | None:
    """What the entries of all stay under, where that is known."""
    known = [g.sizes.resolve(a.below) for a in arrays if a.below is not None]
    above = [m for m in known if all(never_negative((m - n).expand()) for n in known)]
    return above[0] if above and len(known) == len(arrays) else None


def _chosen(branches: list[tuple[Expr, Any]]) -> Expr:
    """The first branch whose condition holds; the last has none."""
    for value, condition in branches[:-1]:
        if condition == S.true:
            return value
    kept = [(v, c) for v, c in branches[:-1] if c != S.false]
    return Piecewise(*kept, (branches[-1][0], True)) if kept else branches[-1][0]


@operation("stack", torch="torch.stack")
def stack(g: Builder, tensors: Sequence[Array], dim: int = 0) -> Array:
    """arrays side by side along a new axis"""
    return cat(g, [unsqueeze(g, a, dim) for a in tensors], dim % (tensors[0].dim + 1))


@operation("flip", torch="x.flip")
def flip(g: Builder, self: Array, dims: Sequence[int]) -> Array:
    """y[i] = x[n - 1 - i]"""
    turned = {d % self.dim for d in dims}

    def at(*ix: Expr) -> Expr:
        return self[tuple(self.shape[d] - 1 - i if d in turned else i for d, i in enumerate(ix))]

    return self.seen(self.shape, at)


@operation("repeat", "tile", torch="x.repeat")
def repeat(g: Builder, self: Array, repeats: Sequence[Any] = (), dims: Sequence[Any] = ()) -> Array:
    """the array side by side with itself: y[i] = x[i mod n]"""
    times = list(repeats or dims)
    times = [1] * (self.dim - len(times)) + times
    lead = len(times) - self.dim
    lengths = [S.One] * lead + list(self.shape)
    # an axis of one entry is only made longer
    counts = [g.extent(r) if n == 1 else sympify(r) for r, n in zip(times, lengths, strict=True)]
    g.write("repeats", counts)
    g.write("dims", counts[-len(dims) :] if dims else [])
    shape = [n * r for n, r in zip(lengths, counts, strict=True)]

    def at(*ix: Expr) -> Expr:
        return self[tuple(i if r == 1 else remainder(i, n) for i, r, n in
                          zip(ix[lead:], counts[lead:], self.shape, strict=True))]  # fmt: skip

    return self.seen(shape, at)


@operation("repeat_interleave", torch="x.repeat_interleave")
def repeat_interleave(g: Builder, self: Array, repeats: Any, dim: Any = None) -> Array:
    """every entry several times: y[i] = x[floor(i / r)]"""
    if isinstance(repeats, Array):
        raise g.refusal(N_("the size of its result depends on values; give one number of repeats"))
    if dim is None:
        self, dim = reshaped(g, self, [product(self.shape)]), 0
    d, times = dim % self.dim, sympify(repeats)
    shape = (*self.shape[:d], self.shape[d] * times, *self.shape[d + 1 :])
    return self.seen(shape, lambda *ix: self[(*ix[:d], whole_part(ix[d], times), *ix[d + 1 :])])


@operation("roll", torch="x.roll")
def roll(g: Builder, self: Array, shifts: Any, dims: Any = ()) -> Array:
    """y[i] = x[i - s], with what leaves the axis at its end coming back at its front"""
    if not dims:
        flat = reshaped(g, self, [product(self.shape)])
        return reshaped(g, roll(g, flat, shifts, [0]), list(self.shape))
    made = self
    for shift, dim in zip(shifts, dims, strict=True):
        made = _rolled(g, made, g.number(shift), dim % self.dim)
    return made


def _rolled(g: Builder, x: Array, shift: int, d: int) -> Array:
    length = g.number(x.shape[d])
    by = shift % length if shift % length <= length // 2 or shift > 0 else shift % length - length
    if by == 0:
        return x
    g.sizes.at_least(x.shape[d], Integer(abs(by)))
    extent = g.sizes.resolve(x.shape[d])
    if abs(shift) != abs(by):
        g.sizes.pin(extent)  # more than once around
        extent = g.sizes.resolve(extent)
    first = by if by > 0 else extent + by  # so many entries of the front come from the end

    def at(*ix: Expr) -> Expr:
        lead, i, rest = ix[:d], ix[d], ix[d + 1 :]
        return _chosen([(x[(*lead, i - first + extent, *rest)], i < first), (x[(*lead, i - first, *rest)], S.true)])

    return x.seen(x.shape, at)


@operation("movedim", "moveaxis", torch="x.movedim")
def movedim(g: Builder, self: Array, source: Any, destination: Any) -> Array:
    """axes move to other places"""
    from_, to = ([d] if isinstance(d, int) else list(d) for d in (source, destination))
    from_, to = [d % self.dim for d in from_], [d % self.dim for d in to]
    order: list[int] = [-1] * self.dim
    for a, b in zip(from_, to, strict=True):
        order[b] = a
    others = iter(d for d in range(self.dim) if d not in from_)
    return permute(g, self, [d if d >= 0 else next(others) for d in order])


@operation("swapdims", torch="x.swapdims")
def swapdims(g: Builder, self: Array, dim0: int, dim1: int) -> Array:
    """two axes change places"""
    return transpose(g, self, dim0, dim1)


@operation("diagonal", torch="x.diagonal")
def diagonal(g: Builder, self: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    """y[i] = x[i, i + offset]"""
    a, b = dim1 % self.dim, dim2 % self.dim
    before, after = max(-offset, 0), max(offset, 0)
    rows, columns = self.shape[a] - before, self.shape[b] - after
    if g.number(rows) <= g.number(columns):
        g.sizes.at_least(self.shape[b], rows + after)
        length = rows
    else:
        g.sizes.at_least(self.shape[a], columns + before)
        length = columns
    kept = [d for d in range(self.dim) if d not in (a, b)]

    def at(*ix: Expr) -> Expr:
        places = dict(zip(kept, ix[:-1], strict=True)) | {a: ix[-1] + before, b: ix[-1] + after}
        return self[tuple(places[d] for d in range(self.dim))]

    return self.seen([*(self.shape[d] for d in kept), g.sizes.resolve(length)], at)


@operation("diag_embed", torch="torch.diag_embed")
def diag_embed(g: Builder, self: Array) -> Array:
    """y[i,j] = x[i] where i = j, else 0"""
    x = self.numbers
    return Array((*x.shape, x.shape[-1]), lambda *ix: x[ix[:-1]] * bracket(Eq(ix[-2], ix[-1])))


@operation("diag", torch="torch.diag")
def diag(g: Builder, self: Array, diagonal: int = 0) -> Array:
    """the diagonal of a matrix; of a vector the matrix that has it"""
    if self.dim == 2:
        return _DIAGONAL(g, self, diagonal)
    if diagonal:
        raise g.refusal(said("{name}={value} is not in its row", name="diagonal", value=diagonal))
    return diag_embed(g, self)


_DIAGONAL = diagonal


@operation("meshgrid", torch="torch.meshgrid")
def meshgrid(g: Builder, tensors: Sequence[Array], indexing: str = "ij") -> list[Array]:
    """every array along an axis of its own"""
    if indexing != "ij":
        raise g.refusal(said("{name}={value} is not in its row", name="indexing", value=indexing))
    shape = [x.shape[0] if x.dim else S.One for x in tensors]
    return [x.seen(shape, lambda *ix, x=x, d=d: x[ix[d]] if x.dim else x[()]) for d, x in enumerate(tensors)]


refused("col2im", "as_strided",
        reason=N_("its windows overlap in memory; write the sum over the window, or use a convolution"))  # fmt: skip


@operation("constant_pad_nd", "pad", torch="F.pad")
def pad(g: Builder, self: Array, pad: Sequence[Any], mode: str = "constant", value: Any = None) -> Array:
    """a border of a constant around it"""
    if mode != "constant":
        return mirrored(g, self, pad, mode)
    filler = as_kind(g, value or 0, "int" if self.kind == "int" else "float")
    sides = {self.dim - 1 - n // 2: (pad[n], pad[n + 1]) for n in range(0, len(pad), 2)}
    x = self.numbers
    shape = [n + sum(map(sympify, sides.get(d, (0, 0)))) for d, n in enumerate(self.shape)]

    def at(*ix: Expr) -> Expr:
        from tutor.symbolic.indices import within

        places = [i - sides[d][0] if d in sides else i for d, i in enumerate(ix)]
        inside = [within(p, n) for d, (p, n) in enumerate(zip(places, x.shape, strict=True)) if d in sides]
        condition = S.true
        for part in inside:
            condition = condition & part
        if condition == S.true:
            return x[tuple(places)]
        if filler == 0:
            return x[tuple(places)] * bracket(condition)
        return Piecewise((x[tuple(places)], condition), (filler, True))

    return x.seen(shape, at)


def mirrored(g: Builder, x: Array, pad: Sequence[Any], mode: str) -> Array:
    """A border of the array's own entries: mirrored at the edge, the edge repeated, or from the other side."""
    shape = list(x.shape)
    for n in range(0, len(pad), 2):
        d, (before, behind) = x.dim - 1 - n // 2, (g.number(pad[n]), g.number(pad[n + 1]))
        if not before and not behind:
            continue
        if max(before, behind) > 1 and mode != "replicate":
            g.sizes.at_least(x.shape[d], sympify(max(before, behind) + (mode == "reflect")))
            shape[d] = g.sizes.resolve(shape[d])
        shape[d] = shape[d] + before + behind
        x = x.seen(shape, _with_border(x, d, g.sizes.resolve(x.shape[d]), before, behind, mode))
    return x


def _with_border(x: Array, d: int, extent: Expr, before: int, behind: int, mode: str) -> At:
    last = extent - 1

    def at(*ix: Expr) -> Expr:
        place = ix[d] - before
        outside = {
            "reflect": (-place, 2 * last - place),
            "replicate": (S.Zero, last),
            "circular": (place + extent, place - extent),
        }[mode]
        front, inside, back = (x[(*ix[:d], p, *ix[d + 1 :])] for p in (outside[0], place, outside[1]))
        branches = [(front, place < 0)] if before else []
        branches += [(inside, place < extent)] if behind else [(inside, S.true)]
        return Piecewise(*branches, *([(back, True)] if behind else []))

    return at


@operation("reflection_pad1d", "reflection_pad2d", "reflection_pad3d", torch='F.pad(mode="reflect")')
def reflection_pad(g: Builder, self: Array, padding: Sequence[Any]) -> Array:
    """a border mirrored at the edge, which itself is not repeated"""
    return mirrored(g, self, padding, "reflect")


@operation("replication_pad1d", "replication_pad2d", "replication_pad3d", torch='F.pad(mode="replicate")')
def replication_pad(g: Builder, self: Array, padding: Sequence[Any]) -> Array:
    """a border that repeats the edge"""
    return mirrored(g, self, padding, "replicate")


# -- written into --------------------------------------------------------------------------------------------------


@operation("copy", torch="x[...] = y")
def copy(g: Builder, self: Array, src: Array) -> Array:
    """other entries in its place"""
    return expand(g, src.numbers if self.kind == "float" else src, self.shape)


@operation("fill", torch="x[...] = 1")
def fill(g: Builder, self: Array, value: Any) -> Array:
    """one number in its place"""
    number = value[()] if isinstance(value, Array) else as_kind(g, value, self.kind)
    if isinstance(value, Array) and value.kind != self.kind != "float":
        raise g.refusal(N_("it cuts real numbers off to whole ones, or to conditions"))
    return Array(self.shape, lambda *ix: number, self.kind)


@operation("select_scatter", torch="x[:, i] = y")
def select_scatter(g: Builder, self: Array, src: Array, dim: int, index: Any) -> Array:
    """y at one place of an axis, x at the others"""
    d = dim % self.dim
    place = _first(select(g, _place_on(self, d), d, index), self.dim - 1)
    x, y = self.numbers, src.numbers
    _meet(g, [*x.shape[:d], *x.shape[d + 1 :]], y.shape)

    def at(*ix: Expr) -> Expr:
        return Piecewise((y[(*ix[:d], *ix[d + 1 :])], Eq(ix[d], place)), (x[ix], True))

    return Array(x.shape, at)


@operation("slice_scatter", torch="x[:, a:b] = y")
def slice_scatter(g: Builder, self: Array, src: Array, dim: int = 0, start: Any = None, end: Any = None,
                  step: Any = 1) -> Array:  # fmt: skip
    """y at a part of an axis, x at the rest"""
    if step != 1:
        raise g.refusal(said("{name}={value} is not in its row", name="step", value=step))
    d = dim % self.dim
    part = cut(g, _place_on(self, d), d, start, end)
    before = _first(part, self.dim)
    x, y = self.numbers, src.numbers
    _meet(g, [*x.shape[:d], part.shape[d], *x.shape[d + 1 :]], y.shape)
    after = before + g.sizes.resolve(part.shape[d])

    def at(*ix: Expr) -> Expr:
        inside = (before <= ix[d]) & (ix[d] < after)
        return Piecewise((y[(*ix[:d], ix[d] - before, *ix[d + 1 :])], inside), (x[ix], True))

    return Array(x.shape, at)


def _place_on(x: Array, d: int) -> Array:
    """The place on an axis, for every entry."""
    return Array(x.shape, lambda *ix: ix[d], "int")


def _first(part: Array, dim: int) -> Expr:
    """Where a part begins."""
    return sympify(part[(S.Zero,) * dim])


def _meet(g: Builder, ours: Sequence[Expr], theirs: Sequence[Expr]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        g.same(a, b)


@operation("unfold", torch="x.unfold")
def unfold(g: Builder, self: Array, dimension: int, size: Any, step: Any) -> Array:
    """windows over an axis: y[i,k] = x[step i + k]"""
    d = dimension % self.dim
    by, length, window = g.number(step), g.number(self.shape[d]), g.number(size)
    count, k = g.extent((length - window) // by + 1), g.extent(window)
    g.same(self.shape[d], by * (count - 1) + k + (length - window) % by)
    count, k = g.sizes.resolve(count), g.sizes.resolve(k)
    g.write("size", k)

    def at(*ix: Expr) -> Expr:
        return self[(*ix[:d], by * ix[d] + ix[-1], *ix[d + 1 : -1])]

    return self.seen([*self.shape[:d], count, *self.shape[d + 1 :], k], at)
