"""A sheet's lines, judged one after the other: right, wrong here, sound given what came before, or not readable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import mistakes, numbers
from tutor.checking.interpret import EXCUSED, Failure, Run, Together, Unsure
from tutor.checking.judge import JUDGED, WHAT, Judge, Judged, Judgement, as_tensor, other_shape, spread
from tutor.checking.outline import Meaning, Outline, Segment, all_parts
from tutor.checking.precision import RUNS, Doubt
from tutor.checking.report import NOTES, Mistake, Repair, Report, Sentence
from tutor.checking.truth import Point, points, worked
from tutor.errors import UsageError
from tutor.exercise import Exercise
from tutor.numeric import compare
from tutor.numeric.evaluate import number
from tutor.numeric.sample import checked_sizes
from tutor.shown import shown_shape

MANY_STEPS = 100_000  # operations, and entries computed, at all draws together
MANY_ENTRIES = 20_000_000
MOST_PINNED = 600_000  # entries of the forward values at sizes that a sheet pins
MANY_DRAWN = 40_000  # beyond these operations two draws have to do
MANY_MISTAKES = 30  # wrong lines whose causes are looked for
MANY_SEARCHED = 2_000  # edits that are tried on all wrong lines together
MANY_TRIALS = 24  # helpers and gradients that are tried on one another


@dataclass
class SegmentState:
    """What is known of a segment once it is judged."""

    segment: Segment
    judgement: Judgement | None = None
    number: numbers.Literal | None = None


class SheetJudge(Judge):
    """Judges the lines of a sheet: runs it at every draw, then decides quantity by quantity, in the sheet's order."""

    def __init__(self, exercise: Exercise, sheet: lang.Sheet, seed: int, lenient: bool = False, repairs: bool = True):
        sheet = _without_worked_values(exercise, _with_sizes_checked(exercise, sheet))
        self.repairs = repairs
        super().__init__(exercise, seed, lenient, points(exercise, seed, sheet.sizes or None))
        self.sheet = sheet
        self.outline = Outline(sheet, exercise, self.names)
        self.states = [SegmentState(segment) for segment in self.outline.segments]
        self.worked = worked(exercise)
        self.pins = self._judge_numbers()
        self.runs = self._first_runs()
        self._own_quantities()
        self._corrected: list[Run] | None = None
        self._truths_at: dict[int, dict[tuple[str, int], Tensor]] = {}
        self._worked_run: Run | None = None
        self._kink_run: Run | None = None
        self._helping: set[str] = set()  # local derivatives in a form of the learner's own
        self._kinked: set[str] = set()  # gradients that are other subgradients than torch's
        self._doubt = Doubt(exercise, self.outline, self._pinned)
        self._helper_lines: dict[int, Judged] = {}
        self._trials = 0
        self.diagnosed = self._looked = self.searched = 0
        self.passed_over = False  # a wrong line whose cause was not looked for

    def meaning(self, segment: Segment) -> Meaning:
        return self.meaning_of(segment.name)

    # -- runs ------------------------------------------------------------

    def _first_runs(self) -> list[Run]:
        """The sheet at every draw, or at two of different sizes where it computes much. Counted, not timed."""
        made = self._together([self._pinned(point) for point in self.points])
        if made is None and len(self.points) > 2 and not self.outline.elementwise:
            made = [Run(self.outline, p, self._pinned(p)).execute() for p in self.points[:2]]  # of both sizes
            cost = max(max(run.limits.steps / MANY_DRAWN, run.limits.entries / MANY_ENTRIES) for run in made)
            if cost * len(self.points) > 1:
                self.points = self.points.few()
            made += [Run(self.outline, p, self._pinned(p)).execute() for p in self.points[2:]]
        made = self._run(self._pinned) if made is None else made
        steps, entries = sum(run.limits.steps for run in made), sum(run.limits.entries for run in made)
        self._cost = max(steps, entries * MANY_STEPS // MANY_ENTRIES)
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

    def _pinned(self, point: Point) -> dict[tuple[str, int], Tensor]:
        """Numbers that are right at the worked instance count as the true gradient everywhere."""
        made = {}
        for state in self.pins:
            true = self.true(self.meaning(state.segment), point)
            if true is not None:
                made[state.segment.name, state.segment.end] = true
        return made

    @property
    def corrected(self) -> list[Run]:
        """The sheet once more, each gradient replaced by the truth at the end of its lines."""
        if self._corrected is None:
            self._corrected = self._run(self._truths)
        return self._corrected

    def _truths(self, point: Point) -> dict[tuple[str, int], Tensor]:
        if id(point) not in self._truths_at:
            self._truths_at[id(point)] = self._all_truths(point)
        return self._truths_at[id(point)]

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
        if self._same(meaning, given, point) == "equal":
            return given
        forms = (true, *point.compact_locals(meaning.of, meaning.by))
        return next((form for form in forms if form.shape == given.shape), None)

    @property
    def worked_run(self) -> Run | None:
        if self._worked_run is None and self.worked is not None:
            self._worked_run = Run(self.outline, self.worked).execute()
        return self._worked_run

    def value(self, run: Run, segment: Segment) -> Tensor | None:
        return as_tensor(run.values.get((segment.name, segment.end)))

    def _own_quantities(self) -> None:
        """`r = y_pred - y; dr = 2*r`: a helper that is a part of a forward formula has a gradient that is judged."""
        for name in self.outline.helper_gradients:
            helper = next((s.segment for s in self.states if s.segment.name == name[1:]), None)
            values = [self.value(run, helper) for run in self.runs] if helper is not None else [None]
            if any(value is None for value in values):
                continue
            from tutor.checking.subexpressions import gradient_of_helper

            found = gradient_of_helper(self.exercise, name[1:], values, self.points)  # type: ignore[arg-type]
            if found is not None:
                self.extra[name] = {id(point): true for point, true in zip(self.points, found, strict=True)}

    # -- numbers ------------------------------------------------------------

    def _judge_numbers(self) -> list[SegmentState]:
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
            state.judgement = self._judge_number(state)
            if state.judgement is not None and state.judgement.sentence.id == "number":
                pins.append(state)
        return pins

    def _judge_number(self, state: SegmentState) -> Judgement | None:
        """Right in general, right at the worked instance, or None: to be judged as a formula is."""
        meaning, number = self.meaning(state.segment), state.number
        assert number is not None
        given = [number.value] * len(self.points)
        if self.true(meaning, self.points[0]) is None:
            return None
        fitted = [_fitted(value, self.true(meaning, point)) for value, point in zip(given, self.points, strict=True)]
        if self.outcome(meaning, fitted) == "equal":
            return Judgement("correct", Sentence("general-number"), fitted[0], self.true(meaning, self.points[0]))
        true = self.worked.true(meaning) if self.worked is not None else None
        if true is None:
            return None
        value = _fitted(number.value, true)
        if _within(value, true, number.slack):
            return Judgement("correct", Sentence("number"), value, true)
        assert self.worked is not None
        strict = self.exercise.strict_kinks
        if not strict and value.shape == true.shape and self.sides(meaning, value, self.worked) == "subgradient":
            return self.on_kink(meaning, self.worked, value, true, "kink-number")
        return None

    def _wrong_number(self, state: SegmentState) -> Judgement:
        """A number that is neither: compared with the worked instance, R being the earlier gradients there."""
        assert self.worked is not None and state.number is not None
        meaning, segment = self.meaning(state.segment), state.segment
        true = self.worked.true(meaning)
        assert true is not None
        value, slack = _fitted(state.number.value, true), state.number.slack
        stop = self._earlier_at_worked(segment)
        expected = self.expected(meaning, stop, self.worked) if stop else None
        if expected is not None and self.telling(stop, self.worked) and _within(value, expected, slack):
            needed = self._needed(meaning, stop, expected)
            sentence = self._follows_sentence(needed, segment)
            return Judgement("follows", sentence, value, true, reads=frozenset(needed))
        base = Judgement("wrong", Sentence("differs-number", {"given": state.number.text}), value, true)
        if value.shape != true.shape:
            return replace(base, sentence=other_shape(meaning, value, true))
        known = {**self.worked.values, **self.worked.gradients}
        base_true = true if expected is None else expected
        case = mistakes.Case(value, base_true, self.worked.sizes, state.number.relative, known)
        fault = mistakes.Fault(self.exercise, meaning.name, meaning.of, WHAT[meaning.kind], [case])
        found = mistakes.find(fault)
        return replace(base, mistakes=tuple(found), **self._ratio(fault, found, WHAT[meaning.kind]))

    def _needed(self, meaning: Meaning, stop: dict[str, Tensor], expected: Tensor) -> list[str]:
        """Members of R that the value really depends on."""
        assert self.worked is not None
        alone = [n for n in stop if torch.equal(self.expected(meaning, {n: stop[n]}, self.worked), expected)]  # type: ignore[arg-type]
        return alone[-1:] or list(stop)

    def _earlier_at_worked(self, segment: Segment) -> dict[str, Tensor]:
        """The learner's earlier gradients at the worked instance that are not the true ones."""
        assert self.worked is not None
        run, stop = self.worked_run, {}
        for state in self.states:
            if state.segment is segment or state.segment.end >= segment.end or state.judgement is None:
                continue
            meaning = self.meaning(state.segment)
            if meaning.kind not in ("gradient", "value") or state.judgement.verdict not in ("wrong", "follows"):
                continue
            if meaning.name == segment.name:
                continue
            value, true = self.value(run, state.segment) if run else None, self.worked.true(meaning)
            if value is not None and true is not None and value.shape == true.shape:
                stop[meaning.name] = value
        return stop

    # -- one segment ------------------------------------------------------------

    def report(self) -> Report:
        for state in self.states:
            if state.judgement is None or state.number is None:
                state.judgement = self._judge(state)
                self._repair(state.segment, state.judgement)
            if state.judgement is not None:
                self._add(state)
        self._unreadable_lines()
        self._aliases()
        self._remarks()
        if self.passed_over:
            self.notes.append(Sentence("many").render(NOTES))
        self.notes[:0] = self.sheet.notes
        self._at_these_sizes_alone()
        return self.finish()

    def _at_these_sizes_alone(self) -> None:
        """Say which right lines hang on pinned sizes of 1, or equal ones: such sizes hide mistakes."""
        pinned = self.sheet.sizes
        hiding = [name for name, size in pinned.items() if size == 1 or list(pinned.values()).count(size) > 1]
        right = {j.line for j in self.judged if j.verdict == "correct"}
        if not hiding or not right:
            return
        free = SheetJudge(self.exercise, replace(self.sheet, sizes={}), self.seed, self.lenient, repairs=False).report()
        only = sorted({line.line for line in free.lines if line.verdict == "wrong"} & right)
        if only:
            lines = f"line{'s' * (len(only) > 1)} {', '.join(map(str, only))}"
            params = {"lines": lines, "sizes": ", ".join(f"{n}={pinned[n]}" for n in hiding)}
            self.notes.append(Sentence("sizes-alone", params).render(NOTES))

    def _repair(self, segment: Segment, judgement: Judgement | None, meaning: Meaning | None = None) -> None:
        """The smallest edit that makes a wrong line right, where there is one."""
        if not self.repairs or judgement is None or judgement.verdict != "wrong":
            return
        if judgement.sentence.id in ("stale", "differs-number", "upstream"):
            return  # the line is right but for its place, or is a number, or should not be there
        failure = self._failure(segment)
        if self.searched > MANY_SEARCHED or self.diagnosed > MANY_MISTAKES:
            self.passed_over = True
            return
        from tutor.checking.repairs import read_by, repair

        found = repair(self, segment, meaning)
        if found is not None:
            judgement.repair = found
            if not judgement.mistakes:
                judgement.mistakes = tuple(mistakes.of_repair(found))
        elif failure is not None and judgement.repair is not None and judgement.repair.new.endswith(".T"):
            # what makes the shapes fit does not make the line right
            judgement.repair = None
            judgement.sentence = Sentence("no-value", {"error": judgement.sentence.params["error"]})
        elif not judgement.mistakes and failure is None:
            name = self.meaning(segment).name if meaning is None else meaning.name
            given = [self.value(run, segment) for run in self.runs]
            reads = read_by(self, segment)
            redefined = any(self.meaning(state.segment).kind == "forward" for state in self.states)
            if not redefined:  # else a name does not hang on what it hangs on in the exercise
                judgement.mistakes = tuple(mistakes.further(self.exercise, name, given, self.points, reads))
        if found is not None and found.line is None and failure is not None and found.new:
            params = {**judgement.sentence.params, "repair": found.new}
            judgement.sentence = Sentence("no-value-repair", params)

    def _add(self, state: SegmentState) -> None:
        segment, judgement = state.segment, state.judgement
        assert judgement is not None
        failure = self._failure(segment)
        statement = segment.statement
        line, column, text = statement.line, statement.column, statement.text
        start = column
        if failure is not None and failure.kind in ("unreadable", "torch"):
            line, column = failure.line, failure.column
            text, start = self._text_at(line, statement)
        sources = frozenset(segment.sources) | frozenset(segment.helpers) | judgement.reads
        self.judged.append(Judged(segment.name, line, column, text, judgement, sources, start))

    def _text_at(self, line: int, default: lang.Statement) -> tuple[str, int]:
        """The statement on a line, and the column where it begins."""
        if default.line == line:
            return default.text, default.start
        found = next((s for s in lang.flat(self.sheet.statements) if s.line == line), default)
        return found.text, found.start

    def _failure(self, segment: Segment) -> Failure | None:
        """Why the last line has no value; what torch refused on the way, where that is the quantity's own."""
        for run in self.runs:
            if segment.end in run.failures:
                earlier = (run.failures.get(unit) for unit in segment.units[:-1])
                return next((f for f in earlier if f is not None and f.kind == "torch"), run.failures[segment.end])
        return None

    def _judge(self, state: SegmentState) -> Judgement | None:
        try:
            return self._judged(state)
        except Unsure as unsure:
            return Judgement("undecided", Sentence("cut", {"reason": unsure.reason}), blameless=True)

    def _judged(self, state: SegmentState) -> Judgement | None:
        segment, meaning = state.segment, self.meaning(state.segment)
        failure = self._failure(segment)
        if meaning.kind not in JUDGED:
            return self._failed_helper(segment, failure)
        if isinstance(segment.statement, lang.Unreadable):
            return None  # has its own entry
        if self.true(meaning, self.points[0]) is None:
            return self.without_truth(meaning)
        if failure is not None:
            return self._failed(segment, meaning, failure)
        given = [self.value(run, segment) for run in self.runs]
        if segment.looped and any(
            v is not None and (t := self.true(meaning, p)) is not None and v.shape != t.shape
            for v, p in zip(given, self.points, strict=True)
        ):
            return None  # one round's value of a loop: a helper
        if any(value is None for value in given):
            return Judgement("unreadable", Sentence("unreadable", {"reason": f"{meaning.name} is given no tensor"}))
        if state.number is not None and self.worked is not None:
            return self._wrong_number(state)
        how = self.outcome(meaning, given)
        if how == "equal":
            return self._right(segment, meaning, given[0])
        if meaning.kind == "local" and how == "shape" and self._own_form(segment, meaning, given):
            return None
        if how == "unknown":
            return Judgement("undecided", Sentence("no-truth"), given[0], blameless=True)
        return self._not_true(segment, meaning, how, given)

    def _right(self, segment: Segment, meaning: Meaning, given: Tensor | None) -> Judgement:
        made = self._on_kinks(segment, meaning)
        if made is None:
            made = Judgement("correct", Sentence("true", {"what": WHAT[meaning.kind]}), given, given)
        wrong_before = any(s.judgement is not None and s.judgement.verdict != "correct" for s in self.states)
        untrue = self._untrue(segment) if wrong_before else []
        if untrue and self._outcome_corrected(segment, meaning) not in ("equal", "unknown"):
            made.sentence = Sentence(
                "cancelled", {"line": self._first_wrong(segment, self._line_of(untrue[0], segment))}
            )
        return made

    def _own_form(self, segment: Segment, meaning: Meaning, given: list[Tensor | None]) -> bool:
        """A local derivative in no form of ours is a helper: what is computed with it tells whether it is right."""
        true, value = self.true(meaning, self.points[0]), given[0]
        assert true is not None and value is not None
        forms = (true, *self.points[0].compact_locals(meaning.of, meaning.by))
        if any(spread(value, form) is not None for form in forms):
            return False
        self._helping.add(segment.name)
        params = {"line": segment.statement.line, "name": meaning.name, "shape": shown_shape(value.shape)}
        self.notes.append(Sentence("own-form", {**params, "expected": shown_shape(true.shape)}).render(NOTES))
        return True

    def _on_kinks(self, segment: Segment, meaning: Meaning) -> Judgement | None:
        """A line that is true off the kinks, where it is not torch's on them: any subgradient is right.

        What reads another subgradient is one too, and has its remark already.
        """
        kinked = self.points.kinked
        if kinked is None or kinked in self.points or any(name in self._kinked for name in segment.sources):
            return None
        if self._kink_run is None:
            self._kink_run = Run(self.outline, kinked, self._pinned(kinked)).execute()
        given = self.value(self._kink_run, segment)
        if given is None or segment.end in self._kink_run.failures:
            return None
        if self._same(meaning, given, kinked) in ("equal", "unknown", "shape"):
            return None
        side = self.sides(meaning, given, kinked)
        if side == "elsewhere":
            return None
        self._kinked.add(segment.name)
        if side == "outside":
            return self.wrong_on_kink(meaning, kinked, given, "kink-outside")
        id = "kink" if bool(torch.isfinite(given).all()) else "kink-undefined"
        value = self.value(self.runs[0], segment)
        return self.on_kink(meaning, kinked, value, value, id)

    def _not_true(self, segment: Segment, meaning: Meaning, how: str, given: list[Tensor | None]) -> Judgement:
        untrue = self._untrue(segment)
        stops = [self._stop(run, segment) for run in self.runs]
        doubtful = None
        if how != "shape" and not any(self._is_wrong(name, segment) for name in untrue):
            doubtful = self._rounded(segment, meaning, given)
        if doubtful is not None:
            return doubtful
        telling = self.telling_draws(stops) if untrue else []
        if telling:
            stale = [name for name in untrue if self._stale(name, segment)]
            sound = self._outcome_corrected(segment, meaning) == "equal" or self.follows(meaning, given, stops, telling)
            unfinished = [name for name in untrue if self._unfinished(name, segment)]
            if sound and unfinished:
                params = {"name": unfinished[0], "line": self._last_line(unfinished[0])}
                return Judgement("undecided", Sentence("reads-unreadable", params), given[0])
            if sound and not stale:
                return Judgement(
                    "follows", self._follows_sentence(untrue, segment), given[0], self.true(meaning, self.points[0])
                )
            if sound:
                sentence = Sentence("stale", {"name": stale[0], "line": self._last_line(stale[0])})
                true, message = self.true(meaning, self.points[0]), sentence.as_mistake("stale-value")
                return Judgement("wrong", sentence, given[0], true, mistakes=(message,))
        blamed = self._blamed_helper(segment, meaning)
        if blamed is not None:
            sentence = Sentence("follows", {"names": blamed.helper, "line": blamed.line})
            return Judgement("follows", sentence, given[0], self.true(meaning, self.points[0]))
        made = self.wrong(meaning, how, self._cases(meaning, given, stops), given)
        if made.sentence.id == "elsewhere" and self._has_sizes_as_numbers(segment):
            made.sentence = Sentence("coincides", made.sentence.params)
        return made

    def _has_sizes_as_numbers(self, segment: Segment) -> bool:
        """Whether a number stands in its lines that is a size at the first draw."""
        sizes = set(self.points[0].sizes.values())
        nodes = (n for touch in segment.touches for part in all_parts(touch.statement) for n in lang.walk(part))
        return any(isinstance(node, lang.Number) and node.value in sizes for node in nodes)

    def _is_wrong(self, name: str, segment: Segment) -> bool:
        """Whether the line that gave `name` its value is to blame, here or further up."""
        state = self._before(name, segment)
        return state is None or state.judgement is None or state.judgement.verdict in ("wrong", "follows", "unreadable")

    def _rounded(self, segment: Segment, meaning: Meaning, given: list[Tensor | None]) -> Judgement | None:
        """Overflow and cancellation are no mistakes: right at more digits, or undecided; else None."""
        key = (segment.name, segment.end)
        if self._cost * RUNS > MANY_STEPS:
            return None
        doubtful, strayed = [], False  # strayed: nothing but more digits can tell
        for value, point in zip(given, self.points, strict=True):
            true = self.true(meaning, point)
            if value is None or true is None:
                return None
            if self._same(meaning, value, point) in ("equal", "unknown"):
                continue
            if not self._doubt.explains(key, value, true, point):
                if not self._doubt.lost_the_digits(key, point):
                    return None
                strayed = True
            terms = point.scale(meaning)
            scale = 0.0 if terms is None or not terms.numel() else float(terms.abs().max())
            doubtful.append((value, true, scale, point))
        known = meaning.kind in ("gradient", "value") and meaning.name not in self.extra and not self.pins
        same = self._doubt.decided(key, doubtful) if known else None
        if same is False or (same is None and strayed):
            return None
        true = self.true(meaning, self.points[0])
        if same is None:
            return Judgement("undecided", Sentence("rounding"), given[0], true, blameless=True)
        what, name = WHAT[meaning.kind], self._unstable_before(segment)
        if name is not None:  # said once
            sentence = Sentence("unstable-before", {"what": what, "name": name, "line": self._line_of(name, segment)})
            return Judgement("correct", sentence, given[0], true)
        sentence = Sentence("unstable", {"what": what})
        return Judgement("correct", sentence, given[0], true, mistakes=(Mistake("unstable", _UNSTABLE),))

    def _unstable_before(self, segment: Segment) -> str | None:
        """An earlier gradient that this line reads, and that overflows or loses its digits."""
        for name in segment.sources:
            state = self._before(name, segment)
            earlier = None if state is None or state.segment is segment else state.judgement
            if earlier is not None and earlier.sentence.id in ("unstable", "unstable-before"):
                return name
        return None

    def _cases(
        self, meaning: Meaning, given: list[Tensor | None], stops: list[dict[str, Tensor]]
    ) -> Sequence[mistakes.Case]:
        """The learner's values beside what R leads to at each draw."""
        self.diagnosed += 1
        # the learner's own quantity has no step of ours to spoil; nor is a long row of mistakes looked into
        plain = meaning.name in self.extra or self.diagnosed > MANY_MISTAKES

        def made() -> Iterator[mistakes.Case]:
            for value, stop, point in zip(given, stops, self.points, strict=True):
                expected = self.expected(meaning, stop, point)
                if value is not None and expected is not None:
                    known = None if plain else {**point.values, **self.walked(stop, point)}
                    yield mistakes.Case(value, expected, point.sizes, self.tolerance.relative, known)

        return mistakes.Cases(made())

    # -- R: what a line reads ------------------------------------------------------------

    def _stop(self, run: Run, segment: Segment) -> dict[str, Tensor]:
        """R with the values it had when it was read."""
        made = {}
        for name, unit in segment.sources.items():
            value = as_tensor(run.seen.get((name, unit)))
            if value is not None and self.meaning_of(name).kind in ("gradient", "value"):
                made[name] = value
        return made

    def _untrue(self, segment: Segment) -> list[str]:
        """Members of R that are not the true ones (or have no value at all)."""
        found = []
        for name, unit in segment.sources.items():
            meaning = self.meaning_of(name)
            if meaning.kind not in JUDGED or name in self._helping:
                continue
            held = [run.seen.get((name, unit)) for run in self.runs]
            if all(value is None for value in held):
                continue  # a given gradient
            given = [as_tensor(value) for value in held]
            if any(value is None for value in given) or self.outcome(meaning, given) not in ("equal", "unknown"):
                found.append(name)
        return found

    def _before(self, name: str, segment: Segment) -> SegmentState | None:
        """The segment that gave `name` the value that was read."""
        unit = segment.sources.get(name, segment.end)
        earlier = [s for s in self.states if s.segment.name == name and s.segment.units[0] <= unit]
        return earlier[-1] if earlier else None

    def _stale(self, name: str, segment: Segment) -> bool:
        """Read before its last update, and right after it."""
        state = self._before(name, segment)
        if state is None or state.segment.end < segment.sources[name]:
            return False
        given = [self.value(run, state.segment) for run in self.runs]
        return state.segment is not segment and self.outcome(self.meaning_of(name), given) == "equal"

    def _unfinished(self, name: str, segment: Segment) -> bool:
        """Whether a line that cannot be read changes what was read: nobody knows whether it was right by then."""
        state = self._before(name, segment)
        return state is not None and isinstance(state.segment.statement, lang.Unreadable)

    def _first_wrong(self, segment: Segment, default: int) -> int:
        """The line of the first wrong gradient that a line hangs on."""
        todo, seen = [segment], set[int]()
        while todo:
            current = todo.pop()
            for name in current.sources:
                state = self._before(name, current)
                if state is None or state.segment.end in seen:
                    continue
                seen.add(state.segment.end)
                todo.append(state.segment)
        wrong = [s for s in self.states if s.segment.end in seen and s.judgement and s.judgement.verdict == "wrong"]
        return wrong[0].segment.statement.line if wrong else default

    def _line_of(self, name: str, segment: Segment) -> int:
        state, unit = self._before(name, segment), segment.sources.get(name, segment.end)
        changed = [
            self._line_of_unit(at, by) for other, at, by in self.runs[0].disturbed if other == name and at < unit
        ]
        if state is not None and changed and state.segment.end < unit:
            return max(changed[-1], state.segment.statement.line)
        return state.segment.statement.line if state is not None else segment.statement.line

    def _line_of_unit(self, unit: int, name: str) -> int:
        return next(t.statement.line for t in self.outline.units[unit].touches if t.name == name)

    def _last_line(self, name: str) -> int:
        return [s.segment.statement.line for s in self.states if s.segment.name == name][-1]

    def _follows_sentence(self, names: Iterable[str], segment: Segment, id: str = "follows") -> Sentence:
        lines = {name: self._line_of(name, segment) for name in names}
        line = max(lines.values(), default=segment.statement.line)
        there = [name for name in lines if lines[name] == line]
        return Sentence(id, {"names": ", ".join(there), "line": line})

    def _outcome_corrected(self, segment: Segment, meaning: Meaning) -> str:
        given = []
        for run in self.corrected:
            if run.failed(segment.end):
                return "failed"
            given.append(self.value(run, segment))
        return self.outcome(meaning, given)

    # -- lines without a value ------------------------------------------------------------

    def _failed(self, segment: Segment, meaning: Meaning, failure: Failure) -> Judgement:
        if failure.kind == "unreadable":
            return Judgement("unreadable", Sentence("unreadable", {"reason": failure.reason}))
        if failure.kind in EXCUSED:
            return Judgement("undecided", Sentence("cut", {"reason": failure.reason}), blameless=True)
        sound = self._outcome_corrected(segment, meaning) == "equal"
        if failure.kind == "torch":
            untrue = self._untrue(segment)
            if untrue and sound:
                return Judgement("follows", self._follows_sentence(untrue, segment, "follows-shape"))
            return self._torch_refused(segment, meaning, failure)
        cause = self._cause(failure)
        params = {"name": failure.name, "line": failure.line}
        if cause == "torch" and sound:
            return Judgement("follows", Sentence("follows-nothing", {"names": failure.name, "line": failure.line}))
        if cause == "torch":
            return Judgement("undecided", Sentence("reads-nothing", params))
        sentence = Sentence("reads-unreadable" if cause == "unreadable" else "reads-nothing", params)
        return Judgement("undecided", sentence, blameless=cause in EXCUSED)

    def _cause(self, failure: Failure) -> str:
        """The kind of the failure that a line without value goes back to."""
        for run in self.runs:
            for other in run.failures.values():
                if other.kind != "reads" and (other.line, other.column) == (failure.line, failure.column):
                    return other.kind
        return "unreadable"

    def _torch_refused(self, segment: Segment, meaning: Meaning, failure: Failure) -> Judgement:
        params = {"error": failure.reason}
        sentence = Sentence("no-value", params)
        repair = _as_written(failure.repair, segment.statement)
        if repair is not None:
            sentence = Sentence("no-value-repair", {**params, "repair": repair.new})
        true = self.true(meaning, self.points[0]) if meaning.kind in JUDGED else None
        return Judgement("wrong", sentence, None, true, repair=repair, shapes=failure.shapes)

    def _failed_helper(self, segment: Segment, failure: Failure | None) -> Judgement | None:
        """A helper has no entry of its own, unless torch or the language refuses it."""
        if failure is None or isinstance(segment.statement, lang.Unreadable):
            return None
        if any(self.meaning_of(touch.name).kind in JUDGED for touch in self.outline.units[segment.end].touches):
            return None  # a loop's helper: what the loop builds up says it
        if any((j.line, j.column) == (failure.line, failure.column) for j in self.judged):
            return None  # `a, b = ...` is one line
        if failure.kind == "unreadable":
            return Judgement("unreadable", Sentence("unreadable", {"reason": failure.reason}))
        if failure.kind == "torch":
            if not any(segment.end in run.failures for run in self.corrected):
                return None  # sound once what it reads is true
            return self._torch_refused(segment, self.meaning(segment), failure)
        return None

    def _unreadable_lines(self) -> None:
        """Lines that were not in the language, and units that failed before their quantity's last line."""
        there = {(j.line, j.column) for j in self.judged}
        for statement in lang.flat(self.sheet.statements):
            if isinstance(statement, lang.Unreadable) and (statement.line, statement.column) not in there:
                there.add((statement.line, statement.column))
                for name in self._judged_names(statement) or [statement.target]:
                    self._refused(statement.line, statement.column, statement, statement.reason, name)
        for unit, failure in sorted(self.runs[0].failures.items()):
            if failure.kind == "unreadable" and (failure.line, failure.column) not in there:
                there.add((failure.line, failure.column))
                statement = self.outline.units[unit].statement
                touches = self.outline.units[unit].touches
                name = touches[0].name if touches else None
                self._refused(failure.line, failure.column, statement, failure.reason, name)

    def _judged_names(self, statement: lang.Unreadable) -> list[str | None]:
        """The quantities that a refused block leaves without a value: each has its entry."""
        touches = (touch for unit in self.outline.units for touch in unit.touches if touch.statement is statement)
        return list(dict.fromkeys(touch.name for touch in touches if self.meaning_of(touch.name).kind in JUDGED))

    def _refused(self, line: int, column: int, statement: lang.Statement, reason: str, target: str | None) -> None:
        name = ""
        if target:
            name = self.names.meaning(lang.gradient_name(target)).name
        text, start = self._text_at(line, statement)
        judgement = Judgement("unreadable", Sentence("unreadable", {"reason": reason}))
        self.judged.append(Judged(name, line, column, text, judgement, start=start))

    # -- helpers that are gradients in disguise ------------------------------------------------------------

    def _blamed_helper(self, segment: Segment, meaning: Meaning) -> Judged | None:
        """An earlier helper that is a gradient with one known mistake, without which this line is right."""
        for helper in sorted(segment.helpers, key=lambda h: segment.helpers[h]):
            state = self._helper_state(helper, segment.helpers[helper])
            if state is None:
                continue
            known = self._helper_lines.get(id(state.segment))
            for candidate in [known.name] if known else self._lookalikes(state.segment):
                self._trials += 1
                if self._trials > MANY_TRIALS or self._cost * self._trials > MANY_STEPS:
                    return None
                if self._right_with(segment, state.segment, candidate):
                    return known or self._blame(state.segment, candidate)
        return None

    def _helper_state(self, helper: str, unit: int) -> SegmentState | None:
        found = [s for s in self.states if s.segment.name == helper and s.segment.end <= unit]
        return found[-1] if found and self.names.meaning(helper).kind == "helper" else None

    def _lookalikes(self, helper: Segment) -> Iterator[str]:
        """Gradients that the helper equals but for one known mistake."""
        self._looked += 1
        if self._looked > MANY_MISTAKES:
            return
        given = [self.value(run, helper) for run in self.runs]
        own = {state.segment.name for state in self.states}
        if f"d{helper.name}" in self.extra:
            return
        for name in self.points[0].gradients:
            meaning = self.names.meaning(name)
            plain = meaning.kind != "gradient" or meaning.of in self.names.ends or name in own
            if not plain and self._mistaken(helper, name, given):
                yield name

    def _mistaken(self, helper: Segment, name: str, given: list[Tensor | None]) -> list[Mistake]:
        cases = []
        for value, point in zip(given, self.points, strict=True):
            true = point.gradients[name]
            if value is None or value.shape != true.shape:
                return []
            cases.append(mistakes.Case(value, true, point.sizes, known={**point.values, **point.gradients}))
        meaning = self.names.meaning(name)
        return mistakes.find(mistakes.Fault(self.exercise, name, meaning.of, "gradient", cases))

    def _sound(self, given: list[Tensor | None]) -> bool:
        """A true gradient, or a forward quantity: whatever it looks like, the fault is not there."""
        return any(
            all(
                value is not None and compare.same(value, known[name], lambda: None, self.tolerance) == "equal"
                for value, known in zip(given, (getattr(p, kind) for p in self.points), strict=True)
            )
            for kind in ("gradients", "values")
            for name in getattr(self.points[0], kind)
        )

    def _right_with(self, segment: Segment, helper: Segment, candidate: str) -> bool:
        """Whether the line is right once the helper is the true gradient, and no line that reads it becomes wrong.

        A part of a forward formula, or another true gradient, may be what it is: it takes the blame only where that
        explains two lines at once.
        """
        runs = []
        for point in self.points:
            instead = {**self._truths(point), (helper.name, helper.end): point.gradients[candidate]}
            runs.append(Run(self.outline, point, instead).execute())
            if not self._true_at(segment, runs[-1], point):
                return False
        mended = 1
        for other in self._readers(helper):
            if other is segment:
                continue
            right = all(self._true_at(other, run, point) for run, point in zip(runs, self.points, strict=True))
            as_it_stands = all(self._true_at(other, r, p) for r, p in zip(self.runs, self.points, strict=True))
            if as_it_stands and not right:
                return False
            mended += right and not as_it_stands
        return mended > 1 or not (
            self._part_of_formula(helper) or self._sound([self.value(r, helper) for r in self.runs])
        )

    def _readers(self, helper: Segment) -> Iterator[Segment]:
        """The judged lines that read this helper."""
        for state in self.states:
            unit = state.segment.helpers.get(helper.name)
            if unit is not None and self.meaning(state.segment).kind in JUDGED:
                found = self._helper_state(helper.name, unit)
                if found is not None and found.segment is helper:
                    yield state.segment

    def _true_at(self, segment: Segment, run: Run, point: Point) -> bool:
        value = None if run.failed(segment.end) else self.value(run, segment)
        return value is not None and self._same(self.meaning(segment), value, point) in ("equal", "unknown")

    def _part_of_formula(self, helper: Segment) -> bool:
        from tutor.checking.subexpressions import part_of_formula

        values = [self.value(run, helper) for run in self.runs]
        return part_of_formula(values, self.points) is not None  # type: ignore[arg-type]

    def _blame(self, helper: Segment, name: str) -> Judged:
        meaning = self.names.meaning(name)
        given = [self.value(run, helper) for run in self.runs]
        cases = self._cases(meaning, given, [{} for _ in self.points])
        judgement = self.wrong(meaning, "different", cases, given)
        self._repair(helper, judgement, meaning)
        statement = helper.statement
        made = Judged(
            name,
            statement.line,
            statement.column,
            statement.text,
            judgement,
            frozenset(helper.sources),
            statement.start,
            helper=helper.name,
        )
        self._helper_lines[id(helper)] = made
        self.judged.append(made)
        return made

    # -- aliasing and remarks ------------------------------------------------------------

    def _aliases(self) -> None:
        seen: set[str] = set()
        for name, unit, changed in self.runs[0].disturbed:
            meaning = self.names.meaning(name)
            if name in seen or meaning.kind == "helper":
                continue
            statement = next(t.statement for t in self.outline.units[unit].touches if t.name == changed)
            params = {"name": name, "changed": changed, "line": statement.line}
            if meaning.kind in JUDGED:
                self._disturbed(meaning, unit, statement, params, seen)
            else:
                seen.add(name)
                self.notes.append(Sentence("aliasing", params).render(NOTES))

    def _disturbed(self, meaning: Meaning, unit: int, statement: lang.Statement, params: dict, seen: set[str]) -> None:
        """A gradient changed after its own last line, through another name."""
        last = [s for s in self.states if s.segment.name == meaning.name]
        if not last or last[-1].segment.end >= unit:
            return
        before, after = (as_tensor(self.runs[0].values.get((meaning.name, at))) for at in (last[-1].segment.end, unit))
        if before is None or after is None or torch.equal(before, after):
            return
        changed = [as_tensor(run.values.get((meaning.name, unit))) for run in self.runs]
        if self.outcome(meaning, changed) == "equal":  # nothing that counts was added
            self.notes.append(Sentence("aliasing", params).render(NOTES))
            return
        seen.add(meaning.name)
        sentence = Sentence("aliasing", params)
        true, mistake = self.true(meaning, self.points[0]), sentence.as_mistake("aliasing")
        judgement = Judgement("wrong", sentence, after, true, mistakes=(mistake,))
        self.judged.append(Judged(meaning.name, statement.line, statement.column, statement.text, judgement))

    def _remarks(self) -> None:
        """Helpers that look like a misspelt gradient, and forward values that were changed on the way."""
        wanted = {self.exercise.answer_name(name) for name in self.exercise.asked}
        given = {j.name for j in self.judged}
        for state in self.states:
            segment, meaning = state.segment, self.meaning(state.segment)
            line = segment.statement.line
            if meaning.kind == "helper":
                close = next((w for w in wanted - given if w.lower() == segment.name.lower()), None)
                if close is not None:
                    self.notes.append(
                        Sentence("typo", {"line": line, "name": segment.name, "meant": close}).render(NOTES)
                    )
            elif meaning.kind == "forward" and self.exercise[meaning.name].kind != "parameter":
                self._remark_on_forward(segment, meaning, line)

    def _remark_on_forward(self, segment: Segment, meaning: Meaning, line: int) -> None:
        value = self.value(self.runs[0], segment)
        true = self.points[0].values[meaning.name]
        if value is not None and (
            value.shape != true.shape or not torch.allclose(value, true.to(value.dtype), rtol=1e-9, atol=1e-12)
        ):
            self.notes.append(Sentence("forward", {"line": line, "name": meaning.name}).render(NOTES))


def _as_written(repair: Repair | None, statement: lang.Statement) -> Repair | None:
    r"""`W.T` is `W^\top` in a line of LaTeX; None where there is no such form."""
    if repair is None or not getattr(statement, "latex", False):
        return repair
    name, _, rest = repair.new.partition(".")
    written = statement.text.startswith(repair.old, repair.column - statement.start)
    return replace(repair, new=rf"{name}^\top") if written and rest == "T" and name == repair.old else None


def _without_worked_values(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """`w = 1`, `x = 2` of the worked instance say what is given: the lines are judged for every value."""
    for values in exercise.instances:
        given = [
            statement
            for statement in sheet.statements
            if (name := _leaf_of(exercise, statement)) is not None and _is_value(statement, values.get(name))
        ]
        if given:
            names = ", ".join(statement.text.strip() for statement in given[:6])
            params = {"line": given[0].line, "given": names}
            kept = [statement for statement in sheet.statements if statement not in given]
            notes = [*sheet.notes, Sentence("worked-values", params).render(NOTES)]
            return replace(sheet, statements=kept, notes=notes)
    return sheet


def _leaf_of(exercise: Exercise, statement: lang.Statement) -> str | None:
    if not isinstance(statement, lang.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    name = target.name if isinstance(target, lang.Name) else ""
    return name if name in exercise.quantities and exercise[name].is_leaf else None


def _is_value(statement: lang.Statement, value: Any) -> bool:
    number = numbers.literal(statement)
    if number is None or value is None:
        return False
    known = torch.as_tensor(value, dtype=torch.float64)
    return number.value.numel() == known.numel() and bool((number.value.reshape(-1) == known.reshape(-1)).all())


def _with_sizes_checked(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """The sheet, with sizes that cannot be pinned as an unreadable line."""
    if not sheet.sizes:
        return sheet
    try:
        sizes = checked_sizes(exercise, sheet.sizes, 0)
        entries = sum(math.prod(number(extent, sizes) for extent in q.shape) for q in exercise)
        if entries <= MOST_PINNED:
            return sheet
        reason = f"these sizes make {entries} entries; at most {MOST_PINNED} are computed"
    except UsageError as error:
        reason = str(error)
    line = sheet.sizes_line
    refused = lang.Unreadable(line, 1, f"# sizes: {', '.join(f'{k}={v}' for k, v in sheet.sizes.items())}", 1, reason)
    return replace(sheet, statements=[refused, *sheet.statements], sizes={})


_UNSTABLE = "the algebra is right, but floats overflow or lose their digits here: look for a form that avoids it"


def _within(value: Tensor, true: Tensor, slack: Tensor) -> bool:
    return value.shape == true.shape and bool(((value - true).abs() <= slack).all())


def _fitted(value: Tensor, true: Tensor | None) -> Tensor:
    """A number stands for a scalar of shape (1,) too."""
    if true is not None and value.numel() == 1 and true.numel() == 1:
        return value.reshape(true.shape)
    return value
