"""Colours laid over plain text as a terminal shows it. They say nothing that the words do not say.

Of the colours that a terminal's own theme defines only green, red and magenta are used: they are readable on light
and on dark, which yellow, cyan and blue are not.
"""

from __future__ import annotations

import re

STYLES = (
    (r"(?m)^ *(?:✓|ok) correct\b", "green"),
    (r"(?m)^ *(?:✗|x) wrong\b", "bold red"),
    (r"(?m)^ *! unreadable\b", "bold red"),
    (r"(?m)^ *[~?] (?:follows|undecided)\b", "magenta"),
    (r"(?m)^ +\^$", "bold red"),
    (r"(?m)^[\w:=,.-]+   (?=(?:correct|wrong|incomplete|undecided|unreadable)   )", "bold"),
    (r"(?m)(?<=   )correct(?=   [\d.]+ of)", "bold green"),
    (r"(?m)(?<=   )(?:wrong|unreadable)(?=   [\d.]+ of)", "bold red"),
    (r"(?m)(?<=   )(?:incomplete|undecided)(?=   [\d.]+ of)", "bold magenta"),
    (r"(?m)^(?:next|stuck|note|missing):", "bold"),
    (r"(?m)^ +(?:forward|shape|worst|likely|fix|torch|checked)(?= {2,})", "dim"),
    (r"(?m)^\d+\. \w+", "bold"),
    (r"(?m)^ +\S+  done(?=  )", "green"),
    (r"(?m)^ +\S+  open(?=  )", "magenta"),
    (r"(?m)^(?:✗|x) .*$", "red"),
)
_PATTERNS = [(re.compile(pattern), style) for pattern, style in STYLES]


def coloured(text: str) -> str:
    """The text with the escape sequences of its colours; without them it is the same text, letter by letter."""
    if not any(pattern.search(text) for pattern, _ in _PATTERNS):
        return text
    from rich.console import Console
    from rich.text import Text

    made = Text(text, end="")
    for pattern, style in _PATTERNS:
        for found in pattern.finditer(text):
            made.stylize(style, *found.span())
    console = Console(force_terminal=True, color_system="standard", width=10_000, highlight=False)
    with console.capture() as captured:
        console.print(made, soft_wrap=True, end="")
    return captured.get()
