"""What a line reads (R of the contract), directly or through helpers: its values, whether they are true, from where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking.interpret import Failure, Run
from tutor.checking.judge import JUDGED, as_tensor
from tutor.checking.outline import Meaning, Segment
from tutor.checking.report import Sentence
from tutor.checking.sheet_runs import MANY_STEPS, Runs, SegmentState, SheetRuns
from tutor.checking.stand_ins import StandIns
from tutor.checking.truth import Point
from tutor.exercise import Exercise
from tutor.numeric import compare

ROUNDED = 1e-12  # of the true gradient: what rounding leaves of a zero


class Sources(SheetRuns):
    """Earlier lines, as a later one finds them."""

    def __init__(self, exercise: Exercise, sheet: lang.Sheet, seed: int, lenient: bool):
        super().__init__(exercise, sheet, seed, lenient)
        self.helping: set[str] = set()  # local derivatives in a form of the learner's own
        self._let_numbers_stand_in()

    def stop(self, run: Run, segment: Segment) -> dict[str, Tensor]:
        """R with the values it had when it was read."""
        made = {}
        for name, unit in segment.sources.items():
            value, meaning = as_tensor(run.seen.get((name, unit))), self.meaning_of(name)
            if value is not None and meaning.kind in ("gradient", "value"):
                made[meaning.name] = value
        return made

    def stops(self, segment: Segment) -> list[dict[str, Tensor]]:
        """R at every draw."""
        return [self.stop(run, segment) for run in self.runs]

    def telling_draws(self, segment: Segment) -> list[int]:
        """The places of the draws at which R says something."""
        doubtful: set[int] = set()
        for key in segment.sources.items():
            sizes = self.runs.drawn(key, "seen").sums()
            doubtful.update(n for n, size in enumerate(sizes) if not 0 < size < inf)  # nearly none
        places = range(len(self.points))
        telling = [
            n for n in places if n not in doubtful or self.telling(self.stop(self.runs[n], segment), self.points[n])
        ]
        if 2 * len(telling) < len(places) and all(self._is_true_at(n, segment) for n in telling):
            return []  # zero nearly everywhere, and true where that is 0 too
        return telling

    def _is_true_at(self, n: int, segment: Segment) -> bool:
        """Whether all of R is the true one at a draw."""
        stop, point = self.stop(self.runs[n], segment), self.points[n]
        return all(self.same(self.meaning_of(name), value, point) == "equal" for name, value in stop.items())

    def leads_to(
        self,
        segment: Segment,
        meaning: Meaning,
        given: Sequence[Tensor | None],
        untrue: list[str],
        telling: list[int],
    ) -> bool:
        """Whether walking back, stopped at R, gives the learner's values.

        Not where rounding is all that is left of what is untrue in R: any factor of that is as small.
        """
        faint: set[int] = set()
        for name in untrue:
            known = self.points.sizes(self.meaning_of(name))
            sizes = self.runs.drawn((name, segment.sources[name]), "seen").sums()
            faint.update(n for n, size in enumerate(sizes) if size <= ROUNDED * known[n] < inf)
        places = [n for n in telling if n not in faint]
        return bool(places) and self.follows(meaning, given, self.stops(segment), places)

    def untrue(self, segment: Segment) -> list[str]:
        """Members of R that are not the true ones (or have no value at all)."""
        found = []
        for name, unit in segment.sources.items():
            meaning = self.meaning_of(name)
            if meaning.kind not in JUDGED or name in self.helping:
                continue
            if all(run.seen.get((name, unit)) is None for run in self.runs.one_of_each):
                continue  # a given gradient
            given = self.runs.drawn((name, unit), "seen")
            if not given.whole or self.outcome(meaning, given) not in ("equal", "unknown"):
                found.append(name)
        return found

    def outcome_corrected(self, segment: Segment, meaning: Meaning) -> str:
        return self.outcome_in(self.corrected, segment, meaning)

    def outcome_in(self, runs: Runs, segment: Segment, meaning: Meaning | None = None) -> str:
        """How the values of a line compare with the true ones in other runs; `failed` where it has none."""
        if any(run.failed(segment.end) for run in runs.one_of_each):
            return "failed"
        return self.outcome(meaning or self.meaning(segment), runs.drawn((segment.name, segment.end)))

    def before(self, name: str, segment: Segment) -> SegmentState | None:
        """The segment that gave `name` the value that was read."""
        unit = segment.sources.get(name, segment.end)
        given = (s for s in reversed(self.states_of(name)) if s.segment is not segment)
        return next((s for s in given if s.segment.units[0] <= unit), None)

    def stale(self, name: str, segment: Segment) -> bool:
        """Read before its last update, and right after it."""
        state = self.before(name, segment)
        if state is None or state.segment.end < segment.sources[name]:
            return False
        return state.segment is not segment and self.outcome_of(state.segment, self.meaning_of(name)) == "equal"

    def changed(self, segment: Segment) -> dict[str, int]:
        """Forward values that a line reads and a wrong one before it changed through another name, with its unit."""
        reads = set().union(*(touch.reads for touch in segment.touches))
        before = {
            name: unit
            for name, unit, _ in self.runs[0].disturbed
            if name in reads and unit < segment.units[0] and self.meaning_of(name).kind == "forward"
        }
        return {name: unit for name, unit in before.items() if self._wrong_at(unit)}

    def read_changed(self, segment: Segment) -> tuple[str, int, str] | None:
        """The first forward value that a line reads, directly or through helpers, as another name had changed it.

        With the line that changed it and that name; where the line is right with the exercise's own value.
        """
        disturbed = self.runs[0].disturbed
        last = self._last_reads(segment) if disturbed else {}
        for name, unit, changed in disturbed:
            if unit < last.get(name, -1) and self.names.meaning(name).kind == "forward":
                own = self.outcome_in(self.unaliased, segment) == "equal"
                return (name, self._line_of_unit(unit, changed), changed) if own else None
        return None

    def read_later(self, segment: Segment) -> dict[str, int]:
        """Gradients that a line reads, directly or through helpers, as another name had changed them; on which line."""
        changed = self.changed_later.items()
        last = self._last_reads(segment) if changed else {}
        return {name: self._line_of_unit(at, by) for name, (at, by) in changed if at < last.get(name, -1)}

    def _last_reads(self, segment: Segment) -> dict[str, int]:
        """All that a line reads, directly or through helpers, and the last unit at which it does."""
        helpers = (self.helper_state(name, unit) for name, unit in segment.helpers.items())
        made: dict[str, int] = {}
        for one in (segment, *(state.segment for state in helpers if state is not None)):
            for unit in one.units:
                touches = (touch for touch in self.outline.units[unit].touches if touch.name == one.name)
                for name in frozenset().union(*(touch.reads for touch in touches)):
                    made[name] = max(unit, made.get(name, unit))
        return made

    def _wrong_at(self, unit: int) -> bool:
        found = (s.judgement for s in self.states if unit in s.segment.units)
        return any(judgement is not None and judgement.verdict == "wrong" for judgement in found)

    def unfinished(self, name: str, segment: Segment) -> bool:
        """Whether a line that cannot be read changes what was read: nobody knows whether it was right by then."""
        state = self.before(name, segment)
        return state is not None and isinstance(state.segment.statement, lang.Unreadable)

    def is_wrong(self, name: str, segment: Segment) -> bool:
        """Whether the line that gave `name` its value is to blame, here or further up."""
        state = self.before(name, segment)
        return state is None or state.judgement is None or state.judgement.verdict in ("wrong", "follows", "unreadable")

    def unstable_before(self, segment: Segment) -> str | None:
        """An earlier gradient that this line reads, and that overflows or loses its digits."""
        for name in segment.sources:
            state = self.before(name, segment)
            earlier = None if state is None or state.segment is segment else state.judgement
            if earlier is not None and earlier.sentence.id in ("unstable", "unstable-before"):
                return name
        return None

    def cause(self, failure: Failure) -> str:
        """The kind of the failure that a line without value goes back to."""
        for run in self.runs.one_of_each:
            for other in run.failures.values():
                if other.kind != "reads" and (other.line, other.column) == (failure.line, failure.column):
                    return other.kind
        return "unreadable"

    # -- helpers ------------------------------------------------------------

    def _let_numbers_stand_in(self) -> None:
        """`r = -2; dw = 2*r*x`: a helper that is a number is what has that value at the worked instance."""
        helpers = (s.segment for s in self.states if self.meaning(s.segment).kind == "helper")
        asked = [segment for segment in helpers if (segment.name, segment.end) in self._numbers.lasting]
        given = {(s.name, s.end): number for s in asked if (number := self._numbers.of(s)) is not None}
        if not given or self.worked is None:
            return
        runs = MANY_STEPS * len(self.runs.one_of_each) // max(self.cost, 1)
        made = StandIns(self, given, runs)
        self.stand_ins = made.found
        self.of_worked_instance = {*made.found} - made.mistaken
        if self.stand_ins:
            self._pins_changed()

    def helper_state(self, helper: str, unit: int) -> SegmentState | None:
        if self.names.meaning(helper).kind != "helper":
            return None
        return next((s for s in reversed(self.states_of(helper)) if s.segment.end <= unit), None)

    def helpers(self, segment: Segment) -> list[Segment]:
        """The helpers that a line may hang on: each of their values so far, for a name may be given anew in between."""
        names = [name for name in segment.helpers if self.names.meaning(name).kind == "helper"]
        own = (state.segment for name in names for state in self.states_of(name) if state.segment.end < segment.end)
        return sorted(own, key=lambda helper: helper.end)

    def hanging(self, helper: Segment) -> Iterator[Segment]:
        """The judged lines that may hang on this value of a helper."""
        lines = (state.segment for state in self.states if _may_hang(state.segment, helper))
        return (segment for segment in lines if self.meaning(segment).kind in JUDGED)

    def readers(self, helper: Segment) -> Iterator[Segment]:
        """The judged lines that read this helper."""
        for state in self.states:
            unit = state.segment.helpers.get(helper.name)
            if unit is not None and self.meaning(state.segment).kind in JUDGED:
                found = self.helper_state(helper.name, unit)
                if found is not None and found.segment is helper:
                    yield state.segment

    def true_at(self, segment: Segment, run: Run, point: Point) -> bool:
        value = None if run.failed(segment.end) else self.value(run, segment)
        return value is not None and self.same(self.meaning(segment), value, point) in ("equal", "unknown")

    def holds(self, segment: Segment, runs: Sequence[Run]) -> bool:
        """Whether a line is the true one in these runs, one at each draw."""
        return all(self.true_at(segment, run, point) for run, point in zip(runs, self.points, strict=True))

    def is_sound(self, given: Sequence[Tensor | None]) -> bool:
        """A true gradient, or a forward quantity: whatever it looks like, the fault is not there."""

        def alike(value: Tensor | None, true: Tensor) -> bool:
            if value is None or value.shape != true.shape:
                return False
            return compare.same(value, true, lambda: None, self.tolerance) == "equal"

        return any(
            all(alike(value, getattr(point, kind)[name]) for value, point in zip(given, self.points, strict=True))
            for kind in ("gradients", "values")
            for name in getattr(self.points[0], kind)
        )

    # -- which line it was ------------------------------------------------------------

    def first_wrong(self, segment: Segment, default: int) -> int:
        """The line of the first wrong gradient that a line hangs on."""
        todo, seen = [segment], set[int]()
        while todo:
            current = todo.pop()
            for name in current.sources:
                state = self.before(name, current)
                if state is None or state.segment.end in seen:
                    continue
                seen.add(state.segment.end)
                todo.append(state.segment)
        wrong = [s for s in self.states if s.segment.end in seen and s.judgement and s.judgement.verdict == "wrong"]
        return wrong[0].segment.statement.line if wrong else default

    def line_of(self, name: str, segment: Segment) -> int:
        state, unit = self.before(name, segment), segment.sources.get(name, segment.end)
        changed = [
            self._line_of_unit(at, by) for other, at, by in self.runs[0].disturbed if other == name and at < unit
        ]
        if changed and state is None:
            return changed[-1]  # an upstream gradient has no line of its own
        if state is not None and changed and state.segment.end < unit:
            return max(changed[-1], state.segment.statement.line)
        return state.segment.statement.line if state is not None else segment.statement.line

    def _line_of_unit(self, unit: int, name: str) -> int:
        return next(t.statement.line for t in self.outline.units[unit].touches if t.name == name)

    def last_line(self, name: str) -> int:
        return self.states_of(name)[-1].segment.statement.line

    def follows_sentence(self, names: Iterable[str], segment: Segment, id: str = "follows") -> Sentence:
        lines = {name: self.line_of(name, segment) for name in names}
        line = max(lines.values(), default=segment.statement.line)
        there = [name for name in lines if lines[name] == line]
        return Sentence(id, {"names": ", ".join(there), "line": line})

    def vain_sentence(self, untrue: Iterable[str], segment: Segment, what: str) -> Sentence:
        """Of a line that is sound, and reads what is zero, or not finite, where the truth is not."""
        name, value = next(
            (name, value)
            for name in untrue
            for run, point in zip(self.runs, self.points, strict=True)
            if (value := as_tensor(run.seen.get((name, segment.sources[name])))) is not None
            and not self.telling({name: value}, point)
        )
        params = {"what": what, "name": name, "line": self.line_of(name, segment)}
        return Sentence("vain-zero" if bool(torch.isfinite(value).all()) else "vain-infinite", params)


def _may_hang(segment: Segment, helper: Segment) -> bool:
    return helper.name in segment.helpers and helper.end < segment.end
