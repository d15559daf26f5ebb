"""For terminals that cannot show mathematics: `∂L/∂s[i] = Σk dp[i,k]²` as `DL/Ds[i] = Sum_k dp[i,k]^2`."""

from __future__ import annotations

import re
import textwrap
import unicodedata

# D, so that a local derivative Dp/Ds is not read as our gradient dp
_LETTERS = {
    "∂": "D", "√": "sqrt", "·": "*", "×": "x", "−": "-", "–": "-", "—": "--", "…": "...", "≤": "<=", "≥": ">=",
    "≠": "!=", "→": "->", "←": "<-", "⌊": "floor(", "⌋": ")", "∞": "inf", "‖": "||", "“": '"', "”": '"', "’": "'",
    "‘": "'", "│": "|", "─": "-", "┼": "+", "✓": "ok", "✗": "x", "•": "*", "Σ": "Sum_", "Π": "Prod_", "≈": "~",
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
    if len(line) <= width:
        return line
    indent = len(line) - len(line.lstrip())
    columns = [found.end() for found in _COLUMN.finditer(line) if found.end() <= width // 2]
    hang = " " * max([indent + 4 if indent + 4 <= width // 2 else indent, *columns])
    return textwrap.fill(
        line, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )


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
