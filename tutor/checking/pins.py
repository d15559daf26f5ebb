"""Sizes that a sheet pins, for pasted code with literal sizes in it: which lines are right at those alone.

A size of 1, or two equal ones, hide mistakes; and a line without a number has none that could stand for a size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product

from tutor.answers import language as lang
from tutor.checking.judge import WHAT, Judged
from tutor.checking.outline import Segment, all_parts
from tutor.checking.report import NOTES, Sentence
from tutor.checking.sources import Sources
from tutor.language import nsaid, said

MOST_TOLD_APART = 8  # other sizes at which a sheet is judged

Sizes = dict[str, int]


class Pins:
    """The pins of a sheet's own; those of `fixed` are given with the exercise."""

    def __init__(self, judge: Sources, fixed: Mapping[str, int], at: Callable[[Sizes], Sequence[Judged]]):
        """`at`: the sheet's lines as they are judged at other pins."""
        self.judge, self.fixed, self.at = judge, dict(fixed), at
        self.own = {name: size for name, size in judge.sheet.sizes.items() if name not in fixed}
        self.hiding = [name for name in self.own if self._hides(name)]

    def _hides(self, name: str) -> bool:
        draws = [point.sizes for point in self.judge.points]
        return self.own[name] == 1 or any(all(sizes[other] == self.own[name] for sizes in draws) for other in draws[0]
                                          if other != name)  # fmt: skip

    def remark(self, withheld: bool) -> None:
        """Say which lines are right at the pins alone; `withheld`: and take their points, as grading does."""
        told = self._alone() if self.own else []
        if told:
            numbers = ", ".join(map(str, sorted({line.line for line, _ in told})))
            lines = nsaid("line {lines}", "lines {lines}", numbers.count(",") + 1, lines=numbers)
            params = {"lines": lines, "sizes": self._shown}
            self.judge.notes.append(Sentence("sizes-alone", params).render(NOTES))
        if withheld and told:
            self._withhold(told)

    def _alone(self) -> list[tuple[Judged, Judged]]:
        """Right lines that are wrong at other sizes, with what is found there."""
        right = [line for line in self.judge.judged if line.verdict == "correct"]
        doubtful = [line for line in right if self.hiding or not self._numbered(line)]
        if not doubtful:
            return []
        there = _wrong(self.at(self.fixed))
        return [(line, there[_place(line)]) for line in doubtful if _place(line) in there]

    def _withhold(self, told: list[tuple[Judged, Judged]]) -> None:
        literal = [_place(line) for line, _ in told if self._numbered(line)]
        spared = self._right_at_some(literal) if literal else set()
        for line, other in told:
            if _place(line) not in spared:
                where = said("{sizes}, and not in general", sizes=self._shown)
                what = WHAT[self.judge.meaning_of(line.name).kind]
                sentence = Sentence("elsewhere", {"what": what, "sizes": self._shown, "where": where})
                causes = other.judgement.mistakes
                line.judgement = replace(line.judgement, verdict="wrong", sentence=sentence, mistakes=causes)

    def _right_at_some(self, places: list[tuple[int, str]]) -> set[tuple[int, str]]:
        """Lines with numbers that are right where equal pins are told apart: `/4` at N=4, and D another."""
        spared: set[tuple[int, str]] = set()
        for sizes in islice(self._told_apart(), MOST_TOLD_APART):
            wrong = _wrong(self.at(sizes))
            spared |= {place for place in places if place not in wrong}
        return spared

    def _told_apart(self) -> list[Sizes]:
        """Of equal pins one is kept, those of 1 are let go."""
        equal: dict[int, list[str]] = {}
        for name in self.hiding:
            if self.own[name] != 1 and self.own[name] not in self.fixed.values():
                equal.setdefault(self.own[name], []).append(name)
        plain = {name: size for name, size in self.own.items() if name not in self.hiding}
        chosen = product(*equal.values()) if equal else iter([()])
        return [{**self.fixed, **plain, **{name: self.own[name] for name in names}} for names in chosen]

    @property
    def _shown(self) -> str:
        return ", ".join(f"{name}={self.own[name]}" for name in self.hiding or self.own)

    def _numbered(self, line: Judged) -> bool:
        """Whether a number stands in what a line is made of that may be, or come from, a size."""
        return any(
            _may_be_a_size(part)
            for segment in self._segments(line)
            for unit in segment.units
            for part in _all_parts(self.judge.outline.units[unit].statement)
        )

    def _segments(self, line: Judged) -> list[Segment]:
        """A line's own, and those of the helpers that it reads."""
        own = [s.segment for s in self.judge.states if s.segment.name == line.name]
        own = [s for s in own if s.statement.line == line.line]
        helpers = [self.judge.helper_state(name, unit) for segment in own for name, unit in segment.helpers.items()]
        return [*own, *(state.segment for state in helpers if state is not None)]


def _place(line: Judged) -> tuple[int, str]:
    """Not by its column, which is another one where torch refuses the line."""
    return line.line, line.name


def _wrong(lines: Sequence[Judged]) -> dict[tuple[int, str], Judged]:
    return {_place(line): line for line in lines if line.verdict == "wrong"}


def _all_parts(statement: lang.Statement) -> list[lang.Expression]:
    """Of a loop also what it runs over."""
    every = lang.flat([statement])
    return [part for s in every for part in ((s.over,) if isinstance(s, lang.Loop) else all_parts(s))]


def _may_be_a_size(part: lang.Expression) -> bool:
    """Not 0 and 1, which are axes and what is taken from; as an index they count rows."""
    nodes = lang.walk(part)
    places = [item for node in nodes if isinstance(node, lang.Subscript) for item in node.items]
    counted = [n for item in places for n in lang.walk(item) if isinstance(n, lang.Number)]
    numbers = [n for n in nodes if isinstance(n, lang.Number) and not isinstance(n.value, bool)]
    return bool(counted) or any(n.value not in (0, 1) for n in numbers)
