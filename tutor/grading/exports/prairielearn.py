"""PrairieLearn: an external grader's `results.json` from a `Feedback`, and a question's folder that is graded so.

Specification: PrairieLearn's docs/externalGrading. `gradable: false` costs the learner no attempt and no points: it is
what a sheet gets that cannot be read, and whatever a person, or we, have to look at.
"""

from __future__ import annotations

import sys
import traceback
import uuid
from html import escape
from pathlib import Path
from typing import Any

from tutor import __version__
from tutor.grading.assignment import Assignment
from tutor.grading.exports import common
from tutor.grading.feedback import Feedback
from tutor.grading.model import LearnerGrade
from tutor.grading.submissions import of_one
from tutor.language import speaking, tr

UNGRADABLE = ("unreadable", "empty", "not-a-sheet", "too-large", "unsafe", "wrong-exercise", "unplaced")
IMAGE = f"derivation-tutor:{__version__}"
MOST_BYTES = 1_000_000  # of results.json
SECONDS, PATIENCE = 100, 120  # ours, and then PrairieLearn's, which would say that the job failed


# -- results.json ----------------------------------------------------------------------------------------------------


def results(feedback: Feedback, grade: LearnerGrade) -> dict[str, Any]:
    """The document: the share of the points, and a test for each question."""
    if feedback.points is None:
        return ungradable([common.look_by_hand(feedback)], common.problems_text(feedback))
    if not grade.handed_in:
        return ungradable([tr("nothing was handed in")])
    if not feedback.points and _unreadable(grade):
        return ungradable([str(message) for _, message in feedback.problems] or [tr("nothing in it could be read")],
                          common.text_of(feedback))  # fmt: skip
    most = _share(1 + len(feedback.questions))
    return {
        "gradable": True,
        "score": min(1.0, feedback.points / feedback.max_points) if feedback.max_points else 1.0,
        "message": common.problems_text(feedback)[:most],
        "tests": [
            {
                "name": common.name_of(question),
                "points": question.points,
                "max_points": question.max_points,
                "output": common.text_of_question(feedback, question)[:most],
            }
            for question in feedback.questions
        ],
    }


def _unreadable(grade: LearnerGrade) -> bool:
    """Whether what was handed in is no answer that could be judged; a line that can be read is judged."""
    shown = [question.attempt for question in grade.questions if question.attempt is not None]
    verdicts = {attempt.part.report.get("verdict") for attempt in shown}
    return verdicts == {"unreadable"} or any(problem.id in UNGRADABLE for _, problem in grade.problems)


def ungradable(errors: list[str], output: str = "") -> dict[str, Any]:
    most = _share(3)
    shown = "\n".join(errors)[:most]
    made: dict[str, Any] = {"gradable": False, "format_errors": shown.split("\n"), "message": shown}
    return {**made, "output": output[:most]} if output else made


def _share(parts: int) -> int:
    """How many letters each of so many texts may have: one is up to four bytes, and up to six as an escape."""
    return (MOST_BYTES - 100_000) // (6 * parts)


# -- on their machine ------------------------------------------------------------------------------------------------


def run(root: Path) -> dict[str, Any]:
    try:
        assignment = common.from_tree(root / "tests" / "assignment")
        with speaking(assignment.language):
            sheets = of_one(root / "student", common.ANYBODY)
            grade, feedback = common.graded(assignment, common.ANYBODY, sheets)
            return results(feedback, grade)
    except Exception:
        traceback.print_exc(file=sys.stderr)
        return ungradable([common.failed()])


def main(root: str) -> None:
    common.write_results(Path(root), run(Path(root)))


# -- the question's folder -------------------------------------------------------------------------------------------


def question(assignment: Assignment, image: str = IMAGE) -> dict[str, bytes]:
    """info.json, question.html, a blank sheet for each question, tests/."""
    common.alike_for_all(assignment, "PrairieLearn")
    from tutor.answers.blank import blank

    with speaking(assignment.language):
        asked = common.exercises(assignment)
        files = {f"tests/assignment/{name}": data for name, data in common.tree(assignment).items()}
        files |= {f"{question.name}.py": blank(exercise).encode() for question, exercise in asked}
        files |= {
            "info.json": common.json_bytes(_info(assignment, image)),
            "question.html": _page(assignment, asked).encode(),
            "tests/run.sh": common.runner("prairielearn", "/grade", SECONDS, "python3", ungradable([common.failed()])),
            "tests/Dockerfile": _dockerfile(),
        }
    return files


def _info(assignment: Assignment, image: str) -> dict[str, Any]:
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"derivation-tutor/{assignment.id}")),
        "title": assignment.title or assignment.id,
        "topic": "Backpropagation",
        "tags": ["derivation-tutor"],
        "type": "v3",
        "singleVariant": True,
        "gradingMethod": "External",
        "externalGradingOptions": {
            "enabled": True,
            "image": image,
            "entrypoint": "/grade/tests/run.sh",
            "timeout": PATIENCE,
            "enableNetworking": False,
        },
    }


def _page(assignment: Assignment, asked: list[Any]) -> str:
    from tutor.views import html

    parts = []
    for question, exercise in asked:
        body = f"<h3>{escape(question.title_of(exercise))}</h3>{html.statement(exercise)}{html.program(exercise)}"
        # the page is a Mustache template, and what a course writes is text to it
        parts.append(body.replace("{{", "&#123;&#123;"))
        parts.append(
            f'<pl-file-editor file-name="{escape(question.name)}.py" source-file-name="{escape(question.name)}.py" '
            f'ace-mode="ace/mode/python" allow-blank="true"></pl-file-editor>'
        )
    panel = "\n".join(parts)
    return (
        f"<pl-question-panel>\n{panel}\n</pl-question-panel>\n\n<pl-submission-panel>\n"
        "<pl-external-grader-results></pl-external-grader-results>\n<pl-file-preview></pl-file-preview>\n"
        "</pl-submission-panel>\n"
    )


def _dockerfile() -> bytes:
    return (
        "# The image that info.json names: docker build -t derivation-tutor:"
        f"{__version__} .\nFROM python:3.12-slim\nRUN pip install --no-cache-dir derivation-tutor=={__version__}\n"
    ).encode()


if __name__ == "__main__":
    main(sys.argv[1])
