"""otter-grader: a test file for each question, a test case for each asked quantity, and a notebook that uses them.

Test files are of the kind that raise (`OK_FORMAT = False`). A quantity that may earn a part of its points has two
cases: what follows from an earlier mistake passes the first. Where a person has to look, the case raises what is no
Exception, so that otter reports that grading failed, rather than a test that did. Cases say which quantities are right;
where the assignment releases the score alone they are hidden ones.
"""

from __future__ import annotations

from tutor.grading.assignment import Assignment, Question
from tutor.grading.exports import common, notebooks
from tutor.language import speaking, tr
from tutor.views import ipynb


def tests(assignment: Assignment) -> dict[str, bytes]:
    """`q1.py` for each question."""
    common.alike_for_all(assignment, "otter-grader")
    with speaking(assignment.language):
        return {
            f"{question.name}.py": _test_file(assignment, question, exercise.worth).encode()
            for question, exercise in common.exercises(assignment)
        }


def _test_file(assignment: Assignment, question: Question, worth: dict[str, float]) -> str:
    parcel = common.parcel(common.only(assignment, question))
    head = [
        "OK_FORMAT = False",
        "",
        "from otter.test_files import test_case",
        "from tutor.grading.cells import earns",
        "",
        f"name = {question.name!r}",
        "points = None",
        f"PARCEL = {parcel!r}",
    ]
    cases = [case for name, points in worth.items() for case in _shares(assignment, name, points)]
    hidden = assignment.feedback == "score"
    body = [line for number, case in enumerate(cases, 1) for line in _case(question.name, number, hidden, *case)]
    return "\n".join([*head, *body]) + "\n"


def _shares(assignment: Assignment, name: str, points: float) -> list[tuple[str, str, float, float]]:
    """Cases of a quantity: its label, the name, the points that it must have earned, what the case is worth."""
    part = assignment.follow_through
    if not 0 < part < 1:
        return [(name, name, points, points)]
    whole = tr("{name}, by itself", name=name)
    return [(name, name, points * part, points * part), (whole, name, points, points * (1 - part))]


def _case(question: str, number: int, hidden: bool, label: str, name: str, least: float, points: float) -> list[str]:
    passed, failed = tr("{name}: earned", name=label), tr("{name}: not earned", name=label)
    return [
        "",
        "",
        "@test_case(",
        f"    name={f'{question}: {label}'!r},",
        f"    points={points!r},",
        f"    hidden={hidden!r},",
        f"    success_message={passed!r},",
        f"    failure_message={failed!r},",
        ")",
        f"def test_{number}():",
        f"    earns({question!r}, {name!r}, {least!r}, PARCEL)",
    ]


def notebook(assignment: Assignment, folder: str = "tests") -> bytes:
    """The learners' notebook; `folder` is where it finds the test files."""
    with speaking(assignment.language):
        cells = [
            ipynb.markdown("title", notebooks.title(assignment)),
            ipynb.code("load", f"%load_ext tutor\nimport otter\ngrader = otter.Notebook(tests_dir={folder!r})"),
        ]
        for number, (question, exercise) in enumerate(common.exercises(assignment), 1):
            cells += [
                notebooks.statement(f"q{number}-statement", question, exercise),
                notebooks.answer(f"q{number}-answer", question, exercise),
                ipynb.code(f"q{number}-check", f"grader.check({question.name!r})"),
            ]
    return ipynb.notebook(cells).encode()
