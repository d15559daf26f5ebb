"""A learner's file from disk to its reports: read, judged, a drill's named line looked at, progress kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.answers import documents
from tutor.catalogue import load
from tutor.desk import drill
from tutor.desk import progress as progress_of
from tutor.errors import UsageError
from tutor.language import tr

if TYPE_CHECKING:
    from tutor.checking.report import Report
    from tutor.desk.hints import Hint


@dataclass(frozen=True)
class Judged:
    """One report for each exercise of the sheet; `problem` says why progress was not kept where it should be."""

    reports: list[Report]
    problem: str = ""


def judged(sheet: str, exercise: str | None = None, *, make: bool = False, **options: Any) -> Judged:
    """Judge a sheet (a path, or - for stdin) and record the outcome where progress is kept.

    With `make` progress is kept in the sheet's folder from now on. `options` are those of `check`.
    """
    from tutor.checking.sheets import check_sheets

    text = documents.read(sheet)
    reports = check_sheets(text, exercise, documents.kind_of(sheet), **options)
    reports = drill.graded(text, reports)
    return Judged(reports, "" if sheet == "-" else _kept(Path(sheet), text, reports, make))


def _kept(path: Path, text: str, reports: list[Report], make: bool) -> str:
    folder = progress_of.home(path.parent) or (path.parent if make else None)
    if folder is None or drill.is_drill(text):  # a drill that is done is no exercise that is solved
        return ""
    try:
        with progress_of.changing(folder) as progress:
            progress.record(path, text, reports)
    except (UsageError, OSError) as error:
        return str(error)
    return ""


def begin(sheet: Path) -> str:
    """Keep progress from now on in a sheet's folder, unless one above it does; why that cannot be, or nothing."""
    try:
        with progress_of.changing(progress_of.home(sheet.parent) or sheet.parent) as progress:
            progress.sheet(sheet)
    except UsageError as error:
        return str(error)
    return ""


def forget(exercise: str | None) -> str:
    """Forget an exercise, or all; what was forgotten. A damaged file is put aside."""
    folder = progress_of.home(Path.cwd())
    if folder is None:
        return ""
    with progress_of.changing(folder, aside=True) as progress:
        before = progress.to_dict()
        progress.forget(exercise)
        return (exercise or tr("all exercises")) if progress.to_dict() != before or exercise is None else ""


# -- hints, level by level ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """A hint and the sheet that it was given for."""

    sheet: str
    report: Report
    hint: Hint

    def __str__(self) -> str:
        from tutor.views import desk

        return desk.hint(self)


def hint_for(sheet: str, exercise: str | None = None, level: int | None = None) -> Given:
    """The next hint for where a sheet diverges: it is judged, and the hint remembered."""
    if sheet == "-":
        raise UsageError(tr("a hint is for a file: what was said before is kept beside it"))
    reports = judged(sheet, exercise, make=True).reports
    stuck = next((report for report in reports if not report.correct), reports[0])
    return next_hint(Path(sheet), stuck, level)


def next_hint(sheet: Path, report: Report, level: int | None = None) -> Given:
    """The next hint for a sheet with this report, or the one of a `level`; which was the last is kept.

    Raises UsageError where there is nothing to give a hint for.
    """
    from tutor.desk import hints

    if report.correct:
        raise UsageError(tr("{exercise} is solved: there is nothing to give a hint for", exercise=report.exercise))
    exercise = load(report.exercise)
    quantity = hints.stuck_at(exercise, report)
    if quantity is None:
        raise UsageError(tr("the sheet cannot be judged yet: {reason}", reason=_unjudged(report)))
    with progress_of.changing(progress_of.home(sheet.parent) or sheet.parent) as progress:
        given = progress.sheet(sheet).hints
        found = hints.hint(exercise, quantity, level or given.get(f"{exercise.id} {quantity}", 0) + 1)
        given[found.key] = max(given.get(found.key, 0), found.level)
    return Given(sheet.name, report, found)


def _unjudged(report: Report) -> str:
    line = next((line for line in report.lines if line.verdict in ("unreadable", "undecided")), None)
    return "; ".join(report.notes) if line is None else f"{line.named}: {line.reason}"


# -- drills -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WrittenDrill:
    path: Path
    text: str


def write_drill(exercise: str | None, path: str | None, seed: int | None, *, force: bool = False) -> WrittenDrill:
    """Write a drill to `path`, a file or a folder; `-` writes nothing. Without a seed another one each time."""
    from random import SystemRandom

    address = exercise or _solved_here()
    seed = SystemRandom().randrange(drill.LARGEST_SEED) if seed is None else seed
    made = drill.drill(address, seed)
    name = f"{re.sub(r'[^a-zA-Z0-9_.-]+', '-', made.exercise)}.drill-{made.seed}.py"
    target = Path(path or name)
    target = target / name if target.is_dir() else target
    if path != "-":
        try:
            with target.open("w" if force else "x", encoding="utf-8") as file:
                file.write(made.text)
        except FileExistsError:
            raise UsageError(
                tr("{target} exists and is left as it is: give another path, or --force", target=target)
            ) from None
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(
                tr("cannot write {target}: {reason}; give another path", target=target, reason=reason)
            ) from None
    return WrittenDrill(target, made.text)


def _solved_here() -> str:
    """An exercise that was solved in this folder."""
    from random import SystemRandom

    folder = progress_of.home(Path.cwd())
    solved = [] if folder is None else sorted(progress_of.read(folder).solved)
    if not solved:
        raise UsageError(tr("no exercise is solved here: name one, as in 'tutor drill linear-regression'"))
    return SystemRandom().choice(solved)
