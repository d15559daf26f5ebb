"""A statement as paragraphs: what is translated as one, and lines of prose where Chinese letters stand among words.

Prose is one line to a translator, however its file breaks it; formulas, tables and lists keep their lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

_CLOSING = "，。；：、）」』》？！…,.;:)?!"
# what stays on one line: `code`, a shape and letters without a space between them (`1/`keep``), or one Chinese letter;
# the signs that close a clause go with it
_UNIT = r"(?:`[^`]*`|\([A-Z][\w*+/, -]{0,24}\)|[^\s`\u2e80-\uffff])+|[^\x00-\u2e7f]|\S"
_PIECE = re.compile(rf"(?P<space>\s*)(?P<piece>[（「《“]*(?:{_UNIT})[{_CLOSING}”]*)")


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
    """Markdown with its paragraphs filled anew; tables, lists and formulas stay as they are."""
    filled = (wrapped(message(part), width) if is_prose(part) else part for part in paragraphs(text))
    return "\n\n".join(filled)


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
