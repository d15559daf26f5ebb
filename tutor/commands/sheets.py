"""A sheet, judged."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from tutor.commands.codes import RIGHT, UNDECIDED, VERDICTS, weight
from tutor.commands.group import Commands
from tutor.commands.params import SHEET, the_sheet
from tutor.language import tr
from tutor.shown import json_text
from tutor.terminal import deliver, note, patience, say

room = Commands()


@room.command()
@click.argument("sheet", metavar="[SHEET|-]", required=False, type=SHEET)
@click.option("--exercise", metavar="ID|FILE", help="Instead of the '# exercise:' line at the top of the sheet.")
@click.option("--json", "as_json", is_flag=True, help="The report as data, for graders.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--lenient-shapes", is_flag=True, help="Forgive axes of size 1: (N, 1) for (N,).")
@click.option("--heat", is_flag=True, help="Also show which entries of a wrong tensor are off, and how far.")
def check(sheet: str | None, exercise: str | None, as_json: bool, seed: int, lenient_shapes: bool, heat: bool) -> int:
    """Your derivation, judged line by line.

    The sheet is read, never executed; - takes it from stdin, and the only one in a folder needs no name. Its first
    line says which exercise it is about:

    \b
        # exercise: linear-regression

    A sheet with several such lines gets a report for each; as JSON they are a list.
    """
    from tutor.desk.sheets import judged
    from tutor.desk.standing import standing
    from tutor.views import desk

    sheet = the_sheet(sheet)
    with patience(tr("loading torch and checking")) if sheet != "-" else nullcontext():
        made = judged(sheet, exercise, seed=seed, lenient_shapes=lenient_shapes)
    if as_json:
        found = [report.to_dict() for report in made.reports]
        deliver(json_text(found[0] if len(found) == 1 else found))
    else:
        say(shown(made.reports, heat))
    if made.problem:
        note(tr("note: {problem}", problem=made.problem))
    elif made.kept and all(report.correct for report in made.reports):
        note("\n" + desk.following(standing(Path(sheet).parent)))
    return max((VERDICTS.get(report.verdict, UNDECIDED) for report in made.reports), key=weight, default=RIGHT)


def shown(reports: Sequence[Any], heat: bool = False) -> str:
    from tutor.views.heat import report as with_heat

    show = with_heat if heat else str
    return "\n\n".join(show(report).rstrip("\n") for report in reports)
