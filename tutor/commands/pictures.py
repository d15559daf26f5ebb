"""What is looked at: a report's page, the computation graph, curves of training."""

from __future__ import annotations

import click

from tutor.commands.codes import RIGHT, UNDECIDED, VERDICTS, weight
from tutor.commands.group import Commands
from tutor.commands.params import EXERCISE, SHEET, handed_over, the_sheet
from tutor.terminal import say

room = Commands()


@room.command()
@click.argument("sheet", metavar="[SHEET|-]", required=False, type=SHEET)
@click.option("--exercise", metavar="ID|FILE", help="Instead of the '# exercise:' line at the top of the sheet.")
@click.option("-o", "--output", metavar="FILE", help="The page's file; else it goes to stdout.")
@click.option("--derivation/--no-derivation", default=True, help="With the true derivation, folded; or without it.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--lenient-shapes", is_flag=True, help="Forgive axes of size 1: (N, 1) for (N,).")
def report(
    sheet: str | None, exercise: str | None, output: str | None, derivation: bool, seed: int, lenient_shapes: bool
) -> int:
    """A page about your sheet, to read or to print.

    One HTML file that needs nothing else: your lines with marks, the first that diverges explained, where that is in
    the computation graph, where its entries are off, the exercise, and the true derivation. Exit codes as for check.
    """
    from tutor.pictures.page import report_page
    from tutor.views import html

    sheet = the_sheet(sheet)
    made = report_page(sheet, exercise, derivation=derivation, seed=seed, lenient_shapes=lenient_shapes)
    handed_over(html.report_page(made), output)
    return max((VERDICTS.get(part.report.verdict, UNDECIDED) for part in made.parts), key=weight, default=RIGHT)


@room.command()
@click.argument("exercise", metavar="ID|FILE|EXPR", type=EXERCISE)
@click.option("-o", "--output", metavar="FILE", help="A .svg, .dot, .mmd or .txt file; else it goes to stdout.")
@click.option("--format", "form", type=click.Choice(("text", "svg", "dot", "mermaid")), help="Instead of by suffix.")
def graph(exercise: str, output: str | None, form: str | None) -> int:
    """The computation graph, and the way of the gradients.

    \b
        tutor graph attention -o attention.svg
    """
    from tutor.adhoc import exercise_from
    from tutor.pictures.files import GRAPHS, form_of
    from tutor.pictures.graph import graph as made
    from tutor.views.graph import FORMS

    form = form_of(output, form, GRAPHS, "text")
    shown = FORMS[form](made(exercise_from(exercise)))
    if output is None and form == "text":
        say(shown)
    else:
        handed_over(shown, output)
    return RIGHT


@room.command()
@click.argument("exercise", metavar="ID|FILE", type=EXERCISE)
@click.option("--answer", "sheet", metavar="SHEET|-", type=SHEET, required=True, help="The sheet with your gradients.")
@click.option("--steps", type=int, default=100, show_default=True)
@click.option("--rate", type=float, help="The learning rate; else the largest with which the true gradients go down.")
@click.option("--seed", type=int, help="Start at random values; else at the worked example, if there is one.")
@click.option("-o", "--output", metavar="FILE", help="The curves as .svg or .png (with matplotlib), beside the text.")
def train(exercise: str, sheet: str, steps: int, rate: float | None, seed: int | None, output: str | None) -> int:
    """Train with your gradients, and with autograd's.

    Gradient descent from one point, twice: where the two losses part, the gradients differ. The sheet is read at every
    step and never executed.
    """
    from tutor.pictures.files import CURVES, form_of

    form = form_of(output, None, CURVES, "")
    from tutor.pictures.training import train_sheet
    from tutor.views.curves import drawn

    made = train_sheet(exercise, sheet, steps=steps, rate=rate, seed=seed)
    say(str(made))
    if output is not None:
        handed_over(drawn(made, form), output)
    return RIGHT
