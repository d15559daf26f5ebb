"""A report on a notebook, in the reader's terms: the line inside its cell, and the cell's number.

While a notebook is judged its lines are numbered through all cells, so that every comparison of places stays simple.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tutor.checking.report import LineReport, Report, Sentence

_LINES = re.compile(r"\b(lines? )(\d+(?:, \d+)*)\b")


def in_cells(report: Report, cells: list[tuple[int, int]]) -> Report:
    """`cells` holds (lines before, number) of every cell, in order."""
    starts = [before for before, _ in cells]

    def place(line: int) -> tuple[int, int]:
        before, number = cells[max(bisect_right(starts, line - 1) - 1, 0)]
        return line - before, number

    lines = tuple(_line(line, place) for line in report.lines)
    return replace(report, lines=lines, notes=tuple(_note(note, place) for note in report.notes))


Place = Callable[[int], tuple[int, int]]


def _line(report: LineReport, place: Place) -> LineReport:
    line, cell = place(report.line)
    mistakes = tuple(
        replace(m, message=_words(m.message, place), params=_params(m.params, place)) for m in report.mistakes
    )
    sentence = Sentence(report.sentence.id, _params(report.sentence.params, place))
    repair = report.repair
    if repair is not None and repair.line is not None:
        within, number = place(repair.line)
        repair = replace(repair, line=within, cell=number if number != cell else None)
    return replace(report, line=line, cell=cell, sentence=sentence, mistakes=mistakes, repair=repair)


def _params(params: Any, place: Place) -> dict[str, Any]:
    """`line` as words: 2 of cell 3."""
    made = dict(params)
    if isinstance(made.get("line"), int) and made["line"]:
        made["line"] = _shown(made["line"], place)
    return made


def _note(text: str, place: Place) -> str:
    """What a note quotes of the learner's text stays as it is."""
    said, mark, quoted = text.partition("passed over: ")
    return _words(said, place) + mark + quoted


def _words(text: str, place: Place) -> str:
    def shown(found: re.Match[str]) -> str:
        return found[1] + ", ".join(_shown(int(number), place) for number in found[2].split(", "))

    return _LINES.sub(shown, text)


def _shown(line: int, place: Place) -> str:
    within, cell = place(line)
    return f"{within} of cell {cell}"
