"""What several exports need: numbers as text, one question's feedback, an assignment in a parcel, a zip's bytes."""

from __future__ import annotations

import base64
import io
import json
import shlex
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tutor.errors import NotFoundError, UsageError
from tutor.grading.assignment import Assignment, Question, parse
from tutor.grading.feedback import Feedback, QuestionShown
from tutor.grading.model import LearnerGrade, Submission
from tutor.grading.variants import variant
from tutor.language import said, tr
from tutor.saving import replaced

if TYPE_CHECKING:
    from tutor.exercise import Exercise

ANYBODY = "learner"  # where the system does not say who it is


def number(points: float | None) -> str:
    """`2`, `1.5`, `0.333333333333`; nothing where it is not known."""
    return "" if points is None else format(points + 0.0, ".12g")


def told(grade: LearnerGrade, assignment: Assignment) -> Feedback:
    """What the learner is told where an answer may still be handed in: never a derivation."""
    from tutor.grading import feedback

    return feedback.released(grade, assignment, False)


def graded(assignment: Assignment, learner: str, submissions: Iterable[Submission]) -> tuple[LearnerGrade, Feedback]:
    """A learner's grade, judged in this process, and what they are told of it."""
    from tutor.grading.single import grade_one

    grade = grade_one(assignment, learner, submissions)
    return grade, told(grade, assignment)


def text_of(feedback: Feedback) -> str:
    from tutor.views import feedback as view

    return str(view.text(feedback))


def text_of_question(feedback: Feedback, question: QuestionShown) -> str:
    """The feedback on one question alone."""
    points, most = question.points, question.max_points
    return text_of(
        replace(feedback, questions=(question,), points=points, max_points=most, problems=(), learner="", person="")
    )


def problems_text(feedback: Feedback) -> str:
    return "\n".join(f"{file}: {message}" if file else str(message) for file, message in feedback.problems)


def name_of(question: QuestionShown) -> str:
    return question.title or question.question


def look_by_hand(feedback: Feedback) -> str:
    """Why there are no points yet, for the learner and the teacher alike."""
    open_ = ", ".join(name_of(question) for question in feedback.questions if question.points is None)
    return str(
        said("not graded yet: a person has to look at {questions}; this says nothing about the answer", questions=open_)
    )


def failed() -> str:
    return tr("the grader failed, which says nothing about the answer: hand in again later, or tell your teacher")


# -- an assignment to take along -------------------------------------------------------------------------------------


def alike_for_all(assignment: Assignment, system: str) -> None:
    """Refuse an assignment that varies, where the system does not tell the grader who the learner is."""
    if assignment.varies:
        raise UsageError(
            said(
                "{system} does not tell the grader who the learner is, and this assignment draws something for each: "
                "take the draw tables out, or use another system",
                system=system,
            )
        )


def only(assignment: Assignment, question: Question) -> Assignment:
    """The assignment with that question alone."""
    made = assignment.model_copy(update={"questions": [question]})
    for cached in ("own_files", "version"):
        made.__dict__.pop(cached, None)
    return made


def own_files(assignment: Assignment) -> Mapping[str, str]:
    """The assignment's own exercise files, which have to lie beside it to be taken along."""
    for name in assignment.own_files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or name.startswith("~"):
            raise UsageError(
                said("the exercise {name} is not in the assignment's folder: copy it there to take it along", name=name)
            )
    return assignment.own_files


def parcel(assignment: Assignment) -> str:
    """The assignment and its own exercises as a line of text; without its secret, its roster, its comments."""
    content = assignment.model_dump(mode="json", exclude_none=True, exclude={"secret", "roster"})
    document = {"assignment": content, "files": dict(own_files(assignment))}
    return base64.b64encode(zlib.compress(json.dumps(document, sort_keys=True).encode(), 9)).decode("ascii")


def unpacked(text: str, folder: Path) -> Assignment:
    """The assignment in a parcel, its own exercises put into a folder."""
    document = json.loads(zlib.decompress(base64.b64decode(text)))
    for name, source in document["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    content = document["assignment"]
    if "due" in content:
        from datetime import datetime

        content["due"] = datetime.fromisoformat(content["due"])
    made = Assignment.model_validate(content)
    made._path = folder / "assignment.toml"
    return made


def tree(assignment: Assignment) -> dict[str, bytes]:
    """The assignment's file, its own exercises and its roster as files beside one another."""
    files = {"assignment.toml": assignment.text.encode()}
    files |= {name: source.encode() for name, source in own_files(assignment).items()}
    if assignment.roster is not None:
        roster = assignment.path.parent / assignment.roster
        try:
            files["roster.csv"] = roster.read_bytes()
        except OSError as error:
            raise UsageError(
                said("cannot read the roster {path}: {reason}", path=roster, reason=error.strerror or error)
            ) from None
    return files


def from_tree(folder: Path) -> Assignment:
    """The assignment that `tree` made files of."""
    path = folder / "assignment.toml"
    made = parse(path.read_text("utf-8"), path)
    return made if made.roster is None else made.model_copy(update={"roster": "roster.csv"})


# -- questions -------------------------------------------------------------------------------------------------------


def exercises(assignment: Assignment) -> list[tuple[Question, Exercise]]:
    """Each question with the exercise that all learners have."""
    folder = assignment.path.parent
    return [(q, variant(assignment, q, ANYBODY).exercise(folder)) for q in assignment.questions]


# -- files -----------------------------------------------------------------------------------------------------------


def zipped(files: Mapping[str, bytes], executable: Iterable[str] = ()) -> bytes:
    """A zip with the same bytes for the same files: sorted, from one day, stored as they are."""
    runs = set(executable)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # unix, so that the bits of the mode are read
            info.external_attr = (0o100755 if name in runs else 0o100644) << 16
            archive.writestr(info, files[name])
    return buffer.getvalue()


def write_results(root: Path, document: object) -> None:
    """results/results.json below a folder, whole or not at all."""
    place = root / "results"
    place.mkdir(parents=True, exist_ok=True)
    with replaced(place / "results.json") as file:
        file.write(json_bytes(document))


def runner(system: str, root: str, seconds: int, python: str, fallback: object) -> bytes:
    """A script that grades below a folder and leaves results/results.json there, whatever happens to the grader.

    The folder, the seconds and the Python are environment variables' (`GRADE_ROOT` over `/grade`), so that it runs
    anywhere. Nothing that was handed in is run: Python does not even look for modules beside it.
    """
    name = root.strip("/").upper()
    return script(
        f'root="${{{name}_ROOT:-{root}}}"',
        f'python="${{{name}_PYTHON:-{python}}}"',
        'mkdir -p "$root/results"',
        'rm -f "$root/results/results.json"',
        'cd "$root/results" || exit 1',
        f'timeout "${{{name}_SECONDS:-{seconds}}}" "$python" -P -m tutor.grading.exports.{system} "$root"',
        'if [ ! -s "$root/results/results.json" ]; then  # out of memory, out of time, not installed',
        f"    printf '%s\\n' {in_shell(fallback)} > \"$root/results/results.json\"",
        "fi",
    )


def script(*lines: str) -> bytes:
    return ("#!/usr/bin/env bash\n" + "\n".join(lines) + "\n").encode()


def in_shell(document: object) -> str:
    """A JSON document as one word of a shell."""
    return shlex.quote(json.dumps(document, ensure_ascii=False, sort_keys=True))


def json_bytes(document: object) -> bytes:
    return (json.dumps(document, ensure_ascii=False, sort_keys=True, indent=2) + "\n").encode("utf-8", "replace")


def wheel_bytes(wheel: Path) -> bytes:
    try:
        return wheel.read_bytes()
    except OSError as error:
        raise NotFoundError(
            said("cannot read {wheel}: {reason}", wheel=wheel, reason=error.strerror or error)
        ) from None
