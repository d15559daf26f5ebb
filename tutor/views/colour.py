"""Colours laid over plain text as a terminal shows it. They say nothing that the words do not say.

Of the colours that a terminal's own theme defines only green, red and magenta are used: they are readable on light
and on dark, which yellow, cyan and blue are not.
"""

from __future__ import annotations

import re
from functools import cache

from tutor.language import N_, current, speaking, tr
from tutor.views.report import VERDICTS

_VERDICTS = ("correct", "wrong", "incomplete", "undecided", "unreadable", "follows")
_LABELS = (N_("forward"), N_("shape"), N_("worst"), N_("likely"), N_("fix"), N_("checked"))


def _styles() -> tuple[tuple[str, str], ...]:
    """The words of the language in use, and how each is shown."""
    correct, wrong, incomplete, undecided, unreadable, follows = (re.escape(tr(VERDICTS[word])) for word in _VERDICTS)
    leads = (
        tr("next: {what}", what=""),
        tr("stuck:  tutor hint {sheet}", sheet="").partition("tutor")[0],
        tr("note: {note}", note=""),
        tr("missing: {names}", names=""),
    )
    lead, label = ("|".join(re.escape(word.strip()) for word in words) for words in (leads, map(tr, _LABELS)))
    return (
        (rf"(?m)^ *(?:✓|ok) {correct}\b", "green"),
        (rf"(?m)^ *(?:✗|x) {wrong}\b", "bold red"),
        (rf"(?m)^ *! {unreadable}\b", "bold red"),
        (rf"(?m)^ *[~?] (?:{follows}|{undecided})\b", "magenta"),
        (r"(?m)^ +\^$", "bold red"),
        (rf"(?m)^[\w:=,.-]+   (?=(?:{correct}|{wrong}|{incomplete}|{undecided}|{unreadable})   )", "bold"),
        (rf"(?m)(?<=   )(?:{correct})(?=   [\d.]+ )", "bold green"),
        (rf"(?m)(?<=   )(?:{wrong}|{unreadable})(?=   [\d.]+ )", "bold red"),
        (rf"(?m)(?<=   )(?:{incomplete}|{undecided})(?=   [\d.]+ )", "bold magenta"),
        (rf"(?m)^(?:{lead})", "bold"),
        (rf"(?m)^ +(?:{label}|torch)(?= {{2,}})", "dim"),
        (r"(?m)^\d+\. \w+", "bold"),
        (rf"(?m)^ +\S+  {re.escape(tr('done'))}(?=  )", "green"),
        (rf"(?m)^ +\S+  {re.escape(tr('open'))}(?=  )", "magenta"),
        (r"(?m)^(?:✗|x) .*$", "red"),
    )


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    with speaking(language):
        return [(re.compile(pattern), style) for pattern, style in _styles()]


def coloured(text: str) -> str:
    """The text with the escape sequences of its colours; without them it is the same text, letter by letter."""
    if not any(pattern.search(text) for pattern, _ in _patterns(current())):
        return text
    from rich.console import Console
    from rich.text import Text

    made = Text(text, end="")
    for pattern, style in _patterns(current()):
        for found in pattern.finditer(text):
            made.stylize(style, *found.span())
    console = Console(force_terminal=True, color_system="standard", width=10_000, highlight=False)
    with console.capture() as captured:
        console.print(made, soft_wrap=True, end="")
    return captured.get()
