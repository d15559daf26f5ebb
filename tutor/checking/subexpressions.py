"""A learner's own quantity: a helper that equals a part of a forward formula (`r = y_pred - y`) has a gradient too.

The part gets the helper's name as a step of its own, and the derivation of that exercise gives the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from typing import Any

import torch
from sympy import Basic, Expr, Idx, Indexed, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits
from torch import Tensor

from tutor.checking.library import MAX_TENSOR
from tutor.checking.truth import Point
from tutor.errors import TutorError
from tutor.exercise import Exercise, Quantity
from tutor.numeric.evaluate import Plan, compile_program
from tutor.symbolic.indices import Tensor as Array
from tutor.symbolic.indices import entry, ordered_indices, quantities_in, transform

MOST = 200  # parts of formulas that are looked at


@dataclass(frozen=True)
class Part:
    """What stands inside a forward formula, or its negative, with the order of its axes."""

    axes: tuple[Idx, ...]
    expr: Expr
    sign: int

    @cached_property
    def _plan(self) -> Plan:
        return compile_program([("part", self.axes, self.sign * self.expr)])

    def at(self, point: Point) -> Tensor:
        return self._plan.run(point.values, point.sizes)["part"]


def gradient_of_helper(exercise: Exercise, name: str, values: list[Tensor], points: list[Point]) -> list[Tensor] | None:
    """The loss's gradient with respect to a helper at every draw; None where it is no part of a formula."""
    for q in exercise:
        if q.differentiable and q.kind != "value" and _equal([p.values[q.name] for p in points], values):
            return [p.gradients[f"d{q.name}"] for p in points] if f"d{q.name}" in points[0].gradients else None
    found = part_of_formula(values, points)
    return None if found is None else _gradient(exercise, name, found, values, points)


def part_of_formula(values: list[Tensor], points: list[Point]) -> Part | None:
    """The part of a forward formula that has these values at every draw."""
    for part in parts_like(points[0], values[0].ndim, lambda value: _equal([value], values[:1])):
        try:
            everywhere = [part.at(point) for point in points]
        except TutorError:
            continue  # at other sizes an index leaves its axis
        if _equal(everywhere, values):
            return part
    return None


def parts_like(point: Point, axes: int, alike: Callable[[Tensor], bool]) -> Iterator[Part]:
    """The parts with so many axes whose value at one draw is alike."""
    for indices, expr, value in point.parts:
        for order, sign in product(permutations(range(axes)), (1, -1)) if len(indices) == axes else ():
            if alike(sign * value.permute(order)):
                yield Part(tuple(indices[axis] for axis in order), expr, sign)


def part_values(point: Point) -> list[tuple[tuple[Idx, ...], Expr, Tensor]]:
    """Every part of the forward formulas that has a value by itself, at one draw."""
    made = []
    for indices, part in _parts(point.exercise):
        try:
            value = compile_program([("part", indices, part)]).run(point.values, point.sizes)["part"]
        except TutorError:
            continue  # an index that leaves its axis, guarded by what stands around it
        if value.numel() <= MAX_TENSOR:
            made.append((indices, part, value))
    return made


def _equal(mine: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(
        a.shape == b.shape and a.is_floating_point() and torch.allclose(a, b, rtol=1e-9, atol=1e-12)
        for a, b in zip(mine, theirs, strict=True)
    )


def _parts(exercise: Exercise) -> list[tuple[tuple[Idx, ...], Expr]]:
    """Every part of the forward formulas with the axes it has, once."""

    def make() -> list[tuple[tuple[Idx, ...], Expr]]:
        found = dict.fromkeys(part for q in exercise.forward for part in _inside(q.expr))
        return [(ordered_indices(part), part) for part in list(found)[:MOST]]

    return exercise.cached("parts of formulas", make)


def _inside(node: Basic | None) -> Iterator[Expr]:
    if node is None or isinstance(node, (Idx, Symbol, Indexed, Array)):
        return
    if isinstance(node, Expr) and not node.is_number and quantities_in(node):
        yield node
    for part in node.args[:1] if isinstance(node, ExprWithLimits) else node.args:
        yield from _inside(part)


def _gradient(exercise: Exercise, name: str, part: Part, values: list[Tensor], points: list[Point]) -> list[Tensor]:
    from tutor.symbolic.derive import derive

    def make() -> Any:
        gradient = derive(_with_step(exercise, name, part)).gradients[name]
        return compile_program([("gradient", part.axes, gradient.expr)])

    plan = exercise.cached(("gradient of a part", name, part), make)
    made = []
    for point, value in zip(points, values, strict=True):
        known = {**point.values, **point.gradients, name: value}
        made.append(plan.run(known, point.sizes)["gradient"])
    return made


def _with_step(exercise: Exercise, name: str, part: Part) -> Exercise:
    """The same exercise, with the part as a step of that name before its first use."""
    made = Exercise(exercise.name)
    made.size_symbols, made.index_symbols = dict(exercise.size_symbols), dict(exercise.index_symbols)
    made.facts = list(exercise.facts)
    step = Quantity(name, "step", part.axes, part.sign * part.expr)
    mine = part.sign * entry(step.symbol, part.axes)

    def swap(node: Basic) -> Basic | None:
        return mine if node == part.expr else None

    for q in exercise:
        if q.kind == "value":
            continue
        expr = transform(q.expr, swap) if q.expr is not None else None
        if expr is not q.expr and name not in made.quantities:
            made._add(step)
        made._add(Quantity(q.name, q.kind, q.indices, expr, q.domain, q.below))
    return made
