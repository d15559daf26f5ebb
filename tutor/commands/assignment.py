"""`tutor assignment new|lint|build|key`: from a teacher's file to what is handed out, and the key that is not."""

from __future__ import annotations

from pathlib import Path

import click

from tutor.commands.codes import NOT_RIGHT, RIGHT, UNREADABLE
from tutor.commands.group import Commands
from tutor.commands.params import handed_over
from tutor.errors import UsageError
from tutor.language import ntr, said, tr
from tutor.shown import quoted
from tutor.terminal import deliver, note, patience, say, width

room = Commands()
KEY_FORMATS = ("text", "markdown", "html", "json")


@room.group()
def assignment() -> None:
    """What a teacher hands out: write, check, build, key."""


@assignment.command("new")
@click.argument("path", metavar="[PATH]", required=False)
@click.option("--exercise", "exercises", metavar="ID|FILE", multiple=True, help="To ask; may be given several times.")
@click.option("--title", default="", help="What learners read at the top.")
def new(path: str | None, exercises: tuple[str, ...], title: str) -> int:
    """An assignment's file, to be edited.

    It is valid as it stands, says what every key means, and has a secret of its own. An existing file is left as it is.
    """
    from tutor.grading.new import write

    made = write(path, exercises, title)
    say(tr("written: {path}", path=made))
    note(tr("next: edit it, then 'tutor assignment lint {path}'", path=quoted(made)))
    return RIGHT


@assignment.command("lint")
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="As data, for programs.")
def lint(file: str, as_json: bool) -> int:
    """What is wrong, or unwise, in an assignment's file.

    Every exercise is loaded in all its variants. Exit code 1 where there are errors, 0 with warnings alone.
    """
    from tutor.grading.assignment import AssignmentError, read
    from tutor.grading.lint import Finding, errors, findings
    from tutor.views import lint as view

    try:
        assignment = read(file)
    except AssignmentError as error:
        if not as_json:
            raise
        found = [Finding("error", fault.line, fault.key, fault.message) for fault in error.faults]
        deliver(view.json(file, found))
        return UNREADABLE
    with patience(tr("looking at every variant")):
        found = findings(assignment)
    if as_json:
        deliver(view.json(file, found))
    else:
        say(view.text(file, found))
        if not errors(found):
            note(tr("next: 'tutor assignment build {path} -o bundle/'", path=quoted(file)))
    return NOT_RIGHT if errors(found) else RIGHT


@assignment.command("build")
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where the bundle goes: a new folder.")
@click.option("--learner", "learners", metavar="ID", multiple=True, help="Only for this learner; may be repeated.")
@click.option("--force", is_flag=True, help="Replace a bundle that was written here before.")
def build(file: str, output: str, learners: tuple[str, ...], force: bool) -> int:
    """What is handed out: statements, sheets, no solution.

    One bundle for everybody; where something is drawn, a folder for each learner on the roster or named by --learner.
    """
    from tutor.grading.assignment import read
    from tutor.grading.bundle import build as built

    assignment = read(file)
    with patience(tr("writing the bundle")):
        made = built(assignment, output, learners, force=force)
    if made.folders:
        count = len(made.folders)
        say(ntr("written: {path}, a folder for {count} learner", "written: {path}, folders for {count} learners",
                count, path=made.path, count=count))  # fmt: skip
        renamed = {learner: folder for learner, folder in made.folders.items() if learner != folder}
        for learner, folder in renamed.items():
            note(tr("{learner} is in {folder}", learner=learner, folder=folder))
    else:
        say(tr("written: {path}, the same for everybody", path=made.path))
    say("\n".join(f"  {name}" for name in made.files))
    return RIGHT


@assignment.command("key")
@click.argument("file", metavar="FILE")
@click.option("--learner", metavar="ID", help="Only the variants of this learner.")
@click.option("--format", "form", type=click.Choice(KEY_FORMATS), default="text", show_default=True)
@click.option("-o", "--output", metavar="FILE", help="Instead of stdout; not a place where learners look.")
def key(file: str, learner: str | None, form: str, output: str | None) -> int:
    """The answer key: derivations, right lines, numbers.

    For the teacher alone. Every distinct variant stands there once.
    """
    from tutor.grading.assignment import read
    from tutor.grading.bundle import known_learner
    from tutor.grading.key import answer_key
    from tutor.views import answer_key as view

    if output is not None:
        _refuse_in_bundle(Path(output))
    assignment = read(file)
    if learner is not None:
        known_learner(assignment, learner)
    with patience(tr("deriving")):
        found = answer_key(assignment, learner)
        made = view.text(found, width() if output is None else None) if form == "text" else getattr(view, form)(found)
    if output is None and form == "text":
        say(made)
    else:
        handed_over(made.rstrip("\n") + "\n", output)
    return RIGHT


def _refuse_in_bundle(path: Path) -> None:
    """A key never lies among what is handed out."""
    from tutor.grading.bundle import MARK

    folder = path.resolve().parent
    if any((place / MARK).exists() for place in (folder, *folder.parents[:1])):
        raise UsageError(said("{path} lies in a bundle that is handed out: give another path for the key", path=path))
