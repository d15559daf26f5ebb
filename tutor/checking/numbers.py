"""Whether a line that gives numbers alone is right: in general, at the worked instance, or given what came before."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tutor.checking import mistakes
from tutor.checking.judge import WHAT, Judgement, other_shape
from tutor.checking.literals import Literal
from tutor.checking.outline import Meaning, Segment
from tutor.checking.report import Repair, Sentence
from tutor.checking.truth import Point
from tutor.exercise import Exercise
from tutor.language import said
from tutor.numeric import compare
from tutor.numeric.compare import SINGLE

if TYPE_CHECKING:
    from tutor.checking.sheet_runs import SheetRuns
    from tutor.checking.sources import Sources

FEW = 0.02  # how much its last digit may leave open of a number that is right for every instance
COARSE = 0.01  # how far off a mistake's value may be, for few digits
PRECISE, SIMPLE = 1e-3, 12  # digits enough to say a ratio of; or it is p/q all but exactly, with these at most
MOST_SHOWN = 6  # values of a worked instance


def right(judge: SheetRuns, meaning: Meaning, number: Literal) -> Judgement | None:
    """Right in general, or at the worked instance; None where it is neither, as far as can be said without R."""
    first, worked = judge.true(meaning, judge.points[0]), judge.worked
    if first is None:
        return None
    fitted: list[Tensor | None] = [_fitted(number.value, judge.true(meaning, point)) for point in judge.points]
    if judge.outcome(meaning, fitted) == "equal" or _rounds(judge, meaning, number):
        return Judgement("correct", Sentence("general-number"), fitted[0], first)
    true = judge.true(meaning, worked) if worked is not None else None
    if true is None or worked is None:
        return None
    value = _fitted(number.value, true)
    moved = worked.moved(meaning) if number.printed and meaning.name not in judge.extra else None
    if agrees(number, true, moved):
        return Judgement("correct", Sentence("number"), value, true)
    strict = judge.exercise.strict_kinks
    if not strict and value.shape == true.shape and judge.sides(meaning, value, worked) == "subgradient":
        return judge.on_kink(meaning, worked, value, true, "kink-number")
    return None


def _rounds(judge: SheetRuns, meaning: Meaning, number: Literal) -> bool:
    """`0.33` for what is 1/3 at every draw."""
    if not number.decimals or number.relative > FEW:
        return False
    every = (judge.true(meaning, point) for point in judge.points)
    return all(true is not None and agrees(number, true) for true in every)


def wrong(
    judge: Sources, segment: Segment, meaning: Meaning, number: Literal, worked: Point, why: bool = True
) -> Judgement:
    """A number that is neither: compared with the worked instance, R being the earlier gradients there.

    `why`: its cause is looked for.
    """
    true = judge.true(meaning, worked)
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
    read = _read_wrongly(judge, segment, meaning, number, worked)
    if read:
        return Judgement("follows", judge.follows_sentence(read, segment), value, true, reads=frozenset(read))
    sentence = Sentence("differs-number", {"given": number.text, "name": meaning.name})
    base = Judgement("wrong", sentence, value, true, at=place(judge.exercise))
    if value.shape != true.shape:
        return replace(base, sentence=other_shape(meaning, value, true))
    if not why:
        return base
    known, what = {**worked.values, **worked.gradients}, WHAT[meaning.kind]
    share = min(number.relative, COARSE)
    case = mistakes.Case(value, true if expected is None else expected, worked.sizes, share, known)
    fault = mistakes.Fault(judge.exercise, meaning.name, meaning.of, what, [case])
    found = mistakes.find(fault)
    exactly = number.relative <= PRECISE or compare.simple_fraction(abs((fault.ratios or [inf])[0]), SIMPLE) is not None
    return replace(base, mistakes=tuple(found), **(judge.ratio_of(fault, found, what) if exactly else {}))


def _read_wrongly(judge: Sources, segment: Segment, meaning: Meaning, number: Literal, worked: Point) -> list[str]:
    """The gradients that are not the true ones, where with those in their place the line gives the right number."""
    run, true = judge.worked_run, judge.true(meaning, worked)
    stop = judge.stop(run, segment) if run is not None else {}
    untrue = [
        name
        for name in segment.sources
        if name in stop and judge.same(judge.meaning_of(name), stop[name], worked) != "equal"
    ]
    if not untrue or true is None or not judge.telling(stop, worked):
        return []
    value = judge.value(judge.worked_corrected, segment)
    return untrue if value is not None and agrees(replace(number, value=value), true) else []


def of_numbers(repair: Repair | None) -> Repair | None:
    """`-1 -> 1`, and nothing that brings names into a number."""
    return None if repair is not None and any(map(str.isalpha, repair.new)) else repair


def place(exercise: Exercise) -> str:
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
        if state.judgement is None or state.judgement.verdict not in ("wrong", "follows"):
            continue
        if state.segment.end >= segment.end or state.segment.name == segment.name:
            continue
        meaning = judge.meaning(state.segment)
        if meaning.kind not in ("gradient", "value") or meaning.name == segment.name:
            continue
        value, true = judge.value(run, state.segment) if run else None, judge.true(meaning, worked)
        if value is not None and true is not None and value.shape == true.shape:
            stop[meaning.name] = value
    return stop


def agrees(number: Literal, true: Tensor, moved: Tensor | None = None) -> bool:
    """Within half a unit of its last digit; where a machine printed it, perhaps in float32, within its roundings.

    `moved` is how far the value moves at most, per unit of rounding in all that is computed on the way to it.
    """
    slack = number.slack if moved is None else torch.maximum(number.slack, SINGLE.scaled * moved.abs().max())
    return _within(_fitted(number.value, true), true, slack)


def _within(value: Tensor, true: Tensor, slack: Tensor) -> bool:
    return value.shape == true.shape and bool(((value - true).abs() <= slack).all())


def _fitted(value: Tensor, true: Tensor | None) -> Tensor:
    """A number stands for a scalar of shape (1,) too."""
    if true is not None and value.numel() == 1 and true.numel() == 1:
        return value.reshape(true.shape)
    return value
