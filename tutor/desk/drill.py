"""A drill: the backward pass of an exercise with one planted mistake. The learner names the line and mends it.

A drill is its exercise and its seed: nothing is hidden in a file, since it is made again to be graded. The mistake is a
row of the mistake table (`checking/spoils.py`), written in torch's form like the other lines, and the judge has called
the line wrong before it is handed out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

from tutor.errors import TutorError, UsageError
from tutor.language import tr

if TYPE_CHECKING:
    from tutor.checking.report import Report
    from tutor.exercise import Exercise

LARGEST_SEED = 10**6
TRIES = 40  # mistakes that are tried before an exercise is given up
_HEADER = re.compile(r"^\s*#\s*drill\s*[:：]\s*seed\s+(\d{1,7})\s*$", re.MULTILINE)
_NAMED = re.compile(r"^\s*#\s*wrong line\s*[:：]\s*(\S.*?)\s*$", re.MULTILINE)
_BLANK = "..."


@dataclass(frozen=True)
class Drill:
    """The sheet as it is handed out, and where its mistake is."""

    exercise: str
    seed: int
    text: str
    line: int  # of the text, from 1
    quantity: str  # `dW`
    mistake: str  # an id of the mistake table


@lru_cache(maxsize=32)
def drill(address: str, seed: int = 0) -> Drill:
    """The drill of an exercise with a seed; the same for the same two.

    Raises UsageError where no mistake of the table can be written as a line of this exercise.
    """
    from tutor.catalogue import load
    from tutor.checking.check import check

    if not 0 <= seed <= LARGEST_SEED:
        raise UsageError(tr("a drill's seed is a number from 0 to {most}", most=LARGEST_SEED))
    exercise = load(address)
    head, lines = _head(exercise, seed), _lines(exercise)
    for quantity, mistake, formula in _spoilt(exercise, lines, Random(seed)):
        at = list(lines).index(quantity)
        text = "\n".join([*head, *({**lines, quantity: formula}.values()), ""])
        report = check(exercise, text, repairs=False)
        wrong = [line for line in report.lines if line.verdict not in ("correct", "follows")]
        if [(line.quantity, line.verdict) for line in wrong] == [(quantity, "wrong")]:
            return Drill(exercise.id, seed, text, len(head) + at + 1, quantity, mistake)
    raise UsageError(
        tr("{exercise} has no line in which a mistake can be planted: drill another", exercise=exercise.id)
    )


def _head(exercise: Exercise, seed: int) -> list[str]:
    return [
        f"# exercise: {exercise.id}",
        f"# drill: seed {seed}",
        *(
            f"# {row}".rstrip()
            for row in (
                exercise.title,
                "",
                tr("One line below is wrong. Put its number, or what it gives, in place of the dots, and mend it;"),
                tr("'tutor check' on this file says whether you are right. 'tutor show {id}' has the forward program.",
                   id=exercise.id),
            )
        ),
        f"# wrong line: {_BLANK}",
        "",
    ]  # fmt: skip


def _lines(exercise: Exercise) -> dict[str, str]:
    """The backward pass as lines of torch, by what they give; a gradient without such a form in index form."""
    return {
        g.symbol_name: f"{g.symbol_name} = {g.torch}" if g.torch else g.index_form for g in exercise.derive().needed
    }


def _spoilt(exercise: Exercise, lines: dict[str, str], dice: Random) -> Iterator[tuple[str, str, str]]:
    """What can be planted: (`dW`, the mistake's id, the line), in the order of the dice, each kind in turn."""
    from tutor.checking.spoils import spoilt
    from tutor.symbolic.torch_form import torch_form

    found: dict[str, list[tuple[str, Any]]] = {}
    for name in lines:
        for variant in spoilt(exercise, name[1:]).variants:
            found.setdefault(variant.id, []).append((name, variant))
    kinds = list(found)
    dice.shuffle(kinds)
    for several in found.values():
        dice.shuffle(several)
    tried = 0
    for turn in range(max(map(len, found.values()), default=0)):
        for kind in kinds:
            if turn < len(found[kind]) and tried < TRIES:
                name, variant = found[kind][turn]
                formula = torch_form(variant.expr, variant.indices, exercise)
                if formula and f"{name} = {formula}" != lines[name]:
                    tried += 1
                    yield name, kind, f"{name} = {formula}"


# -- graded -----------------------------------------------------------------------------------------------------


def graded(text: str, reports: list[Report]) -> list[Report]:
    """The reports of a sheet; where it is a drill, they also say whether the wrong line was named."""
    seed = _HEADER.search(text)
    if seed is None or len(reports) != 1:
        return reports
    try:
        made = drill(reports[0].exercise, int(seed[1]))
    except TutorError:  # a header of the learner's own
        return reports
    named = _NAMED.search(text)
    said = named[1].removeprefix("line ").strip() if named else _BLANK
    return [_with(reports[0], made, said)]


def is_drill(text: str) -> bool:
    """Whether a sheet is a drill, by its header."""
    return _HEADER.search(text) is not None


def _with(report: Report, made: Drill, said: str) -> Report:
    """Until the line is named the verdicts are kept back: they would name it."""
    if said in (str(made.line), made.quantity, made.quantity[1:]):
        found = tr("the drill: line {line}, {name}, was wrong, as you said", line=made.line, name=made.quantity)
        return replace(report, notes=(*report.notes, found))
    if said == _BLANK:
        note = tr(
            "the drill: name the line first, as '# wrong line: 12' or '# wrong line: dW'; then the lines are judged"
        )
    else:
        note = tr("the drill: {said} was right as it was handed out: look again", said=said)
    return replace(report, score=0, missing=(tr("the wrong line"),), lines=(), notes=(note,))
