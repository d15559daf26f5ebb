"""An index expression as a number in mixed radix: `offset + r*D + d` counts with the digits r and d.

    C + r*D + d = j     r = floor(j/D) - C/D,  d = Mod(j, D),  where C <= j < C + R*D       `read`, then `solve`
    floor(m/D) = t, Mod(m, D) = d     m = t*D + d                                           `merge`

Digits may leave a stride free (every second entry), and may be short of the next stride (then a condition is left).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sympy import Add, And, Basic, Eq, Expr, Idx, Mod, S, Symbol, floor

from tutor.symbolic.indices import (
    axis_sizes,
    bounds,
    free_indices,
    fresh,
    never_negative,
    outermost_digits,
    over,
    quotient,
    size,
    values_of,
    within,
)

# -- offset + stride*digit + ... -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """One digit: an index, or a floor or remainder of one, with the number of its values."""

    digit: Expr
    stride: Expr
    count: Expr


@dataclass(frozen=True)
class Number:
    """offset + sum of stride*digit, the smallest stride first; what lower digits count stays below the next stride."""

    offset: Expr
    places: tuple[Place, ...]
    axes: frozenset[Expr]  # sizes that are sums

    def reach(self, upto: int) -> Expr:
        """How many values the lowest digits span, strides included."""
        return Add(S.One, *(p.stride * (p.count - 1) for p in self.places[:upto])).expand()

    @property
    def span(self) -> Expr:
        return self.reach(len(self.places))

    def solve(self, target: Expr) -> tuple[dict[Expr, Expr], Basic]:
        """The value of each digit where the number is `target`, and the condition that there is one."""
        values: dict[Expr, Expr] = {}
        conditions: list[Basic] = []
        rest, offset = target, self.offset
        modulus: Expr | None = None  # rest stays below it
        for upto in reversed(range(len(self.places))):
            place = self.places[upto]
            front, offset = divided(offset, place.stride)
            room = (place.stride - self.reach(upto) - offset).expand()
            if not (never_negative(offset, self.axes) and never_negative(room, self.axes)):
                rest, modulus = rest - (front * place.stride + offset).expand(), None
                front = offset = S.Zero
            end = ((front + place.count) * place.stride).expand()
            if place.stride == 1:
                values[place.digit] = rest - front
            elif modulus is not None and quotient(modulus, place.stride) == place.count.expand():
                values[place.digit] = Mod(floor(_under(rest) / place.stride), place.count)
            else:
                values[place.digit] = floor(rest / place.stride) - front
            spare = offset if upto == 0 else S.Zero  # the lowest stride leaves only every so many values
            conditions += _between(rest, modulus, (front * place.stride).expand(), end, spare, self.axes)
            if place.stride != 1:
                whole = modulus is not None and isinstance(rest, Mod) and quotient(modulus, place.stride) is not None
                rest, modulus = Mod(_under(rest) if whole else rest, place.stride), place.stride
        if modulus is not None and self.places[0].stride != 1:
            conditions.append(Eq(rest, offset))
        return values, And(*conditions)


def _under(rest: Expr) -> Expr:
    return rest.args[0] if isinstance(rest, Mod) else rest


def divided(offset: Expr, stride: Expr) -> tuple[Expr, Expr]:
    """`offset = front*stride + rest`, by terms: 4*D is 3*D and D more."""
    front = quotient(offset, stride)
    if front is not None:
        return front, S.Zero
    front = S.Zero
    for term in Add.make_args(offset):
        ratio = term / stride
        part = floor(ratio) if ratio.is_Rational else quotient(term, stride)
        front += part or S.Zero
    return front, (offset - front * stride).expand()


def _between(
    value: Expr, modulus: Expr | None, low: Expr, end: Expr, spare: Expr, axes: Collection[Expr]
) -> list[Basic]:
    """low <= value < end, without the halves that always hold; up to `end + spare` there is no further value."""
    limits = (S.Zero, modulus - 1) if modulus is not None else bounds(value)
    axes = frozenset(axes) | axis_sizes(value)
    found: list[Basic] = []
    if limits is None or not never_negative((limits[0] - low).expand(), axes):
        found.append(value >= low)
    if limits is None or not never_negative((end + spare - 1 - limits[1]).expand(), axes):
        found.append(value < end)
    return found


def read(slot: Expr, scope: Collection[Idx]) -> Number | None:
    """The index expression as a number whose digits are made of indices in `scope`; None where it is not one."""
    inside = frozenset(scope)
    digits = [d for d in dict.fromkeys(outermost_digits(slot)) if not free_indices(d).isdisjoint(inside)]
    apart: dict[Expr, Symbol] = {d: Symbol(f"digit~{n}", integer=True) for n, d in enumerate(digits)}
    rest = slot.xreplace(apart).expand()
    found = [i for i in free_indices(rest) if i in inside]
    counts = {**{apart[d]: values_of(d) for d in digits}, **{i: size(i) for i in found}}
    names: dict[Expr, Expr] = {apart[d]: d for d in digits}
    axes = axis_sizes(slot)
    places = []
    for atom, count in counts.items():
        stride = rest.coeff(atom)
        rest = (rest - stride * atom).expand()
        if count is None or free_indices(stride) or rest.has(atom) or not never_negative(stride - 1, axes):
            return None
        if count != 1:  # one value is 0: floor(k/2) for k below 2 is no digit beside n in n + floor(k/2)
            places.append(Place(names.get(atom, atom), stride, count))
    if rest.has(*apart.values()) or not inside.isdisjoint(free_indices(rest)):
        return None
    ordered: list[Place] = []
    while places:
        least = next((p for p in places if all(never_negative(o.stride - p.stride, axes) for o in places)), None)
        if least is None:
            return None
        if ordered and not never_negative((least.stride - Number(rest, tuple(ordered), axes).span).expand(), axes):
            return None
        places.remove(least)
        ordered.append(least)
    return Number(rest, tuple(ordered), axes) if ordered else None


# -- floor(m/D), Mod(m, D) -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Digit:
    """`floor(base/stride)`, or the remainder of that by `count`."""

    base: Expr
    stride: Expr
    count: Expr | None


def digit(node: Basic) -> Digit | None:
    """`Mod(floor(m/D), R)` is the digit of m with stride D and R values."""
    if isinstance(node, Mod):
        base, count = node.args
        inner = digit(base) or Digit(base, S.One, None)
        if inner.count is not None and quotient(inner.count, count) is None:
            return None
        return Digit(inner.base, inner.stride, count)
    if isinstance(node, floor):
        base, stride = over(node.args[0])
        found = digit(base) or Digit(base, S.One, None)
        if found.count is None:
            return Digit(found.base, found.stride * stride, None)
        count = quotient(found.count, stride)
        return None if count is None else Digit(found.base, found.stride * stride, count)
    return None


Pair = tuple[Expr, Expr]


def merge(pairs: Sequence[Pair], scope: Collection[Idx]) -> tuple[list[Pair], list[Basic], list[Idx]]:
    """Digits of one index, each with its value, as the index with the number they make.

    A digit that no pair names counts freely: `Mod(m, D) = i` says `m = k*D + i` for every k. Returns the pairs, the
    conditions that each value is a digit's, and the indices made for free digits.
    """
    groups: dict[Expr, list[tuple[Digit, Pair]]] = {}
    left: list[Pair] = []
    for pair in pairs:
        found = digit(pair[0])
        if found is None:
            left.append(pair)
        else:
            groups.setdefault(found.base, []).append((found, pair))
    conditions: list[Basic] = []
    free: list[Idx] = []
    for base, group in groups.items():
        made = _counted(base, group, isinstance(base, Idx) and base in scope)
        if made is None:
            left += [pair for _, pair in group]
            continue
        value, repeats = made
        left.append((base, value))
        free += repeats
        conditions += [within(v, d.count) for d, (_, v) in group if d.count is not None]
    return left, [c for c in conditions if c != S.true], free


def _counted(base: Expr, group: Sequence[tuple[Digit, Pair]], free: bool) -> tuple[Expr, list[Idx]] | None:
    todo = list(group)
    value, stride = S.Zero, S.One
    repeats: list[Idx] = []

    def repeat(often: Expr | None) -> bool:
        nonlocal value, stride
        if not free or often is None or not never_negative(often - 1, axis_sizes(base, *(p[0] for _, p in group))):
            return False
        repeats.append(fresh(Idx(Symbol("k", integer=True), often)))
        value, stride = value + stride * repeats[-1], stride * often
        return True

    while todo:
        here = next((e for e in todo if (e[0].stride - stride).expand() == 0), None)
        if here is None:
            gaps = [g for e in todo if (g := quotient(e[0].stride, stride)) is not None]
            if not any(repeat(g) for g in gaps[:1] if len(gaps) == 1):
                return None
            continue
        todo.remove(here)
        value += stride * here[1][1]
        if here[0].count is None:
            return (value, repeats) if not todo else None
        stride = stride * here[0].count  # not multiplied out: (L - K + 1)*h is shorter
    if isinstance(base, Idx):
        often = quotient(size(base), stride)
        if often == 1 or repeat(often):
            return value, repeats
    return None


def settled_digits(node: Basic) -> Basic | None:
    """`floor((D*k + i)/D)` is k and `Mod(D*k + i, D)` is i, for i below D; None for anything else."""
    if not isinstance(node, (floor, Mod)):
        return None
    above, length = node.args if isinstance(node, Mod) else over(node.args[0])
    if not free_indices(above) or free_indices(length):
        return None
    front, low = divided(above.expand(), length)
    limits, axes = bounds(low), axis_sizes(node)
    gaps = (limits[0], (length - 1 - limits[1]).expand()) if limits is not None else ()
    if gaps and all(never_negative(gap, axes) for gap in gaps):
        return low if isinstance(node, Mod) else front
    if front == 0:
        return None
    return Mod(low, length) if isinstance(node, Mod) else front + floor(low / length)
