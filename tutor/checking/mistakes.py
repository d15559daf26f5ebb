"""THE MISTAKE TABLE: one row per mistake, with how it shows in the values and what the learner reads.

A row's `find` looks at a `Fault`, the learner's values beside the true ones at every draw, and yields parameters for
its message; it yields nothing when the mistake does not explain all draws. Rows stand in the order in which causes are
named: likeliest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from math import isclose, sqrt
from typing import Any

from torch import Tensor

from tutor.checking import compare, spoils
from tutor.checking.report import Mistake
from tutor.exercise import Exercise


@dataclass(frozen=True)
class Case:
    """One draw: the learner's values, what they should be given the learner's earlier lines, and the sizes."""

    given: Tensor
    true: Tensor
    sizes: Mapping[str, int]
    slack: float = 1e-9
    known: Mapping[str, Tensor] | None = None  # every value and gradient the learner had, their own where they differ


@dataclass
class Fault:
    """A line whose values are not the true ones."""

    exercise: Exercise
    name: str  # as the report calls it, `dW`
    quantity: str  # `W`
    what: str  # gradient, local derivative, value
    cases: list[Case] = field(default_factory=list)

    @cached_property
    def ratios(self) -> list[float] | None:
        """given / true at each draw, where it is one constant there."""
        found = [compare.ratio(case.given, case.true, case.slack) for case in self.cases]
        return None if not found or None in found else found  # type: ignore[return-value]

    @cached_property
    def factor(self) -> Factor | None:
        return None if self.ratios is None else explain(self.ratios, self.cases)


# -- a constant ratio ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Factor:
    """given / true as `sign * number * extents`, the same formula at every draw."""

    negative: bool
    number: Fraction | float
    extents: str = ""  # "N", "1/N", "(N - 1)", ...

    @property
    def text(self) -> str:
        sign = "-" if self.negative else ""
        if not self.extents:
            return sign + _number(self.number)
        if self.number == 1:
            return sign + self.extents
        if self.extents.startswith("1/"):
            top, below = _split(self.number)
            return f"{sign}{top}/({below}*{self.extents[2:]})" if below != "1" else f"{sign}{top}/{self.extents[2:]}"
        top, below = _split(self.number)
        top = self.extents if top == "1" else f"{top}*{self.extents}"
        return f"{sign}{top}" if below == "1" else f"{sign}{top}/{below}"


def _number(value: Fraction | float) -> str:
    return str(value) if isinstance(value, Fraction) else f"{value:.9g}"


def _split(value: Fraction | float) -> tuple[str, str]:
    return (str(value.numerator), str(value.denominator)) if isinstance(value, Fraction) else (f"{value:.9g}", "1")


def _extents(sizes: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """Products of sizes that people divide by or forget to divide by, simplest first."""
    yield "", 1.0
    for name, n in sizes.items():
        yield name, n
        yield f"1/{name}", 1 / n
    for name, n in sizes.items():
        if n > 1:
            yield f"({name} - 1)", n - 1
            yield f"1/({name} - 1)", 1 / (n - 1)
            yield f"{name}/({name} - 1)", n / (n - 1)
            yield f"({name} - 1)/{name}", (n - 1) / n
        yield f"sqrt({name})", sqrt(n)
        yield f"1/sqrt({name})", 1 / sqrt(n)
    for (a, m), (b, n) in combinations(sizes.items(), 2):
        yield f"{a}*{b}", m * n
        yield f"1/({a}*{b})", 1 / (m * n)
        yield f"{a}/{b}", m / n
        yield f"{b}/{a}", n / m
    for name, n in sizes.items():
        yield f"{name}**2", n**2
        yield f"1/{name}**2", 1 / n**2


def explain(ratios: list[float], cases: list[Case]) -> Factor | None:
    """One formula for the ratios at all draws, or None."""
    if len({ratio < 0 for ratio in ratios}) > 1:
        return None
    slack = max(1e-8, *(10 * case.slack for case in cases))
    first: Factor | None = None
    for column in zip(*(_extents(case.sizes) for case in cases), strict=False):
        name = column[0][0]
        if any(text != name for text, _ in column):
            break  # an axis of size 1 at one draw only
        numbers = [abs(ratio) / value for ratio, (_, value) in zip(ratios, column, strict=True)]
        if not all(isclose(number, numbers[0], rel_tol=slack) for number in numbers):
            continue
        near = Fraction(numbers[0]).limit_denominator(12)
        if near and near.numerator <= 12 and isclose(float(near), numbers[0], rel_tol=slack):
            return Factor(ratios[0] < 0, near, name)
        if not name:
            first = Factor(ratios[0] < 0, numbers[0])
    return first


# -- the table ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One mistake: its id, its message, and how it is found."""

    id: str
    says: str
    find: Callable[[Fault], Iterator[dict[str, Any]]]


def _sign(fault: Fault) -> Iterator[dict[str, Any]]:
    """given = -c * true"""
    if fault.factor is not None and fault.factor.negative:
        yield {}


def _factor(fault: Fault) -> Iterator[dict[str, Any]]:
    """given = c * true with |c| != 1; numbers and sizes are named apart."""
    factor = fault.factor
    if factor is None or (factor.number == 1 and not factor.extents):
        return
    if factor.number != 1:
        yield {"which": _number_cause(fault, factor.number)}
    if factor.extents:
        yield {"which": _extent_cause(fault, factor.extents)}


def _number_cause(fault: Fault, number: Fraction | float) -> str:
    """2 lost, or too much; and of which rule it was."""
    if not isinstance(number, Fraction):
        return f"a factor {number:.9g} too much"
    lost = 1 / number
    if lost in exponents(fault.exercise, fault.quantity):
        return f"the factor {lost} of the power rule is lost"
    if lost.denominator == 1 or lost in constants(fault.exercise, fault.quantity):
        return f"the factor {lost} is lost"
    return f"a factor {number} too much"


def _extent_cause(fault: Fault, extents: str) -> str:
    if extents.startswith("1/"):
        return f"a factor {extents} too much"
    if extents.isidentifier() or extents.startswith("("):
        return f"the factor 1/{extents} is lost" if "/" not in extents else f"a factor {extents} too much"
    return f"a factor {extents} too much"


def _convention(fault: Fault) -> Iterator[dict[str, Any]]:
    """The factor is what two usual conventions differ by."""
    factor = fault.factor
    if factor is None or factor.number != 1 or not factor.extents:
        return
    sizes = "".join(c if c.isalnum() or c == "_" else " " for c in factor.extents).split()
    if "- 1" in factor.extents:
        n = sizes[0]
        yield {"how": f"one divides by {n} - 1 (unbiased) or by {n} (biased): look at what the exercise says"}
    elif "sqrt" not in factor.extents and "**" not in factor.extents:
        yield {"how": "a sum and a mean differ by this factor: look at which one the exercise takes"}


MISTAKES: tuple[Row, ...] = (
    Row("factor", "{which}", _factor),
    Row("wrong-convention", "{how}", _convention),
    Row("sign", "the sign is flipped", _sign),
)


def find(fault: Fault) -> list[Mistake]:
    """All mistakes that explain the values at every draw: a constant ratio first, then the spoilt true step."""
    found = [Mistake(row.id, row.says.format(**params), params) for row in MISTAKES for params in row.find(fault)]
    if fault.what == "gradient" and fault.cases and all(case.known is not None for case in fault.cases):
        seen = [spoils.Observation(case.given, case.known or {}, case.sizes) for case in fault.cases]
        spoilt = spoils.explain(fault.exercise, fault.quantity, seen)
        found += [m for m in spoilt if not found or m.id != "factor"]
    return found


# -- what the exercise's formulas contain ---------------------------------------------------------------------


def _formulas(exercise: Exercise, quantity: str) -> list[Any]:
    """Formulas on the way from a quantity to the loss."""
    reached, found = {quantity}, []
    for q in exercise.forward:
        if q.expr is not None and (q.reads & reached or q.name == quantity):
            if q.name != quantity:
                found.append(q.expr)
            reached.add(q.name)
    return found


def exponents(exercise: Exercise, quantity: str) -> set[Fraction]:
    """Exponents whose power rule leaves a factor on the way."""
    from sympy import Pow, Rational, exp

    powers = (p for expr in _formulas(exercise, quantity) for p in expr.atoms(Pow) if not isinstance(p, exp))
    return {
        Fraction(int(p.exp.p), int(p.exp.q))
        for p in powers
        if isinstance(p.exp, Rational) and p.exp > 0 and p.base.free_symbols
    }


def constants(exercise: Exercise, quantity: str) -> set[Fraction]:
    """Constant factors of the formulas on the way."""
    from sympy import Mul, Rational

    products = (m for expr in _formulas(exercise, quantity) for m in expr.atoms(Mul))
    numbers = (m.args[0] for m in products)
    return {abs(Fraction(int(n.p), int(n.q))) for n in numbers if isinstance(n, Rational)}
