"""`tutor class-report results/ -o class.html`: what a class comes to."""

from __future__ import annotations

from pathlib import Path

import click

from tutor.errors import UsageError
from tutor.language import said, tr
from tutor.terminal import deliver, note, say

RIGHT = 0


@click.command("class-report")
@click.argument("results", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a page (HTML) there.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def class_report(results: Path, output: Path | None, as_json: bool) -> int:
    """Distributions, where sheets leave the path, mistakes by frequency, and who needs a look.

    RESULTS is the folder that 'tutor grade' made. Without -o the summary is printed.
    """
    from tutor.grading import class_report as made
    from tutor.grading.grades import assignment_of, grades
    from tutor.views import class_report as view

    report = made.summary(grades(results), assignment_of(results))
    if as_json:
        deliver(view.json(report))
    if output is not None:
        write(output, view.html(report))
        note(tr("wrote {path}", path=output))
    if not as_json and output is None:
        say(view.text(report))
    return RIGHT


def write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            said("cannot write {target}: {reason}; give another path", target=path, reason=reason)
        ) from None
