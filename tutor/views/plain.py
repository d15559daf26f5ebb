"""For terminals that cannot show mathematics: `∂L/∂s[i] = Σk dp[i,k]²` as `DL/Ds[i] = Sum_k dp[i,k]^2`."""

from __future__ import annotations

import re
import unicodedata

# D, so that a local derivative Dp/Ds is not read as our gradient dp
_LETTERS = {
    "∂": "D", "√": "sqrt", "·": "*", "×": "x", "−": "-", "–": "-", "—": "--", "…": "...", "≤": "<=", "≥": ">=",
    "≠": "!=", "→": "->", "←": "<-", "⌊": "floor(", "⌋": ")", "∞": "inf", "‖": "||", "“": '"', "”": '"', "’": "'",
    "‘": "'", "│": "|", "─": "-", "┼": "+", "✓": "ok", "✗": "x", "•": "*", "Σ": "Sum_", "Π": "Prod_", "≈": "~",
    "░": ":", "▒": "o", "▓": "O", "█": "@",  # of a heat map
}  # fmt: skip
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_PLAIN_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def writable(text: str, encoding: str | None) -> str:
    """The text as it is where `encoding` has all its letters, else in ASCII; None is a stream of text, not of bytes."""
    try:
        text.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return ascii_only(text)
    return text


NARROWEST = 60  # columns; a terminal that has fewer breaks lines itself
_COLUMN = re.compile(r"\s{3,}(?=\S)|\s=\s")
# what stays together: a word; a Chinese letter, which needs no space beside it, with the sign that ends its clause
_WIDE, _CLOSING = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60", "，。；：、）」』》！？…"
_WORDS = re.compile(rf"(\s*)([{_WIDE}][{_CLOSING}]*|[^\s{_WIDE}]+[{_CLOSING}]*)")


def columns(text: str) -> int:
    """Cells of a terminal that a text takes; a Chinese letter takes two."""
    return len(text) if text.isascii() else sum(_cells(letter) for letter in text)


def _cells(letter: str) -> int:
    return 0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def padded(text: str, width: int, right: bool = False) -> str:
    """The text with spaces after it, or before it, up to `width` cells."""
    spaces = " " * (width - columns(text))
    return spaces + text if right else text + spaces


def cut(text: str, width: int) -> str:
    """The text in at most so many cells, with dots where some of it is left out."""
    if columns(text) <= width:
        return text
    while columns(text) > width - 3:
        text = text[:-1]
    return text.rstrip() + "..."


def fitted(text: str, width: int | None) -> str:
    """Long lines broken at spaces, and continued below where their last column began; None leaves them as they are.

    A line with a caret below it stays whole.
    """
    if width is None:
        return text
    lines = text.split("\n")
    below = [*lines[1:], ""]
    return "\n".join(
        line if "^" in (line.strip(), after.strip()) else _broken(line, max(width, NARROWEST))
        for line, after in zip(lines, below, strict=True)
    )


def _broken(line: str, width: int) -> str:
    if columns(line) <= width:
        return line
    if not line.strip("=") or not line.strip("-"):  # the line below a heading
        return line[:width]
    indent = len(line) - len(line.lstrip())
    ends = (columns(line[: found.end()]) for found in _COLUMN.finditer(line))
    hang = max([indent + 4 if indent + 4 <= width // 2 else indent, *(end for end in ends if end <= width // 2)])
    return "\n".join(wrapped(line[:indent], line[indent:], width, hang))


def wrapped(before: str, text: str, width: int, hang: int | None = None) -> list[str]:
    """The lines of `before` and a text that goes on below itself, or at the column `hang`."""
    made, row = [], before
    further = " " * (columns(before) if hang is None else hang)
    fresh = True
    for space, word in _WORDS.findall(text):
        if not fresh and columns(row + space + word) > width:
            made.append(row)
            row, space = further, ""
        row, fresh = row + space + word, False
    return [*made, row]


def ascii_only(text: str) -> str:
    text = _SUPERSCRIPT.sub(lambda found: "^" + found[0].translate(_PLAIN_DIGITS), text)
    return "".join(letter if letter.isascii() else _ascii(letter) for letter in text)


def _ascii(letter: str) -> str:
    if letter in _LETTERS:
        return _LETTERS[letter]
    name = unicodedata.name(letter, "")
    if name.startswith("GREEK "):
        word = name.split()[-1].lower()
        return word.capitalize() if "CAPITAL" in name else word
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or "?"
