"""Grading on a terminal: what a run did, who changes, what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tutor.language import N_, ntr, tr
from tutor.shown import quoted

if TYPE_CHECKING:
    from tutor.grading.assignment import Assignment
    from tutor.grading.batch import Change, Outcome
    from tutor.grading.decisions import Decision
    from tutor.grading.outputs import Tally

MOST_SHOWN = 200  # changes that are printed
TROUBLES = {  # what was found with files, in the order in which it is told
    "unknown-learner": (N_("{count} file from nobody on the roster"), N_("{count} files from nobody on the roster")),
    "wrong-exercise": (N_("{count} answer to another exercise"), N_("{count} answers to other exercises")),
    "unplaced": (
        N_("{count} sheet that does not say which question it is for"),
        N_("{count} sheets that do not say which question they are for"),
    ),
    "duplicate": (N_("{count} further answer to a question"), N_("{count} further answers to a question")),
    "unreadable": (N_("{count} file that cannot be read"), N_("{count} files that cannot be read")),
    "empty": (N_("{count} empty file"), N_("{count} empty files")),
    "too-large": (N_("{count} file that is too large"), N_("{count} files that are too large")),
    "not-a-sheet": (N_("{count} file that is no sheet"), N_("{count} files that are no sheets")),
    "unsafe": (N_("{count} unsafe file"), N_("{count} unsafe files")),
    "undecided": (N_("{count} sheet that could not be judged"), N_("{count} sheets that could not be judged")),
}


def summary(assignment: Assignment, outcome: Outcome, tally: Tally, folder: Path) -> str:
    """What a run did, and where the results are."""
    return "\n".join(_summary(assignment, outcome, tally, folder))


def _summary(assignment: Assignment, outcome: Outcome, tally: Tally, folder: Path) -> Iterator[str]:
    from tutor.grading.outputs import FEEDBACK, GRADES, PROBLEMS

    yield f"{assignment.id}   {assignment.title}".rstrip()
    yield ""
    people = ntr("{count} learner", "{count} learners", tally.learners, count=tally.learners)
    files = ntr("{count} file", "{count} files", tally.files, count=tally.files)
    judged = ntr("{count} sheet judged now", "{count} sheets judged now", outcome.judged, count=outcome.judged)
    did = [judged if outcome.judged else tr("nothing new to judge")]
    if outcome.known:
        did.append(ntr("{count} as before, or as an equal one", "{count} as before, or as equal ones", outcome.known,
                       count=outcome.known))  # fmt: skip
    yield tr("{people}, {files}: {did}", people=people, files=files, did=", ".join(did))
    if tally.graded:
        average = f"{tally.points / tally.graded:.4g}"
        yield tr("on average {points} of {worth} points", points=average, worth=f"{tally.worth:g}")
    if tally.by_hand:
        yield ntr("! {count} learner to look at by hand", "! {count} learners to look at by hand", tally.by_hand,
                  count=tally.by_hand)  # fmt: skip
    for id, (one, many) in TROUBLES.items():
        count = tally.problems.get(id, 0)
        if count:
            yield "! " + tr(one if count == 1 else many, count=count)
    yield ""
    yield tr("{path}   a row for each learner", path=quoted(folder / GRADES))
    if tally.problems:
        yield tr("{path}   what is wrong with which file", path=quoted(folder / PROBLEMS))
    yield tr("{path}   a page for each learner", path=quoted(folder / FEEDBACK))
    yield ""
    yield tr("next: tutor class-report {folder} -o class.html", folder=quoted(folder))


def changes(found: Iterable[Change], outcome: Outcome) -> str:
    """Whose points change and why."""
    found = iter(found)
    shown = list(islice(found, MOST_SHOWN))
    more = sum(1 for _ in found)
    if not shown:
        return tr("nobody's points change ({count} sheets judged anew)", count=outcome.judged)
    rows = [_row(change) for change in shown]
    count = len(shown) + more
    head = ntr("{count} change:", "{count} changes:", count, count=count)
    rest = [tr("... and {count} more", count=more)] if more else []
    return "\n".join([head, "", *rows, *rest])


def _row(c: Change) -> str:
    why = tr("; ").join(map(tr, c.why))
    return f"{c.learner}   {c.question}   {_points(c.before)} -> {_points(c.now)}   {why}".rstrip()


def _points(points: float | None) -> str:
    return "-" if points is None else f"{points:g}"


def decision(made: Decision) -> str:
    """What counts now."""
    if made.made is None:
        return tr("taken back: what was judged counts for {question} of {learner}", question=made.question,
                  learner=made.learner)  # fmt: skip
    return tr("{learner} has {points} points for {question}, whatever is judged", learner=made.learner,
              points=f"{made.made.points:g}", question=made.question)  # fmt: skip
