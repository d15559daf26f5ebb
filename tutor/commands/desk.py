"""The learner's desk: sheets to fill in, watching, hints, progress, drills."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from tutor.commands.codes import NOT_RIGHT, RIGHT
from tutor.commands.group import Commands
from tutor.commands.params import EXERCISE, SHEET, the_sheet
from tutor.commands.sheets import shown
from tutor.errors import UsageError
from tutor.language import said, tr
from tutor.terminal import clear, deliver, note, patience, say, width

room = Commands()


@room.command()
@click.argument("exercise", metavar="ID|FILE", type=EXERCISE)
@click.argument("path", metavar="[PATH|-]", required=False)
@click.option("--force", is_flag=True, help="Write over a sheet that is there.")
def start(exercise: str, path: str | None, force: bool) -> int:
    """Write a sheet to fill in.

    Statement, shapes and forward program stand in it as comments, then the names that are asked; - as PATH prints it.
    """
    from tutor.answers.blank import sheet_of, write_sheet
    from tutor.desk.sheets import begin
    from tutor.shown import quoted

    if path == "-":
        deliver(sheet_of(exercise))
        return RIGHT
    made = write_sheet(exercise, path, force=force)
    if problem := begin(made.path):
        note(tr("note: {problem}", problem=problem))
    say(tr("{path}\n\nfill it in, then:\n\n  tutor check {path}{option}", path=quoted(made.path), option=made.option))
    return RIGHT


@room.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path())
@click.option("--poll", is_flag=True, help="Look at the files again and again, where no events arrive.")
@click.option("--lenient-shapes", is_flag=True, help="Forgive axes of size 1: (N, 1) for (N,).")
def watch(folder: str, poll: bool, lenient_shapes: bool) -> int:
    """Check sheets whenever they are saved.

    Keys: n next sheet, h hint, d derivation (of what is solved, or pressed twice), l list, q quit.
    """
    from queue import SimpleQueue

    from tutor.desk import watch as desk_of
    from tutor.desk.keys import keys
    from tutor.desk.standing import existing
    from tutor.views import desk as view

    def show(reports: Sequence[Any]) -> None:
        clear()
        say(shown(reports))

    def tell(text: str) -> None:
        say(f"\n{text}")

    def ready() -> None:
        if listening:
            note("\n" + tr(view.KEYS))

    queue: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    desk = desk_of.Desk(existing(folder), tell, show, patience, width, {"lenient_shapes": lenient_shapes})
    with desk_of.saves(queue, desk.folder, poll) as polling, keys(queue) as listening:
        desk.open()
        note(desk.opened(polling))
        desk_of.run(desk, queue, ready)
    return RIGHT


@room.command()
@click.argument("sheet", metavar="[SHEET]", required=False, type=SHEET)
@click.option("--exercise", metavar="ID|FILE", type=EXERCISE, help="Instead of the '# exercise:' line of the sheet.")
@click.option("--level", type=click.IntRange(1), help="This hint, instead of the next one.")
def hint(sheet: str | None, exercise: str | None, level: int | None) -> int:
    """The next hint for where a sheet diverges.

    From where to look, over the rules, to the chain rule written out; asked again, it says more.
    """
    from tutor.desk.sheets import hint_for

    sheet = the_sheet(sheet)
    with patience(tr("loading torch and checking")):
        given = hint_for(sheet, exercise, level)
    say(str(given))
    return RIGHT


@room.command("progress")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path())
def progress_(folder: str) -> int:
    """What is solved, track by track."""
    from tutor import course
    from tutor.catalogue import folder as exercises
    from tutor.desk.standing import existing, standing
    from tutor.views import desk

    say(desk.progress(standing(existing(folder)), course.read(exercises()), width()))
    return RIGHT


@room.command()
@click.argument("exercise", metavar="[ID]", required=False, type=EXERCISE)
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(exercise: str | None, yes: bool) -> int:
    """Forget the progress in this folder, or that of one exercise. Sheets stay."""
    from tutor.desk.sheets import forget

    what = exercise or tr("all exercises")
    if not yes and not sys.stdin.isatty():
        raise UsageError(said("nothing is asked without a terminal: give --yes"))
    if not yes and not click.confirm(tr("Forget the progress with {what}? Your sheets stay.", what=what), err=True):
        return NOT_RIGHT
    say(tr("forgotten: {what}", what=what) if forget(exercise) else tr("there was nothing to forget"))
    return RIGHT


@room.command()
@click.argument("exercise", metavar="[ID|FILE]", required=False, type=EXERCISE)
@click.argument("path", metavar="[PATH|-]", required=False)
@click.option("--seed", type=click.IntRange(0), help="Which mistake; the same seed gives the same drill.")
@click.option("--notation", type=click.Choice(["torch", "index"]), help="Instead of the one in which your sheets are.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def drill(exercise: str | None, path: str | None, seed: int | None, notation: str | None, force: bool) -> int:
    """A derivation with one mistake: find the line, and mend it.

    Name the line in the file and mend it; 'tutor check' says whether both are right. Without ID the drill is about an
    exercise that is solved here.
    """
    from tutor.desk.sheets import write_drill
    from tutor.shown import quoted

    with patience(tr("planting a mistake")):
        made = write_drill(exercise, path, seed, notation, force=force)
    if path == "-":
        deliver(made.text)
        return RIGHT
    said = tr("{path}\n\nname its wrong line, mend it, then:\n\n  tutor check {path}{option}", path=quoted(made.path),
              option=made.option)  # fmt: skip
    say(said)
    return RIGHT
