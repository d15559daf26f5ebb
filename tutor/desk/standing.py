"""Where a learner stands in a folder, and what to type next. Needs neither sympy nor torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tutor import course
from tutor.catalogue import folder as catalogue_folder
from tutor.desk import progress as progress_of
from tutor.errors import UsageError
from tutor.shown import quoted


@dataclass(frozen=True)
class Open:
    """A sheet that is not solved."""

    path: str
    exercise: str
    verdict: str  # "" where it was not judged as it stands
    score: float = 0.0
    max_score: float = 0.0
    place: str = ""


@dataclass(frozen=True)
class Standing:
    """Solved and open exercises of a folder; `following` is the next of the course."""

    solved: tuple[str, ...]
    total: int
    open: tuple[Open, ...]
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


def standing(folder: Path) -> Standing:
    """Of a folder's sheets and what is kept about them."""
    order = course.read(catalogue_folder())
    problem = ""
    home = progress_of.home(folder) or folder
    try:
        kept = progress_of.read(home)
    except UsageError as error:
        kept, problem = progress_of.Progress(home), str(error)
    sheets = course.sheets(folder)
    known = {_beside(folder, home / key): key for key in kept.sheets}
    solved = {id.split(":")[0] for id in kept.solved}
    done = tuple(id for id in order.order if id in solved) + tuple(sorted(solved - set(order.order)))
    waiting = [
        found
        for path, ids in sheets.items()
        for found in _open(kept, known.get(path), path, ids)
        if found.exercise.split(":")[0] not in solved or found.verdict
    ]
    following = order.after(solved | {id for ids in sheets.values() for id in ids})
    return Standing(done, len(order.order), tuple(waiting), following, problem)


def _open(kept: progress_of.Progress, key: str | None, path: str, ids: list[str]) -> list[Open]:
    if key is None or kept.changed(key):
        return [Open(path, id, "") for id in ids]
    parts = kept.sheets[key].parts
    return [
        Open(path, part.exercise, part.verdict, part.score, part.max_score, part.place)
        for part in parts
        if part.verdict != "correct"
    ] or ([] if parts else [Open(path, id, "") for id in ids])


def _beside(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
