"""Graded assignments: what is handed out, and grading what comes in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tutor.commands.codes import RIGHT, UNDECIDED
from tutor.commands.group import Commands
from tutor.commands.params import DB, NOW, handed_over, point_in_time
from tutor.language import tr
from tutor.terminal import counting, deliver, note, patience, say

room = Commands()
FILE = click.Path(path_type=Path)


def _how_it_runs(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of what judges many sheets."""
    for option in (
        NOW,
        click.option(
            "--db", metavar="URL", help="A gradebook on a server: postgresql://...; else it is in the results."
        ),
        click.option("--scheduler", metavar="tcp://HOST:PORT", help="Judge on a Dask cluster."),
        click.option("--jobs", type=click.IntRange(1), help="Processes; as many as there are processors unless given."),
    ):
        command = option(command)
    return command


@room.command()
@click.argument("assignment", metavar="ASSIGNMENT", type=FILE)
@click.argument("submissions", metavar="SUBMISSIONS", type=FILE)
@click.option("-o", "--output", metavar="FOLDER", type=FILE, required=True, help="The results; the gradebook is there.")
@_how_it_runs
def grade(
    assignment: Path, submissions: Path, output: Path, jobs: int | None, scheduler: str | None, db: str | None,
    now: str | None,
) -> int:  # fmt: skip
    """Grade what a class handed in.

    SUBMISSIONS is a folder with a folder for each learner or with their files, or the zip that Moodle, Canvas or
    Gradescope exports. Sheets are read, never executed. Interrupted, the same command goes on where it was; what was
    graded into FOLDER before stays, and files that are new or changed are added.
    """
    from tutor.grading import assignment as assignments
    from tutor.grading import batch, outputs
    from tutor.grading.gradebook import opened
    from tutor.grading.learners import roster_of
    from tutor.grading.submissions import apart, collect
    from tutor.views import grading as view

    asked = assignments.read(assignment)
    time = point_in_time(now)
    roster = roster_of(asked)
    apart(submissions, output)
    found = collect(submissions, roster)
    with counting(tr("judging")) as step:
        version, outcome = batch.grade(
            asked, found, output, url=db, roster=roster, jobs=jobs, scheduler=scheduler, step=step
        )
    with patience(tr("writing the results")), opened(output, db) as book:
        tally = outputs.write(book, version, output, time)
    say(view.summary(asked, outcome, tally, output))
    if outcome.changed_since is not None:
        note(tr("note: the assignment has changed: all is graded anew; 'tutor regrade' shows who changes"))
    return UNDECIDED if tally.by_hand else RIGHT


@room.command()
@click.argument("assignment", metavar="ASSIGNMENT", type=FILE)
@click.argument("results", metavar="RESULTS", type=FILE)
@_how_it_runs
def regrade(
    assignment: Path, results: Path, jobs: int | None, scheduler: str | None, db: str | None, now: str | None
) -> int:
    """Grade again after a change; show whose points change.

    Everything in the gradebook is judged under the assignment and the exercises as they are now. The results before
    are kept in the gradebook, and a teacher's own decisions stay.
    """
    from tutor.grading import assignment as assignments
    from tutor.grading import batch, outputs
    from tutor.grading.gradebook import opened
    from tutor.views import grading as view

    asked = assignments.read(assignment)
    time = point_in_time(now)
    opened(results, db).close()
    with counting(tr("judging")) as step:
        before, version, outcome = batch.judge_again(asked, results, url=db, jobs=jobs, scheduler=scheduler, step=step)
    with patience(tr("writing the results")), opened(results, db) as book:
        tally = outputs.write(book, version, results, time)
        before = before or book.before(version)
        say(view.changes(batch.changes(book, before, version) if before else (), outcome))
    return UNDECIDED if tally.by_hand else RIGHT


@room.command()
@click.argument("results", metavar="RESULTS", type=FILE)
@click.argument("learner")
@click.argument("question")
@click.argument("points", type=float, required=False)
@click.option("--comment", default="", metavar="TEXT", help="What the learner is told about it.")
@click.option("--forget", is_flag=True, help="Take the decision back: what was judged counts again.")
@DB
@NOW
def override(
    results: Path, learner: str, question: str, points: float | None, comment: str, forget: bool, db: str | None,
    now: str | None,
) -> int:  # fmt: skip
    """A teacher's own points for a question.

    They are kept in the gradebook, count instead of what was judged, and stay when the class is graded again.
    """
    from tutor.grading import decisions, outputs
    from tutor.grading.gradebook import opened
    from tutor.views import grading as view

    time = point_in_time(now)
    with opened(results, db) as book:
        made = decisions.decide(book, learner, question, points, comment, forget=forget)
        outputs.write(book, book.newest(), results, time)
    say(view.decision(made))
    if made.made is not None and made.made.points > made.most:
        note(tr("note: that is more than the {most} points that {question} is worth", most=f"{made.most:g}",
                question=question))  # fmt: skip
    return RIGHT


@room.command("class-report")
@click.argument("results", metavar="RESULTS", type=FILE)
@click.option("-o", "--output", metavar="FILE", help="Write it as a page (HTML), for a browser or to print.")
@click.option("--json", "as_json", is_flag=True, help="As data, for programs.")
@DB
def class_report(results: Path, output: str | None, as_json: bool, db: str | None) -> int:
    """A class at a glance.

    Distributions, where sheets leave the path, mistakes by frequency, and who needs a look. Without -o the summary is
    printed.
    """
    from tutor.grading import class_report as made
    from tutor.grading.grades import assignment, grades
    from tutor.views import class_report as view

    report = made.summary(grades(results, db), assignment(results, db))
    if as_json:
        deliver(view.json(report))
    elif output is None:
        say(view.text(report))
    if output is not None:
        handed_over(view.html(report), output)
    return RIGHT
