"""How results show themselves in a notebook: full plain text beside HTML with MathML and LaTeX."""

from __future__ import annotations

from typing import Any


def bundle(result: Any) -> dict[str, str]:
    """The mime bundle of an exercise, gradient, derivation or verification."""
    from tutor.views import html, latex

    found = {"text/plain": str(result)}
    kind = type(result).__name__
    if kind == "Gradient":
        found |= {"text/latex": f"$${latex.gradient(result)}$$", "text/html": html.gradient(result)}
    elif kind == "Derivation":
        found["text/html"] = html.derivation_fragment(result)
    elif kind == "ClosedForm":
        found["text/html"] = html.closed(result)
    elif kind == "Exercise":
        found["text/html"] = html.exercise_fragment(result)
    elif kind == "Verification":
        found["text/html"] = html.verification_fragment(result)
    return found
