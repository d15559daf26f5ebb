"""A helper that is a number (`r = -2; dw = 2*r*x`) stands for what has that value at the worked instance.

The lines that read it tell what that is: with it in the number's place they are right for every value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice, product
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tutor.checking import numbers
from tutor.checking.judge import JUDGED
from tutor.checking.literals import Key, Literal
from tutor.checking.outline import Meaning, Segment
from tutor.checking.subexpressions import parts_like
from tutor.checking.truth import Point
from tutor.errors import TutorError
from tutor.numeric import compare

if TYPE_CHECKING:
    from tutor.checking.sources import Sources

Value = Callable[[Point], Tensor]
Instead = Callable[[Point], dict[Key, Tensor]]

MANY_RUNS = 400  # of one draw, for one sheet
MANY_TRIED = 40  # for one line
MANY_MEANINGS = 12  # of one number


class StandIns:
    """What the numbers of one sheet's helpers stand for; those that nothing is needed for stay what they are."""

    def __init__(self, judge: Sources, given: Mapping[Key, Literal], runs: int):
        """`runs`: how often the sheet may be run at one draw."""
        self.judge, self.given, self.left = judge, given, min(runs, MANY_RUNS)
        self.found: dict[Key, Value] = {}
        self.mistaken: set[Key] = set()  # those of them that are not the gradient they are used as
        self._meant: dict[Key, list[Value]] = {}
        self._read_by: dict[int, list[Key]] = {}  # by id of a line's segment
        self._in_order = sorted(given, key=lambda key: key[1])
        told = [state for state in judge.states if judge.meaning(state.segment).kind in JUDGED]
        self._numbers = [state for state in told if state.number is not None]
        self._lines = [state.segment for state in told if state.number is None]
        for line in self._lines:
            free = [key for key in self._read(line) if key not in self.found]
            if free and judge.outcome_of(line, judge.meaning(line)) != "equal":
                any(way(line, free) for way in (self._by_right_numbers, self._by_value, self._by_use))

    def _by_right_numbers(self, line: Segment, free: list[Key]) -> bool:
        """`r = -2; db = 2*r` is right: r is what makes it so for every value."""
        for state in self._numbers:
            read = self._read(state.segment)
            if len(read) != 1 or read[0] not in free or state.judgement is None:
                continue
            for meaning in self._meanings(read[0]):
                if self._is_right(state.segment, {read[0]: meaning}) and self._harms_none({read[0]: meaning}):
                    self.found[read[0]] = meaning
                    return True
        return False

    def _by_value(self, line: Segment, free: list[Key]) -> bool:
        """What has these values at the worked instance, and puts the line right."""
        for chosen in islice(product(*([None, *self._meanings(key)] for key in free)), 1, MANY_TRIED):
            tried = {key: value for key, value in zip(free, chosen, strict=True) if value is not None}
            if self._is_right(line, tried) and self._harms_none(tried):
                self.found.update(tried)
                return True
        return False

    def _by_use(self, line: Segment, free: list[Key]) -> bool:
        """`g = -3; dw = g*x`, where 3 would be right: a gradient that is wrong by a factor."""
        judge, worked = self.judge, self.judge.worked
        assert worked is not None
        if len(free) > 1:
            return False
        (key,) = free
        value = self.given[key].value
        wrong = [state for state in self._numbers if state.judgement is None]
        if any(_equal(s.number, value) and key not in self._read(s.segment) for s in wrong):
            return False  # the same wrong number was given to a gradient, and costs there
        for name in worked.gradients:
            meaning = judge.names.meaning(name)
            true = judge.true(meaning, worked)
            factor = None if true is None else compare.ratio(value, true)
            tried: dict[Key, Value] = {key: partial(judge.true, meaning)}  # type: ignore[dict-item]
            if factor is None or not self._is_right(line, tried) or not self._harms_none(tried):
                continue
            others = (*(state.segment for state in wrong), *self._lines)
            served = [
                each
                for each in others
                if each is not line and self._read(each) == [key] and self._is_right(each, tried)
            ]
            if served or compare.simple_fraction(abs(factor), numbers.SIMPLE) is not None:
                self.found[key] = partial(_scaled, judge, meaning, factor)
                self.mistaken.add(key)
                for state in self._numbers:  # what reads it is judged as it is
                    if any(state.segment is each for each in served):
                        state.number = None
                return True
        return False

    def _harms_none(self, tried: Mapping[Key, Value]) -> bool:
        """Whether all that was right stays so: in `two*(y_pred - y)` the number is meant as it stands."""
        judge = self.judge
        before = set(judge.runs.one_of_each[0].failures)
        for line in self._lines:
            if not any(key in tried for key in self._read(line)):
                continue
            if judge.outcome_of(line, judge.meaning(line)) == "equal" and not self._is_right(line, tried):
                return False
        try:
            return set(judge.run_at(judge.points[0], self._instead(tried)).failures) <= before
        except TutorError:
            return False

    def _read(self, reader: Segment) -> list[Key]:
        """The numbers that a line may hang on: of each helper the last before it."""
        if id(reader) not in self._read_by:
            last = {name: unit for name, unit in self._in_order if unit < reader.end and name in reader.helpers}
            self._read_by[id(reader)] = list(last.items())
        return self._read_by[id(reader)]

    def _is_right(self, reader: Segment, tried: Mapping[Key, Value]) -> bool:
        """Whether a line is right at every draw, all earlier gradients being the true ones."""
        judge = self.judge
        instead = self._instead(tried, reader)
        for point in judge.points:
            self.left -= 1
            try:
                if self.left < 0 or not judge.true_at(reader, judge.run_at(point, instead), point):
                    return False
            except TutorError:
                return False  # a part has no value at other sizes
        return True

    def _instead(self, tried: Mapping[Key, Value], reader: Segment | None = None) -> Instead:
        """What stands in the place of the learner's values; a reader has its own."""

        def instead(point: Point) -> dict[Key, Tensor]:
            values = {key: value(point) for key, value in {**self.found, **tried}.items()}
            made = {**self.judge.truths(point), **values}
            if reader is not None:
                made.pop((reader.name, reader.end), None)
            return made

        return instead

    def _meanings(self, key: Key) -> list[Value]:
        if key not in self._meant:
            self._meant[key] = list(islice(self._alike(self.given[key]), MANY_MEANINGS))
        return self._meant[key]

    def _alike(self, number: Literal) -> Iterator[Value]:
        """All that has this value at the worked instance: forward values, gradients, local derivatives, parts."""
        judge, worked = self.judge, self.judge.worked
        assert worked is not None
        alike = partial(numbers.agrees, number)
        yield from (partial(_forward, name) for name, value in worked.values.items() if alike(value))
        for meaning in (*map(judge.names.meaning, worked.gradients), *self._locals()):
            true = judge.true(meaning, worked)
            if true is not None and alike(true):
                yield partial(judge.true, meaning)  # type: ignore[misc]
        yield from (part.at for part in parts_like(worked, number.value.ndim, alike))

    def _locals(self) -> Iterator[Meaning]:
        """The local derivatives that are a single number."""
        exercise = self.judge.exercise
        for q in exercise.forward:
            for name in sorted(q.reads) if not q.shape else ():
                if not exercise[name].shape and exercise[name].differentiable:
                    yield self.judge.names.meaning(f"d{q.name}_d{name}")


def _equal(number: Literal | None, value: Tensor) -> bool:
    return number is not None and torch.equal(number.value, value)


def _scaled(judge: Sources, meaning: Meaning, factor: float, point: Point) -> Tensor:
    true = judge.true(meaning, point)
    assert true is not None
    return factor * true


def _forward(name: str, point: Point) -> Tensor:
    return point.values[name]
