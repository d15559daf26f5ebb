"""nbgrader: a source notebook with answer cells and test cells that return partial credit, with the reason printed.

A test cell's last expression is a number from 0 to the cell's points (nbgrader.utils.determine_grade). Where a person
has to look it is `inf`, which nbgrader refuses: that submission is then reported, and not graded, rather than graded 0.
What grades stands between BEGIN HIDDEN TESTS and END HIDDEN TESTS, which learners' copies lack.
"""

from __future__ import annotations

import re
from typing import Any

from tutor.grading.assignment import Assignment
from tutor.grading.exports import common, notebooks
from tutor.language import speaking, tr
from tutor.views import ipynb
from tutor.views.ipynb import Cell


def notebook(assignment: Assignment) -> bytes:
    """The notebook to put into nbgrader's source folder."""
    common.alike_for_all(assignment, "nbgrader")
    with speaking(assignment.language):
        cells = [
            ipynb.markdown("title", notebooks.title(assignment), _locked("title")),
            ipynb.code("load", "%load_ext tutor", _locked("load")),
        ]
        for number, (question, exercise) in enumerate(common.exercises(assignment), 1):
            id = f"q{number}-{re.sub('[^A-Za-z0-9_-]', '-', question.name)}"
            grader = _grader(question.name, common.parcel(common.only(assignment, question)))
            points = float(sum(exercise.worth.values()))
            cells += [
                notebooks.statement(f"{id}-statement", question, exercise, _locked(f"{id}-statement")),
                notebooks.answer(f"{id}-answer", question, exercise),
                ipynb.code(f"{id}-test", grader, _graded(f"{id}-test", points)),
            ]
    return ipynb.notebook(cells).encode()


def _grader(question: str, parcel: str) -> str:
    return "\n".join(
        [
            f"# {tr('graded after you hand in: nothing to do here')}",
            "### BEGIN HIDDEN TESTS",
            "try:",
            "    from tutor.grading.cells import points",
            "except ImportError:",
            '    points = lambda *_: float("inf")  # the tutor is not installed here: not graded, rather than 0',
            f"points({question!r}, {parcel!r})",
            "### END HIDDEN TESTS",
        ]
    )


def _locked(id: str) -> Cell:
    return _metadata(id, grade=False)


def _graded(id: str, points: float) -> Cell:
    return _metadata(id, grade=True, points=points)


def _metadata(id: str, **more: Any) -> Cell:
    common = {"grade_id": id, "locked": True, "schema_version": 3, "solution": False, "task": False}
    return {"nbgrader": {**common, **more}}
