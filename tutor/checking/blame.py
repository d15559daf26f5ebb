"""Helpers that are gradients in disguise: one that equals a gradient but for a known mistake takes the blame for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from tutor.checking import mistakes
from tutor.checking.interpret import Run
from tutor.checking.judge import Judged
from tutor.checking.outline import Segment
from tutor.checking.report import Mistake
from tutor.checking.sheet_runs import MANY_STEPS

if TYPE_CHECKING:
    from tutor.checking.lines import SheetJudge

MANY_MISTAKES = 30  # wrong lines whose causes are looked for
MANY_TRIALS = 24  # helpers and gradients that are tried on one another


class Blame:
    """What was found of the helpers of one sheet."""

    def __init__(self, judge: SheetJudge):
        self.judge = judge
        self.lines: dict[int, Judged] = {}
        self.trials = self.looked = 0

    def helper(self, segment: Segment) -> Judged | None:
        """An earlier helper that is a gradient with one known mistake, without which this line is right."""
        for helper in sorted(segment.helpers, key=lambda h: segment.helpers[h]):
            state = self.judge.helper_state(helper, segment.helpers[helper])
            if state is None:
                continue
            known = self.lines.get(id(state.segment))
            for candidate in [known.name] if known else self._lookalikes(state.segment):
                self.trials += 1
                if self.trials > MANY_TRIALS or self.judge.cost * self.trials > MANY_STEPS:
                    return None
                if self._right_with(segment, state.segment, candidate):
                    return known or self._charge(state.segment, candidate)
        return None

    def _lookalikes(self, helper: Segment) -> Iterator[str]:
        """Gradients that the helper equals but for one known mistake."""
        self.looked += 1
        if self.looked > MANY_MISTAKES:
            return
        given = self.judge.values_of(helper)
        own = {state.segment.name for state in self.judge.states}
        if f"d{helper.name}" in self.judge.extra:
            return
        for name in self.judge.points[0].gradients:
            meaning = self.judge.names.meaning(name)
            plain = meaning.kind != "gradient" or meaning.of in self.judge.names.ends or name in own
            if not plain and self._mistaken(helper, name, given):
                yield name

    def _mistaken(self, helper: Segment, name: str, given: Sequence[Tensor | None]) -> list[Mistake]:
        cases = []
        for value, point in zip(given, self.judge.points, strict=True):
            true = point.gradients[name]
            if value is None or value.shape != true.shape:
                return []
            cases.append(mistakes.Case(value, true, point.sizes, known={**point.values, **point.gradients}))
        meaning = self.judge.names.meaning(name)
        return mistakes.find(mistakes.Fault(self.judge.exercise, name, meaning.of, "gradient", cases))

    def _right_with(self, segment: Segment, helper: Segment, candidate: str) -> bool:
        """Whether the line is right once the helper is the true gradient, and no line that reads it becomes wrong.

        A part of a forward formula, or another true gradient, may be what it is: it takes the blame only where that
        explains two lines at once.
        """
        judge, runs = self.judge, []
        for point in judge.points:
            instead = {**judge.truths(point), (helper.name, helper.end): point.gradients[candidate]}
            runs.append(Run(judge.outline, point, instead).execute())
            if not judge.true_at(segment, runs[-1], point):
                return False
        mended = 1
        for other in judge.readers(helper):
            if other is segment:
                continue
            right, as_it_stands = judge.holds(other, runs), judge.holds(other, judge.runs)
            if as_it_stands and not right:
                return False
            mended += right and not as_it_stands
        return mended > 1 or not (self._part_of_formula(helper) or judge.is_sound(judge.values_of(helper)))

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
