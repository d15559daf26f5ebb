"""Text and code in Markdown, as letters and nothing else, whatever their signs would mean there."""

from __future__ import annotations

import re

_SIGNS = re.compile(r"[\\`*_{}\[\]<>#|~$!&]|(?m:^[-+=])")


def text(words: str) -> str:
    return _SIGNS.sub(r"\\\g<0>", words.replace("\r", " "))


def line(words: str) -> str:
    """The same on one line."""
    return text(" ".join(str(words).split()))


def code(words: str) -> str:
    """On one line, in one more backtick than it has in a row."""
    words = " ".join(words.split("\n"))
    fence = "`" * (1 + _longest(words))
    space = " " if words[:1] in ("`", "") or words[-1:] == "`" else ""
    return f"{fence}{space}{words}{space}{fence}"


def block(words: str) -> str:
    """Plain text, which is no answer to whoever reads answers."""
    fence = "`" * max(3, 1 + _longest(words))
    return f"{fence}text\n{words}\n{fence}"


def _longest(words: str) -> int:
    return max(map(len, re.findall("`+", words)), default=0)
