"""What a learner may have left out: parts of the exercise's formulas, with their values at one draw.

A part is a term, a factor or a function of a forward formula, a gradient or its closed form. One left out of a line
is found by solving for it: the line's slope at a place says what a part put in there would add to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import torch
from sympy import Add, Basic, Expr, Function, Idx, KroneckerDelta, Mul, Number, Piecewise, Pow, S, Sum
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking.rewriting import MOST_ADDED, everywhere, foreign, named
from tutor.errors import TutorError
from tutor.exercise import Exercise
from tutor.numeric.compare import simple_fraction
from tutor.numeric.evaluate import compile_program
from tutor.symbolic.indices import free_indices, ordered_indices, quantities_in, size

MOST_PARTS = 160
MOST_AXES = 3
MOST_ENTRIES = 20_000  # of one part
CLOSE = 1e-6  # for the first look only
_WORTH = (Add, Mul, Pow, Function, Sum, Piecewise, KroneckerDelta)


@dataclass(frozen=True)
class Part:
    """A part with its axes, and its names."""

    axes: tuple[Idx, ...]
    expr: Expr
    reads: frozenset[str]

    def form(self, exercise: Exercise, indexed: bool, turned: bool = False) -> lang.Expression | None:
        """As a learner writes it; `turned` is the transpose."""
        axes = self.axes[::-1] if turned else self.axes
        key = ("part", self.expr, axes, indexed)
        return exercise.cached(key, lambda: _form(self.expr, axes, exercise, indexed))


def parts(exercise: Exercise) -> list[Part]:
    """Every part once: of gradients, of forward formulas, of closed forms."""
    return exercise.cached("parts that may be left out", lambda: list(_parts(exercise))[:MOST_PARTS])


def _parts(exercise: Exercise) -> Iterator[Part]:
    from tutor.symbolic.derive import derive

    gradients = derive(exercise).gradients.values()
    yield Part((), S.One, frozenset())
    for q in exercise:
        if q.kind not in ("value", "loss") and q.domain != "index" and len(q.indices) <= MOST_AXES:
            yield Part(q.indices, q.entry, frozenset({q.name}))
            if q.differentiable:
                gradient = exercise.gradient_quantity(q)
                yield Part(gradient.indices, gradient.entry, frozenset({gradient.name}))
    formulas = [g.expr for g in gradients] + [q.expr for q in (*exercise.forward, *exercise.values)]
    found = dict.fromkeys(part for formula in formulas for part in _inside(formula))
    for part in found:
        axes = ordered_indices(part)
        reads = frozenset(quantities_in(part)) - set(exercise.size_symbols)
        if len(axes) <= MOST_AXES and (reads or axes):
            yield Part(axes, part, reads)


def _inside(node: Basic | None) -> Iterator[Expr]:
    if node is None or not node.args or isinstance(node, (Idx, Number)) or not quantities_in(node):
        return
    if isinstance(node, _WORTH) and isinstance(node, Expr):
        constant, rest = node.as_coeff_Mul()
        yield rest
        if isinstance(rest, Mul) and (denominator := rest.as_numer_denom()[1]) != 1 and not _names(denominator):
            yield rest * denominator
    for part in node.args[:1] if isinstance(node, Sum) else node.args:
        yield from _inside(part)


def _names(expr: Basic) -> bool:
    return bool(free_indices(expr)) or any(not s.is_positive for s in expr.free_symbols)


def _form(expr: Expr, axes: tuple[Idx, ...], exercise: Exercise, indexed: bool) -> lang.Expression | None:
    from tutor.answers import python
    from tutor.symbolic.notation import sheet_form
    from tutor.symbolic.torch_form import torch_form

    form = sheet_form(expr, exercise) if indexed else torch_form(expr, axes, exercise)
    if not form or len(form) > MOST_ADDED:
        return None
    statement = python.read(f"a = {form}")[0].statements[0]
    return foreign(statement.value) if isinstance(statement, lang.Assign) else None


def values(exercise: Exercise, draw: Any) -> list[tuple[Part, Tensor]]:
    """The parts that have a value at a draw."""
    # the draw is held with what is known of it, so that its id stays its own
    return exercise.cached(("parts at", id(draw)), lambda: (draw, list(_values(exercise, draw))))[1]


def _values(exercise: Exercise, draw: Any) -> Iterator[tuple[Part, Tensor]]:
    known = {**draw.values, **draw.gradients}
    sizes = tuple(sorted(draw.sizes.items()))  # an index may leave its axis at some sizes alone
    found, plan = exercise.cached(("plan of parts", sizes), lambda: _plan(exercise, known, draw.sizes))
    made = plan.run(known, draw.sizes)
    for n, part in enumerate(found):
        value = made[f"part{n}"]
        if value.numel() <= MOST_ENTRIES and bool(value.isfinite().all()):
            yield part, value.to(torch.float64)


def _plan(exercise: Exercise, known: Mapping[str, Tensor], sizes: Mapping[str, int]) -> tuple[list[Part], Any]:
    """All parts that can be computed, as one program."""
    found = parts(exercise)
    plan = _computed(found, known, sizes)
    if plan is None:
        found = [part for part in found if _computed([part], known, sizes) is not None]
        plan = compile_program([(f"part{n}", part.axes, part.expr) for n, part in enumerate(found)])
    return found, plan


def _computed(found: list[Part], known: Mapping[str, Tensor], sizes: Mapping[str, int]) -> Any:
    """The parts as one program; None where an index leaves its axis, guarded by what stands around the part."""
    try:
        plan = compile_program([(f"part{n}", part.axes, part.expr) for n, part in enumerate(found)])
        plan.run(dict(known), dict(sizes))
    except TutorError:
        return None
    return plan


def relabelled(node: lang.Expression, labels: Mapping[str, str]) -> lang.Expression:
    """The same with other indices, all at once."""
    for name in [n for n, other in labels.items() if n != other]:
        node = everywhere(node, name, named(f"{labels[name]}~"))
    for other in labels.values():
        node = everywhere(node, f"{other}~", named(other))
    return node


# -- solving --------------------------------------------------------------------------------------------------------


@dataclass
class Forms:
    """What may be put in at a place of a line, each with its values spread over that place: a row of the table."""

    items: list[Any]
    table: Tensor

    @classmethod
    def of(cls, found: Iterable[tuple[Any, Tensor]]) -> Forms:
        pairs = list(found)
        rows = [value.reshape(-1) for _, value in pairs]
        return cls([item for item, _ in pairs], torch.stack(rows) if rows else torch.empty(0, 0))

    @cached_property
    def inverse(self) -> Forms:
        """1 over each that is nowhere 0."""
        sure = (self.table != 0).all(1)
        items = [item for item, known in zip(self.items, sure.tolist(), strict=True) if known]
        return Forms(items, 1 / self.table[sure])


@dataclass
class Slope:
    """How the line hangs on one place, near what stands there, along two directions: const + sum(row * place)."""

    value: Tensor  # what stands there
    rows: list[Tensor]
    consts: list[float]
    needed: list[float]
    labels: tuple[str, ...] = ()  # of its axes, where the line has indices

    @property
    def vanishing(self) -> bool:
        """Whether nothing at all should stand there."""
        pairs = zip(self.consts, self.needed, strict=True)
        return all(abs(const - needed) <= CLOSE * 1e-3 * abs(needed) for const, needed in pairs)

    def constants(self, offered: Forms, times: bool) -> Iterator[tuple[Any, float]]:
        """What is missing as a term or a factor, with the one constant that both entries ask for."""
        if not offered.items:
            return
        stack, place = offered.table, self.value.reshape(-1)
        found = []
        for row, const, needed in zip(self.rows, self.consts, self.needed, strict=True):
            flat = row.reshape(-1)
            reached = stack @ (flat * place if times else flat)
            left = needed - const - (0.0 if times else float(flat @ place))
            found.append(left / reached)
        first, second = found[0], found[-1]
        same = ((first - second).abs() <= CLOSE * first.abs()) & first.isfinite() & (first != 0)
        for n in same.nonzero().reshape(-1).tolist():
            yield offered.items[n], float(first[n])


def simple(constant: float, sizes: Mapping[str, int]) -> tuple[Fraction, tuple[str, ...], str] | None:
    """c as a simple number, alone, times a size or over one or two: (number, sizes, operator)."""
    for names in ((), *((n,) for n in sizes), *((a, b) for n, a in enumerate(sizes) for b in list(sizes)[n:])):
        extent = 1
        for name in names:
            extent *= sizes[name]
        for op, number in (("/", constant * extent), ("*", constant / extent)):
            near = simple_fraction(number, 4)
            if near is not None and abs(float(near) - number) <= CLOSE * abs(number):
                if names and op == "*" and len(names) > 1:
                    continue
                return near, names, op
    return None


def fitted(value: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """The value spread over a shape, as torch does it."""
    try:
        return value.expand(shape)
    except RuntimeError:
        return None


def axis_sizes(part: Part) -> tuple[Any, ...]:
    """The sizes of a part's axes, as the exercise names them."""
    return tuple(size(i) for i in part.axes)
