"""Exercise + answer -> Report: every line judged, the first divergence, what follows from it.

A line is compared with the truth at seeded draws. What is not true may still *follow*: R, the learner's earlier
gradients that the line reads, are replaced by the truth, or the walk back from the loss is stopped at R.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.answers import python
from tutor.checking import compare, library, mistakes, numbers
from tutor.checking.compare import DOUBLE, SINGLE, Tolerance
from tutor.checking.interpret import Failure, Run
from tutor.checking.outline import Meaning, Names, Outline, Segment
from tutor.checking.report import NOTES, Entry, LineReport, Mistake, Repair, Report, Sentence
from tutor.checking.truth import Point, Points, points, worked
from tutor.errors import ReadingError, UsageError
from tutor.exercise import Exercise
from tutor.numeric.evaluate import number
from tutor.numeric.sample import checked_sizes

JUDGED = ("gradient", "local", "value")
WHAT = {"gradient": "gradient", "local": "local derivative", "value": "value"}


# -- the ways in ------------------------------------------------------------------------------------------


def check(exercise: Any, answer: Any, *, seed: int = 0, lenient_shapes: bool = False) -> Report:
    """Judge an answer: a sheet's text, a `Path` to it, tensors by name, or a function of an instance."""
    if isinstance(exercise, (str, Path)):
        from tutor.catalogue import load

        exercise = load(exercise)
    if isinstance(answer, lang.Sheet):
        return check_sheet(exercise, answer, seed=seed, lenient_shapes=lenient_shapes)
    if isinstance(answer, (str, Path)):
        return check_sheet(exercise, _one_sheet(exercise, answer), seed=seed, lenient_shapes=lenient_shapes)
    if isinstance(answer, Mapping):
        return _check_values(exercise, [answer], points(exercise, seed)[:1], seed, lenient_shapes)
    if callable(answer):
        return _check_function(exercise, answer, seed, lenient_shapes)
    raise UsageError(f"an answer is text, a Path, a dict of tensors or a function, not {type(answer).__name__}")


def check_sheet(exercise: Exercise, sheet: lang.Sheet, *, seed: int = 0, lenient_shapes: bool = False) -> Report:
    """Judge one sheet that was read already."""
    return SheetJudge(exercise, sheet, seed, lenient_shapes).report()


def check_tensors(instance: Any, tensors: Mapping[str, Any], *, lenient_shapes: bool = False) -> Report:
    """Judge tensors at one instance, `check_tensors(t, {"dz": dz})`: the same report without any text."""
    exercise = instance.exercise
    seed = getattr(instance, "seed", 0) or 0
    return _check_values(exercise, [tensors], [Point(exercise, instance)], seed, lenient_shapes)


def read_answer(answer: str | Path) -> list[lang.Sheet]:
    """The sheets of a text or a file; a text that cannot be read at all becomes one unreadable line."""
    try:
        return python.read(_text(answer))
    except ReadingError as error:
        return [lang.Sheet([lang.Unreadable(error.line, error.column, "", 1, error.message)])]


def _text(answer: str | Path) -> str:
    if isinstance(answer, str):
        return answer
    with answer.open("rb") as file:
        held = file.read(4 * python.MAX_LENGTH + 1)  # no more than can be a sheet
    try:
        return held.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = held[: error.start].count(b"\n") + 1
        raise ReadingError("the file is not UTF-8 text: save it as UTF-8", line) from None


def _one_sheet(exercise: Exercise, answer: str | Path) -> lang.Sheet:
    """The sheet for this exercise; the only one, whatever its header says."""
    sheets = read_answer(answer)
    chosen = sheets[0]
    if len(sheets) > 1:
        chosen = next((s for s in sheets if s.exercise in (exercise.id, exercise.name)), None) or next(
            (s for s in sheets if s.exercise and s.exercise.split(":")[0] == exercise.name), chosen
        )
    if chosen.exercise and chosen.exercise.split(":")[0] != exercise.name:
        chosen.notes.insert(0, f"the sheet is for {chosen.exercise}, and is judged as {exercise.id}")
    return chosen


# -- what both kinds of answer share ---------------------------------------------------------------------------


@dataclass
class Judgement:
    """A line's verdict and why, before it becomes a `LineReport`."""

    verdict: str
    sentence: Sentence
    given: Tensor | None = None
    true: Tensor | None = None
    ratio: float | None = None
    mistakes: tuple[Mistake, ...] = ()
    repair: Repair | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    reads: frozenset[str] = frozenset()  # what a number follows from
    blameless: bool = False  # undecided, and not because of an unreadable line


@dataclass
class Judged:
    """One line with its judgement."""

    name: str
    line: int
    column: int
    text: str
    judgement: Judgement
    sources: frozenset[str] = frozenset()
    start: int = 0
    forward: str = ""
    helper: str = ""  # the name it has on the sheet, where that is a helper's

    @property
    def verdict(self) -> str:
        return self.judgement.verdict

    def report(self) -> LineReport:
        j = self.judgement
        figures: dict[str, Any] = {}
        if j.given is not None:
            figures["shape"] = tuple(j.given.shape)
        elif j.shapes:
            figures["shape"] = None
        if j.true is not None:
            figures["expected_shape"] = tuple(j.true.shape)
        if j.given is not None and j.true is not None and j.given.shape == j.true.shape:
            right = j.verdict == "correct"
            absolute, relative = (0.0, 0.0) if right else compare.errors(j.given, j.true)
            figures.update(max_abs_error=absolute, max_rel_error=relative)
            if j.verdict == "wrong":
                figures["worst"] = tuple(Entry(*found) for found in compare.worst(j.given, j.true))
        return LineReport(
            self.line, self.column, self.text, self.name or None, j.verdict, j.sentence,
            ratio=j.ratio, mistakes=j.mistakes, repair=j.repair, forward=self.forward, start=self.start, **figures,
        )  # fmt: skip


class Judge:
    """The parts of judging that need no text."""

    def __init__(self, exercise: Exercise, seed: int, lenient: bool, draws: list[Point], tolerance: Tolerance = DOUBLE):
        self.exercise, self.seed, self.lenient, self.points = exercise, seed, lenient, draws
        self.tolerance = tolerance
        self.names: Names = exercise._cached("names", lambda: Names(exercise))
        self.extra: dict[str, dict[int, Tensor]] = {}  # gradients of the learner's own quantities, by draw
        self.judged: list[Judged] = []
        self.notes: list[str] = []

    def meaning_of(self, name: str) -> Meaning:
        return Meaning(name, "gradient", name[1:]) if name in self.extra else self.names.meaning(name)

    def true(self, meaning: Meaning, point: Point) -> Tensor | None:
        own = self.extra.get(meaning.name)
        return point.true(meaning) if own is None else own.get(id(point))

    # -- comparing ----------------------------------------------------------------------------------------

    def outcome(self, meaning: Meaning, given: Iterable[Tensor | None], draws: list[Point] | None = None) -> str:
        """equal at every draw, or the first way in which it is not; unknown where no draw has a finite truth."""
        given = list(given)
        if draws is None and self._clearly_equal(meaning, given):
            return "equal"
        found = [self._same(meaning, value, point) for value, point in zip(given, draws or self.points, strict=True)]
        bad = [how for how in found if how not in ("equal", "unknown")]
        if bad:
            return bad[0]
        return "equal" if "equal" in found else "unknown"

    def _clearly_equal(self, meaning: Meaning, given: list[Tensor | None]) -> bool:
        shared = isinstance(self.points, Points) and meaning.name not in self.extra
        true = self.points.flat(meaning) if shared else None  # type: ignore[attr-defined]
        if true is None:
            return False
        for value, point in zip(given, self.points, strict=True):
            known = self.true(meaning, point)
            if value is None or known is None or value.shape != known.shape:
                return False
        return compare.all_close(given, *true)  # type: ignore[arg-type]

    def _same(self, meaning: Meaning, given: Tensor | None, point: Point, true: Tensor | None = None) -> str:
        true = self.true(meaning, point) if true is None else true
        if true is None:
            return "unknown"
        if given is None:
            return "shape"
        how = compare.same(given, true, lambda: point.scale(meaning), self.tolerance)
        if how == "equal":
            return how
        if meaning.kind == "local" and how in ("shape", "different"):
            diagonal = point.elementwise_local(meaning.of, meaning.by)
            if diagonal is not None and compare.same(given, diagonal, lambda: None, self.tolerance) == "equal":
                return "equal"
        if how == "shape" and self.lenient and given.squeeze().shape == true.squeeze().shape:
            return compare.same(given.reshape(true.shape), true, lambda: point.scale(meaning), self.tolerance)
        return how

    def follows(self, meaning: Meaning, given: list[Tensor | None], stops: list[dict[str, Tensor]], draws: list[Point]) -> bool:
        """Whether walking back, stopped at R, gives the learner's values at every draw."""
        if meaning.kind == "local" or not any(stops):
            return False
        for value, stop, point in zip(given, stops, draws, strict=True):
            expected = self.expected(meaning, stop, point)
            if value is None or expected is None:
                return False
            if compare.same(value, expected, lambda p=point: p.scale(meaning), self.tolerance) not in ("equal", "unknown"):  # type: ignore[misc]
                return False
        return True

    def expected(self, meaning: Meaning, stop: Mapping[str, Tensor], point: Point) -> Tensor | None:
        """The value that follows from R."""
        fitting = {
            name: value
            for name, value in stop.items()
            if name in point.gradients and value.shape == point.gradients[name].shape and name != meaning.name
        }
        return point.walk(fitting).get(meaning.name) if fitting else self.true(meaning, point)

    def telling(self, stop: Mapping[str, Tensor], point: Point) -> bool:
        """R says nothing where it is zero or not finite and the truth is not."""
        for name, value in stop.items():
            true = self.true(self.meaning_of(name), point)
            if true is None:
                continue
            if not bool(torch.isfinite(value).all()) and bool(torch.isfinite(true).all()):
                return False
            if value.numel() and not bool(value.any()) and bool(true.any()):
                return False
        return True

    # -- wrong lines ----------------------------------------------------------------------------------------

    def wrong(self, meaning: Meaning, how: str, cases: list[mistakes.Case], given: list[Tensor | None]) -> Judgement:
        """A wrong line with its causes: `cases` are the learner's values beside what they should be, given R."""
        what, first = WHAT[meaning.kind], given[0]
        true = self.true(meaning, self.points[0])
        base = Judgement("wrong", Sentence("differs", {"what": what}), first, true)
        if how == "shape":
            assert first is not None and true is not None
            params = {"shape": _show(first.shape), "name": meaning.name, "expected": _show(true.shape)}
            found = self._same_values_another_shape(meaning, cases)
            return replace(base, sentence=Sentence("shape", params), mistakes=tuple(found))
        if how == "finite":
            return replace(base, sentence=Sentence("not-finite", {"what": what}))
        fault = mistakes.Fault(self.exercise, meaning.name, meaning.of, what, cases)
        found = mistakes.find(fault)
        return replace(base, mistakes=tuple(found), **self._ratio(fault, found, what))

    def _ratio(self, fault: mistakes.Fault, found: list[Mistake], what: str) -> dict[str, Any]:
        if fault.ratios is None or fault.factor is None:
            return {}
        text = fault.factor.text
        causes = " and ".join(m.message for m in found if m.id in ("factor", "sign"))
        sentence = Sentence("ratio", {"ratio": text, "what": what, "causes": causes}) if causes else Sentence(
            "ratio-alone", {"ratio": text, "what": what}
        )
        return {"ratio": fault.ratios[0], "sentence": sentence}

    def _same_values_another_shape(self, meaning: Meaning, cases: list[mistakes.Case]) -> Iterator[Mistake]:
        for case, point in zip(cases, self.points, strict=False):
            if case.given.squeeze().shape != case.true.squeeze().shape:
                return
            reshaped = case.given.reshape(case.true.shape)
            if compare.same(reshaped, case.true, lambda p=point: p.scale(meaning), self.tolerance) not in ("equal", "unknown"):  # type: ignore[misc]
                return
        if cases:
            yield Mistake("wrong-shape", f"the values are right; give {meaning.name} the shape {_show(cases[0].true.shape)}")

    # -- the whole ------------------------------------------------------------------------------------------------

    def forward_line(self, meaning: Meaning) -> str:
        """Where the quantity is used, in the exercise's own words: what its gradient comes from."""
        if meaning.kind == "helper" or meaning.of not in self.exercise.quantities:
            return ""
        from tutor.symbolic.notation import Writer

        writer = Writer(self.exercise)
        quantity = self.exercise[meaning.of]
        shown = [quantity] if meaning.kind in ("value", "local") else [
            q for q in self.exercise.forward if meaning.of in q.reads
        ]
        return "; ".join(f"{writer.write(q.entry)} = {writer.write(q.expr)}" for q in shown if q.expr is not None)

    def finish(self) -> Report:
        lines = sorted(self.judged, key=lambda j: (j.line, j.column))
        first = next((j for j in lines if j.verdict == "wrong"), None)
        if first is not None:
            first.forward = self.forward_line(self.meaning_of(first.name))
        asked = {self._answer_name(name): points for name, points in self.exercise.asked.items()}
        return Report(
            self.exercise.id,
            self.seed,
            torch.__version__.split("+")[0],
            self._score(lines, asked),
            sum(asked.values()),
            tuple(name for name in asked if not any(j.name == name for j in lines)),
            tuple(j.report() for j in lines),
            tuple(dict.fromkeys(self.notes)),
        )

    def _answer_name(self, asked: str) -> str:
        return asked if self.exercise[asked].kind == "value" else f"d{asked}"

    def _score(self, lines: list[Judged], asked: Mapping[str, float]) -> float:
        earned = {}
        for name, points_ in asked.items():
            own = [j for j in lines if j.name == name]
            if own and all(j.verdict in ("correct", "follows") or j.judgement.blameless for j in own):
                earned[name] = points_
        for j in lines:
            if j.verdict == "wrong" and j.name not in asked:
                hit = next((other.name for other in lines if other.name in earned and self._stems(other, j, lines)), None)
                if hit is not None:
                    del earned[hit]
        return float(sum(earned.values()))

    def _stems(self, line: Judged, origin: Judged, lines: list[Judged]) -> bool:
        """Whether a line reads another one, directly or through others."""
        reached, todo = set(), [line]
        while todo:
            current = todo.pop()
            for name in current.sources - reached:
                reached.add(name)
                todo += [j for j in lines if j.name == name]
        return bool(reached & {origin.name, origin.helper} - {""})


def _show(shape: Iterable[int]) -> str:
    return str(tuple(shape))


# -- sheets ------------------------------------------------------------------------------------------------------


@dataclass
class SegmentState:
    """What is known of a segment once it is judged."""

    segment: Segment
    judgement: Judgement | None = None
    number: numbers.Literal | None = None


class SheetJudge(Judge):
    def __init__(self, exercise: Exercise, sheet: lang.Sheet, seed: int, lenient: bool):
        sheet = _with_sizes_checked(exercise, sheet)
        super().__init__(exercise, seed, lenient, points(exercise, seed, sheet.sizes or None))
        self.sheet = sheet
        self.outline = Outline(sheet, exercise, self.names)
        self.states = [SegmentState(segment) for segment in self.outline.segments]
        self.worked = worked(exercise)
        self.pins = self._judge_numbers()
        self.runs = self._run(self._pinned)
        self._own_quantities()
        self._corrected: list[Run] | None = None
        self._worked_run: Run | None = None
        self._helper_lines: dict[int, Judged] = {}

    def meaning(self, segment: Segment) -> Meaning:
        return self.meaning_of(segment.name)

    # -- runs ------------------------------------------------------------------------------------------------

    def _run(self, instead: Callable[[Point], dict[tuple[str, int], Tensor]]) -> list[Run]:
        """The sheet at every draw; an exercise of scalars goes through all draws at once where nothing has a shape."""
        replaced = [instead(point) for point in self.points]
        if self.outline.elementwise and len(self.points) > 1 and isinstance(self.points, Points):
            together = {key: torch.stack([each[key] for each in replaced]) for key in replaced[0]}
            run = Run(self.outline, self.points.stack, together).execute()
            if not run.failures:
                return run.split(len(self.points))
        return [Run(self.outline, p, r).execute() for p, r in zip(self.points, replaced, strict=True)]

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
        made = {}
        for state in self.states:
            meaning = self.meaning(state.segment)
            true = self.true(meaning, point) if meaning.kind in JUDGED else None
            if true is not None:
                made[state.segment.name, state.segment.end] = true
        return made

    @property
    def worked_run(self) -> Run | None:
        if self._worked_run is None and self.worked is not None:
            self._worked_run = Run(self.outline, self.worked).execute()
        return self._worked_run

    def value(self, run: Run, segment: Segment) -> Tensor | None:
        return _tensor(run.values.get((segment.name, segment.end)))

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

    # -- numbers -----------------------------------------------------------------------------------------------

    def _judge_numbers(self) -> list[SegmentState]:
        """Lines without a name on the right; returns those that are right at the worked instance."""
        pins = []
        for state in self.states:
            if self.meaning(state.segment).kind not in JUDGED or len(state.segment.touches) != 1:
                continue
            state.number = numbers.literal(state.segment.statement)
            if state.number is None:
                continue
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
        if value.shape == true.shape and bool(((value - true).abs() <= number.slack).all()):
            return Judgement("correct", Sentence("number"), value, true)
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
        if expected is not None and value.shape == expected.shape and self.telling(stop, self.worked):
            if bool(((value - expected).abs() <= slack).all()):
                needed = self._needed(meaning, stop, expected)
                sentence = self._follows_sentence(needed, segment)
                return Judgement("follows", sentence, value, true, reads=frozenset(needed))
        base = Judgement("wrong", Sentence("differs-number", {"given": state.number.text}), value, true)
        if value.shape != true.shape:
            params = {"shape": _show(value.shape), "name": meaning.name, "expected": _show(true.shape)}
            return replace(base, sentence=Sentence("shape", params))
        case = mistakes.Case(value, true if expected is None else expected, self.worked.sizes, state.number.relative)
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
            value, true = self.value(run, state.segment) if run else None, self.worked.true(meaning)
            if value is not None and true is not None and value.shape == true.shape and meaning.name != segment.name:
                stop[meaning.name] = value
        return stop

    # -- one segment ---------------------------------------------------------------------------------------------

    def report(self) -> Report:
        for state in self.states:
            if state.judgement is None or state.number is None:
                state.judgement = self._judge(state)
            if state.judgement is not None:
                self._add(state)
        self._unreadable_lines()
        self._aliases()
        self._remarks()
        self.notes[:0] = self.sheet.notes
        return self.finish()

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
        found = next((s for s in _flat(self.sheet.statements) if s.line == line), default)
        return found.text, found.start

    def _failure(self, segment: Segment) -> Failure | None:
        for run in self.runs:
            if segment.end in run.failures:
                return run.failures[segment.end]
        return None

    def _judge(self, state: SegmentState) -> Judgement | None:
        segment, meaning = state.segment, self.meaning(state.segment)
        failure = self._failure(segment)
        if meaning.kind not in JUDGED:
            return self._failed_helper(segment, failure)
        if isinstance(segment.statement, lang.Unreadable):
            return None  # has its own entry
        if self.true(meaning, self.points[0]) is None:
            return Judgement("unreadable", Sentence("no-gradient", {"name": meaning.of}))
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
        if how == "unknown":
            return Judgement("undecided", Sentence("no-truth"), given[0], blameless=True)
        return self._not_true(segment, meaning, how, given)

    def _right(self, segment: Segment, meaning: Meaning, given: Tensor | None) -> Judgement:
        made = Judgement("correct", Sentence("true", {"what": WHAT[meaning.kind]}), given, given)
        wrong_before = any(s.judgement is not None and s.judgement.verdict != "correct" for s in self.states)
        untrue = self._untrue(segment) if wrong_before else []
        if untrue and self._outcome_corrected(segment, meaning) not in ("equal", "unknown"):
            made.sentence = Sentence("cancelled", {"line": self._line_of(untrue[0], segment)})
        return made

    def _not_true(self, segment: Segment, meaning: Meaning, how: str, given: list[Tensor | None]) -> Judgement:
        untrue = self._untrue(segment)
        stops = [self._stop(run, segment) for run in self.runs]
        if untrue and all(self.telling(stop, point) for stop, point in zip(stops, self.points, strict=True)):
            stale = [name for name in untrue if self._stale(name, segment)]
            sound = self._outcome_corrected(segment, meaning) == "equal" or self.follows(meaning, given, stops, self.points)
            if sound and not stale:
                return Judgement("follows", self._follows_sentence(untrue, segment), given[0], self.true(meaning, self.points[0]))
            if sound:
                params = {"name": stale[0], "line": self._last_line(stale[0])}
                message = Mistake("stale-value", Sentence("stale", params).render({"stale": _STALE}), params)
                return Judgement("wrong", Sentence("stale", params), given[0], self.true(meaning, self.points[0]), mistakes=(message,))
        blamed = self._blamed_helper(segment, meaning)
        if blamed is not None:
            return Judgement("follows", Sentence("follows", {"names": blamed.text.split("=")[0].strip(), "line": blamed.line}),
                             given[0], self.true(meaning, self.points[0]))  # fmt: skip
        return self.wrong(meaning, how, self._cases(meaning, given, stops), given)

    def _cases(self, meaning: Meaning, given: list[Tensor | None], stops: list[dict[str, Tensor]]) -> list[mistakes.Case]:
        """The learner's values beside what R leads to at each draw."""
        made = []
        for value, stop, point in zip(given, stops, self.points, strict=True):
            expected = self.expected(meaning, stop, point)
            if value is not None and expected is not None:
                made.append(mistakes.Case(value, expected, point.sizes, self.tolerance.relative))
        return made

    # -- R: what a line reads --------------------------------------------------------------------------------------

    def _stop(self, run: Run, segment: Segment) -> dict[str, Tensor]:
        """R with the values it had when it was read."""
        made = {}
        for name, unit in segment.sources.items():
            value = _tensor(run.seen.get((name, unit)))
            if value is not None and self.meaning_of(name).kind in ("gradient", "value"):
                made[name] = value
        return made

    def _untrue(self, segment: Segment) -> list[str]:
        """Members of R that are not the true ones (or have no value at all)."""
        found = []
        for name, unit in segment.sources.items():
            meaning = self.meaning_of(name)
            if meaning.kind not in JUDGED:
                continue
            held = [run.seen.get((name, unit)) for run in self.runs]
            if all(value is None for value in held):
                continue  # a given gradient
            given = [_tensor(value) for value in held]
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

    def _line_of(self, name: str, segment: Segment) -> int:
        state, unit = self._before(name, segment), segment.sources.get(name, segment.end)
        changed = [self._line_of_unit(at, by) for other, at, by in self.runs[0].disturbed if other == name and at < unit]
        if state is not None and changed and state.segment.end < unit:
            return max(changed[-1], state.segment.statement.line)
        return state.segment.statement.line if state is not None else segment.statement.line

    def _line_of_unit(self, unit: int, name: str) -> int:
        return next(t.statement.line for t in self.outline.units[unit].touches if t.name == name)

    def _last_line(self, name: str) -> int:
        return [s.segment.statement.line for s in self.states if s.segment.name == name][-1]

    def _follows_sentence(self, names: Iterable[str], segment: Segment) -> Sentence:
        names = list(names)
        lines = [self._line_of(name, segment) for name in names]
        return Sentence("follows", {"names": ", ".join(names), "line": lines[0] if lines else segment.statement.line})

    def _outcome_corrected(self, segment: Segment, meaning: Meaning) -> str:
        given = []
        for run in self.corrected:
            if segment.end in run.failures:
                return "failed"
            given.append(self.value(run, segment))
        return self.outcome(meaning, given)

    # -- lines without a value -------------------------------------------------------------------------------------------

    def _failed(self, segment: Segment, meaning: Meaning, failure: Failure) -> Judgement:
        if failure.kind == "unreadable":
            return Judgement("unreadable", Sentence("unreadable", {"reason": failure.reason}))
        if failure.kind == "cut":
            return Judgement("undecided", Sentence("cut", {"reason": failure.reason}), blameless=True)
        sound = self._outcome_corrected(segment, meaning) == "equal"
        if failure.kind == "torch":
            untrue = self._untrue(segment)
            if untrue and sound:
                return Judgement("follows", self._follows_sentence(untrue, segment))
            return self._torch_refused(segment, meaning, failure)
        cause = self._cause(failure)
        params = {"name": failure.name, "line": failure.line}
        if cause == "torch" and sound:
            return Judgement("follows", self._follows_sentence([failure.name], segment))
        if cause == "torch":
            return Judgement("undecided", Sentence("reads-nothing", params))
        return Judgement("undecided", Sentence("reads-unreadable" if cause == "unreadable" else "reads-nothing", params),
                         blameless=cause == "cut")  # fmt: skip

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
        if failure.repair is not None:
            sentence = Sentence("no-value-repair", {**params, "repair": failure.repair.new})
        true = self.true(meaning, self.points[0]) if meaning.kind in JUDGED else None
        return Judgement("wrong", sentence, None, true, repair=failure.repair, shapes=failure.shapes)

    def _failed_helper(self, segment: Segment, failure: Failure | None) -> Judgement | None:
        """A helper has no entry of its own, unless torch or the language refuses it."""
        if failure is None or isinstance(segment.statement, lang.Unreadable):
            return None
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
        for statement in _flat(self.sheet.statements):
            if isinstance(statement, lang.Unreadable) and (statement.line, statement.column) not in there:
                there.add((statement.line, statement.column))
                self._refused(statement.line, statement.column, statement, statement.reason, statement.target)
        for unit, failure in sorted(self.runs[0].failures.items()):
            if failure.kind == "unreadable" and (failure.line, failure.column) not in there:
                there.add((failure.line, failure.column))
                statement = self.outline.units[unit].statement
                touches = self.outline.units[unit].touches
                name = touches[0].name if touches else None
                self._refused(failure.line, failure.column, statement, failure.reason, name)

    def _refused(self, line: int, column: int, statement: lang.Statement, reason: str, target: str | None) -> None:
        name = ""
        if target:
            target = "d" + target.removesuffix(".grad") if target.endswith(".grad") else target
            name = self.names.meaning(target).name
        text, start = self._text_at(line, statement)
        judgement = Judgement("unreadable", Sentence("unreadable", {"reason": reason}))
        self.judged.append(Judged(name, line, column, text, judgement, start=start))

    # -- helpers that are gradients in disguise ------------------------------------------------------------------------------

    def _blamed_helper(self, segment: Segment, meaning: Meaning) -> Judged | None:
        """An earlier helper that is a gradient with one known mistake, without which this line is right."""
        for helper in sorted(segment.helpers, key=lambda h: segment.helpers[h]):
            state = self._helper_state(helper, segment.helpers[helper])
            if state is None:
                continue
            known = self._helper_lines.get(id(state.segment))
            for candidate in [known.name] if known else self._lookalikes(state.segment):
                if self._right_with(segment, meaning, state.segment, candidate):
                    return known or self._blame(state.segment, candidate)
        return None

    def _helper_state(self, helper: str, unit: int) -> SegmentState | None:
        found = [s for s in self.states if s.segment.name == helper and s.segment.end <= unit]
        return found[-1] if found and self.names.meaning(helper).kind == "helper" else None

    def _lookalikes(self, helper: Segment) -> Iterator[str]:
        """Gradients that the helper equals but for one known mistake."""
        given = [self.value(run, helper) for run in self.runs]
        own = {state.segment.name for state in self.states}
        if f"d{helper.name}" in self.extra:
            return  # a forward quantity of the learner's
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
            cases.append(mistakes.Case(value, true, point.sizes))
        meaning = self.names.meaning(name)
        return mistakes.find(mistakes.Fault(self.exercise, name, meaning.of, "gradient", cases))

    def _right_with(self, segment: Segment, meaning: Meaning, helper: Segment, candidate: str) -> bool:
        """Whether the line is right once the helper is the true gradient."""
        for point in self.points:
            instead = {**self._truths(point), (helper.name, helper.end): point.gradients[candidate]}
            run = Run(self.outline, point, instead).execute()
            if segment.end in run.failures or self._same(meaning, self.value(run, segment), point) not in ("equal", "unknown"):
                return False
        return True

    def _blame(self, helper: Segment, name: str) -> Judged:
        meaning = self.names.meaning(name)
        given = [self.value(run, helper) for run in self.runs]
        cases = self._cases(meaning, given, [{} for _ in self.points])
        judgement = self.wrong(meaning, "different", cases, given)
        statement = helper.statement
        made = Judged(name, statement.line, statement.column, statement.text, judgement, frozenset(helper.sources), statement.start, helper=helper.name)
        self._helper_lines[id(helper)] = made
        self.judged.append(made)
        return made

    # -- aliasing and remarks ---------------------------------------------------------------------------------------------------

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
        before, after = (
            _tensor(self.runs[0].values.get((meaning.name, at))) for at in (last[-1].segment.end, unit)
        )
        if before is None or after is None or torch.equal(before, after):
            return
        seen.add(meaning.name)
        sentence = Sentence("aliasing", params)
        mistake = Mistake("aliasing", sentence.render({"aliasing": _ALIASING}), params)
        judgement = Judgement("wrong", sentence, after, self.true(meaning, self.points[0]), mistakes=(mistake,))
        self.judged.append(Judged(meaning.name, statement.line, statement.column, statement.text, judgement))

    def _remarks(self) -> None:
        """Helpers that look like a misspelt gradient, and forward values that were changed on the way."""
        wanted = {self._answer_name(name) for name in self.exercise.asked}
        given = {j.name for j in self.judged}
        for state in self.states:
            segment, meaning = state.segment, self.meaning(state.segment)
            line = segment.statement.line
            if meaning.kind == "helper":
                close = next((w for w in wanted - given if w.lower() == segment.name.lower()), None)
                if close is not None:
                    self.notes.append(Sentence("typo", {"line": line, "name": segment.name, "meant": close}).render(NOTES))
            elif meaning.kind == "forward" and self.exercise[meaning.name].kind != "parameter":
                self._remark_on_forward(segment, meaning, line)

    def _remark_on_forward(self, segment: Segment, meaning: Meaning, line: int) -> None:
        value = self.value(self.runs[0], segment)
        true = self.points[0].values[meaning.name]
        if value is not None and (value.shape != true.shape or not torch.allclose(value, true.to(value.dtype), rtol=1e-9, atol=1e-12)):
            self.notes.append(Sentence("forward", {"line": line, "name": meaning.name}).render(NOTES))


def _with_sizes_checked(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """The sheet, with sizes that cannot be pinned as an unreadable line."""
    if not sheet.sizes:
        return sheet
    try:
        sizes = checked_sizes(exercise, sheet.sizes, 0)
        entries = sum(math.prod(number(extent, sizes) for extent in q.shape) for q in exercise)
        if entries <= library.MAX_TENSOR:
            return sheet
        reason = f"these sizes make {entries} entries; at most {library.MAX_TENSOR} are computed"
    except UsageError as error:
        reason = str(error)
    line = sheet.sizes_line
    refused = lang.Unreadable(line, 1, f"# sizes: {', '.join(f'{k}={v}' for k, v in sheet.sizes.items())}", 1, reason)
    return replace(sheet, statements=[refused, *sheet.statements], sizes={})


_STALE = "{name} is read before its last update on line {line}"
_ALIASING = "{changed} is the same tensor as {name}: write {changed} = {name}.clone()"


def _tensor(value: Any) -> Tensor | None:
    """A variable's value as float64, or None where it has none."""
    if isinstance(value, Tensor):
        return value if value.dtype is torch.float64 else value.to(torch.float64)
    if isinstance(value, (int, float)):
        return torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, tuple):
        try:
            return library.array(value).to(torch.float64)
        except (library.Refusal, library.TorchRefuses):
            return None
    return None


def _fitted(value: Tensor, true: Tensor | None) -> Tensor:
    """A number stands for a scalar of shape (1,) too."""
    if true is not None and value.numel() == 1 and true.numel() == 1:
        return value.reshape(true.shape)
    return value


def _flat(statements: Iterable[lang.Statement]) -> Iterator[lang.Statement]:
    for statement in statements:
        yield statement
        if isinstance(statement, lang.Loop):
            yield from _flat(statement.body)


# -- tensors and functions ------------------------------------------------------------------------------------------------------


class ValueJudge(Judge):
    """Tensors without a text: R is every earlier gradient, in the order of the backward pass."""

    def __init__(self, exercise: Exercise, answers: list[Mapping[str, Any]], draws: list[Point], seed: int, lenient: bool):
        given = [_answers(exercise, answer) for answer in answers]
        single = any(isinstance(v, Tensor) and v.dtype in (torch.float32, torch.float16, torch.bfloat16)
                     for answer in given for v in answer.values())  # fmt: skip
        super().__init__(exercise, seed, lenient, draws, SINGLE if single else DOUBLE)
        self.given = given

    def report(self) -> Report:
        order = {name: n for n, name in enumerate(self.points[0].gradients)}
        stops: list[dict[str, Tensor]] = [{} for _ in self.points]
        for name in sorted(self.given[0], key=lambda n: order.get(n, len(order))):
            meaning = self.names.meaning(name)
            given = [_detached(answer.get(name)) for answer in self.given]
            judgement = self._judge(meaning, given, stops)
            self.judged.append(Judged(name, 0, 0, name, judgement, frozenset(stops[0])))
            if judgement.verdict in ("wrong", "follows"):
                for stop, value in zip(stops, given, strict=True):
                    if value is not None:
                        stop[name] = value
        return self.finish()

    def _judge(self, meaning: Meaning, given: list[Tensor | None], stops: list[dict[str, Tensor]]) -> Judgement:
        if meaning.kind not in JUDGED or self.true(meaning, self.points[0]) is None:
            return Judgement("unreadable", Sentence("no-gradient", {"name": meaning.of or meaning.name}))
        if any(value is None for value in given):
            return Judgement("unreadable", Sentence("unreadable", {"reason": f"{meaning.name} is not a tensor"}))
        how = self.outcome(meaning, given)
        if how == "equal":
            return Judgement("correct", Sentence("true", {"what": WHAT[meaning.kind]}), given[0], given[0])
        if how == "unknown":
            return Judgement("undecided", Sentence("no-truth"), given[0], blameless=True)
        telling = all(self.telling(stop, point) for stop, point in zip(stops, self.points, strict=True))
        if any(stops) and telling and self.follows(meaning, given, stops, self.points):
            names = ", ".join(stops[0])
            return Judgement("follows", Sentence("follows", {"names": names, "line": 0}), given[0], self.true(meaning, self.points[0]))
        cases = []
        for value, stop, point in zip(given, stops, self.points, strict=True):
            expected = self.expected(meaning, stop, point)
            if value is not None and expected is not None:
                cases.append(mistakes.Case(value, expected, point.sizes, self.tolerance.relative))
        return self.wrong(meaning, how, cases, given)


def _answers(exercise: Exercise, answer: Mapping[str, Any]) -> dict[str, Any]:
    """{"W": ..} and {"dW": ..} both name the gradient with respect to W."""
    names: Names = exercise._cached("names", lambda: Names(exercise))
    made = {}
    for name, value in answer.items():
        meaning = names.meaning(str(name))
        if meaning.kind == "helper":
            raise UsageError(f"{name} is not a gradient of {exercise.id}: it has {', '.join(exercise.quantities)}")
        made[f"d{name}" if meaning.kind == "forward" else meaning.name] = value
    return made


def _detached(value: Any) -> Tensor | None:
    return _tensor(value.detach().cpu() if isinstance(value, Tensor) else value)


def _check_values(
    exercise: Exercise, answers: list[Mapping[str, Any]], draws: list[Point], seed: int, lenient: bool
) -> Report:
    return ValueJudge(exercise, answers, draws, seed, lenient).report()


def _check_function(exercise: Exercise, function: Callable[..., Any], seed: int, lenient: bool) -> Report:
    """A function of the instance that returns {"W": dW, ...}; trusted code, run here."""
    draws = points(exercise, seed)
    run = _as_function(exercise, function)
    answers = []
    for point in draws:
        made = run(point.instance)
        if not isinstance(made, Mapping):
            raise UsageError(f'the function returns {type(made).__name__}: return {{"W": dW, ...}}')
        answers.append(made)
    return _check_values(exercise, answers, draws, seed, lenient)


def _as_function(exercise: Exercise, function: Any) -> Callable[[Any], Mapping[str, Any]]:
    """`torch.autograd.Function` classes are applied to the leaves, in the order of their definition."""
    if not (isinstance(function, type) and issubclass(function, torch.autograd.Function)):
        return function

    def backward(t: Any) -> dict[str, Any]:
        with torch.enable_grad():
            leaves = {
                q.name: t[q.name].detach().clone().requires_grad_(q.differentiable and t[q.name].is_floating_point())
                for q in exercise.leaves
            }
            made = function.apply(*leaves.values())
            outputs = made if isinstance(made, tuple) else (made,)
            upstream = [None if q.kind == "loss" else t[f"d{q.name}"] for q in exercise.ends]
            wanted = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
            found = torch.autograd.grad(outputs, tuple(wanted.values()), upstream, allow_unused=True)
        return {name: torch.zeros_like(wanted[name]) if g is None else g for name, g in zip(wanted, found, strict=True)}

    return backward


__all__ = ["check", "check_sheet", "check_tensors", "read_answer"]
