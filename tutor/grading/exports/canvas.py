"""Canvas: the gradebook that a teacher exported, with one assignment's column filled in, to be imported again.

    Student,ID,SIS User ID,SIS Login ID,Section,Homework 3 (1234)
        Points Possible,,,,,6
    "Doe, Jane",4711,,jdoe,Lab 1,
    "Student, Test",9,,5a...,Lab 1,

Specification: Canvas's gradebook exporter (lib/gradebook_exporter.rb) and its guide to importing grades.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tutor.errors import UsageError
from tutor.grading.exports import filled
from tutor.grading.exports.filled import Filled, Row, Table
from tutor.grading.exports.people import People
from tutor.grading.model import LearnerGrade
from tutor.language import said

IDS = ("SIS User ID", "SIS Login ID", "Integration ID")
TEST_STUDENT = "student, test"
LOCKED = {"EX": "excused", "N/A": "not assigned"}


def fill(
    path: Path, grades: Iterable[LearnerGrade], title: str, column: str | None = None, scaled: bool = False,
    zeros: bool = False,
) -> Filled:  # fmt: skip
    """The table with the points of each learner in their row; with `zeros` also of those who handed in nothing."""
    table = filled.read(path)
    if table.column("ID") is None or table.column("Student", "LastName") is None:
        raise UsageError(said("{path} is no gradebook of Canvas: it has no columns Student and ID", path=path))
    place = _column(table, title, column)
    possible = next((row.value(place) for row in table.rows[1:] if _is_points(row)), "")
    known = {grade.learner: grade for grade in grades}
    people = People(((g.learner, g.person, g.aliases) for g in known.values()), "canvas")

    def find(row: Row) -> str | None:
        ids = [row.value(table.column(name)) for name in IDS]
        return people.find(system=row.value(table.column("ID")), ids=ids, names=[_who(table, row)])

    def put(row: Row, grade: LearnerGrade) -> str:
        locked = LOCKED.get(row.value(place).strip())
        if locked:
            return locked
        points = filled.in_scale(grade.points or 0.0, grade.max_points, filled.as_number(possible), scaled)
        row.put(place, filled.written(points, possible), table.delimiter)
        return ""

    rows = (row for row in _students(table) if _who(table, row).casefold() != TEST_STUDENT or find(row))
    return filled.fill(table, rows, known, who=lambda row: _who(table, row), find=find, put=put, zeros=zeros)


def _column(table: Table, title: str, column: str | None) -> int:
    """`Homework 3 (1234)` by all of it, or by its title; read-only columns have no number."""
    wanted = column or title
    exact = [n for n, name in enumerate(table.header) if name == wanted]
    titled = [n for n, name in enumerate(table.header) if re.sub(r" \(\d+\)$", "", name) == wanted != name]
    return filled.named(table, wanted, exact if column and exact else titled or exact)


def _students(table: Table) -> list[Row]:
    """The rows of people: after the header come rows of points and of posting, which have no id."""
    id = table.column("ID")
    return [row for row in table.rows[1:] if not _is_points(row) and row.value(id).strip()]


def _is_points(row: Row) -> bool:
    return row.value(0).strip() == "Points Possible"


def _who(table: Table, row: Row) -> str:
    last, first = table.column("LastName"), table.column("FirstName")
    if last is not None and first is not None:
        return f"{row.value(last)}, {row.value(first)}"
    return row.value(table.column("Student"))
