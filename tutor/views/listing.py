"""The catalogue as a table, and as data. Needs neither sympy nor torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from tutor.catalogue import UNREADABLE_LEVEL, spelled

if TYPE_CHECKING:
    from tutor.catalogue import Entry, Parameter

WIDE = 80
NEXT = "'tutor show ID' shows one; a family's members are written as ID:name=value,name=value"


def table(entries: Sequence[Entry]) -> str:
    """Level, id, title, track by track; below a family its parameters."""
    if not entries:
        return "no exercises here"
    wide = max(len(entry.id) for entry in entries)
    lines = [f"level  {'id'.ljust(wide)}  title"]
    for track, members in groupby(entries, key=lambda entry: entry.track):
        if track or len(lines) > 1:
            lines += ["", track or "Others"]
        for entry in members:
            level = "-" if entry.level == UNREADABLE_LEVEL else str(entry.level)
            lines.append(f"{level:>5}  {entry.id.ljust(wide)}  {entry.title}")
            lines += [f"{'':>9}{line}" for parameter in entry.parameters for line in _parameter(parameter)]
    return "\n".join([*lines, "", NEXT])


def _parameter(parameter: Parameter) -> list[str]:
    """`loss=mse|mae (default mse)`; many choices go on below the first."""
    head = f"{parameter.name}="
    made = [head]
    words = [f"{word}|" for word in parameter.allowed.split("|")]
    for word in [*words[:-1], words[-1].removesuffix("|"), f" (default {spelled(parameter.default)})"]:
        if len(made[-1]) + len(word) > WIDE:
            made.append(" " * len(head))
            word = word.lstrip()
        made[-1] += word
    return made


def as_json(entries: Sequence[Entry]) -> str:
    document = {"schema": "tutor.list/1", "exercises": [entry.to_dict() for entry in entries]}
    return json.dumps(document, indent=2, ensure_ascii=False)
