"""What results have in common: each prints itself in full, and typesets itself in a notebook.

The views read results and know how; a result only says which view is its own. Views are imported when first asked.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from tutor.language import said


def shown_shape(numbers: Iterable[int]) -> str:
    """`(3, 2)`, `(3,)` or `()`, as torch prints shapes; for sizes with names see `symbolic.notation.shape_text`."""
    return str(tuple(numbers))


def has_shape(numbers: Iterable[int]) -> str:
    """`has shape (3, 2)`, or `is a number`."""
    numbers = tuple(numbers)
    return said("has shape {shape}", shape=shown_shape(numbers)) if numbers else said("is a number")


def quoted(name: str | Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(name))


def json_text(document: Any, indent: int = 2) -> str:
    """JSON as people read it as well: indented, and letters as they are."""
    import json

    return json.dumps(document, indent=indent, ensure_ascii=False)


class Shown:
    """A result whose `shown_as` names the function in each view that shows it."""

    shown_as: ClassVar[str]

    def __str__(self) -> str:
        from tutor.views import text

        return getattr(text, self.shown_as)(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        from tutor.views import notebook

        return notebook.bundle(self)
