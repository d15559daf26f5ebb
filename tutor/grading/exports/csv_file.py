"""grades.csv: a row for each learner, every cell quoted, none of which a spreadsheet takes for a formula.

The file begins with a byte order mark: without one Excel takes UTF-8 for the machine's old code page, and pandas, R and
LibreOffice skip it (Python's csv module reads it as `utf-8-sig`).
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from tutor.grading.assignment import Assignment
from tutor.grading.exports.common import number
from tutor.grading.model import LearnerGrade

ENCODING = "utf-8-sig"
BEFORE, AFTER = ("learner", "name"), ("total", "max", "status", "problems")
# what begins a formula (OWASP, "CSV injection"), also in full width, and the signs that look the same
FORMULA = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
FORMULA += "\N{MINUS SIGN}\N{SMALL PLUS SIGN}\N{SMALL EQUALS SIGN}\N{SMALL HYPHEN-MINUS}\N{SMALL COMMERCIAL AT}"
# where a program that splits at other places than commas begins a new cell
_STARTS = re.compile(
    r"(?:\A|(?<=[;\t\r\n\"]))(?P<blank>[\s\ufeff\u200b-\u200f\u2060]*)(?=[" + re.escape(FORMULA) + "])"
)


def safe(text: str) -> str:
    """The text with an apostrophe before whatever could start a formula, and without control characters."""
    if not text.isprintable():
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
        text = "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs"))
    return _STARTS.sub(lambda found: f"{found['blank']}'", text)


def status(grade: LearnerGrade) -> str:
    if not grade.known:
        return "unknown learner"
    if grade.points is None:
        return "by hand"
    return "graded" if grade.handed_in else "nothing handed in"


def rows(grades: Iterable[LearnerGrade], assignment: Assignment) -> Iterator[list[str]]:
    """The header, and a row for each learner as it comes."""
    names = [question.name for question in assignment.questions]
    yield [*BEFORE, *map(_column, names), *AFTER]
    for grade in grades:
        points = {question.question: question.points for question in grade.questions}
        problems = "\n".join(f"{file}: {problem.message}" if file else str(problem.message)
                             for file, problem in grade.problems)  # fmt: skip
        yield [
            safe(grade.learner),
            safe(grade.person),
            *(number(points.get(name)) for name in names),
            number(grade.points),
            number(grade.max_points),
            status(grade),
            safe(problems),
        ]


def _column(name: str) -> str:
    return f"{name} (question)" if name in (*BEFORE, *AFTER) else name


def write(rows: Iterable[Sequence[str]], stream: IO[str]) -> int:
    """Write rows as they come; how many learners there were."""
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    count = -1
    for row in rows:
        writer.writerow(row)
        count += 1
    return max(count, 0)
