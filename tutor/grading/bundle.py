"""Writing bundles: what is handed out, for everybody, or a folder for each learner.

A bundle is made beside its place and put there by renaming, so that it is there as a whole or not at all. It says in a
file which files are its own, and is replaced only where nothing else lies among them.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tutor.errors import NotFoundError, UsageError, did_you_mean
from tutor.grading.assignment import Assignment, AssignmentError, Fault
from tutor.grading.handout import Cache, handout
from tutor.grading.learners import people_of
from tutor.grading.names import file_name
from tutor.language import said, speaking
from tutor.saving import explained

MARK = ".tutor-bundle.json"  # lies in a bundle that was written here, and names what is in it
FORMAT = "tutor.bundle/1"


@dataclass(frozen=True)
class Built:
    """Where the bundle is, and the folder of each learner in it; none where all have the same."""

    path: Path
    folders: Mapping[str, str]
    files: tuple[str, ...]  # of one of them


def build(assignment: Assignment, output: str | Path, learners: Sequence[str] = (), *, force: bool = False) -> Built:
    """Write the bundle of an assignment to a folder; `learners` are those who get one, else all on the roster."""
    target = Path(os.path.realpath(output))
    _check_place(target, force)
    _check(assignment)
    people = _people(assignment, learners)
    with speaking(assignment.language), _made_beside(target) as place:
        if people is None:
            names = _write(place, _files(assignment))
            _mark(place, assignment, files=names)
            return Built(Path(output), {}, names)
        folders, cache = folder_names(_everybody(assignment, people)), Cache(assignment)
        names = ()
        for learner, person in people.items():
            folder = place / folders[learner]
            folder.mkdir()
            names = _write(folder, _files(assignment, learner, person, cache))
        chosen = {learner: folders[learner] for learner in people}
        _mark(place, assignment, files=names, folders=chosen)
        return Built(Path(output), chosen, names)


def _files(
    assignment: Assignment, learner: str = "", person: str = "", cache: Cache | None = None
) -> Mapping[str, str]:
    from tutor.views import handout as view

    return view.files(handout(assignment, learner, person, cache))


def _check(assignment: Assignment) -> None:
    """What has errors is not handed out."""
    from tutor.grading.lint import errors, findings

    wrong = errors(findings(assignment))
    if wrong:
        raise AssignmentError(assignment.path, [Fault(f.line, f.key, f.message) for f in wrong])


# -- who gets one ----------------------------------------------------------------------------------------------------


def _people(assignment: Assignment, learners: Sequence[str]) -> Mapping[str, str] | None:
    """Learner -> name of all who get a folder of their own; None where everybody gets the same."""
    if not assignment.varies:
        if learners:
            raise UsageError(said("nothing is drawn, so everybody gets the same bundle: leave out --learner"))
        return None
    roster = people_of(assignment)
    if roster is None and not learners:
        raise UsageError(
            said(
                "something is drawn for each learner, and there is no roster: give roster in {path}, or --learner ID "
                "for each",
                path=assignment.path,
            )
        )
    if not learners:
        return roster
    return {learner: _person(learner, roster) for learner in dict.fromkeys(learners)}


def _person(learner: str, roster: Mapping[str, str] | None) -> str:
    if not learner.strip():
        raise UsageError(said("a learner without a name: give --learner ID"))
    if roster is not None and learner not in roster:
        raise NotFoundError(
            said('there is no "{learner}" on the roster{hint}', learner=learner, hint=did_you_mean(learner, roster))
        )
    return roster[learner] if roster is not None else ""


def known_learner(assignment: Assignment, learner: str) -> str:
    """The learner's name; NotFoundError for one who is not on the roster."""
    return _person(learner, people_of(assignment))


def _everybody(assignment: Assignment, people: Mapping[str, str]) -> Iterable[str]:
    """Names of folders hang on all learners, so that a single one's is the same as among all."""
    return people_of(assignment) or people


def folder_names(learners: Iterable[str]) -> dict[str, str]:
    """A safe folder for each learner, no two of them the same on any file system."""
    learners = list(learners)
    counts = Counter(map(str.casefold, learners))
    alike = {name for name, count in counts.items() if count > 1}
    return {learner: file_name(learner, alike) for learner in learners}


# -- writing ---------------------------------------------------------------------------------------------------------


def _check_place(target: Path, force: bool) -> None:
    """Nothing is written over that is not ours."""
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise UsageError(said("{path} is a file: give another path with -o", path=target))
    there = sorted(os.listdir(target))
    if not there:
        return
    if MARK not in there:
        raise UsageError(
            said("{path} is a folder with other files in it, and is left as it is: give another path with -o",
                 path=target)
        )  # fmt: skip
    foreign = next(_foreign(target), None)
    if foreign is not None:
        raise UsageError(
            said("{path} holds {file}, which is no part of the bundle: move it away, or give another path with -o",
                 path=target, file=foreign)
        )  # fmt: skip
    if not force:
        raise UsageError(said("{path} holds a bundle already: --force replaces it, -o names another path", path=target))


def _foreign(target: Path) -> Iterator[str]:
    """What lies in a bundle of ours and was not written with it."""
    try:
        mark = json.loads((target / MARK).read_text("utf-8"))
        files, folders = set(mark["files"]), set(mark["folders"].values())
        if mark["format"] != FORMAT:
            raise ValueError(mark["format"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        yield MARK
        return
    for entry in sorted(os.scandir(target), key=lambda entry: entry.name):
        if entry.name == MARK:
            continue
        if not folders:
            if entry.name not in files or not entry.is_file(follow_symlinks=False):
                yield entry.name
        elif entry.name not in folders or not entry.is_dir(follow_symlinks=False):
            yield entry.name
        else:
            yield from (f"{entry.name}/{name}" for name in sorted(os.listdir(entry)) if name not in files)


@contextmanager
def _made_beside(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of `target` when all is well, and is gone when not."""
    place = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
    old = place.with_suffix(".old")
    try:
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir()
            yield place
            if target.exists():
                target.rename(old)
            place.rename(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return tuple(sorted(files))


def _mark(place: Path, assignment: Assignment, files: Sequence[str], folders: Mapping[str, str] | None = None) -> None:
    """Who has which folder; this stands beside the folders and not in them."""
    mark = {"format": FORMAT, "assignment": assignment.id, "files": list(files), "folders": dict(folders or {})}
    (place / MARK).write_text(json.dumps(mark, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", newline="\n")
