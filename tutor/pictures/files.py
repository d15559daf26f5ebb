"""Which form of a picture a file's name asks for."""

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
