"""A sheet's lines, judged one after the other: right, wrong here, sound given what came before, or not readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf, isnan

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import further, mistakes, numbers, remarks
from tutor.checking.blame import Blame
from tutor.checking.interpret import EXCUSED, Failure, Run, Unsure
from tutor.checking.judge import (
    JUDGED,
    WHAT,
    Judged,
    Judgement,
    as_tensor,
    cut,
    right_values,
    spread,
    unreadable,
    without_finite_truth,
)
from tutor.checking.misnamed import misnamed, perhaps_misnamed
from tutor.checking.outline import Meaning, Segment, all_parts
from tutor.checking.overwritten import overwritten
from tutor.checking.pins import Pins
from tutor.checking.precision import RUNS, Doubt
from tutor.checking.report import NOTES, Mistake, Repair, Report, Sentence
from tutor.checking.sheet_runs import MANY_LINES, MANY_STEPS, SegmentState
from tutor.checking.sources import Sources
from tutor.checking.truth import Point
from tutor.exercise import Exercise
from tutor.language import said
from tutor.numeric import compare
from tutor.shown import shown_shape

RIGHT = ("equal", "unknown")
MANY_CASES = 6
MANY_SEARCHED = 2_000  # edits that are tried on all wrong lines together
FEWER_SEARCHED = 300  # the same for a sheet of many lines: each of them costs as well
MANY_MISTAKES = 30  # wrong lines whose causes are looked for
MANY_MEANT = 10  # wrong local derivatives of which it is asked which of two they are meant to be
FURTHER = 100  # what is asked last costs as much there as so many edits


class SheetJudge(Sources):
    """Judges the lines of a sheet: runs it at every draw, then decides quantity by quantity, in the sheet's order."""

    def __init__(
        self,
        exercise: Exercise,
        sheet: lang.Sheet,
        seed: int,
        lenient: bool = False,
        repairs: bool = True,
        fixed: Mapping[str, int] | None = None,
    ):
        """`fixed`: for grading, the pinned sizes that are given with the question, and no choice of the sheet's."""
        super().__init__(exercise, sheet, seed, lenient)
        self.repairs, self.fixed = repairs, fixed
        self.own_shaped: set[str] = set()  # right in the shape of a step that the sheet computes anew
        self.doubt = Doubt(exercise, self.outline, self.pinned, dear=self.cost * RUNS > MANY_STEPS)
        self.blame = Blame(self)
        self.diagnosed = self.searched = self.meant = 0
        self._kinked: set[str] = set()  # gradients that are other subgradients than torch's
        self.passed_over = False  # a wrong line whose cause was not looked for

    def report(self) -> Report:
        self._misnamed()
        for state in self.states:
            if state.judgement is None or state.number is None:
                state.judgement = self._judge(state)
                self.repair(state.segment, state.judgement)
                if state.number is not None and self.worked is not None and state.judgement is not None:
                    state.judgement.repair = numbers.of_numbers(state.judgement.repair)
            if state.judgement is not None:
                self._add(state)
        self._unreadable_lines()
        remarks.aliases(self)
        remarks.names(self)
        if self.passed_over:
            self.notes.append(Sentence("many").render(NOTES))
        self.notes[:0] = self.sheet.notes
        Pins(self, self.fixed or {}, self._judged_at).remark(withheld=self.fixed is not None)
        return self.finish()

    def _misnamed(self) -> None:
        for id, found in (("misnamed", misnamed), ("misnamed-perhaps", perhaps_misnamed)):
            for segment, meant in list(found(self)):
                params = {"line": segment.statement.line, "name": segment.name, "of": self.meaning(segment).of}
                params |= {"other": meant.of, "meant": meant.name}
                self.notes.append(Sentence(id, params).render(NOTES))
                if id == "misnamed":
                    self.take_as(segment.name, meant)

    def _judged_at(self, sizes: dict[str, int]) -> list[Judged]:
        """The lines as they are judged where other sizes are pinned."""
        sheet = replace(self.sheet, sizes=sizes)
        other = SheetJudge(self.exercise, sheet, self.seed, self.lenient, repairs=False, fixed=sizes)
        other.report()
        return other.judged

    def repair(self, segment: Segment, judgement: Judgement | None, meaning: Meaning | None = None) -> None:
        """The smallest edit that makes a wrong line right, where there is one."""
        if not self.repairs or judgement is None or judgement.verdict != "wrong":
            return
        if judgement.sentence.id in (
            "stale",
            "aliasing-before",
            "vain-zero",
            "vain-infinite",
            "differs-number",
            "upstream",
        ):
            return  # the line is right but for what it reads, or is a number, or should not be there
        failure = self.failure(segment)
        most = MANY_SEARCHED if len(self.states) <= MANY_LINES else FEWER_SEARCHED
        if self.searched > most or self.diagnosed > MANY_MISTAKES:
            self.passed_over = True
            return
        number = next((state.number for state in self.states if state.segment is segment), None)
        if number is not None and judgement.sentence.id == "shape":
            told = tuple(_right_but_for_its_shape(self.meaning(segment), judgement, number.slack))
            judgement.mistakes = told or tuple(m for m in judgement.mistakes if m.id == "wrong-shape")
            return  # it reads nothing, and that is not what is wrong
        from tutor.checking.repairs import read_by, repair

        sought = self.blame.at_a_helper(segment, repair(self, segment, meaning), meaning)
        found = sought.repair
        self.searched += sought.cost
        judgement.helper = self.blame.mend(segment, sought)
        if failure is None and not judgement.mistakes:
            name = self.meaning(segment).name if meaning is None else meaning.name
            judgement.mistakes = tuple(further.gone_on(self.exercise, name, self.values_of(segment), self.points))
            if judgement.mistakes and found is not None and found.new:
                return  # only what takes the derivative out again says the same
        if found is not None:
            judgement.repair = found
            if not judgement.mistakes:
                judgement.mistakes = tuple(further.of_repair(found))
        elif failure is not None and judgement.repair is not None and judgement.repair.new.endswith(".T"):
            # what makes the shapes fit does not make the line right
            judgement.repair = None
            judgement.sentence = Sentence("no-value", {"error": judgement.sentence.params["error"]})
        elif not judgement.mistakes and failure is None:
            name = self.meaning(segment).name if meaning is None else meaning.name
            given = self.values_of(segment)
            reads = read_by(self, segment)
            redefined = any(self.meaning(state.segment).kind == "forward" for state in self.states)
            if not redefined:  # else a name does not hang on what it hangs on in the exercise
                self.searched += FURTHER if len(self.states) > MANY_LINES else 0
                judgement.mistakes = tuple(further.find(self.exercise, name, given, self.points, reads))
        if found is not None and found.line is None and failure is not None and found.new:
            params = {**judgement.sentence.params, "repair": found.new}
            judgement.sentence = Sentence("no-value-repair", params)

    def _add(self, state: SegmentState) -> None:
        segment, judgement = state.segment, state.judgement
        assert judgement is not None
        failure = self.failure(segment)
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

    def _judge(self, state: SegmentState) -> Judgement | None:
        try:
            return self._judged(state)
        except Unsure as unsure:
            return cut(unsure.reason)

    def _judged(self, state: SegmentState) -> Judgement | None:
        segment, meaning = state.segment, self.meaning(state.segment)
        failure = self.failure(segment)
        if meaning.kind not in JUDGED:
            return self._failed_helper(segment, failure)
        if isinstance(segment.statement, lang.Unreadable):
            return None  # has its own entry
        if self.true(meaning, self.points[0]) is None:
            return self.without_truth(meaning)
        if failure is not None:
            return self._failed(segment, meaning, failure)
        given = self.values_of(segment)
        if segment.looped and any(
            v is not None and (t := self.true(meaning, p)) is not None and v.shape != t.shape
            for v, p in zip(given, self.points, strict=True)
        ):
            if meaning.of in self.exercise.asked:
                self._note_own_form(segment, meaning, given[0])
            return None  # one round's value of a loop: a helper
        if not given.whole:
            return unreadable(said("{name} is given no tensor", name=meaning.name))
        if state.number is not None and self.worked is not None:
            return numbers.wrong(self, segment, meaning, state.number, self.worked, self._count_diagnosis())
        how = self.outcome_of(segment, meaning)
        if how == "equal":
            return self._right(segment, meaning, given)
        if meaning.kind == "local" and how == "shape" and self._own_form(segment, meaning, given):
            return None
        if how == "unknown":
            return without_finite_truth(given[0])
        told = self._of_an_own_value(segment, meaning, how, given) or self._changed_through_view(segment, meaning)
        if told is not None:
            return told
        if meaning.kind == "local":
            meaning = self._meant_local(segment, meaning, given[0])
        return self._not_true(segment, meaning, how, given)

    def _right(self, segment: Segment, meaning: Meaning, given: Sequence[Tensor | None]) -> Judgement:
        made = self._on_kinks(segment, meaning) or self.correct(meaning, given)
        if meaning.kind == "local" and self.is_diagonal(meaning, given):
            made.sentence = Sentence("diagonal", {"name": meaning.name})
        wrong_before = any(s.judgement is not None and s.judgement.verdict != "correct" for s in self.states)
        untrue = (
            [name for name in self.untrue(segment) if not self._is_no_mistake(name, segment)] if wrong_before else []
        )
        if untrue and self.outcome_corrected(segment, meaning) not in ("equal", "unknown"):
            made.sentence = Sentence("cancelled", {"line": self.first_wrong(segment, self.line_of(untrue[0], segment))})
        return made

    def _is_no_mistake(self, name: str, segment: Segment) -> bool:
        """Whether an earlier gradient has the right values in another shape, or is that of another step: what uses it
        as it is makes no mistake."""
        state = self.before(name, segment)
        told = None if state is None else state.judgement
        if told is None or name in self.own_shaped:
            return name in self.own_shaped
        return told.sentence.id == "of-an-own-value" or any(mistake.id == "wrong-shape" for mistake in told.mistakes)

    def _of_an_own_value(
        self, segment: Segment, meaning: Meaning, how: str, given: Sequence[Tensor | None]
    ) -> Judgement | None:
        """The gradient of a step that the sheet computes anew: right in the shape that the step has there.

        Where the step has another value, as `e = exp(z - m)` for `exp(z)`, its gradient is another one than ours: it is
        not held against a sheet in which a later line is right with it.
        """
        anew = self._computed_anew(segment, meaning)
        if anew is None:
            return None
        if not self._has_another_value(anew):
            pairs = zip(given, self.values_of(anew.segment), self.points, strict=True)
            if how == "shape" and all(self._fits(meaning, value, own, point) for value, own, point in pairs):
                self.own_shaped.add(segment.name)
                return self.correct(meaning, given)
        elif meaning.name not in self.exercise.worth and self._serves(segment):
            params = {"name": meaning.of, "line": anew.segment.statement.line}
            return self.at_first("undecided", Sentence("of-an-own-value", params), meaning, given)
        return None

    def _computed_anew(self, segment: Segment, meaning: Meaning) -> SegmentState | None:
        """Where the sheet gives the step before, of which a line gives the gradient."""
        quantity = self.exercise.quantities.get(meaning.of) if meaning.kind == "gradient" else None
        if quantity is None or quantity.is_leaf:
            return None
        states = [s for s in self.states_of(meaning.of) if s.segment.end < segment.units[0]]
        return states[-1] if states and states[-1] not in self.pins else None

    def _has_another_value(self, anew: SegmentState) -> bool:
        for own, point in zip(self.values_of(anew.segment), self.points, strict=True):
            before = point.values[anew.segment.name]
            if own is None or own.numel() != before.numel():
                return True
            if not compare.alike(own.reshape(before.shape), before):
                return True
        return False

    def _fits(self, meaning: Meaning, value: Tensor | None, own: Tensor | None, point: Point) -> bool:
        """Whether a gradient is right in the shape of the sheet's own step."""
        true = self.true(meaning, point)
        if value is None or own is None or true is None or value.shape != own.shape or own.numel() != true.numel():
            return False
        return self.same(meaning, value.reshape(true.shape), point) in RIGHT

    def _serves(self, segment: Segment) -> bool:
        """Whether a later line that reads a gradient of an own step is right, directly or through other such ones."""
        for state in self.states:
            reader, meaning = state.segment, self.meaning(state.segment)
            before = self.before(segment.name, reader) if segment.name in reader.sources else None
            if before is None or before.segment is not segment or reader.end <= segment.end:
                continue
            if self.outcome_of(reader, meaning) == "equal":
                return True
            anew = self._computed_anew(reader, meaning)
            if anew is not None and self._has_another_value(anew) and self._serves(reader):
                return True
        return False

    def _changed_through_view(self, segment: Segment, meaning: Meaning) -> Judgement | None:
        """A gradient that was right until a line changed a view of it."""
        units = [(unit, self.outline.units[unit].touches) for unit in segment.units]
        views = {unit: t.through for unit, touches in units for t in touches if t.name == segment.name and t.through}
        was_right = False
        for unit in segment.units if views else ():
            right = self.outcome(meaning, self.runs.drawn((segment.name, unit))) == "equal"
            if was_right and not right:
                if unit not in views:
                    return None
                copy = remarks.copy_of(self.outline, meaning.name, views[unit])
                sentence = Sentence("aliasing", {"name": meaning.name, "changed": views[unit], "copy": copy})
                given = self.values_of(segment)
                return self.at_first("wrong", sentence, meaning, given, mistakes=(sentence.as_mistake("aliasing"),))
            was_right = right
        return None

    def _own_form(self, segment: Segment, meaning: Meaning, given: Sequence[Tensor | None]) -> bool:
        """A local derivative in no form of ours is a helper: what is computed with it tells whether it is right."""
        true, value = self.true(meaning, self.points[0]), given[0]
        assert true is not None and value is not None
        if any(spread(value, form) is not None for form in self.forms(meaning, self.points[0])):
            return False
        self.helping.add(segment.name)
        self._note_own_form(segment, meaning, value)
        return True

    def _note_own_form(self, segment: Segment, meaning: Meaning, value: Tensor | None) -> None:
        true = self.true(meaning, self.points[0])
        if value is not None and true is not None:
            params = {"line": segment.statement.line, "name": meaning.name, "shape": shown_shape(value.shape)}
            self.notes.append(Sentence("own-form", {**params, "expected": shown_shape(true.shape)}).render(NOTES))

    def _meant_local(self, segment: Segment, meaning: Meaning, given: Tensor | None) -> Meaning:
        """Which of the two a local derivative is meant to be, that is neither, from here on.

        The one that it is a multiple of; else the one with which more of what reads it is right; else the nearer one.
        """
        direct, total = (replace(meaning, total=each) for each in (False, True))
        if given is None or self.true(total, self.points[0]) is None:
            return meaning
        right = self._right_with(segment, direct, total)
        liking = {}
        for each in (direct, total):
            multiple, gap = self._likeness(each, given)
            liking[each] = not multiple, -right[each], gap
        chosen = min(liking, key=lambda each: liking[each])
        self.take_as(segment.name, chosen)
        return chosen

    def _right_with(self, segment: Segment, *readings: Meaning) -> dict[Meaning, int]:
        """How many of the lines that read a local derivative are right with it, for each of its readings."""
        states = (s.segment for s in self.states if segment.name in s.segment.sources and s.segment is not segment)
        readers = [each for each in states if (state := self.before(segment.name, each)) and state.segment is segment]
        right = dict.fromkeys(readings, 0)
        if readers and self._afford_meaning():
            for each in readings:
                self.take_as(segment.name, each)
                right[each] = sum(self.outcome_corrected(line, self.meaning(line)) == "equal" for line in readers)
        return right

    def _afford_meaning(self) -> bool:
        """Whether the sheet may be run for all draws twice more; it is counted."""
        self.meant += 1
        return self.meant * self.cost <= MANY_STEPS // 8 and self.meant <= MANY_MEANT

    def _likeness(self, meaning: Meaning, given: Tensor) -> tuple[bool, float]:
        """Of a value to the form of a local derivative that has its shape: whether it is a multiple, and the gap."""
        forms = [form for form in self.forms_of(meaning, self.points[0]) if form.shape == given.shape]
        gaps = (float((given - form).norm()) for form in forms)
        multiple = any(compare.ratio(given, form) is not None for form in forms)
        return multiple, min((gap for gap in gaps if not isnan(gap)), default=inf)

    def _on_kinks(self, segment: Segment, meaning: Meaning) -> Judgement | None:
        """A line that is true off the kinks, where it is not torch's on them: any subgradient is right.

        What reads another subgradient is one too, and has its remark already.
        """
        kinked, run = self.points.kinked, self.kink_run
        if run is None or kinked is None or any(name in self._kinked for name in segment.sources):
            return None
        given = self.value(run, segment)
        if given is None or segment.end in run.failures:
            return None
        if self.same(meaning, given, kinked) in ("equal", "unknown", "shape"):
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

    def _not_true(self, segment: Segment, meaning: Meaning, how: str, given: Sequence[Tensor | None]) -> Judgement:
        untrue = self.untrue(segment)
        doubtful = None
        if how != "shape" and not any(self.is_wrong(name, segment) for name in untrue):
            doubtful = self._rounded(segment, meaning, given)
        if doubtful is not None:
            return doubtful
        telling = self.telling_draws(segment) if untrue else []
        if telling:
            stale = [name for name in untrue if self.stale(name, segment)]
            sound = self.outcome_corrected(segment, meaning) == "equal" or self.leads_to(
                segment, meaning, given, untrue, telling
            )
            unfinished = [name for name in untrue if self.unfinished(name, segment)]
            if sound and unfinished:
                params = {"name": unfinished[0], "line": self.last_line(unfinished[0])}
                return Judgement("undecided", Sentence("reads-unreadable", params), given[0])
            if sound and not stale:
                return self.at_first("follows", self.follows_sentence(untrue, segment), meaning, given)
            if sound:
                sentence = Sentence("stale", {"name": stale[0], "line": self.last_line(stale[0])})
                return self.at_first("wrong", sentence, meaning, given, mistakes=(sentence.as_mistake("stale-value"),))
        blamed = self.blame.before(segment) or self.blame.mended(segment) or self.blame.helper(segment)
        if blamed is not None:
            sentence = Sentence("follows", {"names": blamed.name, "line": blamed.line})
            return self.at_first("follows", sentence, meaning, given)
        if untrue and not telling and self.outcome_corrected(segment, meaning) == "equal":
            return self.at_first("wrong", self.vain_sentence(untrue, segment, WHAT[meaning.kind]), meaning, given)
        later = self.read_later(segment)
        if later and self.outcome_corrected(segment, meaning) == "equal":
            sentence = Sentence("follows", {"names": ", ".join(later), "line": max(later.values())})
            return self.at_first("follows", sentence, meaning, given)
        changed = self.changed(segment)
        if changed and self._follows_changed(meaning, given, self.stops(segment), changed):
            line = max(self.outline.units[unit].statement.line for unit in changed.values())
            sentence = Sentence("follows", {"names": ", ".join(changed), "line": line})
            return self.at_first("follows", sentence, meaning, given)
        aliased = self.read_changed(segment)
        if aliased is not None:
            found = dict(zip(("name", "line", "changed"), aliased, strict=True))
            if self._is_blamed(aliased[2], segment):  # the line that changed both is wrong already
                sentence = Sentence("follows", {"names": found["changed"], "line": found["line"]})
                return self.at_first("follows", sentence, meaning, given)
            copy = remarks.copy_of(self.outline, aliased[0], aliased[2])
            sentence = Sentence("aliasing-before", {**found, "copy": copy})
            return self.at_first("wrong", sentence, meaning, given, mistakes=(sentence.as_mistake("aliasing"),))
        written = self._whole_numbers(segment)
        made = self.wrong(meaning, how, self.cases(meaning, given, segment, bool(untrue)), given, written)
        if segment.looped and not made.mistakes and self.searched <= MANY_SEARCHED:
            self.searched += FURTHER
            made.mistakes = tuple(overwritten(self, segment, meaning))
        if made.sentence.id == "elsewhere" and self._has_sizes_as_numbers(segment):
            made.sentence = Sentence("coincides", made.sentence.params)
            made.mistakes = ()  # that a size stands there as a number says it all
        return made

    def _is_blamed(self, name: str, segment: Segment) -> bool:
        """Whether the last line for a name before this one is wrong."""
        states = [s for s in self.states_of(name) if s.segment.end < segment.end]
        told = states[-1].judgement if states else None
        return told is not None and told.verdict == "wrong"

    def _follows_changed(
        self, meaning: Meaning, given: Sequence[Tensor | None], stops: list[dict[str, Tensor]], changed: dict[str, int]
    ) -> bool:
        """Whether walking back with forward values as they were changed gives the learner's values."""

        def expected(stop: dict[str, Tensor], run: Run, point: Point) -> Tensor | None:
            held = {name: as_tensor(run.values.get((name, unit))) for name, unit in changed.items()}
            known = {name: tensor for name, tensor in held.items() if tensor is not None}
            if known.keys() != changed.keys():
                return None
            return point.walk(self.fitting(stop, point, but=meaning.name), known).get(meaning.name)

        draws = zip(given, stops, self.runs, self.points, strict=True)
        led = ((value, expected(stop, run, at), at) for value, stop, run, at in draws if not at.on_kinks)
        return self._agree(meaning, led)

    def _has_sizes_as_numbers(self, segment: Segment) -> bool:
        """Whether a number stands in its lines that is a size at the first draw."""
        sizes = set(self.points[0].sizes.values())
        nodes = (n for touch in segment.touches for part in all_parts(touch.statement) for n in lang.walk(part))
        return any(isinstance(node, lang.Number) and node.value in sizes for node in nodes)

    def _whole_numbers(self, segment: Segment) -> frozenset[int]:
        """Those that multiply or divide in its lines."""
        nodes = (n for touch in segment.touches for part in all_parts(touch.statement) for n in lang.walk(part))
        sides = (s for n in nodes if isinstance(n, lang.Binary) and n.op in "*/" for s in (n.left, n.right))
        found = {int(s.value) for s in sides if isinstance(s, lang.Number) and s.value == s.value // 1}
        return frozenset(n for n in found if n > 1)

    def _rounded(self, segment: Segment, meaning: Meaning, given: Sequence[Tensor | None]) -> Judgement | None:
        """Overflow and cancellation are no mistakes: right at more digits, or undecided; else None."""
        key = (segment.name, segment.end)
        if self.cost > MANY_STEPS:
            return None
        strayed = False  # nothing but more digits can tell
        doubtful: list[tuple[Tensor, Tensor, float, Point]] = []
        equal: list[tuple[Tensor, Tensor, float, Point]] = []
        for value, point in zip(given, self.points, strict=True):
            true = self.true(meaning, point)
            if value is None or true is None:
                return None
            terms = point.scale(meaning)
            scale = 0.0 if terms is None or not terms.numel() else float(terms.abs().max())
            same_here = self.same(meaning, value, point)
            if same_here in ("equal", "unknown"):
                equal += [(value, true, scale, point)] if same_here == "equal" else []
                continue
            enough = doubtful and self.doubt.spent  # one draw has to do then, and more digits decide
            if not enough and not self.doubt.explains(key, value, true, point):
                if not self.doubt.lost_the_digits(key, point):
                    return None
                strayed = True
            doubtful.append((value, true, scale, point))
        known = meaning.kind in ("gradient", "value") and meaning.name not in self.extra and not self.pins
        same = self.doubt.decided(key, doubtful) if known else None
        if same is None and known and equal and self.doubt.too_large(key, doubtful):
            same = self.doubt.decided(key, equal)
        if same is False or (same is None and strayed):
            return None
        if same is None:
            return self.at_first("undecided", Sentence("rounding"), meaning, given, blameless=True)
        what, name = WHAT[meaning.kind], self.unstable_before(segment)
        if name is not None:  # said once
            sentence = Sentence("unstable-before", {"what": what, "name": name, "line": self.line_of(name, segment)})
            return self.at_first("correct", sentence, meaning, given)
        sentence = Sentence("unstable", {"what": what})
        return self.at_first("correct", sentence, meaning, given, mistakes=(Mistake("unstable", _UNSTABLE),))

    def cases(
        self, meaning: Meaning, given: Sequence[Tensor | None], segment: Segment | None = None, untrue: bool = False
    ) -> Sequence[mistakes.Case]:
        """The learner's values beside what R leads to, at draws enough to tell one cause from another.

        R is what a segment reads, where one is given; `untrue` if some of it is not true. The last draws are those
        beside kinks and the worked instance.
        """
        if not self._count_diagnosis():
            return []
        plain = meaning.name in self.extra  # the learner's own quantity has no step of ours to spoil

        def made() -> Iterator[mistakes.Case]:
            places = range(len(self.points))
            for n in places if len(places) <= MANY_CASES else (*places[: MANY_CASES - 2], *places[-2:]):
                value, point = given[n], self.points[n]
                stop = {} if segment is None else self.stop(self.runs[n], segment)
                expected = self.expected(meaning, stop, point) if untrue else self.true(meaning, point)
                if value is not None and expected is not None:
                    # R that is true leads to the truth; its rounding is what a sum that comes to 0 consists of
                    walked = self.walked(stop, point) if untrue else {**point.gradients, **self.fitting(stop, point)}
                    known = None if plain else {**point.values, **walked}
                    yield mistakes.Case(value, expected, point.sizes, self.tolerance.relative, known)

        return mistakes.Cases(made())

    def _count_diagnosis(self) -> bool:
        """Whether the cause of one more wrong line is looked for."""
        self.diagnosed += 1
        self.passed_over = self.passed_over or self.diagnosed > MANY_MISTAKES
        return self.diagnosed <= MANY_MISTAKES

    # -- lines without a value ------------------------------------------------------------

    def _failed(self, segment: Segment, meaning: Meaning, failure: Failure) -> Judgement:
        if failure.kind == "unreadable":
            return unreadable(failure.reason)
        if failure.kind in EXCUSED:
            return cut(failure.reason)
        if failure.kind == "torch":
            untrue = self.untrue(segment)
            if untrue and self.outcome_corrected(segment, meaning) == "equal":
                return Judgement("follows", self.follows_sentence(untrue, segment, "follows-shape"))
            return self._torch_refused(segment, meaning, failure)
        cause = self.cause(failure)
        params = {"name": failure.name, "line": failure.line}
        if cause == "torch" and self.outcome_corrected(segment, meaning) == "equal":
            return Judgement("follows", Sentence("follows-nothing", {"names": failure.name, "line": failure.line}))
        mended = self.blame.mended(segment) or self.blame.refused(segment) if cause == "torch" else None
        if mended is not None:
            return Judgement("follows", Sentence("follows-nothing", {"names": mended.name, "line": mended.line}))
        if cause == "torch":
            return Judgement("undecided", Sentence("reads-nothing", params))
        sentence = Sentence("reads-unreadable" if cause == "unreadable" else "reads-nothing", params)
        return Judgement("undecided", sentence, blameless=cause in EXCUSED)

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
            return unreadable(failure.reason)
        if failure.kind == "torch":
            if not any(segment.end in run.failures for run in self.corrected.one_of_each):
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
        self.judged.append(Judged(name, line, column, text, unreadable(reason), start=start))


def _right_but_for_its_shape(meaning: Meaning, judgement: Judgement, slack: Tensor) -> Iterator[Mistake]:
    """`[[0, 6, 0]]` for `[0, 6, 0]`, at the worked instance"""
    given, true = judgement.given, judgement.true
    if given is None or true is None or given.squeeze().shape != true.squeeze().shape:
        return
    gap = (given.reshape(true.shape) - true).abs()
    if bool((gap <= slack.reshape(true.shape)).all()):
        yield right_values(meaning, true)


def _as_written(repair: Repair | None, statement: lang.Statement) -> Repair | None:
    r"""`W.T` is `W^\top` in a line of LaTeX; None where there is no such form."""
    if repair is None or not getattr(statement, "latex", False):
        return repair
    name, _, rest = repair.new.partition(".")
    written = statement.text.startswith(repair.old, repair.column - statement.start)
    return replace(repair, new=rf"{name}^\top") if written and rest == "T" and name == repair.old else None


_UNSTABLE = said("the algebra is right, but floats overflow or lose their digits here: look for a form that avoids it")
