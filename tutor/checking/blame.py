"""Helpers that take the blame for a mistake: what reads them then follows, for one mistake costs once.

A helper may be a gradient in disguise: it equals one but for a known mistake, or does once an earlier helper with one
is put right, or two quantities at once are right when it is one; it may be what an earlier wrong gradient is; or an
earlier wrong line was put right on the helper's line, or by something else in its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.answers import python
from tutor.checking import mistakes, numbers
from tutor.checking.judge import JUDGED, Judged
from tutor.checking.meant import as_meant
from tutor.checking.outline import Meaning, Segment
from tutor.checking.report import Mistake
from tutor.checking.sheet_runs import MANY_LINES, MANY_STEPS, Instead, SegmentState
from tutor.checking.sources import Sources
from tutor.checking.truth import Drawn, Point

if TYPE_CHECKING:
    from tutor.checking.lines import SheetJudge
    from tutor.checking.repairs import Found

MANY_HELPERS = 30  # helpers that are compared with gradients
GLANCE = 16  # entries
FEWER_HELPERS = 10  # the same in a sheet of many lines
MANY_TRIALS = 100  # runs of the sheet, for each purpose

Taken = tuple[tuple[Segment, str], ...]  # helpers, and the gradients that they are taken for


@dataclass(frozen=True)
class Blamed:
    """What a line follows from: a name of the sheet, and the line that gave it its value."""

    name: str
    line: int


@dataclass(frozen=True)
class Alike:
    """Gradients that a helper may stand for: those that it equals but for a known mistake, or else all of its shape.

    `itself`: a true gradient, a forward quantity or a part of a formula may be what it is. It is not taken for another
    one by its shape, and a known mistake has to explain two quantities at once.
    """

    mistaken: tuple[str, ...] = ()
    shaped: tuple[str, ...] = ()
    itself: bool = False
    scaled: tuple[str, ...] = ()  # of the mistaken ones, those that take a constant as well

    @property
    def exact(self) -> tuple[str, ...]:
        """Those for which one mistake is enough."""
        return tuple(name for name in self.mistaken if name not in self.scaled)


class Blame:
    """What was found of the helpers of one sheet."""

    def __init__(self, judge: SheetJudge):
        self.judge = judge
        self.charged: dict[int, Judged] = {}  # helpers that stand for a gradient and are not it, by id
        self.mendings: list[tuple[Segment, Sources]] = []  # a helper, and the sheet in which it is put right
        self.trials: Counter[str] = Counter()
        self._compared_ids: set[int] = set()
        self._asked: set[int] = set()  # those of them that are few enough
        self._alike: dict[int, Alike] = {}  # by id of a helper
        self._alike_after: dict[tuple[tuple[int, str], ...], Alike] = {}  # the same where others are put right
        self._entries: dict[int, tuple[float, ...] | None] = {}  # by id of a line's segment

    def _afford(self, what: str, runs: int = 1) -> bool:
        """Whether the sheet may be run so often once more for a purpose; it is counted."""
        self.trials[what] += runs
        most = MANY_STEPS // 2 if what == "known" else MANY_STEPS // 8  # the rest is for sheets that cost little
        cost = self.judge.cost * self.trials[what] // self._runs
        return self.trials[what] <= MANY_TRIALS and cost <= most

    @cached_property
    def _runs(self) -> int:
        """How often a sheet is run for all draws."""
        return len(self.judge.runs.one_of_each)

    # -- helpers whose line was put right ------------------------------------------------------------

    def mend(self, segment: Segment, found: Found) -> str:
        """Keep a repair that puts a helper right: it may serve the lines after this one as well. Returns its name."""
        judge = self.judge
        helper, statements = self._on_its_line(found) or self._at_its_reader(segment, found) or (None, [])
        if helper is None or not self._afford("mended", self._runs):
            return ""
        sheet = replace(judge.sheet, statements=statements)
        self.mendings.append((helper, Sources(judge.exercise, sheet, judge.seed, judge.lenient)))
        return helper.name

    def _on_its_line(self, found: Found) -> tuple[Segment, list[lang.Statement]] | None:
        """The repair lies on a helper's own line."""
        judge, site, mended = self.judge, found.site, found.mended
        states = (s for s in judge.states if any(touch.statement is site for touch in s.segment.touches))
        helper = next((s.segment for s in states if judge.meaning(s.segment).kind == "helper"), None)
        if site is None or mended is None or helper is None:
            return None
        if all(statement is not site for statement in lang.flat(judge.sheet.statements)):
            return None
        return helper, lang.with_line(judge.sheet.statements, site, [replace(mended, line=site.line)])

    def _at_its_reader(self, segment: Segment, found: Found) -> tuple[Segment, list[lang.Statement]] | None:
        """The repair puts something else in a helper's place, `c -> c**0.5`: so may the helper's line have done."""
        judge, repair, site = self.judge, found.repair, found.site
        if repair is None or site is None or not repair.new or getattr(site, "latex", False):
            return None
        helper = next((h for h in reversed(judge.helpers(segment)) if h.name == repair.old), None)
        lines = list(lang.flat(judge.sheet.statements))
        own = helper is not None and any(statement is helper.statement for statement in lines)
        if helper is None or not own or judge.is_sound(judge.corrected.drawn((helper.name, helper.end))):
            return None
        line = f"{helper.name} = {repair.new}"
        read = as_meant(judge.exercise, python.read(line, judge.sheet.file_names)[0]).statements
        if len(read) != 1 or not isinstance(read[0], lang.Assign):
            return None
        after = replace(read[0], line=helper.statement.line)
        return helper, lang.with_line(judge.sheet.statements, helper.statement, [helper.statement, after])

    def mended(self, segment: Segment) -> Blamed | None:
        """An earlier helper that was put right for another line, and with which this one is right as well."""
        for helper, mended in self.mendings:
            hangs = helper.name in segment.helpers and helper.end <= segment.end  # in a loop they end together
            if hangs and self._is_right_in(mended, segment):
                return Blamed(helper.name, helper.statement.line)
        return None

    def _is_right_in(self, mended: Sources, segment: Segment) -> bool:
        twin = next((s.segment for s in mended.states if _place(s.segment) == _place(segment)), None)
        return twin is not None and mended.outcome_corrected(twin, self.judge.meaning(segment)) == "equal"

    def at_a_helper(self, segment: Segment, found: Found, meaning: Meaning | None) -> Found:
        """A repair on a helper's line in a loop that puts other wrong lines right as well, in place of one on each of
        these: the mistake was made once."""
        judge = self.judge
        builds = any(touch.statement is found.site for touch in segment.touches)
        names = [name for name, unit in segment.helpers.items() if unit == segment.end]
        if found.repair is None or not builds or not names or not any(touch.looped for touch in segment.touches):
            return found
        others = [
            other
            for other in (state.segment for state in judge.states)
            if other is not segment
            and judge.meaning(other).kind in JUDGED
            and not other.helpers.keys().isdisjoint(names)
        ]
        if not others or any(judge.holds(other, judge.runs) for other in others):
            return found
        from tutor.checking.repairs import repair_of_helpers

        there = repair_of_helpers(judge, segment, meaning)
        spent = replace(found, cost=found.cost + there.cost)
        if there.repair is None or not self.mend(segment, there):
            return spent
        _, mended = self.mendings.pop()
        serves = any(self._is_right_in(mended, other) for other in others)
        return replace(there, cost=spent.cost) if serves else spent

    # -- helpers without a value ------------------------------------------------------------

    def refused(self, segment: Segment) -> Blamed | None:
        """A helper that torch refuses, where this line and others are right once it is some gradient."""
        for helper in self.judge.helpers(segment) if self._afford("refused", 0) else ():
            failure = self.judge.failure(helper)
            own = failure is not None and failure.kind == "torch" and failure.line == helper.statement.line
            tried = (self._mended_by(segment, ((helper, name),), "refused") for name in self._open) if own else ()
            if any(len(mended) >= 2 for mended in tried):
                return Blamed(helper.name, helper.statement.line)
        return None

    # -- gradients in disguise ------------------------------------------------------------

    def before(self, segment: Segment) -> Blamed | None:
        """A helper that was charged for an earlier line, and without whose mistake this one is right."""
        charged = [helper for helper in self.judge.helpers(segment) if id(helper) in self.charged]
        if not charged or self.judge.outcome_corrected(segment, self.judge.meaning(segment)) != "equal":
            return None
        nearest = self._nearest(segment)
        made = self.charged[id(next((helper for helper in charged if id(helper) in nearest), charged[0]))]
        return Blamed(made.helper, made.line)

    def _nearest(self, segment: Segment) -> set[int]:
        """The charged helpers that a line reads with no other one in between."""
        todo, seen, found = [segment], set[int](), set[int]()
        while todo:
            current = todo.pop()
            for name in set().union(*(touch.reads for touch in current.touches)) & current.helpers.keys():
                state = self.judge.helper_state(name, current.helpers[name])
                if state is None or id(state.segment) in seen:
                    continue
                seen.add(id(state.segment))
                if id(state.segment) in self.charged:
                    found.add(id(state.segment))
                else:
                    todo.append(state.segment)
        return found

    def helper(self, segment: Segment) -> Blamed | None:
        """An earlier helper that stands for a gradient and is not it, without which this line is right."""
        others = [helper for helper in self.judge.helpers(segment) if id(helper) not in self.charged]
        return (
            self._as_a_wrong_one(segment, others)
            or self._but_for_a_mistake(segment, others)
            or self._but_for_several(segment, others)
            or self._but_for_a_mistake(segment, others, scaled=True)
            or self._by_its_shape(segment, others)
        )

    def _as_a_wrong_one(self, segment: Segment, helpers: list[Segment]) -> Blamed | None:
        """A helper that is what an earlier wrong gradient of the learner's is: `g = ...; da = g; dQ = g @ K`."""
        for helper in helpers:
            wrong = self._same_as_wrong(helper, segment)
            if wrong is not None and self._mended_by(segment, ((helper, wrong.name),)):
                return wrong
        return None

    def _same_as_wrong(self, helper: Segment, segment: Segment) -> Blamed | None:
        for state in self._with_entries.get(self._at_first(helper), ()):
            told = state.judgement is not None and state.judgement.verdict in ("wrong", "follows")
            if not told or state.segment.end >= segment.end or not self._equal(helper, state.segment):
                continue
            if self.judge.meaning(state.segment).kind == "gradient":
                return Blamed(self.judge.meaning(state.segment).name, state.segment.statement.line)
        return None

    @cached_property
    def _with_entries(self) -> dict[tuple[float, ...] | None, list[SegmentState]]:
        """The segments that begin with the same entries."""
        made: dict[tuple[float, ...] | None, list[SegmentState]] = {}
        for state in self.judge.states:
            made.setdefault(self._at_first(state.segment), []).append(state)
        return made

    def _but_for_a_mistake(self, segment: Segment, helpers: list[Segment], scaled: bool = False) -> Blamed | None:
        """The first that is a gradient but for a known mistake, and with which this line is right."""
        for helper in helpers:
            alike = self._lookalikes(helper)
            for name in alike.scaled if scaled else alike.exact:
                if len(self._mended_by(segment, ((helper, name),))) >= (2 if alike.itself else 1):
                    return self._charge(segment, helper, name)
        return None

    def _but_for_several(self, segment: Segment, helpers: list[Segment]) -> Blamed | None:
        """Several that are gradients but for a known mistake, each once those before it are put right, and with which
        this line is right: each is charged on its own line."""
        tried: list[tuple[Taken, bool]] = [((), False)]  # what is put right, and whether any of it may be itself
        for helper in helpers:
            for taken, doubted in list(tried) if id(helper) in self._asked else ():
                if not self._afford("several", 0):
                    return None
                alike = self._lookalikes_after(taken, helper)
                doubtful = doubted or alike.itself
                for name in alike.exact:
                    longer = (*taken, (helper, name))
                    if taken and len(self._mended_by(segment, longer, "several")) >= (2 if doubtful else 1):
                        return [self._charge(segment, *each) for each in longer][-1]
                    tried.append((longer, doubtful))
        return None

    def _lookalikes_after(self, taken: Taken, helper: Segment) -> Alike:
        """What a helper may stand for once others are put right, and only then where it hangs on them."""
        alone, before = self._lookalikes(helper), {id(each) for each, _ in taken}
        if not any(id(each) in before for each in self.judge.helpers(helper)):
            return alone
        key = (*((id(each), name) for each, name in taken), (id(helper), ""))
        if key not in self._alike_after:
            asked = self._afford("several", self._runs + 1)
            found = self._compared(helper, taken) if asked else Alike()
            kept = tuple(name for name in found.exact if name not in alone.exact)
            self._alike_after[key] = Alike(kept, itself=found.itself)
        return self._alike_after[key]

    def _by_its_shape(self, segment: Segment, helpers: list[Segment]) -> Blamed | None:
        """One that has the shape of a gradient, and with which this line and others are right: the gradient with which
        most are."""
        for helper in helpers:
            shaped = self._lookalikes(helper).shaped
            mended = {name: self._mended_by(segment, ((helper, name),), "guessed") for name in shaped}
            best = max(mended, key=lambda name: len(mended[name]), default=None)
            if best is not None and len(mended[best]) >= 2:
                return self._charge(segment, helper, best)
        return None

    def _equal(self, one: Segment, other: Segment) -> bool:
        if self._at_first(one) != self._at_first(other):
            return False
        pairs = zip(self.judge.values_of(one), self.judge.values_of(other), strict=True)
        return all(a is not None and b is not None and torch.equal(a, b) for a, b in pairs)

    def _at_first(self, segment: Segment) -> tuple[float, ...] | None:
        """The first entries at the first draw, by which most are told apart at a glance."""
        if id(segment) not in self._entries:
            value = self.judge.values_of(segment)[0]
            self._entries[id(segment)] = None if value is None else tuple(value.reshape(-1)[:GLANCE].tolist())
        return self._entries[id(segment)]

    def _lookalikes(self, helper: Segment) -> Alike:
        if id(helper) not in self._alike:
            self._compared_ids.add(id(helper))
            most = MANY_HELPERS if len(self.judge.states) <= MANY_LINES else FEWER_HELPERS
            asked = len(self._compared_ids) <= most and f"d{helper.name}" not in self.judge.extra
            self._asked |= {id(helper)} if asked else set()
            self._alike[id(helper)] = self._compared(helper) if asked else Alike()
        return self._alike[id(helper)]

    def _compared(self, helper: Segment, taken: Taken = ()) -> Alike:
        given = self._own_values(helper, taken)
        shaped = tuple(name for name in self._open if self._shaped(name, given))
        if not shaped:
            return Alike()
        itself = self.judge.is_sound(given) or self._part_of_formula(given)
        found = {name: self._mistaken(name, given) for name in shaped}
        mistaken = tuple(name for name in shaped if found[name])
        scaled = tuple(name for name in mistaken if any(m.cause != m.message for m in found[name]))
        return Alike(mistaken, () if mistaken or itself else shaped, itself, scaled)

    @cached_property
    def _open(self) -> list[str]:
        """The gradients that have no line of their own."""
        own = {state.segment.name for state in self.judge.states}
        meanings = (self.judge.names.meaning(name) for name in self.judge.points[0].gradients)
        ends = self.judge.names.ends
        return [m.name for m in meanings if m.kind == "gradient" and m.of not in ends and m.name not in own]

    def _own_values(self, helper: Segment, taken: Taken = ()) -> Drawn:
        """What it comes to where all that it reads is put right: whatever is off then is its own."""
        key = (helper.name, helper.end)
        if key in self.judge.stand_ins:
            return self.judge.values_of(helper)
        runs = self.judge.run_with(self._put_right(taken)) if taken else self.judge.corrected
        return runs.drawn(key)

    def _put_right(self, taken: Taken) -> Instead:
        """All is put right, and these helpers as well."""
        judge = self.judge
        true = [
            ((h.name, h.end), {id(p): judge.true(judge.meaning_of(name), p) for p in judge.points}) for h, name in taken
        ]

        def instead(point: Point) -> dict[tuple[str, int], Tensor]:
            right = ((key, values[id(point)]) for key, values in true)
            return {**judge.truths(point), **{key: value for key, value in right if value is not None}}

        return instead

    def _shaped(self, name: str, given: Sequence[Tensor | None]) -> bool:
        pairs = zip(given, self.judge.points, strict=True)
        return all(value is not None and value.shape == point.gradients[name].shape for value, point in pairs)

    def _mistaken(self, name: str, given: Sequence[Tensor | None]) -> list[Mistake]:
        cases = [
            mistakes.Case(value, point.gradients[name], point.sizes, known={**point.values, **point.gradients})
            for value, point in zip(given, self.judge.points, strict=True)
            if value is not None
        ]
        meaning = self.judge.names.meaning(name)
        return mistakes.find(mistakes.Fault(self.judge.exercise, name, meaning.of, "gradient", cases))

    def _part_of_formula(self, given: Sequence[Tensor | None]) -> bool:
        from tutor.checking.subexpressions import part_of_formula

        return part_of_formula(list(given), self.judge.points) is not None  # type: ignore[arg-type]

    def _mended_by(self, segment: Segment, taken: Taken, what: str = "known") -> set[str]:
        """The names whose lines helpers put right once they are the true gradients, this one among them; none where a
        line is wrong then that was right.

        All is put right but the helpers, so that no other mistake hides what they do.
        """
        judge = self.judge
        if not self._afford(what):
            return set()
        if any(judge.true(judge.meaning_of(name), point) is None for _, name in taken for point in judge.points):
            return set()
        instead, first = self._put_right(taken), judge.points[0]
        if not judge.true_at(segment, judge.run_at(first, instead), first) or not self._afford(what, self._runs):
            return set()
        runs, before = judge.run_with(instead), judge.corrected
        made = set()
        hanging = (each for helper, _ in taken for each in judge.hanging(helper))
        for line in {id(each): each for each in (segment, *hanging)}.values():
            right, was_right = (judge.outcome_in(tried, line) in ("equal", "unknown") for tried in (runs, before))
            if not right and (was_right or line is segment):
                return set()
            if right and not was_right:
                made.add(line.name)
        return made

    def _charge(self, segment: Segment, helper: Segment, name: str) -> Blamed:
        """A line of its own in the report, for the helper or what copies it."""
        helper = self._last_copy(segment, helper, name) or helper
        judge, statement = self.judge, helper.statement
        meaning, given = judge.names.meaning(name), judge.values_of(helper)
        judgement = judge.wrong(meaning, "different", judge.cases(meaning, self._own_values(helper)), given)
        judge.repair(helper, judgement, meaning)
        if (helper.name, helper.end) in judge.stand_ins and judge.worked is not None and judge.worked_run is not None:
            # the figures are those of the number that was written
            written, true = judge.value(judge.worked_run, helper), judge.true(meaning, judge.worked)
            judgement = replace(judgement, given=written, true=true, at=numbers.place(judge.exercise))
        place = (statement.line, statement.column, statement.text)
        sources = frozenset(helper.sources)
        made = Judged(name, *place, judgement, sources, statement.start, helper=helper.name)
        self.charged[id(helper)] = made
        judge.charge(helper, meaning)
        self._alike.clear()  # what is put right is another sheet now
        self._alike_after.clear()
        judge.judged.append(made)
        return Blamed(helper.name, statement.line)

    def _last_copy(self, segment: Segment, helper: Segment, name: str) -> Segment | None:
        """A later helper that is the very values of one that is right: `dh = dy + dhnext`, and then `da = dh`."""
        if not self.judge.is_sound(self._own_values(helper)):
            return None
        later = [each for each in self.judge.helpers(segment) if each.end > helper.end and self._equal(helper, each)]
        return next((each for each in reversed(later) if self._mended_by(segment, ((each, name),))), None)


def _place(segment: Segment) -> tuple[str, int, int]:
    return segment.name, segment.statement.line, segment.statement.column
