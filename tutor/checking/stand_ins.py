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
        self._meant: dict[Key, list[Value]] = {}
        for state in judge.states:
            if judge.meaning(state.segment).kind in JUDGED and state.number is None:
                self._serve(state.segment)

    def _serve(self, reader: Segment) -> None:
        """Find what puts a wrong line right that hangs on numbers."""
        free = [key for key in self._read(reader) if key not in self.found]
        if not free or self.judge.outcome_of(reader, self.judge.meaning(reader)) == "equal":
            return
        for chosen in islice(product(*([None, *self._meanings(key)] for key in free)), 1, MANY_TRIED):
            tried = {key: value for key, value in zip(free, chosen, strict=True) if value is not None}
            if self._is_right(reader, tried):
                self.found.update(tried)
                return

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


def _forward(name: str, point: Point) -> Tensor:
    return point.values[name]
