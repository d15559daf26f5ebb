"""The course: tracks of exercises in the order in which they build on one another. Needs neither sympy nor torch.

`course.toml` beside the exercise files holds the order and nothing else; what an exercise is stands in its file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tutor.answers import headers
from tutor.errors import ExerciseError
from tutor.language import said

FILE = "course.toml"
MOST_SHEETS = 2_000  # files of a folder that are looked into
HEAD = 2_000  # bytes of a sheet in which its header is looked for
SHEETS = (".py", ".txt", ".md", ".tex", ".ipynb")


@dataclass(frozen=True)
class Track:
    """One chapter of the course."""

    title: str
    exercises: tuple[str, ...]


@dataclass(frozen=True)
class Course:
    """The tracks of a folder of exercises; a folder without a course has none."""

    tracks: tuple[Track, ...] = ()

    @property
    def order(self) -> list[str]:
        return [id for track in self.tracks for id in track.exercises]

    def track_of(self, id: str) -> str:
        """The title of an exercise's track; nothing for one that stands in none."""
        return next((track.title for track in self.tracks if id in track.exercises), "")

    def after(self, begun: set[str]) -> str | None:
        """The exercise that follows the furthest one begun; None at the end."""
        reached = max((n for n, id in enumerate(self.order) if id in begun), default=-1)
        return next(iter(self.order[reached + 1 :]), None)


def read(folder: Path) -> Course:
    """The course of a folder of exercise files."""
    path = folder / FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Course()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExerciseError(f"{path}: {error}") from None
    return Course(tuple(_tracks(path, document)))


def _tracks(path: Path, document: dict[str, Any]) -> Iterator[Track]:
    seen: set[str] = set()
    tracks = document.get("track", [])
    for number, track in enumerate(tracks if isinstance(tracks, list) else [tracks], 1):
        fields = track if isinstance(track, dict) else {}
        title, ids = fields.get("title"), fields.get("exercises")
        if not (isinstance(title, str) and isinstance(ids, list) and all(isinstance(id, str) for id in ids)):
            raise ExerciseError(
                said(
                    '{path}: track {number} needs title = "..." and exercises = ["...", ...]', path=path, number=number
                )
            )
        for id in ids:
            if id in seen:
                raise ExerciseError(
                    said(
                        '{path}: track {number} names "{id}" a second time: each exercise stands once',
                        path=path,
                        number=number,
                        id=id,
                    )
                )
            seen.add(id)
        yield Track(title, tuple(ids))


def sheets(folder: Path) -> dict[str, list[str]]:
    """The sheets of a folder, and the exercises that their headers name (`mlp`, `mlp:layers=4`); drills are none."""
    return {name: named for name, named, drill in _headed(folder) if not drill}


def drills(folder: Path) -> dict[str, list[str]]:
    """The drills of a folder, and the exercises that they are about."""
    return {name: named for name, named, drill in _headed(folder) if drill}


def _headed(folder: Path) -> Iterator[tuple[str, list[str], bool]]:
    """Files that name exercises: each with these, and whether it is a drill."""
    for path in _files(folder):
        try:
            with path.open("rb") as file:
                head = file.read(HEAD).decode("utf-8", "replace")
        except OSError:  # what cannot be looked at is not begun
            continue
        if named := headers.NAMED.findall(head):
            yield path.name, list(dict.fromkeys(named)), headers.DRILL.search(head) is not None


def begun(folder: Path) -> set[str]:
    """The exercises of which a sheet lies in a folder; a family counts as one."""
    return {address.split(":")[0] for named in sheets(folder).values() for address in named}


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(islice((f for f in folder.iterdir() if f.suffix in SHEETS and f.is_file()), MOST_SHEETS))
    except OSError:
        return []
