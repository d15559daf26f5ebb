"""The results folder: what a teacher opens, written anew from the gradebook; same grades, same bytes.

grades.csv      a row for each learner
problems.csv    what needs a person's look, by file
feedback/       a page for each learner: what the assignment releases, and no more
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

from tutor.errors import UsageError
from tutor.grading.assignment import Assignment
from tutor.grading.exports import csv_file
from tutor.grading.exports.csv_file import ENCODING, safe
from tutor.grading.gradebook import Gradebook, Version
from tutor.grading.grades import assignment_of, of_version
from tutor.grading.model import LearnerGrade, Problem
from tutor.grading.names import file_name
from tutor.language import said, speaking
from tutor.saving import kept_whole, replaced

GRADES, PROBLEMS, FEEDBACK = "grades.csv", "problems.csv", "feedback"


@dataclass
class Tally:
    """A class in numbers, counted as its grades are written."""

    learners: int = 0
    files: int = 0
    graded: int = 0  # learners who handed in, and whose points are known
    points: float = 0.0  # theirs together
    worth: float = 0.0  # the most that one can have
    by_hand: int = 0  # learners with a question that a person has to look at
    problems: Counter[str] = field(default_factory=Counter)

    def add(self, grade: LearnerGrade) -> None:
        self.learners += 1
        self.worth = max(self.worth, grade.max_points)
        if grade.points is None:
            self.by_hand += 1
        elif grade.handed_in:
            self.graded += 1
            self.points += grade.points
        self.problems.update(problem.id for _, problem in grade.problems)


def write(book: Gradebook, version: Version, folder: Path, now: datetime) -> Tally:
    """Write the results folder; a file that is as it should be is not touched, and none is ever half written."""
    assignment, tally = assignment_of(version), Tally(files=book.files())
    pages = _Pages(folder / FEEDBACK, assignment, assignment.is_due(now), book.alike())
    with _explained(folder), speaking(assignment.language):
        with _table(folder / GRADES) as grades, _table(folder / PROBLEMS) as problems:
            troubles = _Problems(problems)
            for entry in book.of_nobody():
                troubles.add("", entry.name, entry.problems)
                tally.problems.update(problem.id for problem in entry.problems)

            def seen() -> Iterator[LearnerGrade]:
                """Each learner's grade is read once, and goes into every file."""
                for grade in of_version(book, version):
                    tally.add(grade)
                    troubles.write(grade)
                    pages.write(grade)
                    yield grade

            csv_file.write(csv_file.rows(seen(), assignment), grades)
        pages.tidy()
    return tally


def _table(path: Path) -> AbstractContextManager[IO[str]]:
    return replaced(path, "w", encoding=ENCODING, newline="", lasting=True)


class _Problems:
    """problems.csv: learner, file, which kind of problem, what it is and what to do."""

    def __init__(self, stream: IO[str]):
        self._rows = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        self._rows.writerow(["learner", "file", "problem", "what"])

    def write(self, grade: LearnerGrade) -> None:
        for file, problem in grade.problems:
            self.add(grade.learner, file, (problem,))

    def add(self, learner: str, file: str, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self._rows.writerow([safe(learner), safe(file), problem.id, safe(str(problem.message))])


class _Pages:
    """A page for each learner, under a name that no learner can choose a path with."""

    def __init__(self, folder: Path, assignment: Assignment, due: bool, alike: Container[str]):
        self.folder, self.assignment, self.due, self.alike = folder, assignment, due, alike
        self.written: set[str] = set()

    def write(self, grade: LearnerGrade) -> None:
        from tutor.grading.feedback import released
        from tutor.views import feedback

        if not self.written:
            self.folder.mkdir(exist_ok=True)
        name = f"{file_name(grade.learner, self.alike)}.html"
        self.written.add(name)
        page = feedback.html(released(grade, self.assignment, self.due)).encode("utf-8", "replace")
        kept_whole(f"{self.folder}{os.sep}{name}", page)

    def tidy(self) -> None:
        """Pages of learners that are no longer there go."""
        for path in self.folder.glob("*.html") if self.folder.is_dir() else ():
            if path.name not in self.written:
                path.unlink()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            said("cannot write into {folder}: {reason}; what was graded is kept, so run it again",
                 folder=folder, reason=error.strerror or error)
        ) from None  # fmt: skip
