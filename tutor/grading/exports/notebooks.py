"""Cells of notebooks in which learners answer: statements, and sheets to fill in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tutor.grading.assignment import Assignment, Question
from tutor.language import tr
from tutor.views import escaped, ipynb
from tutor.views.ipynb import Cell

if TYPE_CHECKING:
    from tutor.exercise import Exercise


def title(assignment: Assignment) -> str:
    """What stands at the top."""
    return f"# {escaped.line(assignment.title or assignment.id)}\n\n{how()}"


def how() -> str:
    return tr(
        "Write your formulas into the cells that begin with `%%answer`, a line for each, in torch's spelling "
        "(`dW = x.T @ dz`) or with indices. Lines for other gradients may stand in between. Such a cell is read, and "
        "never run; run it all the same, so that it is kept."
    )


def statement(id: str, question: Question, exercise: Exercise, metadata: Mapping[str, Any] | None = None) -> Cell:
    from tutor.views import markdown

    text = markdown.exercise(exercise)
    if question.title:
        text = f"## {escaped.line(question.title)}\n{text.partition(chr(10))[2]}"
    return ipynb.markdown(id, text, metadata)


def answer(id: str, question: Question, exercise: Exercise) -> Cell:
    """A blank sheet; the cell is no one's but the learner's, so that no system locks or replaces it."""
    rows = [f"{name} = ..." for name in exercise.worth]
    return ipynb.code(id, "\n".join([f"%%answer {question.name}", *rows]))
