"""A sheet run at every draw: as it stands, with every gradient true, on kinks, and at the worked instance."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import numbers
from tutor.checking.interpret import Failure, Run, Unaliased
from tutor.checking.judge import JUDGED, Judge, Judgement, as_tensor
from tutor.checking.literals import Key, Literal, Numbers
from tutor.checking.outline import Meaning, Outline, Segment
from tutor.checking.premises import prepared
from tutor.checking.side_by_side import Side, side_by_side
from tutor.checking.truth import Drawn, Flat, Point, points, worked
from tutor.exercise import Exercise
from tutor.language import said
from tutor.numeric.compare import clearly

Instead = Callable[[Point], dict[tuple[str, int], Tensor]]  # values in place of the learner's

MANY_LINES = 100  # beyond them less is tried for each
MANY_STEPS = 100_000  # operations, and entries computed, at all draws together
MANY_ENTRIES = 10_000_000
COST_AT_ONCE = 3  # what draws computed at once cost, in runs of one draw
MANY_DRAWN = 40_000  # beyond these operations two draws have to do
MANY_COMPARED = 200_000  # entries at once


@dataclass
class SegmentState:
    """What is known of a segment once it is judged."""

    segment: Segment
    judgement: Judgement | None = None
    number: Literal | None = None


class Runs(Sequence[Run]):
    """One run at each draw; those of draws that were computed at once are taken apart when they are asked for."""

    def __init__(self, groups: list[list[int]], sides: Mapping[int, Side], alone: Mapping[int, Run]):
        """`sides`: of draws that were computed at once, by the first's place; `alone`: of each of the others."""
        self.groups, self.sides, self.alone = groups, sides, alone
        self._made = dict(alone)

    def __getitem__(self, at: Any) -> Any:
        n = at if at in self._made else range(len(self))[at]
        if n not in self._made:
            places = next(places for places in self.groups if n in places)
            self._made[n] = self.sides[places[0]].one(places.index(n))
        return self._made[n]

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    @cached_property
    def one_of_each(self) -> list[Run]:
        """One run of each group that was computed at once, which fail alike and cost the same, and all others."""
        each = (n for places in self.groups for n in (places[:1] if places[0] in self.sides else places))
        return [self[n] for n in sorted(each)]

    def drawn(self, key: tuple[str, int], when: str = "values") -> Drawn:
        """What a name was at the end of a unit, or when the unit read it (`seen`), at every draw."""
        blocks: dict[int, Tensor] = {}
        alone: dict[int, Tensor | None] = {}
        for places in self.groups:
            side = self.sides.get(places[0])
            block = None if side is None else as_tensor(side.block(getattr(side.run, when).get(key)))
            if block is not None and block.ndim:
                blocks[places[0]] = block if len(block) == len(places) else block[: len(places)]
                continue
            for n in places:
                alone[n] = as_tensor(getattr(self[n], when).get(key))
        return Drawn(self.groups, blocks, alone)


class SheetRuns(Judge):
    """The outline of a sheet, its segments with what is known of them, and its runs."""

    def __init__(self, exercise: Exercise, sheet: lang.Sheet, seed: int, lenient: bool):
        sheet = prepared(exercise, sheet)
        super().__init__(exercise, seed, lenient, points(exercise, seed, sheet.sizes or None))
        self.sheet = sheet
        self.outline = Outline(sheet, exercise, self.names)
        self.states = [SegmentState(segment) for segment in self.outline.segments]
        self.by_entry = self.outline.given_by_entry
        self.worked = worked(exercise)
        self._drawn: dict[tuple[str, int], Drawn] = {}
        self._charged: dict[tuple[str, int], Meaning] = {}  # helpers that take the blame for a gradient
        self._numbers = Numbers(self.outline, self.points[0], self.worked)
        self.stand_ins: dict[Key, Callable[[Point], Tensor]] = {}  # what helpers that are numbers stand for
        self.of_worked_instance: set[Key] = set()  # those of them that are right numbers
        self.pins = self._right_numbers(self.states)
        self.runs = self._first_runs()
        self._failed_starts()
        self._truths_at: dict[int, dict[tuple[str, int], Tensor]] = {}
        self._own_quantities()

    @property
    def drawn(self) -> str:
        sizes = ", ".join(f"{name}={extent}" for name, extent in self.points[0].sizes.items())
        if sizes:
            return said("values drawn at random, seed {seed}, for {sizes}", seed=self.seed, sizes=sizes)
        return said("values drawn at random, seed {seed}", seed=self.seed)

    def meaning(self, segment: Segment) -> Meaning:
        return self.meaning_of(segment.name)

    def _first_runs(self) -> Runs:
        """The sheet at every draw, or at two of different sizes where it computes much. Counted, not timed."""
        sides = self._at_once(self.pinned, self.points.beside)
        if not sides and len(self.points) > 2:
            two = [self.run_at(point, self.pinned) for point in self.points[:2]]  # of both sizes
            cost = max(max(run.limits.steps / MANY_DRAWN, run.limits.entries / MANY_ENTRIES) for run in two)
            if cost * len(self.points) > 1:
                self.points = self.points.few()
            each = [*two, *(self.run_at(point, self.pinned) for point in self.points[2:])]
            made = Runs(self.points.groups, {}, dict(enumerate(each)))
        else:
            made = self._filled(sides, self.pinned)
        steps, entries = (sum(getattr(run.limits, what) for run in made.one_of_each) for what in ("steps", "entries"))
        self.cost = max(steps, entries * MANY_STEPS // MANY_ENTRIES)
        return made

    def run_with(self, instead: Instead) -> Runs:
        """The sheet at every draw."""
        return self._filled(self._at_once(instead, lambda places: [self.points[n] for n in places]), instead)

    def run_at(self, point: Point, instead: Instead) -> Run:
        return Run(self.outline, point, instead(point)).execute()

    def _at_once(self, instead: Instead, drawn: Callable[[list[int]], list[Point]]) -> dict[int, Side]:
        """The groups of draws that could be computed at once, by the place of their first."""
        made: dict[int, Side] = {}
        if sum(self.outline.weight.values()) * COST_AT_ONCE > MANY_DRAWN:
            return made
        for places in self.points.groups:
            if len(places) > 2:
                members = drawn(places)
                side = side_by_side(self.outline, members, self.points.stacked(members), list(map(instead, members)))
                if side is None:
                    break
                made[places[0]] = side
        return made

    def _filled(self, sides: dict[int, Side], instead: Instead) -> Runs:
        """With the draws that are left, one by one."""
        left = (n for places in self.points.groups if places[0] not in sides for n in places)
        return Runs(self.points.groups, sides, {n: self.run_at(self.points[n], instead) for n in left})

    def pinned(self, point: Point) -> dict[tuple[str, int], Tensor]:
        """Numbers of the worked instance count as what they are there, everywhere."""
        made = {key: value(point) for key, value in self.stand_ins.items()}
        for state in self.pins:
            meaning = self.meaning(state.segment)
            true = point.values[meaning.name] if meaning.kind == "forward" else self.true(meaning, point)
            if true is not None:
                made[state.segment.name, state.segment.end] = true
        return made

    @cached_property
    def corrected(self) -> Runs:
        """The sheet once more, each gradient replaced by the truth at the end of its lines: what is wrong in it is a
        line's own mistake."""
        return self.run_with(self.truths)

    @cached_property
    def unaliased(self) -> Runs:
        """The corrected sheet, with every forward value as the exercise has it."""
        each = (Unaliased(self.outline, point, self.truths(point)).execute() for point in self.points)
        return Runs(self.points.groups, {}, dict(enumerate(each)))

    def truths(self, point: Point) -> dict[tuple[str, int], Tensor]:
        if id(point) not in self._truths_at:
            self._truths_at[id(point)] = self._all_truths(point)
        return self._truths_at[id(point)]

    def take_as(self, name: str, meaning: Meaning) -> None:
        """From here on a name of the sheet stands for another gradient than its own."""
        self.taken_as[name] = meaning
        self._truths_changed()

    def charge(self, helper: Segment, meaning: Meaning) -> None:
        """From here on this value of a helper counts as a gradient that is wrong."""
        self._charged[helper.name, helper.end] = meaning
        self._truths_changed()

    def stands_for(self, segment: Segment) -> Meaning:
        """What the value of a segment should be: of a helper that was charged, a gradient."""
        return self._charged.get((segment.name, segment.end)) or self.meaning(segment)

    @property
    def any_charged(self) -> bool:
        return bool(self._charged)

    def _truths_changed(self) -> None:
        self._truths_at.clear()
        for made in ("corrected", "unaliased", "worked_corrected", "changed_later"):
            self.__dict__.pop(made, None)

    def _all_truths(self, point: Point) -> dict[tuple[str, int], Tensor]:
        made = self.pinned(point)
        for state in self.states:
            meaning = self.stands_for(state.segment)
            true = self.true(meaning, point) if meaning.kind in JUDGED else None
            if meaning.kind == "local" and true is not None:
                true = self._formed_as_given(state.segment, meaning, true, point)
            if true is not None:
                made[state.segment.name, state.segment.end] = true
        for name, unit, _ in self.runs[0].disturbed:
            true = self.true(self.meaning_of(name), point) if name in self.changed_later else None
            if true is not None and unit >= self.changed_later[name][0]:
                made[name, unit] = true
        return made

    @cached_property
    def changed_later(self) -> dict[str, tuple[int, str]]:
        """Gradients that another name changed after their own last line, or that are given: where, and which name."""
        made: dict[str, tuple[int, str]] = {}
        ends = {state.segment.name: state.segment.end for state in self.states}  # of the last line of each
        for name, unit, by in self.runs[0].disturbed:
            asked = name not in made and self.meaning_of(name).kind in JUDGED and ends.get(name, -1) < unit
            if asked and self.change(name, unit, ends.get(name)) == "off":
                made[name] = unit, by
        return made

    def change(self, name: str, unit: int, end: int | None) -> str:
        """What a gradient is after a unit that changes another name of its tensor, and once its own lines have ended:
        "same", still "right", or "off"."""
        before, after = self.as_it_was(name, end), as_tensor(self.runs[0].values.get((name, unit)))
        if before is None or after is None or torch.equal(before, after):
            return "same"
        return "right" if self.outcome(self.meaning_of(name), self.runs.drawn((name, unit))) == "equal" else "off"

    def as_it_was(self, name: str, end: int | None) -> Tensor | None:
        """A gradient at the first draw at the end of its own last line; as it is given, where it has none."""
        if end is None:
            return self.true(self.meaning_of(name), self.points[0])
        return as_tensor(self.runs[0].values.get((name, end)))

    def _formed_as_given(self, segment: Segment, meaning: Meaning, true: Tensor, point: Point) -> Tensor | None:
        """A local derivative in the form the learner gave it; None where it has none of its forms."""
        given = self.value(self.runs[self.points.index(point)], segment)
        if given is None:
            return true
        if self.same(meaning, given, point) == "equal":
            return given
        return next((form for form in self.forms(meaning, point) if form.shape == given.shape), None)

    @cached_property
    def worked_run(self) -> Run | None:
        return None if self.worked is None else Run(self.outline, self.worked).execute()

    @cached_property
    def worked_corrected(self) -> Run:
        """The sheet at the worked instance, each gradient replaced by the truth at the end of its lines."""
        assert self.worked is not None
        true = {(s.segment.name, s.segment.end): self.true(self.meaning(s.segment), self.worked) for s in self.states}
        return self.run_at(self.worked, lambda _: {key: v for key, v in true.items() if v is not None})

    @cached_property
    def kink_run(self) -> Run | None:
        """The sheet at the draw on kinks, where that is none of the others."""
        kinked = self.points.kinked
        if kinked is None or kinked in self.points:
            return None
        for places in self.points.groups:
            side = self.runs.sides.get(places[0])
            if side is not None and side.count > len(places):
                return side.one(len(places))
        return self.run_at(kinked, self.pinned)

    def value(self, run: Run, segment: Segment) -> Tensor | None:
        return as_tensor(run.values.get((segment.name, segment.end)))

    def values_of(self, segment: Segment) -> Drawn:
        """At every draw."""
        key = (segment.name, segment.end)
        if key not in self._drawn:
            value = self.stand_ins.get(key)
            self._drawn[key] = self.runs.drawn(key) if value is None else self._everywhere(value)
        return self._drawn[key]

    def _everywhere(self, value: Callable[[Point], Tensor]) -> Drawn:
        return Drawn(self.points.groups, {}, {n: value(point) for n, point in enumerate(self.points)})

    def outcome_of(self, segment: Segment, meaning: Meaning) -> str:
        """How the values of a segment compare with the true ones."""
        if (segment.name, segment.end, meaning.name) in self._clearly_right:
            return "equal"
        return self.outcome(meaning, self.values_of(segment))

    @cached_property
    def _clearly_right(self) -> set[tuple[str, int, str]]:
        """The segments that are right beyond doubt; all lines of a sheet are compared at once."""
        found: set[tuple[str, int, str]] = set()
        asked: list[tuple[tuple[str, int, str], list[Tensor], Flat]] = []
        entries = 0
        for state in self.states:
            segment, meaning = state.segment, self.meaning(state.segment)
            if meaning.kind not in JUDGED or meaning.name in self.extra or self.failure(segment) is not None:
                continue
            true = self.points.flat(meaning)
            values = None if true is None else self.values_of(segment).flat(true.shapes)
            if true is None or values is None:
                continue
            asked.append(((segment.name, segment.end, meaning.name), values, true))
            entries += true.row.numel()
            if entries > MANY_COMPARED:
                found |= _right_of(asked)
                asked, entries = [], 0
        return found | _right_of(asked)

    def failure(self, segment: Segment) -> Failure | None:
        """Why the last line has no value; what torch refused on the way, where that is the quantity's own."""
        for run in self.runs.one_of_each:
            if segment.end in run.failures:
                earlier = (run.failures.get(unit) for unit in segment.units[:-1])
                return next((f for f in earlier if f is not None and f.kind == "torch"), run.failures[segment.end])
        return None

    def _failed_starts(self) -> None:
        """Zeros that were never filled are no line of their own, unless they have no value."""
        failed = [SegmentState(each) for each in self.outline.never_filled if self.failure(each) is not None]
        if failed:
            self.states = sorted([*self.states, *failed], key=lambda state: state.segment.end)

    def states_of(self, name: str) -> list[SegmentState]:
        """The segments of one name, in the sheet's order."""
        return self._states_of.get(name, [])

    @cached_property
    def _states_of(self) -> dict[str, list[SegmentState]]:
        made: dict[str, list[SegmentState]] = {}
        for state in self.states:
            made.setdefault(state.segment.name, []).append(state)
        return made

    def _own_quantities(self) -> None:
        """`r = y_pred - y; dr = 2*r`: a helper that is a part of a forward formula has a gradient that is judged.

        Not where the name is given more than once: its gradient is then another one each time.
        """
        for name in self.outline.helper_gradients:
            if self.exercise.differentiated(name[1:]) is not None:
                continue  # `dda`: da is a gradient, whatever the sheet makes of its name
            helpers = [state.segment for state in self.states_of(name[1:])]
            points = [*self.points]
            values: list[Tensor | None] = [*self.values_of(helpers[0])] if len(helpers) == 1 else [None]
            if self.worked is not None and self.worked_run is not None and self.worked not in points:
                points.append(self.worked)
                values.append(self.value(self.worked_run, helpers[0]))
            if any(value is None for value in values):
                continue
            from tutor.checking.subexpressions import gradient_of_helper

            found = gradient_of_helper(self.exercise, name[1:], values, points)  # type: ignore[arg-type]
            if found is not None:
                self.extra[name] = {id(point): true for point, true in zip(points, found, strict=True)}
        own = self._right_numbers([state for state in self.states if state.segment.name in self.extra])
        if own:
            self.pins += own
            self._pins_changed()

    def _pins_changed(self) -> None:
        self.runs = self._first_runs()
        self._drawn.clear()
        self.__dict__.pop("_clearly_right", None)
        self._truths_changed()

    def _right_numbers(self, states: list[SegmentState]) -> list[SegmentState]:
        """Lines that give numbers alone; returns those that are right at the worked instance."""
        pins = []
        for state in states:
            meaning, number = self.meaning(state.segment), self._numbers.of(state.segment)
            if number is None:
                continue
            if meaning.kind == "forward" and self.worked is not None:
                if numbers.agrees(number, self.worked.values[meaning.name]):
                    pins.append(state)
            elif meaning.kind in JUDGED:
                state.number = number
                state.judgement = numbers.right(self, meaning, number)
                if state.judgement is not None and state.judgement.sentence.id == "number":
                    pins.append(state)
        return pins


Asked = TypeVar("Asked", bound=Hashable)


def _right_of(asked: list[tuple[Asked, list[Tensor], Flat]]) -> set[Asked]:
    """Those whose values are all the true ones beyond doubt."""
    if not asked:
        return set()
    given = torch.cat([value for _, values, _ in asked for value in values])
    true, leeway = (torch.cat([getattr(flat, what) for *_, flat in asked]) for what in ("row", "leeway"))
    right = clearly(given, true, leeway)
    if bool(right.all()):
        return {key for key, *_ in asked}
    each = right.split([flat.row.numel() for *_, flat in asked])
    return {key for (key, *_), part in zip(asked, each, strict=True) if bool(part.all())}
