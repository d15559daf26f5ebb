"""Where in the user's source something is: an operation of a graph, or an error."""

from __future__ import annotations

import inspect
import linecache
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tutor.language import said

_OURS = str(Path(__file__).resolve().parent.parent)
_TORCH = str(Path(torch.__file__).resolve().parent)
_PYTHON = str(Path(inspect.__file__).resolve().parent)


@dataclass(frozen=True)
class Place:
    """A line of the user's source."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return str(self.says)

    @property
    def says(self) -> str:
        return said("{file}, line {line}: {text}", file=self.file, line=self.line, text=self.text)


def where(place: Place | None) -> str:
    """` (file, line 3: y = ...)`, or nothing where the line is not known."""
    return said(" ({place})", place=place.says) if place else ""


def place_of(node: Any) -> Place | None:
    """The user's line: the innermost frame outside of torch."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in \S+\n\s*(.*)', node.meta.get("stack_trace") or "")
    users = [(file, line, text) for file, line, text in frames if _is_users(file)]
    if not users:
        return None
    file, line, text = users[-1]
    return Place(file, int(line), text.strip())


def place_of_error(error: BaseException) -> Place | None:
    """The innermost line outside of torch and of the tutor."""
    found, at = None, error.__traceback__
    while at is not None:
        file = at.tb_frame.f_code.co_filename
        if _is_users(file):
            found = Place(file, at.tb_lineno, linecache.getline(file, at.tb_lineno).strip())
        at = at.tb_next
    if found is None:  # torch's own messages quote the user's code
        quoted = re.findall(r'File "([^"]+)", line (\d+), in \S+\n\s+(.+)', str(error))
        users = [(file, line, text) for file, line, text in quoted if _is_users(file)]
        if users:
            file, line, text = users[-1]
            found = Place(file, int(line), text.strip())
    return found


def _is_users(file: str) -> bool:
    inside = (_OURS, _TORCH, *((_PYTHON,) if "site-packages" not in file else ()))
    return not file.startswith(inside) and not file.startswith("<frozen") and "site-packages" not in file
