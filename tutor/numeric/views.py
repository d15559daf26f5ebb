"""Which view of torch an index map is. SymPy only.

x[n, C + r*D + d]                 narrow, then unflatten (or unfold)        `strides`
x[n, floor(m/D), t, Mod(m, D)]    permute, then flatten                     `digits`
f[m] * [C <= m < C + R*D]         f on a part of the axis, padded           `narrowed`
Piecewise((a[m], m < A), (b[m - A], True))    cat                           `segments`

Sizes are symbols here, so strides are compared as expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sympy import And, Basic, Eq, Expr, Idx, KroneckerDelta, Mod, Piecewise, S, floor
from sympy.core.relational import GreaterThan, LessThan, StrictGreaterThan, StrictLessThan

from tutor.numeric.products import Parts, is_constant, is_shared, replaced, same_size
from tutor.symbolic import radix
from tutor.symbolic.indices import (
    axis_sizes,
    free_indices,
    fresh,
    never_negative,
    quotient,
    size,
    substitute,
    transform,
)

# -- one axis that several indices make, and one index that is the digits of several axes -----------------------


@dataclass(frozen=True)
class Strides:
    """`start + sum of step*index`"""

    start: Expr
    steps: tuple[tuple[Idx, Expr], ...]  # the largest step first, where that can be told


def strides(at: Expr, dim: int, axes: Sequence[Expr]) -> Strides | None:
    """Several indices with positive steps, which stand on no other axis."""
    free = free_indices(at)
    if len(free) < 2 or any(is_shared(index, dim, axes) for index in free):
        return None
    rest, steps = at.expand(), []
    sums = axis_sizes(at)
    for index in free:
        step = rest.coeff(index)
        if not is_constant(step) or not never_negative(step - 1, sums):
            return None
        rest = (rest - step * index).expand()
        steps.append((index, step))
    if not is_constant(rest):
        return None
    steps = sorted(steps, key=lambda e: (-sum(never_negative(e[1] - other, sums) for _, other in steps), str(e)))
    return Strides(rest, tuple(steps))


@dataclass(frozen=True)
class Digits:
    """An index, and the axes that are its digits: (dimension, number of values), the highest first."""

    index: Idx
    places: tuple[tuple[int, Expr], ...]


def digits(axes: Sequence[Expr]) -> Digits | None:
    """The first index whose digits, floors and remainders of it, count it from end to end."""
    groups: dict[Expr, list[tuple[int, radix.Digit]]] = {}
    for dim, at in enumerate(axes):
        found = radix.digit(at)
        if found is not None:
            groups.setdefault(found.base, []).append((dim, found))
    for base, group in groups.items():
        dims = [dim for dim, _ in group]
        if not isinstance(base, Idx) or any(base in free_indices(at) for d, at in enumerate(axes) if d not in dims):
            continue
        places = _counted(base, group)
        if places is not None:
            return Digits(base, tuple(places))
    return None


def _counted(index: Idx, group: Sequence[tuple[int, radix.Digit]]) -> list[tuple[int, Expr]] | None:
    places: list[tuple[int, Expr]] = []
    todo, stride = list(group), S.One
    while todo:
        here = next((part for part in todo if same_size(part[1].stride, stride)), None)
        if here is None:
            return None
        todo.remove(here)
        dim, digit = here
        count = digit.count if digit.count is not None else quotient(size(index), stride)
        if count is None or (digit.count is None and todo):
            return None
        places.insert(0, (dim, count))
        stride = stride * count
    return places if same_size(stride, size(index)) else None


# -- conditions on one index that leave a part of its axis --------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """`index = start + step*inner`: the part of an axis that `inner` runs over."""

    index: Idx
    inner: Idx
    start: Expr
    step: Expr

    @property
    def place(self) -> Expr:
        return self.start + self.step * self.inner

    @property
    def end(self) -> Expr:
        return self.start + self.step * size(self.inner)

    def put_in(self, node: Basic) -> Basic:
        """`node` over this part: `floor((m + C)/D) - C/D` is `floor(m/D)` there."""
        return settled(substitute(node, {self.index: self.place}))


def settled(node: Basic) -> Basic:
    return transform(node, radix.settled_digits) if node.has(floor, Mod) else node


def _limit(condition: Basic) -> tuple[Idx, str, Expr] | None:
    """(m, "low" or "end", value): m >= value or m < value."""
    if not isinstance(condition, (StrictGreaterThan, GreaterThan, StrictLessThan, LessThan)):
        return None
    free = free_indices(condition)
    if len(free) != 1:
        return None
    (index,) = free
    gap = (condition.gts - condition.lts).expand()
    slope = gap.coeff(index)
    rest = (gap - slope * index).expand()
    strict = isinstance(condition, (StrictGreaterThan, StrictLessThan))
    if not slope.is_Rational or slope == 0 or not is_constant(rest):
        return None
    value = (-rest / slope).expand()
    if not value.is_integer or quotient(value, S.One) is None:
        return None
    if slope > 0:  # m > value, or m >= value
        return index, "low", value + 1 if strict else value
    return index, "end", value if strict else value + 1


def _every(condition: Basic) -> tuple[Idx, Expr, Expr] | None:
    """(m, step, rest) of `Mod(m, step) = rest`; of `m = rest` too, with step 0."""
    if not isinstance(condition, (Eq, KroneckerDelta)):
        return None
    for here, there in (condition.args[:2], condition.args[1::-1]):
        if isinstance(here, Mod) and isinstance(here.args[0], Idx) and is_constant(here.args[1]) and is_constant(there):
            return here.args[0], here.args[1], there
        if isinstance(here, Idx) and is_constant(there) and there.is_integer:
            return here, S.Zero, there
    return None


def part_of(index: Idx, conditions: Sequence[Basic]) -> Part | None:
    """Where all these conditions on one index hold, as far as it is one part of the axis for all sizes."""
    lows, ends, every = [S.Zero], [size(index)], []
    for condition in conditions:
        limit, steps = _limit(condition), _every(condition)
        if limit is not None:
            (lows if limit[1] == "low" else ends).append(limit[2])
        elif steps is not None:
            every.append(steps)
        else:
            return None
    sums = axis_sizes(index)
    if any(step == 0 for _, step, _ in every):
        lows += [rest for _, step, rest in every if step == 0]
        ends += [rest + 1 for _, step, rest in every if step == 0]
        every = [e for e in every if e[1] != 0]
    start = next((a for a in lows if all(never_negative((a - b).expand(), sums) for b in lows)), None)
    end = next((a for a in ends if all(never_negative((b - a).expand(), sums) for b in ends)), None)
    if start is None or end is None or len(every) > 1 or not never_negative((end - start).expand(), sums):
        return None
    step = every[0][1] if every else S.One
    if every:
        start = _first(start, step, every[0][2])
    count = _count(start, end, step) if start is not None else None
    if count is None or (start == 0 and same_size(count, size(index))):
        return None
    return Part(index, Idx(fresh(index).label, count), start, step)


def _first(start: Expr, step: Expr, rest: Expr) -> Expr | None:
    """The first place from `start` on with this remainder."""
    if quotient((start - rest).expand(), step) is not None:
        return start
    aligned = quotient(start, step) is not None and rest.is_number and step.is_number and 0 <= rest < step
    return start + rest if aligned else None


def _count(start: Expr, end: Expr, step: Expr) -> Expr | None:
    """How many of start, start + step, ... are below the end."""
    exact = quotient((end - start).expand(), step)
    if exact is not None:
        return exact
    count, left = radix.divided((end - start + step - 1).expand(), step)
    return count if left.is_number and step.is_number and 0 <= left < step else None


def narrowed(parts: Parts, kept: Iterable[Idx]) -> tuple[Parts, list[Part]]:
    """A product under conditions on one index, over the part of the axis where they hold; not for indices in `kept`."""
    masks: dict[Idx, list[Basic]] = {}
    for condition in (*parts.conditions, *parts.deltas):
        free = free_indices(condition)
        if len(free) == 1 and free.isdisjoint(kept) and (_limit(condition) or _every(condition)):
            masks.setdefault(next(iter(free)), []).append(condition)
    found = []
    for index, conditions in masks.items():
        part = part_of(index, conditions)
        factors = (*parts.above, *parts.below)
        alone = any(each is not None and each[1] == 0 for each in map(_every, conditions))  # ds[n]*delta(m, 2)
        if part is None or not factors or not (alone or any(index in free_indices(e) for e in factors)):
            continue
        rest = [c for c in parts.conditions if c not in conditions]
        deltas = [d for d in parts.deltas if d not in conditions]
        parts = replaced(Parts(parts.constant, parts.above, parts.below, rest, deltas), {index: part.place}, settled)
        found.append(part)
    return parts, found


def segments(expr: Piecewise) -> list[tuple[Expr, Part]] | None:
    """The branches of a choice by one index, each over its part of the axis, one after the other."""
    conditions = [condition for _, condition in expr.args]
    indices = free_indices(And(*conditions, evaluate=False))
    if len(indices) != 1 or conditions[-1] != S.true:
        return None
    (index,) = indices
    found: list[tuple[Expr, Part]] = []
    start: Expr = S.Zero
    for body, condition in expr.args:
        limits = And.make_args(StrictLessThan(index, size(index), evaluate=False) if condition == S.true else condition)
        part = part_of(index, [*limits, GreaterThan(index, start, evaluate=False)])
        if part is None or part.step != 1 or not same_size(part.start, start):
            return None
        found.append((part.put_in(body), part))
        start = part.end
    return found if same_size(start, size(index)) else None


def in_a_row(parts: Sequence[Part]) -> list[int] | None:
    """The order in which parts of one axis follow one another; None where two may overlap."""
    todo, order = list(range(len(parts))), []
    sums = axis_sizes(*(p.index for p in parts))
    while todo:
        ahead = [n for n in todo if all(_before(parts[n], parts[m], sums) for m in todo if m != n)]
        if not ahead:
            return None
        order.append(ahead[0])
        todo.remove(ahead[0])
    return order


def _before(a: Part, b: Part, sums: Iterable[Expr]) -> bool:
    return a.step == b.step == 1 and never_negative((b.start - a.end).expand(), sums)
