"""What was done in a folder: `.tutor/progress.json`, one small versioned file beside the sheets.

`start`, `hint` and `watch` make it; `check` writes into one that is there, in the sheet's folder or above it. It is
replaced in one piece, so that a killed process leaves the old one or the new one; two processes take turns. A damaged
file is left as it is until `reset` puts it aside under another name; one of a newer tutor is never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from tutor.errors import UsageError
from tutor.language import said
from tutor.shown import json_text

SCHEMA = "tutor.progress/1"
FOLDER, FILE, LOCK = ".tutor", "progress.json", "lock"
PATIENCE = 10.0  # seconds that another process is waited for


@dataclass
class Part:
    """One exercise of a sheet, as it was last judged."""

    exercise: str
    verdict: str
    score: float
    max_score: float
    place: str = ""  # of the first line to look at
    quantity: str = ""


@dataclass
class Sheet:
    """One sheet: the text that was judged (by its hash), the verdicts, and how many hints were given for what."""

    text: str = ""
    parts: list[Part] = field(default_factory=list)
    hints: dict[str, int] = field(default_factory=dict)  # `mlp dW1` -> the last level that was shown

    @property
    def solved(self) -> bool:
        return bool(self.parts) and all(part.verdict == "correct" for part in self.parts)


@dataclass
class Progress:
    """Of one folder; sheets by their path from there."""

    folder: Path
    sheets: dict[str, Sheet] = field(default_factory=dict)
    solved: dict[str, str] = field(default_factory=dict)  # exercise -> the sheet that solved it
    put_aside: bool = False  # whether a damaged file lay in its place

    def sheet(self, path: Path) -> Sheet:
        """The sheet's record, a new one where there is none."""
        return self.sheets.setdefault(_key(self.folder, path), Sheet())

    def path_of(self, key: str) -> Path:
        return self.folder / key

    def changed(self, key: str) -> bool | None:
        """Whether a sheet is another text than the one judged; None where the file is gone."""
        try:
            return _digest(self.path_of(key).read_bytes().removeprefix(BOM_UTF8)) != self.sheets[key].text
        except OSError:
            return None

    def record(self, path: Path, text: str, reports: list[Any]) -> None:
        """What `reports` say of a sheet; what was solved once stays solved."""
        sheet = self.sheet(path)
        sheet.text, sheet.parts = _digest(text.encode("utf-8", "surrogatepass")), [_part(report) for report in reports]
        for part in sheet.parts:
            if part.verdict == "correct":
                self.solved.setdefault(part.exercise, _key(self.folder, path))

    def forget(self, exercise: str | None = None) -> None:
        """Begin again: with one exercise, a family's name for all its members, or with all."""
        if exercise is None:
            self.sheets, self.solved = {}, {}
            return
        self.solved = {id: by for id, by in self.solved.items() if not _of(id, exercise)}
        for key, sheet in list(self.sheets.items()):
            parts = [part for part in sheet.parts if not _of(part.exercise, exercise)]
            hints = {name: n for name, n in sheet.hints.items() if not _of(name.split(" ")[0], exercise)}
            if (parts, hints) != (sheet.parts, sheet.hints):
                self.sheets[key] = Sheet(sheet.text, parts, hints)
                if not parts and not hints:
                    del self.sheets[key]

    def to_dict(self) -> dict[str, Any]:
        sheets = {key: asdict(sheet) for key, sheet in sorted(self.sheets.items())}
        return {"schema": SCHEMA, "solved": dict(sorted(self.solved.items())), "sheets": sheets}


def _of(id: str, exercise: str) -> bool:
    return id == exercise or id.startswith(f"{exercise}:")


def _part(report: Any) -> Part:
    first = report.first_divergence
    place, quantity = ("", "") if first is None else (first.named, first.quantity or "")
    return Part(report.exercise, report.verdict, report.score, report.max_score, place, quantity)


def _key(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


# -- on disk ------------------------------------------------------------------------------------------------


def home(path: Path) -> Path | None:
    """The nearest folder, from the sheet's upwards, in which progress is kept."""
    here = Path(os.path.abspath(path))
    return next((folder for folder in (here, *here.parents) if (folder / FOLDER / FILE).is_file()), None)


def read(folder: Path) -> Progress:
    """The progress kept in a folder, empty where there is none; damaged or newer files are refused."""
    path = folder / FOLDER / FILE
    try:
        return _from(folder, json.loads(path.read_bytes().decode("utf-8", "surrogatepass")))
    except FileNotFoundError:
        return Progress(folder)
    except OSError as error:
        raise UsageError(said("{path} cannot be read: {reason}", path=path, reason=error.strerror or error)) from None
    except UsageError:  # of a newer tutor
        raise
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        raise Damaged(
            said(
                "{path} is damaged: 'tutor reset' puts it aside and begins again; your sheets stay as they are",
                path=path,
            )
        ) from None


class Damaged(UsageError):
    """A progress file that is none."""


def _from(folder: Path, document: Mapping[str, Any]) -> Progress:
    schema = document["schema"]
    if schema != SCHEMA:
        if str(schema).startswith("tutor.progress/"):
            raise UsageError(
                said("{path} is of a newer tutor ({schema}): upgrade this one, or work in another folder",
                   path=folder / FOLDER / FILE, schema=schema)
            )  # fmt: skip
        raise ValueError(schema)
    sheets = {
        key: Sheet(
            _text(each["text"]),
            [_read_part(part) for part in each["parts"]],
            {name: _whole(level) for name, level in each["hints"].items()},
        )
        for key, each in document["sheets"].items()
    }
    return Progress(folder, sheets, {id: _text(by) for id, by in document["solved"].items()})


def _read_part(part: Mapping[str, Any]) -> Part:
    """Fields that are not known are passed over; a missing or unsound one makes the file a damaged one."""
    return Part(
        _text(part["exercise"]), _text(part["verdict"]), _finite(part["score"]), _finite(part["max_score"]),
        _text(part.get("place", "")), _text(part.get("quantity", "")),
    )  # fmt: skip


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(value)
    return value


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise TypeError(value)
    return float(value)


@contextmanager
def changing(folder: Path, *, aside: bool = False) -> Iterator[Progress]:
    """Read, change, write: `with changing(folder) as progress: ...`; no other process comes between.

    With `aside` a damaged file is put aside, and an empty one takes its place. Raises UsageError where progress cannot
    be kept, and then nothing is changed.
    """
    from filelock import FileLock

    lock = folder / FOLDER / LOCK
    with _refusals(folder):
        lock.parent.mkdir(exist_ok=True)
        held = FileLock(lock, timeout=PATIENCE)
        held.acquire()
    try:
        with _refusals(folder):
            progress = _read_or_aside(folder, aside)
        yield progress
        with _refusals(folder):
            _replace(folder / FOLDER / FILE, progress.to_dict())
    finally:
        held.release()


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """What a file system refuses, in our words."""
    from filelock import Timeout

    try:
        yield
    except Timeout:
        raise UsageError(
            said("another tutor keeps {folder} to itself: close it, or delete {lock}",
               folder=folder, lock=folder / FOLDER / LOCK)
        ) from None  # fmt: skip
    except (OSError, NotImplementedError) as error:  # a file system without locks is not implemented
        reason = getattr(error, "strerror", None) or error
        raise UsageError(said("progress cannot be kept in {folder}: {reason}", folder=folder, reason=reason)) from None


def _read_or_aside(folder: Path, aside: bool) -> Progress:
    try:
        return read(folder)
    except Damaged:
        if not aside:
            raise
        _put_aside(folder / FOLDER / FILE)
        return Progress(folder, put_aside=True)


def _put_aside(path: Path) -> None:
    n = 1
    while (kept := path.with_name(f"{path.stem}.damaged-{n}{path.suffix}")).exists():
        n += 1
    path.rename(kept)


def _replace(path: Path, document: dict[str, Any]) -> None:
    """Written whole beside it, then put in its place. The lock is held: what a killed process left is written over."""
    text = (json_text(document, indent=1) + "\n").encode("utf-8", "surrogatepass")
    if path.is_file() and path.read_bytes() == text:
        return
    beside = path.with_name(f"{path.name}.new")
    try:
        with beside.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
