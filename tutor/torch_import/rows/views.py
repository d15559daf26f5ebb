"""Views: where to look, nothing to compute. A chain of them is one, and a step when something computes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import Eq, Expr, Integer, Piecewise, S, sympify

from tutor.language import N_, said
from tutor.symbolic.indices import bracket
from tutor.torch_import.arrays import Array, At, quotient, remainder
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.constants import as_kind, conditions
from tutor.torch_import.sizes import product
from tutor.torch_import.table import operation, refused


@operation("contiguous", "clone", "alias", "lift_fresh_copy", "to", "_to_copy", "float", "double",
           torch="x.contiguous()")  # fmt: skip
def same(g: Builder, self: Array) -> Array:
    """y = x; as a condition: x is not 0"""
    kinds = g.node.kinds if g.node is not None else []
    if kinds == ["bool"]:
        return conditions(g, self)[0]
    return self.numbers if kinds == ["float"] else self


@operation("detach", "detach_copy", "detach_", torch="x.detach()")
def detach(g: Builder, self: Array) -> Array:
    """y = x, of constants and integers: elsewhere the gradient stops, which no formula says"""
    entry = self[tuple(g.bound(n) for n in self.shape)] if self.kind == "float" else S.Zero
    if getattr(entry, "free_symbols", set()) and not g.is_constant(self):
        raise g.refusal(N_("the gradient stops there, which no formula of values says; give it as an input of its own"))
    return self


@operation("type_as", torch="x.type_as")
def type_as(g: Builder, self: Array, other: Array) -> Array:
    """y = x"""
    return same(g, self)


@operation("expand_as", torch="x.expand_as")
def expand_as(g: Builder, self: Array, other: Array) -> Array:
    """the same entries along new axes"""
    return expand(g, self, other)


@operation("permute", torch="x.permute")
def permute(g: Builder, self: Array, dims: Sequence[int]) -> Array:
    """the axes in another order"""
    order = [d % self.dim for d in dims]

    def at(*ix: Expr) -> Expr:
        return self[tuple(ix[order.index(d)] for d in range(self.dim))]

    return self.seen([self.shape[d] for d in order], at)


@operation("transpose", "swapaxes", torch="x.transpose")
def transpose(g: Builder, self: Array, dim0: int, dim1: int) -> Array:
    """two axes change places"""
    order = list(range(self.dim))
    a, b = dim0 % max(self.dim, 1), dim1 % max(self.dim, 1)
    if self.dim:
        order[a], order[b] = order[b], order[a]
    return permute(g, self, order)


@operation("t", "numpy_T", "mT", "adjoint", torch="x.T")
def reversed_axes(g: Builder, self: Array) -> Array:
    """the last two axes change places"""
    return transpose(g, self, -2, -1) if self.dim > 1 else self


@operation("unsqueeze", torch="x.unsqueeze")
def unsqueeze(g: Builder, self: Array, dim: int) -> Array:
    """an axis of one entry is added"""
    d = dim % (self.dim + 1)
    return self.seen((*self.shape[:d], S.One, *self.shape[d:]), lambda *ix: self[(*ix[:d], *ix[d + 1 :])])


@operation("squeeze", torch="x.squeeze")
def squeeze(g: Builder, self: Array, dim: Any = None) -> Array:
    """axes of one entry are taken away"""
    among = range(self.dim) if dim is None else [d % self.dim for d in (dim if isinstance(dim, list) else [dim])]
    gone = {d for d in among if self.shape[d] == 1}
    kept = [d for d in range(self.dim) if d not in gone]

    def at(*ix: Expr) -> Expr:
        places = dict(zip(kept, ix, strict=True))
        return self[tuple(places.get(d, S.Zero) for d in range(self.dim))]

    return self.seen([self.shape[d] for d in kept], at)


@operation("expand", "broadcast_to", torch="x.expand")
def expand(g: Builder, self: Array, size: Any) -> Array:
    """the same entries along new axes"""
    wanted = list(size.shape) if isinstance(size, Array) else list(size)
    lead = len(wanted) - self.dim
    shape = [g.extent(n) if d < lead or n != -1 else self.shape[d - lead] for d, n in enumerate(wanted)]
    for d, n in enumerate(self.shape, lead):
        if n != 1:
            g.same(shape[d], n)
    return self.seen(shape, lambda *ix: self.spread(ix, shape))


@operation("select", torch="x[:, i]")
def select(g: Builder, self: Array, dim: int, index: Any) -> Array:
    """one place of an axis"""
    d = dim % self.dim
    place = self.shape[d] + index if not isinstance(index, Expr) and index < 0 else sympify(index)
    if place.is_number and place > 0:
        g.sizes.pin(self.shape[d])
    return self.seen((*self.shape[:d], *self.shape[d + 1 :]), lambda *ix: self[(*ix[:d], place, *ix[d:])])


@operation("slice", torch="x[:, a:b]")
def cut(g: Builder, self: Array, dim: int = 0, start: Any = None, end: Any = None, step: Any = 1) -> Array:
    """a part of an axis: y[i] = x[start + step i]"""
    d = dim % self.dim
    extent = self.shape[d]
    length = g.number(extent)
    first = _place(g, start or 0, length)
    last = min(_place(g, length if end is None else end, length), length)
    count = max(-(-(last - first) // step), 0)
    if first == 0 and last == length and step == 1:
        g.write("end", extent)
        return self
    made, before = g.extent(count), g.extent(first)
    if step != 1:
        g.sizes.pin(extent)
        made, before = sympify(count), sympify(first)
    elif last == length and not _is_size(end):
        g.same(extent, before + made)
    elif _is_size(end):
        g.same(made, end - before)
        g.sizes.at_least(extent, before + made)
    else:
        g.sizes.at_least(extent, before + made)
    made, before = g.sizes.resolve(made), g.sizes.resolve(before)
    g.write("start", before)
    g.write("end", before + made if step == 1 else last)

    def at(*ix: Expr) -> Expr:
        return self[(*ix[:d], before + step * ix[d], *ix[d + 1 :])]

    return self.seen((*self.shape[:d], made, *self.shape[d + 1 :]), at)


def _is_size(value: Any) -> bool:
    return isinstance(value, Expr) and not value.is_number


def _place(g: Builder, value: Any, length: int) -> int:
    """A position on an axis as the example has it, counted from the front."""
    n = g.number(value)
    return max(n + length, 0) if n < 0 else n


@operation("narrow", torch="x.narrow")
def narrow(g: Builder, self: Array, dim: int, start: Any, length: Any) -> Array:
    """a part of an axis"""
    d = dim % self.dim
    if g.number(start) < 0:
        start = g.number(self.shape[d]) + g.number(start)
    made = cut(g, self, d, start, sympify(start) + sympify(length))
    g.write("length", made.shape[d])
    return made


@operation("split", torch="x.split")
def split(g: Builder, self: Array, split_size: Any, dim: int = 0) -> list[Array]:
    """an axis cut into parts of one size"""
    d = dim % self.dim
    if isinstance(split_size, list):
        return split_with_sizes(g, self, split_size, dim)
    total, each = g.number(self.shape[d]), g.number(split_size)
    parts = [min(each, total - start) for start in range(0, total, each)]
    if parts[-1] != each:  # of another length there would be another number of parts
        g.sizes.pin(self.shape[d])
        return _parted(g, self, list(map(Integer, parts)), d)
    return split_with_sizes(g, self, [g.extent(split_size)] * len(parts), dim)


@operation("split_with_sizes", torch="x.split")
def split_with_sizes(g: Builder, self: Array, split_sizes: Sequence[Any], dim: int = 0) -> list[Array]:
    """an axis cut into parts"""
    d = dim % self.dim
    return _parted(g, self, [g.extent(n) for n in split_sizes], d)


def _parted(g: Builder, self: Array, extents: list[Expr], d: int) -> list[Array]:
    g.same(self.shape[d], sum(extents, S.Zero))
    extents = [g.sizes.resolve(n) for n in extents]
    g.write("split_sizes", extents)
    g.write("split_size", extents if isinstance(g.argument("split_size"), list) else extents[0])
    made, before = [], S.Zero
    for extent in extents:

        def at(*ix: Expr, start: Expr = before) -> Expr:
            return self[(*ix[:d], start + ix[d], *ix[d + 1 :])]

        made.append(self.seen((*self.shape[:d], extent, *self.shape[d + 1 :]), at))
        before = before + extent
    return made


@operation("chunk", torch="x.chunk")
def chunk(g: Builder, self: Array, chunks: int, dim: int = 0) -> list[Array]:
    """an axis cut into so many parts"""
    total = g.number(self.shape[dim % self.dim])
    if total % chunks:  # of another length they would be others
        g.sizes.pin(self.shape[dim % self.dim])
    return split(g, self, -(-total // chunks), dim)


def halves(g: Builder, x: Array, dim: int) -> list[Array]:
    """The two halves of an axis."""
    d = dim % x.dim
    half = g.extent(g.number(x.shape[d]) // 2)
    g.same(x.shape[d], 2 * half)
    half = g.sizes.resolve(half)
    shape = (*x.shape[:d], half, *x.shape[d + 1 :])
    second = x.seen(shape, lambda *ix: x[(*ix[:d], half + ix[d], *ix[d + 1 :])])
    return [x.seen(shape, lambda *ix: x[ix]), second]


@operation("broadcast_tensors", torch="torch.broadcast_tensors")
def broadcast_tensors(g: Builder, tensors: Sequence[Array]) -> list[Array]:
    """the same entries along new axes, so that all have one shape"""
    shape = g.broadcast(*tensors)
    return [x if x.shape == shape else x.seen(shape, lambda *ix, x=x: x.spread(ix, shape)) for x in tensors]


@operation("unbind", torch="x.unbind")
def unbind(g: Builder, self: Array, dim: int = 0) -> list[Array]:
    """every place of an axis by itself"""
    count = g.sizes.pin(self.shape[dim % self.dim])
    return [select(g, self, dim, n) for n in range(count)]


# -- the same entries under another shape ------------------------------------------------------------------------


@operation("view", "reshape", "_unsafe_view", "view_copy", torch="x.view")
def view(g: Builder, self: Array, size: Sequence[Any] = (), shape: Sequence[Any] = ()) -> Array:
    """the same entries in row-major order under another shape"""
    assert g.node is not None
    given = list(size or shape)
    made = g.node.shapes[0]
    wanted = [g.extent(n if not isinstance(n, int) or n != -1 else m) for n, m in zip(given, made, strict=True)]
    return reshaped(g, self, wanted)


@operation("flatten", torch="x.flatten")
def flatten(g: Builder, self: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    """neighbouring axes become one"""
    if not self.dim:
        return self.seen([S.One], lambda i: self[()])
    a, b = start_dim % self.dim, end_dim % self.dim
    return reshaped(g, self, [*self.shape[:a], product(self.shape[a : b + 1]), *self.shape[b + 1 :]])


@operation("unflatten", torch="x.unflatten")
def unflatten(g: Builder, self: Array, dim: int, sizes: Sequence[Any]) -> Array:
    """one axis becomes several"""
    assert g.node is not None
    d = dim % self.dim
    made = g.node.shapes[0][d : d + len(sizes)]
    inner = [g.extent(n if n != -1 else m) for n, m in zip(sizes, made, strict=True)]
    return reshaped(g, self, [*self.shape[:d], *inner, *self.shape[d + 1 :]])


def reshaped(g: Builder, x: Array, wanted: Sequence[Expr]) -> Array:
    """Both shapes are cut into the axes that they have in common; each index is made of, or taken from, these."""
    found = _common(g, list(x.shape), list(wanted))
    if found is None:
        for extent in (*x.shape, *wanted):
            g.sizes.pin(extent)
        old, new = [g.sizes.resolve(n) for n in x.shape], [g.sizes.resolve(n) for n in wanted]
        return x.seen(new, lambda *ix: x[tuple(_digits(_flat(ix, new), old))])
    inside, outside, count = found
    wanted = [g.sizes.resolve(n) for n in wanted]

    def at(*ix: Expr) -> Expr:
        atoms: list[Expr] = [S.Zero] * count
        for index, parts in zip(ix, outside, strict=True):
            digits = _digits(index, [g.sizes.resolve(n) for _, n in parts])
            for (atom, _), digit in zip(parts, digits, strict=True):
                atoms[atom] = digit
        return x[tuple(_flat([atoms[a] for a, _ in parts], [g.sizes.resolve(n) for _, n in parts]) for parts in inside)]

    return x.seen(wanted, at)


Parts = list[list[tuple[int, Expr]]]  # of each axis: its atoms, by number and size


def _common(g: Builder, old: list[Expr], new: list[Expr]) -> tuple[Parts, Parts, int] | None:
    """The axes that both shapes are made of, from the last one forwards; None where they cross."""
    inside: Parts = [[] for _ in old]
    outside: Parts = [[] for _ in new]
    left = [(d, n) for d, n in enumerate(old) if g.number(n) != 1]
    right = [(d, n) for d, n in enumerate(new) if g.number(n) != 1]
    count = 0
    while left and right:
        (a, m), (b, n) = left.pop(), right.pop()
        big, small = g.number(m), g.number(n)
        if big == small:
            g.same(m, n)
            shared = n if n.is_number else m
        elif big % small == 0 or small % big == 0:
            longer, shared, back, place = (m, n, left, a) if big > small else (n, m, right, b)
            rest = g.sizes.resolve(longer) / g.sizes.resolve(shared)
            if rest.as_numer_denom()[1] != 1:
                rest = g.extent(max(big, small) // min(big, small))
                g.same(longer, rest * shared)
            back.append((place, rest))
        else:
            return None
        inside[a].insert(0, (count, shared))
        outside[b].insert(0, (count, shared))
        count += 1
    return (inside, outside, count) if not left and not right else None


def _flat(digits: Sequence[Expr], sizes: Sequence[Expr]) -> Expr:
    """n*C + c"""
    made: Expr = S.Zero
    for digit, extent in zip(digits, sizes, strict=True):
        made = made * extent + digit
    return made.expand() if len(digits) > 1 else made


def _digits(index: Expr, sizes: Sequence[Expr]) -> list[Expr]:
    """floor(index/C) and index mod C"""
    made: list[Expr] = []
    for extent in reversed(sizes[1:]):
        made.insert(0, remainder(index, extent))
        index = quotient(index, extent)
    return [index, *made] if sizes else []


# -- put together and turned around --------------------------------------------------------------------------------


@operation("cat", "concat", "concatenate", torch="torch.cat")
def cat(g: Builder, tensors: Sequence[Array], dim: int = 0) -> Array:
    """one array after the other along an axis"""
    arrays = [a.numbers for a in tensors if not (a.dim == 1 and a.shape[0] == 0)]
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

    return Array((*arrays[0].shape[:d], total, *arrays[0].shape[d + 1 :]), at)


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
    return self.seen(shape, lambda *ix: self[(*ix[:d], quotient(ix[d], times), *ix[d + 1 :])])


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
