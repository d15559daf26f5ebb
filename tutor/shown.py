"""What results have in common: each prints itself in full, and typesets itself in a notebook.

The views read results and know how; a result only says which view is its own. Views are imported when first asked.
"""

from __future__ import annotations

from typing import ClassVar


class Shown:
    """A result whose `shown_as` names the function in each view that shows it."""

    shown_as: ClassVar[str]

    def __str__(self) -> str:
        from tutor.views import text

        return getattr(text, self.shown_as)(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        from tutor.views import notebook

        return notebook.bundle(self)
