"""What an expression is, and a product taken apart: constant, factors, conditions, deltas. SymPy only.

Sum(f(k)*delta(a, k), k)       = f(a)                             `solved`
Sum(f[n]*delta(t[n], v), n)    rows added into place v = t[n]     `targets_of`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import sympy
from sympy import (
    Add,
    And,
    Basic,
    Eq,
    Expr,
    Function,
    Idx,
    Indexed,
    Integer,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Mul,
    Piecewise,
    Pow,
    S,
    Sum,
    Symbol,
    ceiling,
    floor,
)
from sympy.concrete.expr_with_limits import ExprWithLimits

from tutor.numeric.constants import is_size
from tutor.symbolic.functions import FUNCTIONS
from tutor.symbolic.indices import Tensor, bound_indices, free_indices, freshen, reduce_over, size, substitute, within
from tutor.symbolic.operations import ArgMaxOver, ArgMinOver, Det, LogDet, MatrixEntry

# what a mask may multiply instead of select; the last two have no row
TAME = frozenset(row.name for row in FUNCTIONS.values() if row.tame) | {"floor", "ceiling"}


# -- what an expression is ---------------------------------------------------------------------------------


@lru_cache(maxsize=65536)
def is_constant(expr: Basic) -> bool:
    """Numbers and sizes alone."""
    if isinstance(expr, (Idx, Indexed, Tensor, ExprWithLimits)):
        return False
    if isinstance(expr, Symbol):
        return is_size(expr)
    return all(map(is_constant, expr.args))


@lru_cache(maxsize=65536)
def is_whole(expr: Basic) -> bool:
    """Integer arithmetic on indices, sizes and integer tensors, which must stay exact."""
    if isinstance(expr, (Idx, Integer, ArgMaxOver, ArgMinOver)):
        return True
    if isinstance(expr, Indexed):
        return bool(expr.base.label.is_integer)
    if isinstance(expr, Symbol):
        return bool(expr.is_integer)
    if isinstance(expr, (Add, Mul, Mod)):
        return all(map(is_whole, expr.args))
    if isinstance(expr, Pow):
        return bool(expr.exp.is_Integer and expr.exp > 0) and is_whole(expr.base)
    if isinstance(expr, (floor, ceiling)):
        return all(map(is_whole, expr.args[0].as_numer_denom()))
    return False


@lru_cache(maxsize=65536)
def is_tame(expr: Basic) -> bool:
    """Finite wherever its tensors are: a mask may multiply it."""
    if isinstance(expr, (Indexed, Symbol)) or is_constant(expr):
        return True
    if isinstance(expr, Pow):
        return bool(expr.exp.is_Integer and expr.exp > 0) and is_tame(expr.base)
    if isinstance(expr, (MatrixEntry, Det, LogDet)):
        return True
    if isinstance(expr, Function) and not isinstance(expr, (Piecewise, Max, Min, KroneckerDelta)):
        return type(expr).__name__ in TAME and all(map(is_tame, expr.args))
    parts = expr.args[:1] if isinstance(expr, ExprWithLimits) else expr.args
    return all(map(is_tame, parts))


@lru_cache(maxsize=4096)
def reach_of(condition: Basic) -> int:
    """0 for conditions on indices alone, 1 with entries at plain indices, 2 where an entry may leave its axis."""
    entries = condition.atoms(Indexed)
    if not entries:
        return 0
    return 1 if all(isinstance(i, Idx) for e in entries for i in e.indices) else 2


@lru_cache(maxsize=4096)
def same_size(a: Expr, b: Expr) -> bool:
    return a == b or (a - b).expand() == 0


def straight(at: Expr) -> tuple[Idx, Expr, Expr] | None:
    """`step*index + start` with a positive whole step."""
    free = free_indices(at)
    if len(free) != 1:
        return None
    (index,) = free
    if at == index:
        return index, S.One, S.Zero
    step = at.expand().coeff(index)
    start = (at - step * index).expand()
    if step.is_Integer and step > 0 and is_constant(start) and start.is_integer:
        return index, step, start
    return None


def is_shared(index: Idx, dim: int, axes: Sequence[Expr]) -> bool:
    return any(index in free_indices(a) for d, a in enumerate(axes) if d != dim)


def mask_of(expr: Basic) -> tuple[Expr, Basic] | None:
    """`(f, condition)` for Piecewise((f, condition), (0, True)), the Iverson bracket included."""
    if isinstance(expr, Piecewise) and len(expr.args) == 2:
        (first, condition), (second, rest) = expr.args
        if rest == S.true and second == 0:
            return first, condition
        if rest == S.true and first == 0:
            return second, sympy.Not(condition)
    return None


# -- taking a product apart ---------------------------------------------------------------------------------


@dataclass
class Parts:
    """The parts of a product: constant * factors, and the conditions and deltas that guard it."""

    constant: Expr = S.One
    above: list[Expr] = field(default_factory=list)
    below: list[Expr] = field(default_factory=list)
    conditions: list[Basic] = field(default_factory=list)
    deltas: list[KroneckerDelta] = field(default_factory=list)

    @property
    def tame(self) -> bool:
        """Whether every factor is finite even where a condition does not hold."""
        return not self.below and all(map(is_tame, self.above))

    def absorb(self, other: Parts) -> None:
        self.constant *= other.constant
        self.above += other.above
        self.below += other.below
        self.conditions += other.conditions
        self.deltas += other.deltas


def split(expr: Basic) -> Parts:
    """Constant, numerator, denominator, conditions and deltas of a product."""
    parts = Parts()
    for factor in Mul.make_args(expr):
        mask = mask_of(factor)
        if is_constant(factor):
            parts.constant *= factor
        elif isinstance(factor, KroneckerDelta):
            parts.deltas.append(factor)
        elif mask is not None:
            for condition in And.make_args(mask[1]):
                _guarded(parts, condition)
            parts.absorb(split(mask[0]))
        elif isinstance(factor, Pow) and is_constant(factor.exp) and factor.exp.could_extract_minus_sign():
            parts.below.append(Pow(factor.base, -factor.exp))
        else:
            parts.above.append(factor)
    return parts


def _guarded(parts: Parts, condition: Basic) -> None:
    """A condition; an equation between indices is a delta."""
    if isinstance(condition, Eq) and is_whole(condition.lhs) and is_whole(condition.rhs):
        delta = KroneckerDelta(condition.lhs, condition.rhs)
        if isinstance(delta, KroneckerDelta):
            parts.deltas.append(delta)
            return
    if condition != S.true:
        parts.conditions.append(condition)


def replaced(parts: Parts, mapping: Mapping[Idx, Expr], after: Callable[[Basic], Basic] = lambda node: node) -> Parts:
    """Every part with indices replaced, and `after` that brought to a shorter form."""

    def put_in(node: Basic) -> Basic:
        return after(substitute(node, mapping))

    made = Parts(parts.constant)
    made.above = [put_in(e) for e in parts.above]
    made.below = [put_in(e) for e in parts.below]
    for condition in parts.conditions:
        _guarded(made, put_in(condition))
    for delta in parts.deltas:
        new = put_in(delta)
        if isinstance(new, KroneckerDelta):
            made.deltas.append(new)
        else:
            made.constant *= new
    return made


def flattened(expr: Sum) -> tuple[Expr, list[Idx]]:
    """A sum of a sum is one sum over the indices of both."""
    body, bound = expr.args[0], list(bound_indices(expr))
    while isinstance(body, Sum):
        inner, more = freshen(body) if set(bound_indices(body)) & set(bound) else (body.args[0], bound_indices(body))
        body, bound = inner, [*bound, *more]
    return body, bound


def opened(parts: Parts, bound: list[Idx]) -> tuple[Parts, list[Idx]]:
    """Inner sums with deltas join the outer one, which may scatter what they cannot."""
    made = replace(parts, above=[])
    for factor in parts.above:
        if isinstance(factor, Sum) and split(flattened(factor)[0]).deltas:
            body, more = freshen(reduce_over(Sum, *flattened(factor)))
            made.absorb(split(body))
            bound = [*bound, *more]
        else:
            made.above.append(factor)
    return made, bound


def solved(parts: Parts, bound: list[Idx]) -> tuple[Parts, list[Idx]]:
    """Sum(f(k)*delta(a, k), k) = f(a), where a is on k's axis."""
    for delta in parts.deltas:
        for here, there in (delta.args[:2], delta.args[1::-1]):
            if here in bound and here not in free_indices(there) and is_whole(there):
                rest = replace(parts, deltas=[d for d in parts.deltas if d is not delta])
                made = replaced(rest, {here: there})
                if not (isinstance(there, Idx) and same_size(size(there), size(here))):
                    for condition in And.make_args(within(there, size(here))):
                        _guarded(made, condition)
                return solved(made, [i for i in bound if i != here])
    return parts, bound


def targets_of(parts: Parts, bound: Sequence[Idx], kept: Sequence[Idx]) -> tuple[dict[Idx, Expr], Parts]:
    """Free indices that a delta ties to summed ones: where rows are added into place. Those in `kept` stay free."""
    targets: dict[Idx, Expr] = {}
    made = replace(parts, deltas=[], conditions=list(parts.conditions))
    for delta in parts.deltas:
        for here, there in (delta.args[:2], delta.args[1::-1]):
            value = substitute(there, targets)
            free = free_indices(value)
            taken = {*bound, *kept, *targets, *free}
            fits = isinstance(here, Idx) and here not in taken
            if fits and is_whole(value) and not free.isdisjoint(bound):
                among = [v for v in targets if v in free_indices(there)]
                among += [here] if any(here in free_indices(v) for v in targets.values()) else []
                targets = {v: substitute(old, {here: value}) for v, old in targets.items()} | {here: value}
                for v in among:  # a place that depends on another place is one only where that is on its axis
                    for condition in And.make_args(within(targets[v], size(v))):
                        _guarded(made, condition)
                break
        else:
            made.deltas.append(delta)
    return targets, made


def apart(
    parts: Parts, conditions: Sequence[Basic], targets: Mapping[Idx, Expr], bound: Sequence[Idx]
) -> tuple[tuple[Parts, list[Basic]], tuple[Parts, list[Basic]]]:
    """What no summed index touches stays outside a scatter; inside it, targets are what their delta says."""

    def touched(node: Basic) -> bool:
        return not free_indices(node).isdisjoint(bound)

    outer = Parts(S.One, [e for e in parts.above if not touched(e)], [e for e in parts.below if not touched(e)])
    inner = Parts(parts.constant, [e for e in parts.above if touched(e)], [e for e in parts.below if touched(e)])
    outside = [c for c in conditions if not touched(c)]
    inside = [c for c in conditions if touched(c)]
    reached = frozenset().union(*map(free_indices, (*inner.above, *inner.below, *inside)))
    inner.above = [substitute(e, targets) for e in inner.above]
    inner.below = [substitute(e, targets) for e in inner.below]
    inside = [substitute(c, targets) for c in inside]
    # what holds at the target holds where it is added from
    inside += [substitute(c, targets) for c in outside if not free_indices(c).isdisjoint(targets)]
    reached |= frozenset().union(*map(free_indices, outside))
    for v, value in targets.items():
        if v in reached:
            inside += [c for c in And.make_args(within(value, size(v))) if c != S.true]
    return (outer, outside), (inner, inside)
