"""The smallest edit that makes a wrong line right, and on which line: this one, or one that leads to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from tutor.answers import language as lang
from tutor.checking.outline import Meaning, Segment, all_parts
from tutor.checking.report import Repair
from tutor.checking.search import Search
from tutor.checking.sources import Sources

MOST_SITES = 4  # lines that are searched for one wrong line


@dataclass(frozen=True)
class Found:
    """What a search gave: the repair, its line, that line with the repair put in; and what it took, in candidates."""

    repair: Repair | None
    cost: int
    site: lang.Statement | None = None
    mended: lang.Statement | None = None

    @property
    def adds(self) -> bool:
        """Whether the repair puts something in, and does not only change or take away what stands there."""
        if self.site is None or self.mended is None:
            return False
        return _size(self.mended) > _size(self.site)


def repair_of_helpers(judge: Sources, segment: Segment, meaning: Meaning | None = None) -> Found:
    """The same, on the lines of helpers alone."""
    lines = list(_helper_lines(judge, segment))
    return repair(judge, segment, meaning, lines) if lines else Found(None, 0)


def repair(
    judge: Sources, segment: Segment, meaning: Meaning | None = None, sites: Iterable[lang.Statement] = ()
) -> Found:
    """The smallest edit that makes a wrong line right.

    `meaning` is what its name should hold. The line itself is looked at first, then the earlier lines that build its
    quantity up, then helpers that it reads. What would have to be put in on the line itself may as well be what an
    earlier one has too much, or with another sign: then that is the smaller edit.
    """
    failure = judge.failure(segment)
    shown = segment.statement.line if failure is None else failure.line
    meaning = meaning or judge.meaning(segment)
    judged = segment
    if meaning.kind == "helper":  # torch refuses it: what reads it says what it should be
        judged = next(chain(judge.readers(segment), judge.hanging(segment)), segment)
        meaning = judge.meaning(judged)
    cost, best = 0, Found(None, 0)
    for statement in islice(sites or _sites(judge, segment, shown), MOST_SITES):
        if best.repair is not None and not _builds(segment, statement):
            break
        search = Search(judge, judged, meaning, statement)
        found = search.find() if search.ready else None
        cost += search.cost
        if found is not None:
            there = found if statement.line == shown else replace(found, line=statement.line)
            made = Found(there, cost, statement, search.mended)
            if not made.adds:
                return made
            best = made if best.repair is None else best
    return replace(best, cost=cost)


def _builds(segment: Segment, statement: lang.Statement) -> bool:
    """Whether a line is one of those that build a quantity up."""
    return any(touch.statement is statement for touch in segment.touches)


def _size(statement: lang.Statement) -> int:
    return sum(len(lang.walk(part)) for part in all_parts(statement))


def read_by(judge: Sources, segment: Segment) -> set[str]:
    """Every name that a quantity's lines read, directly or through helpers."""
    found = set().union(*(touch.reads for touch in segment.touches)) - {segment.name}
    for name, unit in segment.helpers.items():
        found.discard(name)
        state = judge.helper_state(name, unit)
        found |= set().union(*(touch.reads for touch in state.segment.touches)) if state is not None else set()
    return found | set(segment.sources)


def _sites(judge: Sources, segment: Segment, shown: int) -> Iterator[lang.Statement]:
    """Where the fault may be: on the line shown, on those before it, in helpers."""
    own = list({id(touch.statement): touch.statement for touch in reversed(segment.touches)}.values())
    own.sort(key=lambda statement: statement.line != shown)
    for statement in (*own, *_helper_lines(judge, segment)):
        if not isinstance(statement, (lang.Unreadable, lang.Loop)):
            yield statement


def _helper_lines(judge: Sources, segment: Segment) -> Iterator[lang.Statement]:
    """Lines of helpers that may be at fault: not what a right line reads, nor a value or gradient as it should be."""
    for name in sorted(segment.helpers, key=lambda name: -segment.helpers[name]):
        state = judge.helper_state(name, segment.helpers[name])
        if state is None:
            continue
        readers = (other for other in judge.readers(state.segment) if other is not segment)
        right = any(judge.holds(other, judge.runs) for other in readers)
        if not right and not judge.is_sound(judge.values_of(state.segment)):
            yield from (touch.statement for touch in reversed(state.segment.touches))
