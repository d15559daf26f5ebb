"""`tutor export`: grades for other systems, and what grades on their machines."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tutor.commands.codes import RIGHT
from tutor.commands.group import Commands
from tutor.commands.params import DB
from tutor.errors import UsageError
from tutor.language import ntr, said, tr
from tutor.saving import lay_out, save
from tutor.terminal import note, say

if TYPE_CHECKING:
    from tutor.grading.assignment import Assignment
    from tutor.grading.exports.filled import Filled

room = Commands()
RESULTS = click.argument("results", metavar="RESULTS")
OWN = click.argument("assignment", metavar="ASSIGNMENT", type=click.Path())
EXPORTED = click.argument("file", metavar="FILE", type=click.Path())


def _to(metavar: str) -> Any:
    return click.option("-o", "--output", metavar=metavar, required=True, type=click.Path(), help="Where to write.")


def _filling(command: Any) -> Any:
    for option in (
        click.option("--column", metavar="NAME", help="The column to fill in, as its header has it."),
        click.option("--scale", is_flag=True, help="Convert points where the column is out of others."),
        click.option("--zeros", is_flag=True, help="0 for those who handed in nothing; else their row is left alone."),
        DB,
        _to("FILE"),
        EXPORTED,
        RESULTS,
    ):
        command = option(command)
    return command


@room.group()
def export() -> None:
    """Grades for other systems, and their autograders."""


@export.command("csv")
@RESULTS
@_to("FILE")
@DB
def csv_(results: str, output: str, db: str | None) -> int:
    """All grades as a table: grades.csv.

    A row for each learner: points of each question, their sum, what has to be looked at by hand, problems.
    """
    from tutor.grading.exports import csv_file
    from tutor.grading.grades import grades

    stream = StringIO(newline="")
    count = csv_file.write(csv_file.rows(grades(results, db), _assignment_of(results, db)), stream)
    save(output, stream.getvalue().encode(csv_file.ENCODING))
    say(ntr("{path}: {number} learner", "{path}: {number} learners", count, path=output, number=count))
    return RIGHT


@export.command("canvas")
@_filling
def canvas(results: str, file: str, output: str, column: str | None, scale: bool, zeros: bool, db: str | None) -> int:
    """Fill in the gradebook that Canvas exported.

    FILE is the CSV of Grades, Export; what is written is for Grades, Import. All but the column stays as it is. The
    column is the one with the assignment's title.
    """
    from tutor.grading.exports import canvas as system
    from tutor.grading.grades import grades

    assignment = _assignment_of(results, db)
    title = assignment.title or assignment.id
    return _written(system.fill(Path(file), grades(results, db), title, column, scale, zeros), Path(output))


@export.command("moodle")
@_filling
def moodle(results: str, file: str, output: str, column: str | None, scale: bool, zeros: bool, db: str | None) -> int:
    """Fill in the grading worksheet that Moodle exported.

    FILE is the assignment's "Download grading worksheet"; what is written is for "Upload grading worksheet". Grades and
    feedback comments are filled in, and all else stays as it is.
    """
    from tutor.grading.exports import common
    from tutor.grading.exports import moodle as system
    from tutor.grading.grades import grades
    from tutor.language import speaking

    assignment = _assignment_of(results, db)

    def comment(grade: Any) -> str:
        with speaking(assignment.language):
            return common.text_of(common.told(grade, assignment))

    return _written(system.fill(Path(file), grades(results, db), comment, column, scale, zeros), Path(output))


@export.command("gradescope")
@OWN
@_to("ZIP")
@click.option("--wheel", metavar="FILE", type=click.Path(), help="Install the tutor from this wheel, packed with it.")
def gradescope(assignment: str, output: str, wheel: str | None) -> int:
    """An autograder for Gradescope: the zip for Configure Autograder."""
    from tutor.grading.exports import gradescope as system

    packed = system.autograder(_read(assignment), None if wheel is None else system.checked_wheel(Path(wheel)))
    return _saved(Path(output), packed)


@export.command("prairielearn")
@OWN
@_to("FOLDER")
@click.option("--image", metavar="NAME", help="The Docker image with the tutor in it; tests/Dockerfile makes one.")
def prairielearn(assignment: str, output: str, image: str | None) -> int:
    """A question for PrairieLearn, with its external grader."""
    from tutor.grading.exports import prairielearn as system

    files = system.question(_read(assignment), image or system.IMAGE)
    lay_out(files, Path(output), executable=("tests/run.sh",))
    return _said(output)


@export.command("nbgrader")
@OWN
@_to("NOTEBOOK")
def nbgrader(assignment: str, output: str) -> int:
    """A notebook for nbgrader's source folder."""
    from tutor.grading.exports import nbgrader as system

    return _saved(Path(output), system.notebook(_read(assignment)))


@export.command("otter")
@OWN
@_to("FOLDER")
@click.option("--notebook", metavar="FILE", type=click.Path(), help="The notebook; else ID.ipynb beside the folder.")
def otter(assignment: str, output: str, notebook: str | None) -> int:
    """Test files for otter-grader, and a notebook that uses them."""
    from tutor.grading.exports import otter as system

    made, folder = _read(assignment), Path(output)
    path = Path(notebook) if notebook else folder.parent / f"{made.id}.ipynb"
    page = system.notebook(made, folder.name)
    if notebook is None and path.exists() and path.read_bytes() != page:
        raise UsageError(said("{path} exists and is left as it is: name the notebook with --notebook", path=path))
    lay_out(system.tests(made), folder)
    _said(output)
    return _saved(path, page)


# -- what they share -------------------------------------------------------------------------------------------------


def _read(path: str) -> Assignment:
    from tutor.grading.assignment import read

    return read(path)


def _assignment_of(results: str, db: str | None) -> Assignment:
    """The assignment as it was when the results were made."""
    from tutor.grading.grades import assignment

    return assignment(results, db)


def _saved(path: Path, data: bytes) -> int:
    save(path, data, with_folder=True)
    return _said(path)


def _said(path: str | Path) -> int:
    say(tr("written: {path}", path=path))
    return RIGHT


def _written(made: Filled, path: Path) -> int:
    for who, why in made.left:
        note(tr("left as it was: {who}: {why}", who=who, why=why))
    _saved(path, made.table.data())
    say(ntr("{number} grade filled in", "{number} grades filled in", made.written, number=made.written))
    return RIGHT
