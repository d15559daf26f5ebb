"""In a notebook: `%%answer q1` keeps a sheet, and the cells and test files of nbgrader and otter-grader grade it.

Whoever writes a notebook writes code that runs: what these functions say is as trustworthy as the system that runs the
notebook. The sheet itself is read, and never run.
"""

from __future__ import annotations

import io
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tutor.grading.exports import common
from tutor.grading.feedback import Feedback
from tutor.grading.model import LearnerGrade, Submission
from tutor.language import ntr, speaking, tr

SECONDS = 25  # nbgrader stops a cell after 30, and then takes it for a wrong answer
_sheets: dict[str, str] = {}


class NotEarned(AssertionError):
    """A quantity that has not earned its points, with what the learner is told."""


class Undecided(BaseException):
    """We could not tell. No Exception, so that no system takes it for a test that failed."""


class _Open(float):
    """`inf`: more than any cell is worth, which nbgrader refuses: not graded, rather than graded 0."""


OPEN = _Open("inf")


# -- the sheets ------------------------------------------------------------------------------------------------------


def keep(question: str, sheet: str) -> str:
    """Keep a cell's text as the sheet of a question; what is said of it, which is not whether it is right."""
    _sheets[question] = sheet
    lines = sum(1 for line in sheet.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return ntr("{question}: {number} line kept", "{question}: {number} lines kept", lines,
               question=question, number=lines)  # fmt: skip


# -- grades of one question ------------------------------------------------------------------------------------------


def points(question: str, parcel: str) -> float:
    """The points of a question, printed with what the learner is told; `OPEN` where a person has to look."""
    try:
        grade, feedback = _told(question, parcel)
    except Undecided as undecided:
        print(undecided)
        return OPEN
    print(_text(feedback))
    return OPEN if grade.points is None else min(grade.points, grade.max_points)


def earns(question: str, name: str, least: float, parcel: str) -> None:
    """Pass where a quantity has earned so many points; else NotEarned, or Undecided where we cannot tell."""
    grade, feedback = _told(question, parcel)
    if grade.points is None:
        raise Undecided(common.look_by_hand(feedback))
    attempt = grade.questions[0].attempt
    if attempt is None:
        raise NotEarned("\n" + _text(feedback))
    if attempt.earned.get(name, 0.0) < least - 1e-9:
        credit = attempt.part.credit
        first = next((n for n in attempt.earned if credit.get(n) not in ("correct", "excused")), name)
        raise NotEarned("\n" + (_text(feedback) if name == first else tr("see {name}", name=first)))


def _text(feedback: Feedback) -> str:
    """Without a name: who it is, the notebook's system knows."""
    return common.text_of(replace(feedback, learner="", person="")).rstrip()


def _told(question: str, parcel: str) -> tuple[LearnerGrade, Feedback]:
    """The grade of a question that stands alone in its parcel, and what the learner is told of it."""
    sheet = _sheets.get(question)
    try:
        with _quiet(), _deadline(SECONDS):
            found = _graded(question, parcel, sheet)
    except Exception as error:
        raise Undecided(f"{common.failed()} ({type(error).__name__}: {error})") from error
    if sheet is None:
        print(tr("nothing was handed in: run the cell that begins with %%answer {question}", question=question))
    return found


@lru_cache(maxsize=64)
def _graded(question: str, parcel: str, sheet: str | None) -> tuple[LearnerGrade, Feedback]:
    with tempfile.TemporaryDirectory() as folder:
        assignment = common.unpacked(parcel, Path(folder))
        with speaking(assignment.language):
            # lines are counted from the top of the cell, where the magic stands
            sheets = [] if sheet is None else [Submission(common.ANYBODY, 1, f"{question}.py", f"\n{sheet}".encode())]
            return common.graded(assignment, common.ANYBODY, sheets)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr, not from torch either: to nbgrader a cell that writes there is a wrong answer."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Stop after so many seconds, where signals can do that."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(tr("judging took too long"))

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        with suppress(TypeError):
            signal.signal(signal.SIGALRM, before)
