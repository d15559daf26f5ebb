"""A report on a notebook, in the reader's terms: the line inside its cell, and the cell's number.

While a notebook is judged its lines are numbered through all cells, so that every comparison of places stays simple.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tutor.checking.report import LineReport, Report, Sentence
from tutor.language import Said, joined, said

_NUMBERS = re.compile(r"[1-9]\d*(?:, \d+)*")


def in_cells(report: Report, cells: list[tuple[int, int]]) -> Report:
    """`cells` holds (lines before, number) of every cell, in order."""
    starts = [before for before, _ in cells]

    def place(line: int) -> tuple[int, int]:
        before, number = cells[max(bisect_right(starts, line - 1) - 1, 0)]
        return line - before, number

    lines = tuple(_line(line, place) for line in report.lines)
    return replace(report, lines=lines, notes=tuple(_words(note, place) for note in report.notes))


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


def _params(params: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """`line` and `lines` as words, 2 of cell 3, in what is said inside as well; what is quoted stays as it is."""
    return {name: _param(name, value, place) for name, value in params.items()}


def _param(name: str, value: Any, place: Place) -> Any:
    if name in ("line", "lines") and (numbers := _NUMBERS.fullmatch(str(value))):
        return joined([_shown(int(number), place) for number in numbers[0].split(", ")])
    return _words(value, place) if isinstance(value, Said) else value


def _words(text: str, place: Place) -> str:
    return Said(text.message, _params(text.params, place), text.many, text.number) if isinstance(text, Said) else text


def _shown(line: int, place: Place) -> str:
    within, cell = place(line)
    return said("{within} of cell {cell}", within=within, cell=cell)
