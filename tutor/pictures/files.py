"""Where a picture or a page goes: which form a file's name asks for, and writing it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tutor.errors import UsageError
from tutor.language import said

GRAPHS = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "text"}
CURVES = {".svg": "svg", ".png": "png"}


def form_of(path: str | None, form: str | None, suffixes: Mapping[str, str], default: str) -> str:
    """The form that is asked for by name, else by the file's suffix; without a file the default."""
    if form is not None:
        return form
    if path is None:
        return default
    found = suffixes.get(Path(path).suffix.lower())
    if found is None:
        known = ", ".join(suffixes)
        raise UsageError(
            said("{path} does not say which form it should have: end it with {known}", path=path, known=known)
        )
    return found


def save(path: str, content: str | bytes) -> None:
    """Write a file of ours, over the one that is there."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(said("cannot write {path}: {reason}; give another path", path=path, reason=reason)) from None
