"""A sheet run at every draw: as it stands, with every gradient true, on kinks, and at the worked instance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import numbers
from tutor.checking.interpret import Failure, Run, Together
from tutor.checking.judge import JUDGED, Judge, Judgement, as_tensor
from tutor.checking.outline import Meaning, Outline, Segment
from tutor.checking.premises import with_sizes_checked, without_worked_values
from tutor.checking.truth import Point, points, worked
from tutor.exercise import Exercise
from tutor.language import said

MANY_STEPS = 100_000  # operations, and entries computed, at all draws together
MANY_ENTRIES = 20_000_000
MANY_DRAWN = 40_000  # beyond these operations two draws have to do


@dataclass
class SegmentState:
    """What is known of a segment once it is judged."""

    segment: Segment
    judgement: Judgement | None = None
    number: numbers.Literal | None = None


class SheetRuns(Judge):
    """The outline of a sheet, its segments with what is known of them, and its runs."""

    def __init__(self, exercise: Exercise, sheet: lang.Sheet, seed: int, lenient: bool):
        sheet = without_worked_values(exercise, with_sizes_checked(exercise, sheet))
        super().__init__(exercise, seed, lenient, points(exercise, seed, sheet.sizes or None))
        self.sheet = sheet
        self.outline = Outline(sheet, exercise, self.names)
        self.states = [SegmentState(segment) for segment in self.outline.segments]
        self.worked = worked(exercise)
        self.pins = self._right_numbers()
        self.runs = self._first_runs()
        self._own_quantities()
        self._truths_at: dict[int, dict[tuple[str, int], Tensor]] = {}

    @property
    def drawn(self) -> str:
        sizes = ", ".join(f"{name}={extent}" for name, extent in self.points[0].sizes.items())
        if sizes:
            return said("values drawn at random, seed {seed}, for {sizes}", seed=self.seed, sizes=sizes)
        return said("values drawn at random, seed {seed}", seed=self.seed)

    def meaning(self, segment: Segment) -> Meaning:
        return self.meaning_of(segment.name)

    def _first_runs(self) -> list[Run]:
        """The sheet at every draw, or at two of different sizes where it computes much. Counted, not timed."""
        made = self._together([self.pinned(point) for point in self.points])
        if made is None and len(self.points) > 2 and not self.outline.elementwise:
            made = [Run(self.outline, p, self.pinned(p)).execute() for p in self.points[:2]]  # of both sizes
            cost = max(max(run.limits.steps / MANY_DRAWN, run.limits.entries / MANY_ENTRIES) for run in made)
            if cost * len(self.points) > 1:
                self.points = self.points.few()
            made += [Run(self.outline, p, self.pinned(p)).execute() for p in self.points[2:]]
        made = self._run(self.pinned) if made is None else made
        steps, entries = sum(run.limits.steps for run in made), sum(run.limits.entries for run in made)
        self.cost = max(steps, entries * MANY_STEPS // MANY_ENTRIES)
        return made

    def _run(self, instead: Callable[[Point], dict[tuple[str, int], Tensor]]) -> list[Run]:
        """The sheet at every draw; an exercise of scalars goes through all draws at once where nothing has a shape."""
        replaced = [instead(point) for point in self.points]
        if self.outline.elementwise and len(self.points) > 1:
            together = {key: torch.stack([each[key] for each in replaced]) for key in replaced[0]}
            run = Run(self.outline, self.points.stack, together).execute()
            if not run.failures:
                return run.split(len(self.points))
        made = self._together(replaced)
        if made is not None:
            return made
        return [Run(self.outline, p, r).execute() for p, r in zip(self.points, replaced, strict=True)]

    def _together(self, replaced: list[dict[tuple[str, int], Tensor]]) -> list[Run] | None:
        """With indices, draws of the same sizes are computed at once; None where that is not possible, or much."""
        steps = sum(self.outline.weight.values())
        if not self.outline.side_by_side or len(self.points) < 4 or steps * len(self.points) > MANY_DRAWN:
            return None
        if any(each.keys() != replaced[0].keys() for each in replaced):
            return None
        made: dict[int, Run] = {}
        for places, stack in self.points.alike:
            instead = {key: torch.stack([replaced[n][key] for n in places]) for key in replaced[0]}
            run = Together(self.outline, stack, instead, len(places)).execute()
            if run.failures or run.limits.entries * len(self.points) > MANY_ENTRIES * len(places):
                return None
            made.update(zip(places, run.split(len(places)), strict=True))
        return [made[n] for n in range(len(self.points))]

    def pinned(self, point: Point) -> dict[tuple[str, int], Tensor]:
        """Numbers that are right at the worked instance count as the true gradient everywhere."""
        made = {}
        for state in self.pins:
            true = self.true(self.meaning(state.segment), point)
            if true is not None:
                made[state.segment.name, state.segment.end] = true
        return made

    @cached_property
    def corrected(self) -> list[Run]:
        """The sheet once more, each gradient replaced by the truth at the end of its lines."""
        return self._run(self.truths)

    def truths(self, point: Point) -> dict[tuple[str, int], Tensor]:
        if id(point) not in self._truths_at:
            self._truths_at[id(point)] = self._all_truths(point)
        return self._truths_at[id(point)]

    def take_as(self, name: str, meaning: Meaning) -> None:
        """From here on a name of the sheet stands for another gradient than its own."""
        self.taken_as[name] = meaning
        self._truths_at.clear()
        self.__dict__.pop("corrected", None)

    def _all_truths(self, point: Point) -> dict[tuple[str, int], Tensor]:
        made = {}
        for state in self.states:
            meaning = self.meaning(state.segment)
            true = self.true(meaning, point) if meaning.kind in JUDGED else None
            if meaning.kind == "local" and true is not None:
                true = self._formed_as_given(state.segment, meaning, true, point)
            if true is not None:
                made[state.segment.name, state.segment.end] = true
        return made

    def _formed_as_given(self, segment: Segment, meaning: Meaning, true: Tensor, point: Point) -> Tensor | None:
        """A local derivative in the form the learner gave it; None where it has none of its forms."""
        given = self.value(self.runs[self.points.index(point)], segment)
        if given is None:
            return true
        if self.same(meaning, given, point) == "equal":
            return given
        forms = (true, *point.compact_locals(meaning.of, meaning.by))
        return next((form for form in forms if form.shape == given.shape), None)

    @cached_property
    def worked_run(self) -> Run | None:
        return None if self.worked is None else Run(self.outline, self.worked).execute()

    @cached_property
    def kink_run(self) -> Run | None:
        """The sheet at the draw on kinks, where that is none of the others."""
        kinked = self.points.kinked
        if kinked is None or kinked in self.points:
            return None
        return Run(self.outline, kinked, self.pinned(kinked)).execute()

    def value(self, run: Run, segment: Segment) -> Tensor | None:
        return as_tensor(run.values.get((segment.name, segment.end)))

    def values_of(self, segment: Segment) -> list[Tensor | None]:
        """At every draw."""
        return [self.value(run, segment) for run in self.runs]

    def failure(self, segment: Segment) -> Failure | None:
        """Why the last line has no value; what torch refused on the way, where that is the quantity's own."""
        for run in self.runs:
            if segment.end in run.failures:
                earlier = (run.failures.get(unit) for unit in segment.units[:-1])
                return next((f for f in earlier if f is not None and f.kind == "torch"), run.failures[segment.end])
        return None

    def _own_quantities(self) -> None:
        """`r = y_pred - y; dr = 2*r`: a helper that is a part of a forward formula has a gradient that is judged."""
        for name in self.outline.helper_gradients:
            if self.exercise.differentiated(name[1:]) is not None:
                continue  # `dda`: da is a gradient, whatever the sheet makes of its name
            helper = next((s.segment for s in self.states if s.segment.name == name[1:]), None)
            values = self.values_of(helper) if helper is not None else [None]
            if any(value is None for value in values):
                continue
            from tutor.checking.subexpressions import gradient_of_helper

            found = gradient_of_helper(self.exercise, name[1:], values, self.points)  # type: ignore[arg-type]
            if found is not None:
                self.extra[name] = {id(point): true for point, true in zip(self.points, found, strict=True)}

    def _right_numbers(self) -> list[SegmentState]:
        """Lines without a name on the right; returns those that are right at the worked instance."""
        pins = []
        known: dict[str, numbers.Literal] = {}  # what is a number on this sheet, `r` after `r = -2`
        for state in self.states:
            name, statement = state.segment.name, state.segment.statement
            number = numbers.literal(statement, known) if len(state.segment.touches) == 1 else None
            known.pop(name, None)
            if number is None:
                continue
            known[name] = number
            if self.meaning(state.segment).kind not in JUDGED:
                continue
            state.number = number
            state.judgement = numbers.right(self, self.meaning(state.segment), number)
            if state.judgement is not None and state.judgement.sentence.id == "number":
                pins.append(state)
        return pins
