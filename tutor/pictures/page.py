"""What stands on the page of a report: everything decided, so that a view only has to spell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.answers import documents
from tutor.answers.documents import Row
from tutor.catalogue import load
from tutor.exercise import Exercise, Quantity
from tutor.pictures.graph import Graph, diverging
from tutor.shown import Shown

if TYPE_CHECKING:
    from tutor.checking.report import LineReport, Report
    from tutor.symbolic.derive import Derivation


@dataclass(frozen=True)
class Judged:
    """A line of the sheet with what was said of it; most lines of a file are not judged."""

    row: Row
    verdicts: tuple[LineReport, ...] = ()


@dataclass(frozen=True)
class Part:
    """One exercise of a sheet. `looked_at` is the first divergence, or what could not be read, and `uses` the
    quantities that the gradient there comes from; `derivation` is None where it is left out."""

    exercise: Exercise
    report: Report
    lines: tuple[Judged, ...]
    graph: Graph
    looked_at: LineReport | None
    uses: tuple[Quantity, ...]
    derivation: Derivation | None

    @property
    def others(self) -> list[LineReport]:
        """Further lines that are wrong or cannot be read."""
        return [line for line in self.report if line.verdict in ("wrong", "unreadable") and line is not self.looked_at]


@dataclass(frozen=True)
class ReportPage(Shown):
    """All parts of a sheet."""

    shown_as = "report_page"

    name: str
    parts: tuple[Part, ...]


def report_page(sheet: str, exercise: str | None = None, *, derivation: bool = True, **options: Any) -> ReportPage:
    """Judge a sheet (a path, or - for stdin) and gather what its page shows.

    Without `derivation` the true one is left out, as for graded work; `options` are those of `check`.
    """
    from tutor.checking.sheets import check_sheets
    from tutor.desk import drill

    text, kind = documents.read(sheet), documents.kind_of(sheet)
    reports = drill.graded(text, check_sheets(text, exercise, kind, **options))
    rows = documents.rows(text, kind)
    if len(rows) != len(reports):  # one exercise was chosen: the file is shown as a whole
        rows = [[row for part in rows for row in part]] * len(reports)
    address = [exercise] if exercise else [report.exercise for report in reports]
    parts = (_part(load(name), r, mine, derivation) for name, r, mine in zip(address, reports, rows, strict=True))
    return ReportPage("" if sheet == "-" else Path(sheet).name, tuple(parts))


def _part(exercise: Exercise, report: Report, rows: list[Row], derivation: bool) -> Part:
    looked_at = report.first_divergence or next((line for line in report if line.verdict == report.verdict), None)
    looked_at = None if looked_at is None or looked_at.verdict not in ("wrong", "unreadable") else looked_at
    return Part(
        exercise,
        report,
        tuple(_judged(report, rows)),
        diverging(exercise, report),
        looked_at,
        _uses(exercise, looked_at),
        exercise.derive() if derivation else None,
    )


def _judged(report: Report, rows: list[Row]) -> Iterator[Judged]:
    """Every line, without the empty ones at the end; of a notebook the cells in which something was judged."""
    at: dict[tuple[int | None, int], list[LineReport]] = {}
    for line in report:
        at.setdefault((line.cell, line.line), []).append(line)
    cells = {line.cell for line in report}
    shown = [row for row in rows if row.cell is None or row.cell in cells]
    while shown and not shown[-1].text.strip():
        shown.pop()
    for row in shown:
        yield Judged(row, tuple(at.get((row.cell, row.number), ())))


def _uses(exercise: Exercise, line: LineReport | None) -> tuple[Quantity, ...]:
    """For `dz` the quantities that are computed from z."""
    name = None if line is None else exercise.differentiated(line.quantity or "")
    return tuple(q for q in exercise.forward if name in q.reads)
