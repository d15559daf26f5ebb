"""Gradescope: `results.json` from a `Feedback`, and the autograder's zip, which writes it on their machine.

Specification: gradescope-autograders.readthedocs.io, "Autograder Specifications" and "Submission Metadata".
A score is what a person can rely on: where something has to be looked at, or the grader failed, there is none, which
Gradescope shows as a submission that is not graded; the text says so.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tutor import __version__
from tutor.errors import UsageError
from tutor.grading.assignment import Assignment
from tutor.grading.exports import common
from tutor.grading.feedback import Feedback, QuestionShown
from tutor.grading.learners import roster_of
from tutor.grading.submissions import of_one
from tutor.language import said, speaking, tr

SECONDS = 540  # Gradescope ends an autograder after ten minutes, and then nothing says why


# -- results.json ----------------------------------------------------------------------------------------------------


def results(feedback: Feedback) -> dict[str, Any]:
    """The document: a test for each question. Without `score` where a person has to look."""
    by_hand = feedback.points is None
    made: dict[str, Any] = {
        "output": common.problems_text(feedback),
        "output_format": "text",
        "test_output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",  # our own log
        "tests": [_test(feedback, question, number, by_hand) for number, question in enumerate(feedback.questions, 1)],
    }
    if by_hand:
        made["output"] = "\n".join(filter(None, [common.look_by_hand(feedback), made["output"]]))
    else:
        made["score"] = feedback.points
    return made


def _test(feedback: Feedback, question: QuestionShown, number: int, by_hand: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "number": str(number),
        "name": common.name_of(question),
        "output": common.text_of_question(feedback, question),
        "output_format": "text",
        "visibility": "visible",
    }
    if not by_hand and question.points is not None:  # a sum of some would be taken for the whole
        made["score"], made["max_score"] = question.points, question.max_points
        made["status"] = "passed" if question.points >= question.max_points else "failed"
    return made


def failure(reason: str) -> dict[str, Any]:
    """Our own failure: text, and no score."""
    return {"output": reason, "output_format": "text", "visibility": "visible", "stdout_visibility": "hidden",
            "tests": []}  # fmt: skip


# -- on their machine ------------------------------------------------------------------------------------------------


def run(root: Path) -> dict[str, Any]:
    """Grade what lies in `submission`; whatever goes wrong here is said to be ours."""
    try:
        assignment = common.from_tree(root / "source" / "assignment")
        with speaking(assignment.language):
            learner = _learner(assignment, _json(root / "submission_metadata.json"))
            if learner is None:
                return failure(tr("you are not on the course's list, and each learner has questions of their own: "
                                  "tell your teacher"))  # fmt: skip
            _, feedback = common.graded(assignment, learner, of_one(root / "submission", learner))
            return results(feedback)
    except Exception:
        traceback.print_exc(file=sys.stdout)  # which only teachers see
        return failure(common.failed())


def _json(path: Path) -> Mapping[str, Any]:
    found = json.loads(path.read_text("utf-8"))
    return found if isinstance(found, dict) else {}


def _learner(assignment: Assignment, metadata: Mapping[str, Any]) -> str | None:
    """The roster's id of the first who handed in; without a roster, or beyond it, their e-mail address."""
    user = {key: str(value) for key, value in (metadata.get("users") or [{}])[0].items() if value is not None}
    identities = [user[key] for key in ("email", "sid", "name") if user.get(key)]
    roster = roster_of(assignment)
    found = roster.find(*identities) if roster is not None else None
    if found is not None:
        return found
    return None if assignment.varies else next(iter(identities), common.ANYBODY)


def main(root: str) -> None:
    common.write_results(Path(root), run(Path(root)))


# -- the zip ---------------------------------------------------------------------------------------------------------


def autograder(assignment: Assignment, wheel: Path | None = None) -> bytes:
    """The zip: setup.sh, run_autograder, the assignment with its own exercises and its roster."""
    files = {f"assignment/{name}": data for name, data in common.tree(assignment).items()}
    package = f"derivation-tutor=={__version__}"
    if wheel is not None:
        package = f'"$here/wheels/{wheel.name}"'
        files[f"wheels/{wheel.name}"] = common.wheel_bytes(wheel)
    files |= {"setup.sh": _setup(package), "run_autograder": _run_autograder(assignment.language)}
    return common.zipped(files, executable=("setup.sh", "run_autograder"))


def _setup(package: str) -> bytes:
    return common.script(
        "# Installs the derivation tutor into a virtual environment, with the first Python that is new enough.",
        "set -euo pipefail",
        'root="${AUTOGRADER_ROOT:-/autograder}"',
        'here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"',
        "suits() { \"$1\" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }",
        'python=""',
        "find_python() {",
        "    for name in python3 python3.13 python3.12 python3.11; do",
        '        if suits "$name"; then python="$name"; return; fi',
        "    done",
        "}",
        "find_python",
        'if [ -z "$python" ]; then',
        "    apt-get update",
        "    apt-get install -y python3-venv || true",
        "    apt-get install -y python3.12-venv || apt-get install -y python3.11-venv || true",
        "    find_python",
        "fi",
        'if [ -z "$python" ]; then',
        '    echo "no Python of 3.11 or later here: choose a newer base image" >&2',
        "    exit 1",
        "fi",
        '"$python" -m venv "$root/venv"',
        f'"$root/venv/bin/python" -m pip install {package}',
    )


def _run_autograder(language: str) -> bytes:
    with speaking(language):
        fallback = failure(common.failed())
    return common.runner("gradescope", "/autograder", SECONDS, "/autograder/venv/bin/python", fallback)


def checked_wheel(wheel: Path) -> Path:
    """The wheel, if it is one of this version."""
    if not wheel.name.startswith(f"derivation_tutor-{__version__}-") or wheel.suffix != ".whl":
        raise UsageError(
            said(
                "{wheel} is no wheel of derivation-tutor {version}: 'pip wheel --no-deps .' in its checkout makes one",
                wheel=wheel.name, version=__version__,
            )
        )  # fmt: skip
    return wheel


if __name__ == "__main__":
    main(sys.argv[1])
