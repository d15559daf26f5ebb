"""A helper that is a number (`r = -2; dw = 2*r*x`) stands for what has that value at the worked instance.

The lines that read it tell what that is: with it in the number's place they are right for every value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice, product
from typing import TYPE_CHECKING

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
        told = [state for state in judge.states if judge.meaning(state.segment).kind in JUDGED]
        self._numbers = [state for state in told if state.number is not None]
        self._lines = [state.segment for state in told if state.number is None]
        for line in self._lines:
            free = [key for key in self._read(line) if key not in self.found]
            if free and judge.outcome_of(line, judge.meaning(line)) != "equal":
                _ = self._by_right_numbers(free) or self._by_value(line, free) or self._by_use(line, free)

    def _by_right_numbers(self, free: list[Key]) -> bool:
        """`r = -2; db = 2*r` is right: r is what makes it so for every value."""
        for state in self._numbers:
            read = self._read(state.segment)
            if len(read) != 1 or read[0] not in free or state.judgement is None:
                continue
            for meaning in self._meanings(read[0]):
                if self._is_right(state.segment, {read[0]: meaning}):
                    self.found[read[0]] = meaning
                    return True
        return False

    def _by_value(self, line: Segment, free: list[Key]) -> bool:
        """What has these values at the worked instance, and puts the line right."""
        for chosen in islice(product(*([None, *self._meanings(key)] for key in free)), 1, MANY_TRIED):
            tried = {key: value for key, value in zip(free, chosen, strict=True) if value is not None}
            if self._is_right(line, tried):
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
        for name in worked.gradients:
            meaning = judge.names.meaning(name)
            true = judge.true(meaning, worked)
            factor = None if true is None else compare.ratio(self.given[key].value, true)
            if factor is None or not self._is_right(line, {key: partial(judge.true, meaning)}):  # type: ignore[dict-item]
                continue
            others = (state.segment for state in self._numbers if state.judgement is None)
            served = [
                each
                for each in (*others, *self._lines)
                if each is not line
                and self._read(each) == [key]
                and self._is_right(each, {key: partial(judge.true, meaning)})  # type: ignore[dict-item]
            ]
            if served or compare.simple_fraction(abs(factor), numbers.SIMPLE) is not None:
                self.found[key] = partial(_scaled, judge, meaning, factor)
                self.mistaken.add(key)
                for state in self._numbers:  # what reads it is judged as it is
                    if any(state.segment is each for each in served):
                        state.number = None
                return True
        return False

    def _read(self, reader: Segment) -> list[Key]:
        """The numbers that a line may hang on: of each helper the last before it."""
        last = {name: unit for name, unit in sorted(self.given, key=lambda key: key[1]) if unit < reader.end}
        return [(name, unit) for name, unit in last.items() if name in reader.helpers]

    def _is_right(self, reader: Segment, tried: Mapping[Key, Value]) -> bool:
        """Whether a line is right at every draw, all earlier gradients being the true ones."""
        judge = self.judge

        def instead(point: Point) -> dict[Key, Tensor]:
            made = {**judge.truths(point), **{key: value(point) for key, value in {**self.found, **tried}.items()}}
            made.pop((reader.name, reader.end), None)
            return made

        for point in judge.points:
            self.left -= 1
            try:
                if self.left < 0 or not judge.true_at(reader, judge.run_at(point, instead), point):
                    return False
            except TutorError:
                return False  # a part has no value at other sizes
        return True

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


def _scaled(judge: Sources, meaning: Meaning, factor: float, point: Point) -> Tensor:
    true = judge.true(meaning, point)
    assert true is not None
    return factor * true


def _forward(name: str, point: Point) -> Tensor:
    return point.values[name]
