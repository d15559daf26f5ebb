"""Markdown with LaTeX mathematics, as notebooks and course pages read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tutor.language import of_exercise, tr
from tutor.symbolic.notation import LatexWriter, shape_text
from tutor.views.latex import aligned, math
from tutor.views.page import (
    JUDGES,
    Section,
    closed_gradients,
    closed_lines,
    formula,
    page,
    used_by,
    verification_rows,
)

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient


def block(lines: str) -> str:
    return f"$$\n\\begin{{aligned}}\n{lines}\n\\end{{aligned}}\n$$"


def _section(s: Section, writer: LatexWriter) -> str:
    uses = tr("; ").join(used_by(math(writer.name(s.gradient.name)), math(formula(v, writer))) for v in s.consumers)
    torch = f"\n\n    {s.torch}    # {tr('shape {shape}', shape=s.shape)}" if s.torch else ""
    return f"### {s.number}. `{s.gradient.symbol_name}`\n\n{uses}\n\n{block(aligned(s.lines, writer))}{torch}"


def derivation(d: Derivation, verification: Any = None, closed: bool = False) -> str:
    content = page(d)
    writer = LatexWriter(d.exercise)
    parts = [f"## {of_exercise(d.exercise.title)}", *_program(d.exercise, writer)]
    parts.append(content.headline[0].upper() + content.headline[1:] + tr("."))
    parts += [_section(s, writer) for s in content.sections]
    parts += [f"$$\n{formula(q, writer)}\n$$" for q in content.values]
    if closed:
        parts += [_closed(g, writer) for g in closed_gradients(d)]
    return "\n\n".join(parts) + "\n"


def _closed(g: Gradient, writer: LatexWriter) -> str:
    return f"### {tr('Closed form of {name}', name=f'`{g.symbol_name}`')}\n\n{block(aligned(closed_lines(g), writer))}"


def closed(c: ClosedForm) -> str:
    return _closed(c.gradient, LatexWriter(c.gradient.derivation.exercise))


def gradient(g: Gradient) -> str:
    torch = f"\n\n    {g.symbol_name} = {g.torch}" if g.torch else ""
    return f"$$\n{g.latex}\n$$" + torch


def exercise(ex: Exercise) -> str:
    asked = ", ".join(f"`{name}`" for name in ex.worth)
    return (
        "\n\n".join(
            [f"## {of_exercise(ex.title)}", *_program(ex, LatexWriter(ex)), tr("Asked: {names}", names=asked) + tr(".")]
        )
        + "\n"
    )


def _program(ex: Exercise, writer: LatexWriter) -> list[str]:
    """The statement, what is given, with shapes, and the forward program."""
    rows = [formula(q, writer).replace(" = ", " &= ", 1) for q in ex.forward]
    shapes = ", ".join(f"`{q.name}`" + (f" {shape_text(q.shape)}" if q.shape else "") for q in ex.leaves)
    statement = [of_exercise(ex.statement.strip())] if ex.statement.strip() else []
    return [*statement, tr("Given: {shapes}", shapes=shapes) + tr("."), block(" \\\\\n".join(rows))]


def verification(v: Any) -> str:
    heads = [tr("quantity"), *map(tr, JUDGES), ""]
    rows = [heads, ["---"] * len(heads)]
    for row in verification_rows(v):
        rows.append([f"`{row.quantity}`", *row.errors, "ok" if row.agrees else f"**{tr('differs')}**"])
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return (
        "\n\n".join([f"**{v.exercise}**: {tr('agrees') if v.agrees else tr('DISAGREES')}", table, *map(tr, v.notes)])
        + "\n"
    )
