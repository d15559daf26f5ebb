"""Moodle: the grading worksheet of an assignment, with grades and comments filled in, to be uploaded again.

    Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,...,Feedback comments
    Participant 12345,Jane Doe,jane@example.org,...,,6.00,Yes,...,

Specification: Moodle's mod/assign/feedback/offline (importgradeslib.php): rows are known by `Identifier`, and "Last
modified (grade)" has to stay for Moodle to see that nobody graded in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

from tutor.errors import UsageError
from tutor.grading.exports import filled
from tutor.grading.exports.filled import Filled, Row, Table
from tutor.grading.exports.people import People
from tutor.grading.model import LearnerGrade
from tutor.language import said, tr

IDS = ("ID number", "Email address", "Username")
COMMENTS = "Feedback comments"


def fill(
    path: Path, grades: Iterable[LearnerGrade], comment: Callable[[LearnerGrade], str], column: str | None = None,
    scaled: bool = False, zeros: bool = False,
) -> Filled:  # fmt: skip
    """The worksheet with each learner's points, and what they are told as the comment."""
    table = filled.read(path)
    if table.column("Identifier") is None:
        raise UsageError(
            said("{path} is no grading worksheet of Moodle in English: it has no column Identifier", path=path)
        )
    place = _column(table, column or "Grade")
    most, comments, may = table.column("Maximum Grade"), table.column(COMMENTS), table.column("Grade can be changed")
    known = {grade.learner: grade for grade in grades}
    people = People(((g.learner, g.person, g.aliases) for g in known.values()), "moodle")

    def find(row: Row) -> str | None:
        number = re.fullmatch(r"\D*(\d+)", row.value(table.column("Identifier")).strip())
        ids = [row.value(table.column(name)) for name in IDS]
        names = [row.value(table.column("Full name"))]
        return people.find(system=number[1] if number else "", ids=ids, names=names)

    def put(row: Row, grade: LearnerGrade) -> str:
        if may is not None and row.value(may).strip().casefold() != "yes":
            return tr("its grade cannot be changed")
        out_of = row.value(most)
        points = filled.in_scale(grade.points or 0.0, grade.max_points, filled.as_number(out_of), scaled)
        row.put(place, filled.written(points, out_of), table.delimiter)
        if comments is not None:
            row.put(comments, as_html(comment(grade)), table.delimiter)
        return ""

    rows = (row for row in table.rows[1:] if any(cell.strip() for cell in row.cells))
    return filled.fill(table, rows, known, who=lambda row: _who(table, row), find=find, put=put, zeros=zeros)


def as_html(text: str) -> str:
    """Moodle takes a comment for HTML; this one shows the text as it is, whatever a learner wrote into it."""
    return f"<pre>{escape(text.strip())}</pre>" if text.strip() else ""


def _column(table: Table, wanted: str) -> int:
    return filled.named(table, wanted, [n for n, name in enumerate(table.header) if name == wanted])


def _who(table: Table, row: Row) -> str:
    return row.value(table.column("Full name")) or row.value(table.column("Identifier"))
