"""Lines whose right side is numbers alone (`dw = -8`): their value, how exactly it was given, whether it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library, mistakes
from tutor.checking.judge import WHAT, Judgement, other_shape
from tutor.checking.outline import Meaning, Segment
from tutor.checking.report import Sentence
from tutor.checking.truth import Point
from tutor.exercise import Exercise
from tutor.language import said

if TYPE_CHECKING:
    from tutor.checking.sheet_runs import SheetRuns
    from tutor.checking.sources import Sources

COARSEST = {False: 0.05, True: 0.15}  # of the largest: how far rounding may go for few digits; True: with decimals
MOST_SHOWN = 6  # values of a worked instance
_ARRAYS = ("tensor", "array", "asarray")


@dataclass(frozen=True)
class Literal:
    """`slack` is half a unit of the last digit given, entry by entry; `relative` the same in proportion."""

    value: Tensor
    slack: Tensor
    text: str
    exact: bool = True  # whole numbers alone

    @property
    def relative(self) -> float:
        if not set(self.text.lower()) & set(".e"):
            return 1e-9  # whole numbers: what they are a multiple of is meant exactly
        size = self.value.abs()
        shares = torch.where(size > 0, self.slack / size.clamp(min=1e-300), 0.0)
        return max(1e-9, float(shares.max())) if shares.numel() else 1e-9


def literal(statement: lang.Statement, known: Mapping[str, Literal] = MappingProxyType({})) -> Literal | None:
    """The numbers of `name = numbers`, or None where another name than those of known numbers stands on the right."""
    if not isinstance(statement, lang.Assign) or any(
        isinstance(t, (lang.Subscript, lang.Sequence)) for t in statement.targets
    ):
        return None
    try:
        value, slack = _Numbers(known).value(statement.value)
    except (_Named, library.Refusal, library.TorchRefuses, RuntimeError):
        return None
    text = statement.text.split("=", 1)[-1].strip()
    if value.numel():  # one digit is no licence: 1 is not 1.4, and 0 not 0.02
        coarsest = COARSEST["." in text]
        slack = torch.minimum(slack, coarsest * value.abs().max())
    return Literal(value, slack, text, _Numbers(known).exact(statement.value))


class _Named(Exception):
    """A name, or something else that is not a number."""


class _Numbers:
    """What stands on a right side, with the numbers that names hold."""

    def __init__(self, known: Mapping[str, Literal]):
        self.known = known

    def value(self, node: lang.Expression) -> tuple[Tensor, Tensor]:
        """(value, half a unit of its last digit)"""
        if isinstance(node, lang.Number):
            return _number(node.value), _number(_half_unit(node.text))
        if isinstance(node, lang.Name) and node.name in self.known:
            return self.known[node.name].value, self.known[node.name].slack
        if isinstance(node, lang.Unary) and node.op in "+-":
            value, slack = self.value(node.operand)
            return (-value if node.op == "-" else value), slack
        if isinstance(node, lang.Sequence):
            rows = [self.value(item) for item in node.items]
            if not rows or any(row[0].shape != rows[0][0].shape for row in rows):
                raise _Named
            return torch.stack([v for v, _ in rows]), torch.stack([s for _, s in rows])
        if isinstance(node, lang.Call) and _is_array(node):
            return self.value(node.arguments[0])
        if isinstance(node, lang.Binary) and node.op in ("+", "-", "*", "/", "**"):
            return self.computed(node)
        raise _Named

    def computed(self, node: lang.Binary) -> tuple[Tensor, Tensor]:
        """2*(2 - 4)*2: whole numbers are exact, decimals carry their last digit along."""
        (a, slack_a), (b, slack_b) = self.value(node.left), self.value(node.right)
        if a.ndim or b.ndim:
            raise _Named
        made = library.elementwise(library.Limits(), node.op, float(a), float(b))
        exact_a, exact_b = self.exact(node.left), self.exact(node.right)
        share = 0.0
        for value, slack, exact in ((a, slack_a, exact_a), (b, slack_b, exact_b)):
            if not exact and float(value):
                share += abs(float(slack) / float(value))
        absolute = (0.0 if exact_a else float(slack_a)) + (0.0 if exact_b else float(slack_b))
        unsure = absolute if node.op in "+-" else share * abs(made)
        return _number(made), _number(max(unsure, 1e-9 * abs(made)))

    def exact(self, node: lang.Expression) -> bool:
        """Whole numbers, alone or computed with."""
        parts = list(lang.walk(node))
        return all(isinstance(p.value, int) for p in parts if isinstance(p, lang.Number)) and all(
            self.known[p.name].exact for p in parts if isinstance(p, lang.Name) and p.name in self.known
        )


def _is_array(node: lang.Call) -> bool:
    function = node.function
    return isinstance(function, lang.Attribute) and function.name in _ARRAYS and len(node.arguments) == 1


def _half_unit(text: str) -> float:
    """0.5 for "8", 0.05 for "8.0", 5 for "8e1"."""
    if text[:2].lower() in ("0x", "0o", "0b"):
        return 0.5
    mantissa, _, exponent = text.lower().replace("_", "").partition("e")
    decimals = len(mantissa.partition(".")[2])
    if not float(mantissa):
        exponent = ""  # of 0 it says nothing
    return float(f"0.5e{int(exponent or 0) - decimals}")


def _number(value: float) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64)


# -- whether it is right ------------------------------------------------------------


def right(judge: SheetRuns, meaning: Meaning, number: Literal) -> Judgement | None:
    """Right in general, or at the worked instance; None where it is neither, as far as can be said without R."""
    first, worked = judge.true(meaning, judge.points[0]), judge.worked
    if first is None:
        return None
    fitted: list[Tensor | None] = [_fitted(number.value, judge.true(meaning, point)) for point in judge.points]
    if judge.outcome(meaning, fitted) == "equal":
        return Judgement("correct", Sentence("general-number"), fitted[0], first)
    true = worked.true(meaning) if worked is not None else None
    if true is None or worked is None:
        return None
    value = _fitted(number.value, true)
    if _within(value, true, number.slack):
        return Judgement("correct", Sentence("number"), value, true)
    strict = judge.exercise.strict_kinks
    if not strict and value.shape == true.shape and judge.sides(meaning, value, worked) == "subgradient":
        return judge.on_kink(meaning, worked, value, true, "kink-number")
    return None


def wrong(judge: Sources, segment: Segment, meaning: Meaning, number: Literal, worked: Point) -> Judgement:
    """A number that is neither: compared with the worked instance, R being the earlier gradients there."""
    true = worked.true(meaning)
    assert true is not None
    value, slack = _fitted(number.value, true), number.slack
    stop = _earlier(judge, segment, worked)
    expected = judge.expected(meaning, stop, worked) if stop else None
    if expected is not None and judge.telling(stop, worked) and _within(value, expected, slack):
        # members of R that the value really depends on
        alone = [n for n in stop if torch.equal(judge.expected(meaning, {n: stop[n]}, worked), expected)]  # type: ignore[arg-type]
        needed = alone[-1:] or list(stop)
        sentence = judge.follows_sentence(needed, segment)
        return Judgement("follows", sentence, value, true, reads=frozenset(needed))
    sentence = Sentence("differs-number", {"given": number.text})
    base = Judgement("wrong", sentence, value, true, at=_place(judge.exercise))
    if value.shape != true.shape:
        return replace(base, sentence=other_shape(meaning, value, true))
    known, what = {**worked.values, **worked.gradients}, WHAT[meaning.kind]
    case = mistakes.Case(value, true if expected is None else expected, worked.sizes, number.relative, known)
    fault = mistakes.Fault(judge.exercise, meaning.name, meaning.of, what, [case])
    found = mistakes.find(fault)
    return replace(base, mistakes=tuple(found), **judge.ratio_of(fault, found, what))


def _place(exercise: Exercise) -> str:
    """The worked instance, with its values where they are few numbers."""
    given = exercise.instances[0]
    if len(given) <= MOST_SHOWN and all(isinstance(value, (int, float)) for value in given.values()):
        values = ", ".join(f"{name}={value:g}" for name, value in given.items())
        return said("at the worked instance: {values}", values=values)
    return said("at the worked instance")


def _earlier(judge: Sources, segment: Segment, worked: Point) -> dict[str, Tensor]:
    """The learner's earlier gradients at the worked instance that are not the true ones."""
    run, stop = judge.worked_run, {}
    for state in judge.states:
        meaning = judge.meaning(state.segment)
        if state.judgement is None or state.segment.end >= segment.end or meaning.name == segment.name:
            continue
        if meaning.kind not in ("gradient", "value") or state.judgement.verdict not in ("wrong", "follows"):
            continue
        value, true = judge.value(run, state.segment) if run else None, worked.true(meaning)
        if value is not None and true is not None and value.shape == true.shape:
            stop[meaning.name] = value
    return stop


def _within(value: Tensor, true: Tensor, slack: Tensor) -> bool:
    return value.shape == true.shape and bool(((value - true).abs() <= slack).all())


def _fitted(value: Tensor, true: Tensor | None) -> Tensor:
    """A number stands for a scalar of shape (1,) too."""
    if true is not None and value.numel() == 1 and true.numel() == 1:
        return value.reshape(true.shape)
    return value
