"""A learner's file from disk to its reports: read, judged, a drill's named line looked at, progress kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from tutor import course
from tutor.answers import documents
from tutor.answers.blank import write_new
from tutor.catalogue import entries, find, is_path, load, split_address
from tutor.desk import drill
from tutor.desk import progress as progress_of
from tutor.errors import TutorError, UsageError
from tutor.language import said
from tutor.shown import Shown, quoted

if TYPE_CHECKING:
    from tutor.checking.report import Report
    from tutor.desk.hints import Hint, Ladder
    from tutor.exercise import Exercise


def loaded(address: str) -> Exercise:
    """An exercise, loaded anew if its file has changed; its derivation and draws are kept with it."""
    name = split_address(address)[0]
    return load(address) if is_path(name) else _loaded(address, find(name).path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _loaded(address: str, _: int) -> Exercise:
    return load(address)


@dataclass(frozen=True)
class Judged:
    """One report for each exercise of the sheet; whether it was recorded, or why not where it should be."""

    reports: list[Report]
    text: str
    kept: bool = False
    problem: str = ""


def judged(sheet: str, exercise: str | None = None, *, make: bool = False, **options: Any) -> Judged:
    """Judge a sheet (a path, or - for stdin) and record the outcome where progress is kept.

    With `make` progress is kept in the sheet's folder from now on. `options` are those of `check`.
    """
    from tutor.checking.sheets import check_sheets

    text = documents.read(sheet)
    reports = check_sheets(text, exercise, documents.kind_of(sheet), load=loaded, **options)
    reports = drill.graded(text, reports, exercise)
    folder = None if sheet == "-" else progress_of.home(Path(sheet).parent) or (Path(sheet).parent if make else None)
    if folder is None or drill.is_drill(text):  # a drill that is done is no exercise that is solved
        return Judged(reports, text)
    try:
        with progress_of.changing(folder) as progress:
            progress.record(Path(sheet), text, reports)
    except UsageError as error:
        return Judged(reports, text, problem=str(error))
    return Judged(reports, text, kept=True)


def begin(sheet: Path) -> str:
    """Keep progress from now on in a sheet's folder, unless one above it does; why that cannot be, or nothing."""
    try:
        with progress_of.changing(progress_of.home(sheet.parent) or sheet.parent) as progress:
            progress.sheet(sheet)
    except UsageError as error:
        return str(error)
    return ""


def forget(exercise: str | None) -> bool:
    """Forget an exercise, or all; whether there was anything to forget. A damaged file is put aside.

    Raises NotFoundError where there was nothing and the name is that of no exercise.
    """
    folder = progress_of.home(Path.cwd())
    forgotten = folder is not None and _forgotten(folder, exercise)
    if exercise is not None and not forgotten:
        find(split_address(exercise)[0])
    return forgotten


def _forgotten(folder: Path, exercise: str | None) -> bool:
    with progress_of.changing(folder, aside=True) as progress:
        before = progress.to_dict()
        progress.forget(exercise)
        return progress.to_dict() != before or progress.put_aside


# -- hints, level by level ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given(Shown):
    """A hint and the sheet that it was given for; without a hint the sheet needs none, or cannot be judged yet."""

    shown_as = "hint"

    sheet: str
    report: Report
    hint: Hint | None = None
    problem: str = ""  # why it is not remembered


def hint_for(sheet: str, exercise: str | None = None, level: int | None = None) -> Given:
    """The next hint for where a sheet diverges: it is judged, and the hint remembered."""
    if sheet == "-":
        raise UsageError(said("a hint is for a file: what was said before is kept beside it"))
    made = judged(sheet, exercise, make=True)
    stuck = next((report for report in made.reports if not report.correct), made.reports[0])
    return next_hint(Path(sheet), stuck, made.text, exercise, level)


def next_hint(sheet: Path, report: Report, text: str, address: str | None = None, level: int | None = None) -> Given:
    """The next hint for a sheet with this report, or the one of a `level`; which was the last is kept."""
    ladder = None if report.correct else _ladder(report, text, address or report.exercise)
    if ladder is None:
        return Given(sheet.name, report)
    try:
        with progress_of.changing(progress_of.home(sheet.parent) or sheet.parent) as progress:
            hints = progress.sheet(sheet).hints
            found = ladder.rung(level or hints.get(ladder.key, 0) + 1)
            hints[ladder.key] = max(hints.get(ladder.key, 0), found.level)
    except UsageError as error:  # a hint is worth giving where it cannot be remembered
        return Given(sheet.name, report, ladder.rung(level or 1), str(error))
    return Given(sheet.name, report, found)


def _ladder(report: Report, text: str, address: str) -> Ladder | None:
    """The hints for where a report diverges; of a drill, until its line is named, those for the line."""
    from tutor.desk import hints

    made = drill.made_again(text, address) if drill.is_drill(text) else None
    if made is not None and not drill.named(report, made, drill.said_in(text)):
        return hints.Ladder(report.exercise, said("the wrong line"), tuple(drill.ladder(made)), f"drill-{made.seed}")
    exercise = loaded(address)
    quantity = hints.stuck_at(exercise, report)
    if quantity is None:
        return None
    line = report.first_divergence
    here = (hints.about(line),) if line is not None and line.quantity == quantity else ()
    return hints.Ladder(report.exercise, quantity, (*here, *hints.ladder(exercise, quantity)))


# -- drills -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WrittenDrill:
    """Where a drill was written, its text, and what `tutor check` needs beside it."""

    path: Path
    text: str
    option: str = ""


def write_drill(
    exercise: str | None, path: str | None = None, seed: int | None = None, notation: str | None = None, *,
    force: bool = False,
) -> WrittenDrill:  # fmt: skip
    """Write a drill to `path`, a file or a folder; `-` writes nothing.

    Without an exercise it is about one that is solved here, without a seed it is another one each time, without a
    notation it is written as the learner writes.
    """
    address = exercise or _solved_here()
    seed = SystemRandom().randrange(drill.LARGEST_SEED) if seed is None else seed
    made = _drill(address, seed, notation)
    name = f"{re.sub(r'[^a-zA-Z0-9_.-]+', '-', made.exercise)}.drill-{made.seed}.py"
    target = Path(path or name)
    target = target / name if target.is_dir() else target
    if path != "-":
        write_new(target, made.text, said("{target} exists and is left as it is: give another path, or --force",
                                        target=target), force=force)  # fmt: skip
    own = is_path(split_address(address)[0])
    return WrittenDrill(target, made.text, f" --exercise {quoted(address)}" if own else "")


def _drill(address: str, seed: int, notation: str | None) -> drill.Drill:
    """In the notation asked for; else in the learner's own, or in the other where that has no mistake to plant."""
    if notation is not None:
        return drill.drill(address, seed, notation)
    own = _own_notation(address)
    try:
        return drill.drill(address, seed, own)
    except UsageError:
        return drill.drill(address, seed, next(other for other in drill.NOTATIONS if other != own))


def _own_notation(address: str) -> str:
    """How the learner wrote the sheet of this exercise, else the latest sheet here."""
    folder = Path.cwd()
    found = course.sheets(folder)
    names = [name for name, ids in found.items() if address in ids] or list(found)
    latest = max((folder / name for name in names), key=lambda path: path.stat().st_mtime, default=None)
    try:
        return drill.NOTATIONS[0] if latest is None else drill.notation_of(documents.read(latest))
    except TutorError:  # that sheet cannot be read
        return drill.NOTATIONS[0]


def _solved_here() -> str:
    """An exercise of the catalogue that was solved in this folder."""
    folder = progress_of.home(Path.cwd())
    known = {entry.id for entry in entries()}
    solved = [] if folder is None else [id for id in progress_of.read(folder).solved if id.split(":")[0] in known]
    if not solved:
        raise UsageError(said("no exercise is solved here: name one, as in 'tutor drill linear-regression'"))
    return SystemRandom().choice(sorted(solved))
