"""What explains a wrong value. MISTAKES holds what shows as a constant ratio; most other mistakes are rows of SPOILS.

A row's `find` looks at a `Fault`, the learner's values beside the true ones at every draw, and yields parameters for
its message; it yields nothing when the mistake does not explain all draws. Rows stand in the order in which causes are
named: likeliest first. `find` asks both tables; `further.py` looks for what neither explains, which is dearer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from math import isclose, sqrt
from typing import Any

from torch import Tensor

from tutor.checking import spoils
from tutor.checking.report import Mistake
from tutor.exercise import Exercise
from tutor.language import N_, said
from tutor.numeric import compare

WRITTEN = 100  # as large may the number be that a line has where a size belongs
PLAUSIBLE = {Fraction(1), Fraction(2), Fraction(1, 2)}  # of a bare number, beside what stands in the formulas
NEAR = 0.02  # a bare number this close is a matter of digits


@dataclass(frozen=True)
class Case:
    """One draw: the learner's values, what they should be given the learner's earlier lines, and the sizes."""

    given: Tensor
    true: Tensor
    sizes: Mapping[str, int]
    slack: float = compare.DOUBLE.relative
    known: Mapping[str, Tensor] | None = None  # every value and gradient the learner had, their own where they differ


class Cases(Sequence[Case]):
    """Cases that are made when they are asked for: most mistakes are told by one or two draws."""

    def __init__(self, made: Iterable[Case]):
        self._rest, self._made = iter(made), list[Case]()

    def __getitem__(self, at: Any) -> Any:
        while not isinstance(at, int) or at < 0 or at >= len(self._made):
            following = next(self._rest, None)
            if following is None:
                break
            self._made.append(following)
        return self._made[at]

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def __len__(self) -> int:
        return len(self[:])


@dataclass
class Fault:
    """A line whose values are not the true ones."""

    exercise: Exercise
    name: str  # as the report calls it, `dW`
    quantity: str  # `W`
    what: str  # gradient, local derivative, value
    cases: Sequence[Case] = ()
    written: frozenset[int] = frozenset()  # the whole numbers that stand in the line, but for 1

    @cached_property
    def ratios(self) -> list[float] | None:
        """given / true at each draw, where it is one constant there."""
        found: list[float] = []
        for case in self.cases:
            constant = compare.ratio(case.given, case.true, case.slack)
            if constant is None:
                return None
            found.append(constant)
        return found or None

    @cached_property
    def factor(self) -> Factor | None:
        found = None if self.ratios is None else explain(self.ratios, self.cases)
        if found is None or (found.number == 1 and not found.extents and not found.negative):
            return None  # a bare number that is all but right
        return None if self.bare and not self._plausible(found) else found

    @cached_property
    def bare(self) -> bool:
        """A number alone, at the worked instance: one ratio, which may be any number by coincidence."""
        return self.cases[0].given.numel() == 1 and len(self.cases) == 1

    @cached_property
    def in_formulas(self) -> set[Fraction]:
        """Numbers of the formulas on the way, which a gradient may lose."""
        return exponents(self.exercise, self.quantity) | constants(self.exercise, self.quantity)

    def _plausible(self, factor: Factor) -> bool:
        near = PLAUSIBLE | self.in_formulas
        return factor.number in near | {1 / c for c in near if c}


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


def explain(ratios: list[float], cases: Sequence[Case]) -> Factor | None:
    """One formula for the ratios at all draws, or None.

    Two draws cannot tell every formula from every other: 35/15 is N*D/15 and 2*D/(D - 1), of N=5 and D=7. What has a
    `- 1` or a root in it is believed where it is all there is, or where no plain product of sizes fits.
    """
    if len({ratio < 0 for ratio in ratios}) > 1:
        return None
    slack = max(1e-8, *(10 * case.slack for case in cases))
    negative = ratios[0] < 0
    others: list[Factor] = []  # that are less simple
    for column in zip(*(_extents(case.sizes) for case in cases), strict=False):
        name = column[0][0]
        if any(text != name for text, _ in column):
            break  # an axis of size 1 at one draw only
        numbers = [abs(ratio) / value for ratio, (_, value) in zip(ratios, column, strict=True)]
        if not all(isclose(number, numbers[0], rel_tol=slack) for number in numbers):
            continue
        near, plain = (
            compare.simple_fraction(numbers[0], 12, max(slack, 1e-6)),
            "- 1" not in name and "sqrt" not in name,
        )
        if near is not None and isclose(float(near), numbers[0], rel_tol=slack):
            if plain or near == 1:
                return Factor(negative, near, name)
            others.append(Factor(negative, near, name))
        elif not name:
            others.insert(0, Factor(negative, numbers[0]))
        elif plain and len({extent for _, extent in column}) > 1:
            near = compare.simple_fraction(numbers[0], WRITTEN, slack)
            others[:0] = [] if near is None else [Factor(negative, near, name)]
    return others[0] if others else None


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
    number, own = factor.number, _own_number(fault, factor.number)
    lost = number if own is None or not isinstance(number, Fraction) else number / own
    if lost != 1:
        yield {"which": _number_cause(fault, lost)}
    if own is not None:
        size = _replaced_by(own, factor.extents)
        if size:
            yield {"which": said("{wrong} stands where {right} belongs", wrong=max(own, 1 / own), right=size)}
            return
        yield {"which": said("a factor {number} too much", number=own)}
    if factor.extents:
        yield {"which": _extent_cause(fault, factor.extents)}


def _own_number(fault: Fault, number: Fraction | float) -> Fraction | None:
    """5 or 1/5 where the line has a 5 that is not of the exercise, and the rest of the ratio is one that is lost."""
    own = sorted(n for n in fault.written if n not in fault.in_formulas)
    if found := [n for m in own for n in (Fraction(1, m), Fraction(m)) if n == number]:
        return found[0]
    lost = [1 / n for n in sorted(fault.in_formulas) if n > 1]
    return next((Fraction(1, m) for m in own for n in lost if n / m == number), None)


def _replaced_by(own: Fraction, extents: str) -> str:
    """The sizes in whose place a number stands, if it does: of N/5 it is N, of 5/(N*K) it is N*K."""
    if own > 1:
        extents = extents[2:] if extents.startswith("1/") else ""
    plain = "" if "/" in extents or "sqrt" in extents else extents
    return plain[1:-1] if plain.startswith("(") else plain


def _number_cause(fault: Fault, number: Fraction | float) -> str:
    """2 lost, or too much; and of which rule it was."""
    if not isinstance(number, Fraction):
        return said("a factor {number} too much", number=f"{number:.9g}")
    lost = 1 / number
    if fault.what != "local derivative" and lost in exponents(fault.exercise, fault.quantity):
        return said("the factor {lost} of the power rule is lost", lost=lost)
    whole = lost.denominator == 1 and (not fault.factor or not fault.factor.extents or lost in PLAUSIBLE)
    if whole or lost in fault.in_formulas:
        return said("the factor {lost} is lost", lost=lost)
    return said("a factor {number} too much", number=number)


def _extent_cause(fault: Fault, extents: str) -> str:
    if (extents.isidentifier() or extents.startswith("(")) and "/" not in extents:
        return said("the factor {lost} is lost", lost=f"1/{extents}")
    return said("a factor {number} too much", number=extents)


def _convention(fault: Fault) -> Iterator[dict[str, Any]]:
    """The factor is what two usual conventions differ by."""
    factor = fault.factor
    if factor is None or factor.number != 1 or not factor.extents:
        return
    sizes = "".join(c if c.isalnum() or c == "_" else " " for c in factor.extents).split()
    if "- 1" in factor.extents:
        n = sizes[0]
        says = said("one divides by {n} - 1 (unbiased) or by {n} (biased): look at what the exercise says", n=n)
        yield {"how": says}
    elif "sqrt" not in factor.extents and "**" not in factor.extents:
        yield {"how": said("a sum and a mean differ by this factor: look at which one the exercise takes")}


MISTAKES: tuple[Row, ...] = (
    Row("factor", "{which}", _factor),
    Row("wrong-convention", "{how}", _convention),
    Row("sign", N_("the sign is flipped"), _sign),
)


def find(fault: Fault) -> list[Mistake]:
    """All mistakes that explain the values at every draw: a constant ratio first, then the spoilt true step."""
    found = [Mistake(row.id, said(row.says, **params), params) for row in MISTAKES for params in row.find(fault)]
    if fault.cases and fault.bare:
        return found or [*_digits(fault)] or _local_alone(fault)
    if fault.what == "gradient" and fault.cases and fault.cases[0].known is not None:
        seen = (spoils.Observation(case.given, case.known or {}, case.sizes) for case in fault.cases)
        spoilt = spoils.explain(fault.exercise, fault.quantity, seen, scaled_too=not found)
        found += [m for m in spoilt if not found or m.id != "factor"]
    return found


def _digits(fault: Fault) -> Iterator[Mistake]:
    """-7.9 for -8"""
    given, true = (float(t.reshape(-1)[0]) if t.numel() else 0.0 for t in (fault.cases[0].given, fault.cases[0].true))
    if true and abs(given - true) <= NEAR * abs(true):
        says = said("close to the true number, but further off than its last digit allows: look at the arithmetic")
        yield Mistake("factor", says)


def _local_alone(fault: Fault) -> list[Mistake]:
    """1 where 1 is the local derivative; of a single number nothing else is believed."""
    case = fault.cases[0]
    if fault.what != "gradient" or case.known is None:
        return []
    seen = spoils.explain(fault.exercise, fault.quantity, [spoils.Observation(case.given, case.known, case.sizes)])
    return [m for m in seen if m.id == "missing-upstream" and not any(other.id in ("factor", "sign") for other in seen)]


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
