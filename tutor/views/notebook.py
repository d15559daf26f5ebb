"""How results show themselves in a notebook: full plain text beside HTML with MathML and LaTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tutor.views import html, latex

if TYPE_CHECKING:
    from tutor.shown import Shown


def bundle(result: Shown) -> dict[str, str]:
    """The mime bundle of a result: what a view does not show is left to the plain text."""
    found = {"text/plain": str(result)}
    typeset = html.FRAGMENTS.get(result.shown_as)
    if typeset is not None:
        found["text/html"] = typeset(result)
    if result.shown_as == "gradient":
        found["text/latex"] = f"$${latex.gradient(result)}$$"  # type: ignore[arg-type]
    return found
