"""Sums in which a kernel moves over an array, recognised: what torch calls a convolution, and its transpose.

    Sum(x[n, c, s*o + d*k - p]*w[f, c, k], c, k)     F.conv1d(x, w, stride=s, padding=p, dilation=d), indices n, f, o
    Sum(dy[n, f, o]*w[f, c, i - s*o + p], f, o)      F.conv_transpose1d(dy, w, stride=s, padding=p), indices n, c, i

Terms that leave their axis count as zero, so each sum may carry the range of its arithmetic as a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import And, Basic, Expr, Idx, Indexed, Mod, Mul, Piecewise, S, floor
from sympy.core.relational import Relational

from tutor.symbolic.indices import bracket, bracket_condition, free_indices, never_negative, size, within


@dataclass(frozen=True)
class Convolved:
    """`moving` holds the arithmetic: the image of a convolution, the kernel of a transposed one.

    An axis that one of the three roles would have and that is not there is None.
    """

    moving: Indexed
    fixed: Indexed
    transposed: bool
    places: tuple[Idx, ...]  # free, in the order of the axes of `moving`
    summed: tuple[Idx, ...]
    batch: Idx | None
    channel: Idx | None
    out: Idx | None
    stride: tuple[Expr, ...]
    padding: tuple[Expr, ...]
    dilation: tuple[Expr, ...]


@dataclass(frozen=True)
class Affine:
    """A slot `a*place + b*summed + c`."""

    place: Idx
    summed: Idx
    a: Expr
    b: Expr
    c: Expr


def affine(slot: Expr, over: Sequence[Idx]) -> Affine | None:
    """The slot as a free and a summed index with whole slopes, else None."""
    inside = free_indices(slot)
    free, bound = [i for i in inside if i not in over], [i for i in inside if i in over]
    if len(free) != 1 or len(bound) != 1 or slot.has(floor, Mod, Indexed):
        return None
    slot = slot.expand()
    a, b = slot.coeff(free[0]), slot.coeff(bound[0])
    c = (slot - a * free[0] - b * bound[0]).expand()
    return None if free_indices(c) else Affine(free[0], bound[0], a, b, c)


def convolution(factors: Sequence[Expr], over: Sequence[Idx]) -> Convolved | None:
    """The sum over `over` of a product, as a convolution; None where it is none, or none that torch knows."""
    if len(factors) == 1 and isinstance(factors[0], Piecewise) and len(factors[0].args) == 2:  # SymPy's own Sum folds
        (product, condition), (zero, rest) = factors[0].args
        if zero == 0 and rest == S.true and product != 1:
            factors = [*Mul.make_args(product), bracket(condition)]
    masks = [f for f in factors if bracket_condition(f) is not None]
    arrays = [f for f in factors if isinstance(f, Indexed)]
    if len(arrays) != 2 or len(masks) + 2 != len(factors):
        return None
    moving = [f for f in arrays if not all(isinstance(i, Idx) for i in f.indices)]
    if len(moving) != 1:
        return None
    fixed = next(f for f in arrays if f is not moving[0])
    found = _described(moving[0], fixed, over)
    return found if found is not None and _same_ranges(masks, moving[0]) else None


def _described(moving: Indexed, fixed: Indexed, over: Sequence[Idx]) -> Convolved | None:
    slots = [affine(s, over) for s in moving.indices if not isinstance(s, Idx)]
    plain = [s for s in moving.indices if isinstance(s, Idx)]
    if any(s is None for s in slots):
        return None
    axes = [s for s in slots if s is not None]
    extents = [n for s, n in zip(moving.indices, moving.base.shape, strict=True) if not isinstance(s, Idx)]
    summed = [s.summed for s in axes]
    others = [i for i in fixed.indices if i not in summed]
    alone = [fixed.indices, plain, summed, [s.place for s in axes]]
    if any(len(set(group)) != len(group) for group in alone):
        return None
    if not set(summed) <= set(fixed.indices) or {s.place for s in axes} & {*plain, *others} or len(axes) > 3:
        return None
    shared = [i for i in plain if i in others]
    mine, its = [i for i in plain if i not in shared], [i for i in others if i not in shared]
    if not set(shared) <= set(over) or set(mine + its) & set(over) or max(map(len, (shared, mine, its))) > 1:
        return None
    if {*shared, *summed} != set(over):
        return None
    transposed = all(s.a == 1 and never_negative(-s.b) for s in axes)
    if not transposed and not all(never_negative(s.a) and never_negative(s.b) for s in axes):
        return None
    strides = tuple(-s.b if transposed else s.a for s in axes)
    paddings = tuple(s.c if transposed else -s.c for s in axes)
    dilations = tuple(S.One if transposed else s.b for s in axes)
    if not all(map(never_negative, paddings)) or S.Zero in (*strides, *dilations):
        return None
    for s, extent, stride, padding, dilation in zip(axes, extents, strides, paddings, dilations, strict=True):
        if transposed:
            entries = stride * (size(s.summed) - 1) + extent - 2 * padding
        else:
            entries = (extent + 2 * padding - dilation * (size(s.summed) - 1) - 1) / stride + 1
        if (entries - size(s.place)).expand() != 0:
            return None
    first, last = (its, mine) if transposed else (mine, its)
    one = [next(iter(role), None) for role in (first, shared, last)]
    return Convolved(
        moving, fixed, transposed, tuple(s.place for s in axes), tuple(summed), one[0], one[1], one[2],
        strides, paddings, dilations,
    )  # fmt: skip


def _same_ranges(masks: Sequence[Expr], moving: Indexed) -> bool:
    """Whether the masks say no more and no less than that the arithmetic stays inside its axes."""
    own = [within(s, n) for s, n in zip(moving.indices, moving.base.shape, strict=True) if not isinstance(s, Idx)]
    said = [bracket_condition(mask) for mask in masks]
    needed, given = _never_below_zero(And(*own)), _never_below_zero(And(*said))
    return needed is not None and needed == given


def _never_below_zero(condition: Basic) -> frozenset[Expr] | None:
    """The expressions that a conjunction of inequalities of whole numbers holds at 0 or above."""
    found = []
    for part in condition.args if isinstance(condition, And) else () if condition == S.true else (condition,):
        if not isinstance(part, Relational) or part.rel_op not in (">=", ">", "<=", "<"):
            return None
        strict = 1 if part.rel_op in "><" else 0
        found.append((part.gts - part.lts - strict).expand())
    return frozenset(found)


def window(slot: Expr, extent: Expr) -> tuple[Idx, Idx, Expr] | None:
    """(which window, where in it, step) for a slot `step*o + k` that goes through its whole axis."""
    inside = sorted(free_indices(slot), key=lambda i: (_plainness(size(i)), str(i)), reverse=True)
    if len(inside) != 2 or slot.has(floor, Mod, Indexed):
        return None
    slot = slot.expand()
    for which, place in (inside, inside[::-1]):
        step = slot.coeff(which)
        if slot.coeff(place) != 1 or (slot - step * which - place).expand() != 0 or not never_negative(step - 1):
            continue
        if ((extent - size(place)) / step + 1 - size(which)).expand() == 0:
            return which, place, step
    return None


def _plainness(extent: Expr) -> int:
    return len(Mul.make_args(extent)) + len(extent.args)
