"""The catalogue as a table, and as data. Needs neither sympy nor torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from tutor.catalogue import UNREADABLE_LEVEL, spelled

if TYPE_CHECKING:
    from tutor.catalogue import Entry, Parameter

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
            lines += [f"{'':>5}  {'':{wide}}    {_parameter(parameter)}" for parameter in entry.parameters]
    return "\n".join([*lines, "", NEXT])


def _parameter(parameter: Parameter) -> str:
    return f"{parameter.name}={parameter.allowed} (default {spelled(parameter.default)})"


def as_json(entries: Sequence[Entry]) -> str:
    document = {"schema": "tutor.list/1", "exercises": [entry.to_dict() for entry in entries]}
    return json.dumps(document, indent=2, ensure_ascii=False)
