"""The catalogue as a table, and as data. Needs neither sympy nor torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from tutor.catalogue import UNREADABLE_LEVEL, spelled
from tutor.language import of_exercise, tr
from tutor.shown import json_text
from tutor.views.plain import columns, padded, wrapped

if TYPE_CHECKING:
    from tutor.catalogue import Entry, Parameter

WIDE = 80


def table(entries: Sequence[Entry], states: Mapping[str, str] | None = None, width: int | None = None) -> str:
    """Level, state (`done`, `open`), id, title, track by track; below a family its parameters.

    `width` is the terminal's; without states there is no column for them.
    """
    if not entries:
        return tr("no exercises here")
    states = states or {}
    shown = {"done": tr("done"), "open": tr("open"), "": ""} if any(states.values()) else {"": ""}
    wide, state = max(len(entry.id) for entry in entries), max(map(columns, shown.values()))
    gap = "  " if state else ""
    lines = [f"{padded(tr('level'), 5, right=True)}  {' ' * state}{gap}{'id'.ljust(wide)}  {tr('title')}"]
    for track, members in groupby(entries, key=lambda entry: entry.track):
        if track or len(lines) > 1:
            lines += ["", of_exercise(track) or tr("Others")]
        for entry in members:
            level = "-" if entry.level == UNREADABLE_LEVEL else str(entry.level)
            word = shown.get(states.get(entry.id, ""), "")
            head = f"{level:>5}  {padded(word, state)}{gap}{entry.id.ljust(wide)}  "
            lines += wrapped(head, of_exercise(entry.title), width) if width else [head + of_exercise(entry.title)]
            most = min(WIDE, (width or WIDE) - 9)
            lines += [f"{'':>9}{line}" for parameter in entry.parameters for line in _parameter(parameter, most)]
    following = tr("'tutor show ID' shows one; a family's members are written as ID:name=value,name=value")
    return "\n".join([*lines, "", following])


def _parameter(parameter: Parameter, most: int) -> list[str]:
    """`loss=mse|mae (default mse)`; many choices go on below the first."""
    head = f"{parameter.name}="
    made = [head]
    default = tr("(default {value})", value=spelled(parameter.default))
    words = [f"{word}|" for word in str(parameter.allowed).split("|")]
    for word in [*words[:-1], words[-1].removesuffix("|"), f" {default}"]:
        if len(made[-1]) + columns(word) > most:
            made.append(" " * len(head))
            word = word.lstrip()
        made[-1] += word
    return made


def as_json(entries: Sequence[Entry], states: Mapping[str, str] | None = None) -> str:
    states = states or {}
    found = [
        entry.to_dict() | {"done": states.get(entry.id) == "done", "open": states.get(entry.id) == "open"}
        for entry in entries
    ]
    return json_text({"schema": "tutor.list/1", "exercises": found})
