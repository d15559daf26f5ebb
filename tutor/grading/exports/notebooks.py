"""A notebook file as plain data: the same bytes for the same cells, and no package needed to write one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tutor.grading.assignment import Question
from tutor.grading.exports import common
from tutor.language import tr

if TYPE_CHECKING:
    from tutor.exercise import Exercise

Cell = dict[str, Any]


def markdown(id: str, source: str, metadata: Mapping[str, Any] | None = None) -> Cell:
    return {"cell_type": "markdown", "id": id, "metadata": dict(metadata or {}), "source": _lines(source)}


def code(id: str, source: str, metadata: Mapping[str, Any] | None = None) -> Cell:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": id,
        "metadata": dict(metadata or {}),
        "outputs": [],
        "source": _lines(source),
    }


def notebook(cells: Iterable[Cell], metadata: Mapping[str, Any] | None = None) -> bytes:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return common.json_bytes(
        {
            "cells": list(cells),
            "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}, **(metadata or {})},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def _lines(source: str) -> list[str]:
    return source.strip("\n").splitlines(keepends=True)


def heading(title: str) -> str:
    """A title as Markdown, its signs as letters."""
    return "# " + "".join(f"\\{c}" if c in "\\`*_[]<>#$" else c for c in " ".join(title.split()))


def how() -> str:
    return tr(
        "Write your formulas into the cells that begin with `%%answer`, a line for each, in torch's spelling "
        "(`dW = x.T @ dz`) or with indices. Lines for other gradients may stand in between. Such a cell is read, and "
        "never run; run it all the same, so that it is kept."
    )


def statement(id: str, question: Question, exercise: Exercise, metadata: Mapping[str, Any] | None = None) -> Cell:
    from tutor.views import markdown as view

    text = view.exercise(exercise)
    if question.title:
        text = f"#{heading(question.title)}\n{text.partition(chr(10))[2]}"
    return markdown(id, text, metadata)


def answer(id: str, question: Question, exercise: Exercise) -> Cell:
    """A blank sheet; the cell is no one's but the learner's, so that no system locks or replaces it."""
    rows = [f"{name} = ..." for name in exercise.worth]
    return code(id, "\n".join([f"%%answer {question.name}", *rows]))
