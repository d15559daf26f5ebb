"""Views: where to look, nothing to compute. A chain of them is one, and a step when something computes with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import Expr, Integer, S, sympify

from tutor.language import N_
from tutor.symbolic.indices import never_negative
from tutor.torch_import.arrays import Array, remainder, whole_part
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.constants import conditions
from tutor.torch_import.sizes import product
from tutor.torch_import.table import operation


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
    if _is_size(start) and g.number(start) == first:
        g.same(before, start)
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
    rest = (g.sizes.resolve(extent) - before - made).expand()
    if g.settling and not all(
        map(never_negative, (before, made, rest))
    ):  # other sizes would put it outside of the axis
        made, before = sympify(g.sizes.pin(made)), sympify(g.sizes.pin(before))
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
    if g.settling and g.sizes.resolve(self.shape[d]).is_number:  # the parts of so many entries
        extents = [sympify(g.sizes.pin(n)) for n in extents]
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
    if total % chunks:  # the last is shorter by what no formula of sizes says
        g.sizes.pin(self.shape[dim % self.dim])
        each = -(-total // chunks)
        return [_numbered(self, dim % self.dim, n, min(each, total - n)) for n in range(0, total, each)]
    return split(g, self, -(-total // chunks), dim)


def _numbered(x: Array, d: int, start: int, count: int) -> Array:
    """So many places of an axis, wherever sizes are."""
    shape = (*x.shape[:d], Integer(count), *x.shape[d + 1 :])
    return x.seen(shape, lambda *ix: x[(*ix[:d], start + ix[d], *ix[d + 1 :])])


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
        index = whole_part(index, extent)
    return [index, *made] if sizes else []
