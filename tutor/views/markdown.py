"""Markdown with LaTeX mathematics, as notebooks and course pages read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tutor.symbolic.notation import LatexWriter, shape_text
from tutor.views.latex import aligned, math
from tutor.views.page import JUDGES, Section, closed_lines, formula, page, verification_rows

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient


def block(lines: str) -> str:
    return f"$$\n\\begin{{aligned}}\n{lines}\n\\end{{aligned}}\n$$"


def _section(s: Section, writer: LatexWriter) -> str:
    uses = "; ".join(f"{math(writer.name(s.gradient.name))} is used by {math(formula(v, writer))}" for v in s.consumers)
    torch = f"\n\n    {s.torch}    # shape {s.shape}" if s.torch else ""
    return f"### {s.number}. `{s.gradient.symbol_name}`\n\n{uses}\n\n{block(aligned(s.lines, writer))}{torch}"


def derivation(d: Derivation, verification: Any = None, closed: bool = False) -> str:
    content = page(d)
    writer = LatexWriter(d.exercise)
    parts = [f"## {d.exercise.title}", content.headline[0].upper() + content.headline[1:] + "."]
    parts += [_section(s, writer) for s in content.sections]
    parts += [f"$$\n{formula(q, writer)}\n$$" for q in content.values]
    if closed:
        parts += [_closed(d.gradient(name), writer) for name in d.wrt if name in d.gradients]
    return "\n\n".join(parts) + "\n"


def _closed(g: Gradient, writer: LatexWriter) -> str:
    return f"### Closed form of `{g.symbol_name}`\n\n{block(aligned(closed_lines(g), writer))}"


def closed(c: ClosedForm) -> str:
    return _closed(c.gradient, LatexWriter(c.gradient.derivation.exercise))


def gradient(g: Gradient) -> str:
    torch = f"\n\n    {g.symbol_name} = {g.torch}" if g.torch else ""
    return f"$$\n{g.latex}\n$$" + torch


def exercise(ex: Exercise) -> str:
    writer = LatexWriter(ex)
    rows = [formula(q, writer).replace(" = ", " &= ", 1) for q in ex.forward]
    shapes = ", ".join(f"`{q.name}` {shape_text(q.shape)}" for q in ex.leaves)
    asked = ", ".join(f"`{name if ex[name].kind == 'value' else 'd' + name}`" for name in ex.asked)
    statement = [ex.statement.strip()] if ex.statement else []
    return "\n\n".join([
        f"## {ex.title}", *statement, f"Given: {shapes}.", block(" \\\\\n".join(rows)), f"Asked: {asked}.",
    ]) + "\n"  # fmt: skip


def verification(v: Any) -> str:
    heads = ["quantity", *JUDGES, ""]
    rows = [heads, ["---"] * len(heads)]
    for row in verification_rows(v):
        rows.append([f"`{row.quantity}`", *row.errors, "ok" if row.agrees else "**differs**"])
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return "\n\n".join([f"**{v.exercise}**: {'agrees' if v.agrees else 'DISAGREES'}", table, *v.notes]) + "\n"
