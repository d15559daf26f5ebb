"""For terminals that cannot show mathematics: `∂L/∂s[i] = Σk dp[i,k]²` as `DL/Ds[i] = Sum_k dp[i,k]^2`."""

from __future__ import annotations

import re
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
