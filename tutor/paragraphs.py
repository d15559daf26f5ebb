"""A statement as paragraphs: what is translated as one, and lines of prose where Chinese letters stand among words.

Prose is one line to a translator, however its file breaks it; formulas, tables and lists keep their lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from unicodedata import east_asian_width

_CLOSING = "，。；：、）」』》？！…,.;:)?!"
# what stays on one line: `code`, a shape and letters without a space between them (`1/`keep``), or one Chinese letter;
# the signs that close a clause go with it
_UNIT = r"(?:`[^`]*`|\([A-Z][\w*+/, -]{0,24}\)|[^\s`\u2e80-\uffff])+|[^\x00-\u2e7f]|\S"
_BAR, _RULE = re.compile(r"(?<!\\)\|"), re.compile(":?-+:?")
_GAP, LEAST = "   ", 20  # between the columns of a table; cells of its last one, below which it is left as it is
SHORTEST = 3  # cells of a line below a head
_PIECE = re.compile(rf"(?P<space>\s*)(?P<piece>[（「《“\[]*(?:{_UNIT})[{_CLOSING}”]*)")


def paragraphs(statement: str) -> list[str]:
    """The parts between blank lines."""
    return [part for part in re.split(r"\n\s*\n", statement.strip("\n")) if part.strip()]


def is_prose(paragraph: str) -> bool:
    """Not a block of formulas (indented), nor a table or a list."""
    return not paragraph.startswith(("    ", "| ", "* ", "- "))


def message(paragraph: str) -> str:
    """What the catalogue has it under."""
    return " ".join(paragraph.split()) if is_prose(paragraph) else paragraph


def wrapped(text: str, width: int) -> str:
    """One line of prose as several, each at most `width` cells of a terminal; a Chinese letter takes two."""
    return "\n".join(_lines(text, width))


def refilled(text: str, width: int) -> str:
    """Markdown with its paragraphs filled anew and its tables aligned; lists and formulas stay as they are."""
    return "\n\n".join(_refilled(part, width) for part in paragraphs(text))


def _refilled(part: str, width: int) -> str:
    if is_prose(part):
        return wrapped(message(part), width)
    return "\n".join(_table(part, width)) if part.startswith("| ") else part


def _table(part: str, width: int) -> Iterator[str]:
    """Columns below one another, a line below the heads; the last column goes on below itself where it is too long."""
    rows = [
        [cell.strip().replace("\\|", "|") for cell in _BAR.split(row.strip().strip("|"))] for row in part.split("\n")
    ]
    rows = [row for row in rows if not all(_RULE.fullmatch(cell) for cell in row)]
    widths = [max(_cells(cell) for cell in column) for column in zip_longest(*rows, fillvalue="")]
    start = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    room = width - start if width - start >= LEAST else max(widths[-1], 1)
    for n, (*first, last) in enumerate(rows):
        before = "".join(cell + " " * (wide - _cells(cell)) + _GAP for cell, wide in zip(first, widths, strict=False))
        line, *more = wrapped(last, room).split("\n")
        yield (before + line).rstrip()
        yield from (" " * start + each for each in more)
        if n == 0 and start + SHORTEST <= width:
            yield _GAP.join("-" * wide for wide in [*widths[:-1], min(widths[-1], width - start)])


def _lines(text: str, width: int) -> Iterator[str]:
    line = ""
    for found in _PIECE.finditer(text):
        longer = line + found["space"] + found["piece"]
        if line and _cells(longer) > width:
            yield line
            line = found["piece"]
        else:
            line = longer.lstrip()
    if line:
        yield line


def _cells(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
