"""Right sides that are numbers alone (`dw = -8`, `dw = 2*(2 - 4)*2`): their value, and how exactly it was given.

Nothing that such a line reads is of the exercise, so its value is the same at every draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library
from tutor.checking.interpret import NAMED_VALUES, Run
from tutor.checking.judge import as_tensor
from tutor.checking.outline import Outline, Segment, Unit
from tutor.checking.truth import Point

# of the largest: how far rounding may go for few digits; True: with decimals, where -0.1 may have been -0.12
COARSEST = {False: 0.05, True: 0.2}
COMPUTED = 0.05  # the same for what was computed from decimals
LITTLE = 0.015  # of the largest: what one more half unit may change, for a single digit to be a rounded one
MANY_DIGITS = 8  # a machine printed them, perhaps from float32
NOISE = {False: 1e-6, True: 1e-5}  # of the largest: what is no mistake in decimals; True: with many digits
EXACT = 1e-9
MOST_SHIFTED = 50_000  # operations, and entries, for decimals that are looked at one by one

_ARRAYS = ("tensor", "array", "asarray")

Key = tuple[str, int]  # a name, and the unit that gives it a value


@dataclass(frozen=True)
class Literal:
    """`slack` is half a unit of the last digit given, entry by entry; `relative` the same in proportion."""

    value: Tensor
    slack: Tensor
    text: str
    decimals: bool = False  # no whole numbers alone
    printed: bool = False  # more digits than people write

    @property
    def relative(self) -> float:
        if not self.decimals:
            return EXACT  # whole numbers: what they are a multiple of is meant exactly
        size = self.value.abs()
        shares = torch.where(size > 0, self.slack / size.clamp(min=1e-300), 0.0)
        return max(EXACT, float(shares.max())) if shares.numel() else EXACT


# -- numbers as they are written ------------------------------------------------------------------------------


def literal(statement: lang.Statement, name: str | None = None) -> Literal | None:
    """The numbers of `name = numbers`, or None where anything else stands on the right.

    `name` says which of `dw, db = -8, -4` is meant.
    """
    side = _side(statement, name) if isinstance(statement, lang.Assign) else None
    written = [] if side is None else list(_written(side))
    numbers = [number for number in written if number is not None]
    if side is None or not numbers or len(numbers) < len(written):
        return None
    try:
        value, slack = (_array(side, entry) for entry in (lambda n: float(n.value), _half_unit))
    except (library.Refusal, library.TorchRefuses, RuntimeError, ValueError):
        return None
    text = lang.written(statement, side) or statement.text.split("=", 1)[-1].strip()
    return _given(text, value, slack, COARSEST[any("." in n.text for n in numbers)], numbers)


def _given(text: str, value: Tensor, slack: Tensor, coarsest: float, numbers: list[lang.Number]) -> Literal:
    """No digits are a licence: 1 is not 1.4, and 0 not 0.02; and none bind that a machine has made up."""
    decimals = any(map(_is_decimal, numbers))
    largest = value.abs().max() if value.numel() else torch.zeros(())
    slack = torch.minimum(slack, coarsest * largest)
    printed = decimals and any(_digits(n.text) >= MANY_DIGITS for n in numbers)
    noise = NOISE[printed] if decimals else EXACT
    return Literal(value, torch.maximum(slack, noise * largest), text, decimals, printed)


def _side(statement: lang.Assign, name: str | None) -> lang.Expression | None:
    """The right side, or the part of it that is unpacked into a name."""
    target, value = statement.targets[0], statement.value
    if isinstance(target, lang.Sequence) and isinstance(value, lang.Sequence) and len(target.items) == len(value.items):
        names = [lang.variable(item) for item in target.items]
        return value.items[names.index(name)] if len(statement.targets) == 1 and name in names else None
    plain = not any(isinstance(each, (lang.Subscript, lang.Sequence)) for each in statement.targets)
    return value if plain else None


def _written(node: lang.Expression) -> Iterator[lang.Number | None]:
    """The numbers that stand alone on a right side, with a sign or in rows; None for anything else."""
    if isinstance(node, lang.Number):
        yield node
    elif isinstance(node, lang.Unary) and node.op in "+-":
        yield from _written(node.operand)
    elif isinstance(node, lang.Sequence):
        for item in node.items:
            yield from _written(item)
    elif isinstance(node, lang.Call) and _is_array(node):
        yield from _written(node.arguments[0])
    else:
        yield None


def _array(node: lang.Expression, entry: Callable[[lang.Number], float]) -> Tensor:
    """What stands alone on a right side, as a tensor; `entry` is asked for each number."""
    if isinstance(node, lang.Number):
        return torch.tensor(entry(node), dtype=torch.float64)
    if isinstance(node, lang.Unary):
        made = _array(node.operand, entry)
        return -made if node.op == "-" and entry is not _half_unit else made
    if isinstance(node, lang.Call):
        return _array(node.arguments[0], entry)
    assert isinstance(node, lang.Sequence)
    return torch.stack([_array(item, entry) for item in node.items])


def _is_array(node: lang.Call) -> bool:
    function = node.function
    named = isinstance(function, (lang.Attribute, lang.Name)) and function.name in _ARRAYS
    return named and len(node.arguments) == 1 and not node.named


def _is_decimal(number: lang.Number) -> bool:
    return bool(set(number.text.lower()) & set(".e")) and number.text[:2].lower() not in _BASES


_BASES = ("0x", "0o", "0b")


def _half_unit(number: lang.Number) -> float:
    """0.5 for "8", 0.05 for "8.0", 5 for "8e1"."""
    text = number.text
    if text[:2].lower() in _BASES:
        return 0.5
    mantissa, _, exponent = text.lower().replace("_", "").partition("e")
    decimals = len(mantissa.partition(".")[2])
    if not float(mantissa):
        exponent = ""  # of 0 it says nothing
    return float(f"0.5e{int(exponent or 0) - decimals}")


def _digits(text: str) -> int:
    """Those that say something: 2 for "0.050"."""
    return len(text.lower().replace("_", "").partition("e")[0].replace(".", "").lstrip("0"))


# -- numbers that are computed --------------------------------------------------------------------------------


class Numbers:
    """The lines of a sheet that hang on numbers alone, and what they give."""

    def __init__(self, outline: Outline, draw: Point, worked: Point | None):
        self.outline, self.draw, self.worked = outline, draw, worked
        self.lasting = _hanging_on_numbers(outline)

    def of(self, segment: Segment) -> Literal | None:
        """What the lines of a segment give; None where it is no number, or has no value."""
        plain = literal(segment.statement, segment.name) if len(segment.touches) == 1 else None
        if plain is not None or (segment.name, segment.end) not in self.lasting or self._at_other_sizes:
            return plain
        return self._computed(segment)

    @property
    def _at_other_sizes(self) -> bool:
        """Whether the sheet pins sizes that are not those of the worked instance."""
        known = {} if self.worked is None else self.worked.sizes
        return any(known.get(name) != size for name, size in self.outline.sheet.sizes.items())

    def _computed(self, segment: Segment) -> Literal | None:
        """Decimals carry half a unit of their last digit along; one digit that says much is exact, as in 0.5*x."""
        key = (segment.name, segment.end)
        value = self._plain[0].get(key)
        if value is None or not value.numel() or not bool(torch.isfinite(value).all()):
            return None
        own = {id(touch.statement) for touch in segment.touches}
        written = [number for unit in segment.units for number in self._numbers(self.outline.units[unit])]
        slack = torch.zeros_like(value)
        for decimals, longest, values in self._shifted:
            other = values.get(key, value)
            if other.shape != value.shape:
                continue
            change = (other - value).abs().nan_to_num(0.0, 0.0, 0.0)
            little = bool(change.max() <= LITTLE * value.abs().max())
            if bool(change.any()) and (little or any(each.rounded or each.alone_in in own for each in decimals)):
                slack += change
                written.append(longest)
        return _given(_shown(segment, value), value, slack, COMPUTED, written)

    # -- all of them at once, as they are and with each decimal a little larger

    @cached_property
    def _units(self) -> list[int]:
        return sorted({unit for _, unit in self.lasting})

    def _numbers(self, unit: Unit) -> list[lang.Number]:
        nodes = (node for each in lang.flat([unit.statement]) for node in self.outline.nodes(each))
        return [node for node in nodes if isinstance(node, lang.Number)]

    @cached_property
    def _plain(self) -> tuple[dict[Key, Tensor], int]:
        return self._run({})

    def _run(self, shifts: Mapping[int, float]) -> tuple[dict[Key, Tensor], int]:
        """The values, and what it costs."""
        run = _Shifted(self.outline, self.draw, shifts)
        for at in self._units:
            run.unit(self.outline.units[at])
        found = {key: as_tensor(run.values.get(key)) for key in self.lasting}
        made = {key: value for key, value in found.items() if value is not None}
        return made, max(run.limits.steps, run.limits.entries)

    @cached_property
    def _shifted(self) -> list[tuple[list[_Decimal], lang.Number, dict[Key, Tensor]]]:
        """The values with each decimal half a unit larger, and it; with all of them at once where they are many."""
        statements = lang.flat(self.outline.units[at].statement for at in self._units)
        decimals = [found for statement in statements for found in self._decimals(statement)]
        dear = len(decimals) > 1 and len(decimals) * self._plain[1] > MOST_SHIFTED
        return [
            (
                together,
                max((each.number for each in together), key=lambda n: _digits(n.text)),
                self._run({id(each.number): _half_unit(each.number) for each in together})[0],
            )
            for together in ([decimals] if dear else [[each] for each in decimals])
        ]

    def _decimals(self, statement: lang.Statement) -> Iterator[_Decimal]:
        """Not so a value of the worked instance, as the learning rate 0.001 is."""
        alone = {id(n) for n in _written(statement.value)} if isinstance(statement, lang.Assign) else set()
        for number in self.outline.nodes(statement):
            if isinstance(number, lang.Number) and _is_decimal(number) and number.value not in self._worked_values:
                yield _Decimal(number, _digits(number.text) > 1, id(statement) if id(number) in alone else None)

    @cached_property
    def _worked_values(self) -> set[float]:
        given = [] if self.worked is None else [q.name for q in self.outline.exercise.leaves]
        values = [self.worked.values[name] for name in given]  # type: ignore[union-attr]
        return {float(value) for value in values if value.numel() == 1}


def _shown(segment: Segment, value: Tensor) -> str:
    """The right side; of what was built up, or unpacked, the number that came of it."""
    last = segment.statement
    single = (
        isinstance(last, lang.Assign) and len(segment.touches) == 1 and not isinstance(last.targets[0], lang.Sequence)
    )
    text = lang.written(last, last.value) if single and isinstance(last, lang.Assign) else ""
    return text or (f"{value.item():.6g}" if value.numel() == 1 else segment.name)


@dataclass(frozen=True)
class _Decimal:
    """A number that may have been rounded; `alone_in` is the id of the statement that it is the right side of."""

    number: lang.Number
    rounded: bool
    alone_in: int | None


class _Shifted(Run):
    """A run in which some numbers are a little larger."""

    def __init__(self, outline: Outline, draw: Point, shifts: Mapping[int, float]):
        super().__init__(outline, draw)
        self.shifts = shifts

    def evaluate(self, node: lang.Expression) -> Any:
        return node.value + self.shifts.get(id(node), 0) if isinstance(node, lang.Number) else super().evaluate(node)


def _hanging_on_numbers(outline: Outline) -> set[Key]:
    """(name, unit) of all that hangs on numbers alone."""
    made: set[Key] = set()
    now: set[str] = set()  # names that are numbers, at this line
    given: set[str] = set()  # names that have a value
    same: dict[str, set[str]] = {}  # names that may be one tensor
    for unit in outline.units:
        are_numbers = _are_numbers(outline, unit, now, given)
        for touch in unit.touches:
            changed = {touch.name, *(same.get(touch.name, ()) if touch.how == "update" else ())}
            if are_numbers:
                made.add((touch.name, unit.position))
                now |= {touch.name} - _given_names(outline)
            else:
                now -= changed
        given.update(touch.name for touch in unit.touches)
        _join(unit, same)
    return made


def _given_names(outline: Outline) -> set[str]:
    """The inputs and parameters: `x = 2` says where one is, and a formula of x is one for every x."""
    return {q.name for q in outline.exercise.leaves}


def _are_numbers(outline: Outline, unit: Unit, now: set[str], given: set[str]) -> bool:
    """Whether what a line gives hangs on numbers alone; of a block all of it, in the order of its lines.

    What is updated must have been one, if it had a value: a branch may leave it as it was.
    """
    statements = list(lang.flat([unit.statement]))
    if not unit.touches or any(isinstance(each, lang.Unreadable) or outline.style.get(id(each)) for each in statements):
        return False
    loops = [each for each in statements if isinstance(each, lang.Loop)]
    known = now | {each.variable for each in loops}
    over = (node for each in loops for node in lang.walk(each.over) if isinstance(node, lang.Name))
    if not all(_is_number(outline, outline.names.meaning(node.name).name, known) for node in over):
        return False
    for touch in unit.touches:
        needed = touch.reads | ({touch.name} & given if touch.how == "update" else set())
        if not all(_is_number(outline, name, known) for name in needed):
            return False
        known.add(touch.name)
    return True


def _is_number(outline: Outline, name: str, known: set[str]) -> bool:
    return name in known or _is_of_the_language(outline, name)


def _is_of_the_language(outline: Outline, name: str) -> bool:
    """A function's name, a module's, or pi: not one that the sheet gave another value."""
    if name in outline.bound or outline.names.meaning(name).kind != "helper" or name in outline.names.sizes:
        return False
    return name in lang.MODULES or name in NAMED_VALUES or name in library.FUNCTION


def _join(unit: Unit, same: dict[str, set[str]]) -> None:
    """After `n = m` or `n = m.view(1)` both may be one tensor; what is given anew is another one."""
    for touch in unit.touches:
        if touch.how == "update":
            continue
        for names in same.values():
            names.discard(touch.name)
        value = touch.statement.value if isinstance(touch.statement, lang.Assign) else None
        may_share = isinstance(value, (lang.Name, lang.Attribute, lang.Subscript, lang.Call))
        joined = {touch.name}.union(*(same.get(name, ()) for name in touch.reads)) if may_share else {touch.name}
        same.update((name, joined) for name in joined)
