"""Helpers that take the blame for a mistake: what reads them then follows, for one mistake costs once.

A helper may be a gradient in disguise: it equals one but for a known mistake, or two lines at once are right when it is
one; it may be what an earlier wrong gradient is; or its line may be where an earlier wrong line was put right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tutor.checking import mistakes
from tutor.checking.interpret import Run
from tutor.checking.judge import Judged
from tutor.checking.outline import Segment
from tutor.checking.report import Mistake
from tutor.checking.sheet_runs import MANY_STEPS
from tutor.checking.sources import Sources

if TYPE_CHECKING:
    from tutor.checking.lines import SheetJudge
    from tutor.checking.repairs import Found

MANY_MISTAKES = 30  # wrong lines whose causes are looked for
MANY_TRIALS = 24  # helpers and gradients that are tried on one another


@dataclass(frozen=True)
class Blamed:
    """What a line follows from: a name of the sheet, and the line that gave it its value."""

    name: str
    line: int


@dataclass(frozen=True)
class Alike:
    """Gradients that a helper may stand for: those that it equals but for a known mistake, and others of its shape.

    What is right under some name is not taken for another one by its shape.
    """

    mistaken: tuple[str, ...] = ()
    shaped: tuple[str, ...] = ()


class Blame:
    """What was found of the helpers of one sheet."""

    def __init__(self, judge: SheetJudge):
        self.judge = judge
        self.lines: dict[int, Judged] = {}
        self.mendings: list[tuple[Segment, Sources]] = []  # a helper, and the sheet in which its line is put right
        self.trials: Counter[str] = Counter()
        self.looked = 0
        self._alike: dict[int, Alike] = {}  # by id of a helper

    def _spent(self, what: str) -> bool:
        """One more run of the sheet for a purpose; whether that is more than it may cost."""
        self.trials[what] += 1
        most = MANY_STEPS if what == "known" else MANY_STEPS // 8  # the rest is for sheets that cost little
        return self.trials[what] > MANY_TRIALS or self.judge.cost * self.trials[what] > most

    # -- helpers whose line was put right ------------------------------------------------------------

    def mend(self, found: Found) -> None:
        """Keep a repair that lies on a helper's line: it may serve the lines after this one as well."""
        judge, site, mended = self.judge, found.site, found.mended
        states = (s for s in judge.states if any(touch.statement is site for touch in s.segment.touches))
        helper = next((s.segment for s in states if judge.meaning(s.segment).kind == "helper"), None)
        if site is None or mended is None or helper is None or self._spent("mended"):
            return
        there = replace(mended, line=site.line)
        statements = [there if statement is site else statement for statement in judge.sheet.statements]
        if any(statement is there for statement in statements):
            sheet = replace(judge.sheet, statements=statements)
            self.mendings.append((helper, Sources(judge.exercise, sheet, judge.seed, judge.lenient)))

    def mended(self, segment: Segment) -> Blamed | None:
        """An earlier helper whose line was put right for another line, and that makes this one right as well."""
        for helper, mended in self.mendings:
            if all(other is not helper for other in self.judge.helpers(segment)):
                continue
            twin = next((s.segment for s in mended.states if _place(s.segment) == _place(segment)), None)
            if twin is not None and mended.outcome_corrected(twin, self.judge.meaning(segment)) == "equal":
                return Blamed(helper.name, helper.statement.line)
        return None

    # -- gradients in disguise ------------------------------------------------------------

    def helper(self, segment: Segment) -> Blamed | None:
        """An earlier helper that stands for a gradient and is not it, without which this line is right."""
        helpers = self.judge.helpers(segment)
        for helper in helpers:
            same = None if self._spent("same") else self._same_as_wrong(helper, segment)
            if same is not None and self._right_with(segment, helper, same.name, 0):
                return same
        return self._charged(segment, helpers) or self._charged(segment, helpers, guessed=True)

    def _charged(self, segment: Segment, helpers: list[Segment], guessed: bool = False) -> Blamed | None:
        """The one that takes the blame; a shape alone says little, so that a guess has to put two lines right."""
        for n, helper in enumerate(helpers):
            known = self.lines.get(id(helper))
            alike = self._lookalikes(helper)
            for candidate in [known.name] if known else alike.shaped if guessed else alike.mistaken:
                if self._spent("guessed" if guessed and not known else "known"):
                    return None
                least = 2 if guessed and not known else 1
                if self._right_with(segment, helper, candidate, least):
                    copy = None if known else self._copy(helper, helpers[n + 1 :])
                    if copy is not None and self._right_with(segment, copy, candidate, least):
                        helper = copy
                    charged = known or self._charge(helper, candidate)
                    return Blamed(charged.helper, charged.line)
        return None

    def _copy(self, helper: Segment, later: list[Segment]) -> Segment | None:
        """A later helper that is the very values of one that is right: `dh = dy + dhnext`, and then `da = dh`."""
        if not self.judge.is_sound(self.judge.values_of(helper)):
            return None
        return next((other for other in reversed(later) if self._equal(helper, other)), None)

    def _equal(self, one: Segment, other: Segment) -> bool:
        pairs = zip(self.judge.values_of(one), self.judge.values_of(other), strict=True)
        return all(a is not None and b is not None and torch.equal(a, b) for a, b in pairs)

    def _same_as_wrong(self, helper: Segment, before: Segment) -> Blamed | None:
        """The learner's own wrong gradient that a helper equals, `g = ...; da = g; dQ = g @ K`."""
        for state in self.judge.states:
            told = state.judgement is not None and state.judgement.verdict in ("wrong", "follows")
            if not told or state.segment.end >= before.end or self.judge.meaning(state.segment).kind != "gradient":
                continue
            if self._equal(helper, state.segment):
                return Blamed(self.judge.meaning(state.segment).name, state.segment.statement.line)
        return None

    def _lookalikes(self, helper: Segment) -> Alike:
        if id(helper) not in self._alike:
            self.looked += 1
            asked = self.looked <= MANY_MISTAKES and f"d{helper.name}" not in self.judge.extra
            self._alike[id(helper)] = self._compared(helper) if asked else Alike()
        return self._alike[id(helper)]

    def _compared(self, helper: Segment) -> Alike:
        given = self.judge.values_of(helper)
        own = {state.segment.name for state in self.judge.states}
        meanings = (self.judge.names.meaning(name) for name in self.judge.points[0].gradients)
        gradients = [m for m in meanings if m.kind == "gradient" and m.of not in self.judge.names.ends]
        shaped = [m.name for m in gradients if m.name not in own and self._shaped(m.name, given)]
        mistaken = tuple(name for name in shaped if self._mistaken(helper, name, given))
        others = () if self.judge.is_sound(given) else tuple(name for name in shaped if name not in mistaken)
        return Alike(mistaken, others)

    def _shaped(self, name: str, given: Sequence[Tensor | None]) -> bool:
        pairs = zip(given, self.judge.points, strict=True)
        return all(value is not None and value.shape == point.gradients[name].shape for value, point in pairs)

    def _mistaken(self, helper: Segment, name: str, given: Sequence[Tensor | None]) -> list[Mistake]:
        cases = []
        for value, point in zip(given, self.judge.points, strict=True):
            true = point.gradients[name]
            if value is None or value.shape != true.shape:
                return []
            cases.append(mistakes.Case(value, true, point.sizes, known={**point.values, **point.gradients}))
        meaning = self.judge.names.meaning(name)
        return mistakes.find(mistakes.Fault(self.judge.exercise, name, meaning.of, "gradient", cases))

    def _right_with(self, segment: Segment, helper: Segment, candidate: str, least: int) -> bool:
        """Whether so many lines, this one among them, are right once the helper is the true gradient, and none is wrong
        that was right.

        A part of a forward formula, or another true gradient, may be what it is: it takes the blame only where that
        explains two lines at once.
        """
        judge, runs = self.judge, []
        for point in judge.points:
            true = judge.true(judge.meaning_of(candidate), point)
            if true is None:
                return False
            instead = {**judge.truths(point), (helper.name, helper.end): true}
            runs.append(Run(judge.outline, point, instead).execute())
            if not judge.true_at(segment, runs[-1], point):
                return False
        mended = 1
        for other in judge.hanging(helper):
            if other is segment:
                continue
            right, as_it_stands = judge.holds(other, runs), judge.holds(other, judge.runs)
            if as_it_stands and not right:
                return False
            mended += right and not as_it_stands
        if least == 1 and (self._part_of_formula(helper) or judge.is_sound(judge.values_of(helper))):
            least = 2
        return mended >= least

    def _part_of_formula(self, helper: Segment) -> bool:
        from tutor.checking.subexpressions import part_of_formula

        return part_of_formula(self.judge.values_of(helper), self.judge.points) is not None  # type: ignore[arg-type]

    def _charge(self, helper: Segment, name: str) -> Judged:
        judge, statement = self.judge, helper.statement
        meaning, given = judge.names.meaning(name), judge.values_of(helper)
        judgement = judge.wrong(meaning, "different", judge.cases(meaning, given), given)
        judge.repair(helper, judgement, meaning)
        place = (statement.line, statement.column, statement.text)
        sources = frozenset(helper.sources)
        made = Judged(name, *place, judgement, sources, statement.start, helper=helper.name)
        self.lines[id(helper)] = made
        judge.judged.append(made)
        return made


def _place(segment: Segment) -> tuple[str, int]:
    return segment.name, segment.end
