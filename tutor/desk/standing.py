"""Where a learner stands in a folder, and what to type next. Needs neither sympy nor torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tutor import course
from tutor.catalogue import folder as catalogue_folder
from tutor.desk import progress as progress_of
from tutor.errors import NotFoundError, UsageError
from tutor.language import said
from tutor.shown import quoted

MOST_NAMED = 5  # sheets


@dataclass(frozen=True)
class Open:
    """A sheet, or one exercise of it, that is not solved."""

    path: str
    exercise: str
    verdict: str = ""  # nothing where it was not judged as it stands
    score: float = 0.0
    max_score: float = 0.0
    place: str = ""


@dataclass(frozen=True)
class Standing:
    """Solved and open exercises of a folder; `following` is the next of the course that is not begun."""

    solved: tuple[str, ...]
    total: int
    open: tuple[Open, ...]  # the one worked on last comes first
    following: str | None
    problem: str = ""

    @property
    def begun(self) -> bool:
        return bool(self.solved or self.open)

    @property
    def command(self) -> str | None:
        """What to type next."""
        if self.open:
            return f"tutor check {quoted(self.open[0].path)}"
        return None if self.following is None else f"tutor start {self.following}"

    def state(self, id: str) -> str:
        """`done`, `open`, or nothing, of an exercise of the catalogue; a member counts for its family."""
        if id in self.solved:
            return "done"
        return "open" if any(_family(each.exercise) == id for each in self.open) else ""


def existing(folder: str) -> Path:
    """A folder of sheets. Raises NotFoundError where there is none."""
    if not Path(folder).is_dir():
        raise NotFoundError(said("there is no folder {folder}: give the one that your sheets are in", folder=folder))
    return Path(folder)


def only_sheet(folder: Path) -> str:
    """The sheet of a folder that is meant where none is named; where there is none, the drill.

    Raises UsageError where that is not one.
    """
    found = _latest_first(folder, course.sheets(folder) or course.drills(folder))
    if not found:
        raise UsageError(said("there is no sheet here: 'tutor start ID' writes one, 'tutor list' shows the exercises"))
    if len(found) > 1:
        names = ", ".join(found[:MOST_NAMED]) + (", ..." if len(found) > MOST_NAMED else "")
        raise UsageError(said("which sheet? There are {names}: give one by its name", names=names))
    return os.path.relpath(folder / found[0])


def standing(folder: Path) -> Standing:
    """Of a folder's sheets and what is kept about them."""
    order = course.read(catalogue_folder())
    kept, problem = _kept(folder)
    sheets = course.sheets(folder)
    solved = {_family(id) for id in kept.solved}
    known = {_beside(folder, kept.path_of(key)): key for key in kept.sheets}
    waiting = [
        found
        for path in _latest_first(folder, sheets)
        for found in _open(kept, known.get(path), path, sheets[path])
        if found.verdict or _family(found.exercise) not in solved
    ]
    begun = solved | {_family(id) for ids in sheets.values() for id in ids}
    following = order.after(begun) or next((id for id in order.order if id not in begun), None)
    done = tuple(id for id in order.order if id in solved)
    return Standing(done, len(order.order), tuple(waiting), following, problem)


def _kept(folder: Path) -> tuple[progress_of.Progress, str]:
    """The progress of a folder or one above it; an empty one, and why, where it cannot be read."""
    home = progress_of.home(folder) or folder
    try:
        return progress_of.read(home), ""
    except UsageError as error:
        return progress_of.Progress(home), str(error)


def _open(kept: progress_of.Progress, key: str | None, path: str, ids: list[str]) -> Iterator[Open]:
    """What is not solved of one sheet: as it was judged, or unjudged where it has changed since."""
    if key is None or not kept.sheets[key].parts or kept.changed(key):
        yield from (Open(path, id) for id in ids)
        return
    for part in kept.sheets[key].parts:
        if part.verdict != "correct":
            yield Open(path, part.exercise, part.verdict, part.score, part.max_score, part.place)


def _latest_first(folder: Path, sheets: dict[str, list[str]]) -> list[str]:
    return sorted(sheets, key=lambda name: _changed(folder / name), reverse=True)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone since
        return 0.0


def _family(id: str) -> str:
    return id.split(":")[0]


def _beside(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
