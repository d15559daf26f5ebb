"""Plain text, as on a good blackboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tutor.symbolic.notation import Writer, shape_text
from tutor.views.page import (
    JUDGES,
    Line,
    Section,
    closed_lines,
    formula,
    indexed_name,
    page,
    sentences,
    verification_rows,
)

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient

WIDTH = 110  # reasons that would pass this column go below their line


def exercise(ex: Exercise) -> str:
    """Statement, shapes, forward program, what is asked."""
    writer = Writer(ex)
    parts = [f"{ex.id}   {ex.title}   (level {ex.level})"]
    if ex.statement:
        parts.append(ex.statement.strip())
    parts.append(_block("Given", [_leaf_row(q, writer) for q in ex.leaves if q.kind == "input"]))
    parts.append(_block("Parameters", [_leaf_row(q, writer) for q in ex.leaves if q.kind == "parameter"]))
    parts.append(_block("Forward", [(formula(q, writer), shape_text(q.shape), q.kind) for q in ex.forward]))
    parts.append(_block("After the backward pass", [_value_row(ex, q, writer) for q in ex.values]))
    facts = [(f"{writer.write(f.left)} = {writer.write(f.right)}", "", f.reason) for f in ex.facts]
    parts.append(_block("Facts you may use", facts))
    parts.append(_block("Asked", [_asked_row(ex, name, points) for name, points in ex.asked.items()]))
    return "\n\n".join(part for part in parts if part)


def _leaf_row(q: Any, writer: Writer) -> tuple[str, str, str]:
    domain = "" if q.domain == "real" else f"integers from 0 to {q.below} - 1" if q.domain == "index" else q.domain
    return indexed_name(q, writer), shape_text(q.shape), domain


def _value_row(ex: Exercise, q: Any, writer: Writer) -> tuple[str, str, str]:
    """A value that is asked keeps its formula to itself."""
    return (indexed_name(q, writer) if q.name in ex.asked else formula(q, writer), shape_text(q.shape), "")


def _asked_row(ex: Exercise, name: str, points: float) -> tuple[str, str, str]:
    q = ex[name]
    return ex.answer_name(name), shape_text(q.shape), f"{points:g} point{'' if points == 1 else 's'}"


def _block(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join([f"{title}:", *(f"  {row}" for row in _aligned(rows))]) if rows else ""


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [min(max(len(row[c]) for row in rows), 70) for c in range(len(rows[0]))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def derivation(d: Derivation, verification: Any = None, closed: bool = False, width: int | None = None) -> str:
    """Every step from the loss back: who uses the quantity, the chain rule, the result in index and torch form.

    `width` is the terminal's; lines that are still longer are left to `plain.fitted`.
    """
    content = page(d)
    limit = WIDTH if width is None else max(min(WIDTH, width - 9), 20)
    writer = Writer(d.exercise)
    checks = _checked(verification)
    blocks = [f"{d.exercise.id}   {content.headline}"]
    if content.given:
        rows = [(f"{g.symbol_name}", shape_text(g.shape)) for g in content.given]
        blocks.append(_block("Given from above", rows))
    blocks += [_section(s, writer, checks.get(s.gradient.name), limit) for s in content.sections]
    if not content.sections and not content.given:
        blocks.append(f"d{d.exercise.ends[0].name} = 1: the loss by itself")
    if content.values:
        blocks.append(_block("Then", [(formula(q, writer), shape_text(q.shape)) for q in content.values]))
    if closed:
        blocks += [_closed(d.gradient(name), writer, limit) for name in d.wrt if name in d.gradients]
    return "\n\n".join(blocks)


def _checked(verification: Any) -> dict[str, str]:
    """Quantity -> `autograd 2.2e-16, finite differences 4.0e-10`."""
    if verification is None:
        return {}
    names = {"autograd": "autograd", "reference": "native torch", "differences": "finite differences"}
    return {
        row.quantity: ", ".join(f"{word} {getattr(row, key):.1e}" for key, word in names.items()
                                if getattr(row, key) is not None)
        for row in verification.rows
    }  # fmt: skip


def _section(s: Section, writer: Writer, checked: str | None, limit: int) -> str:
    head = f"{s.number}. {s.gradient.symbol_name}"
    indent = " " * max(len(head) + 2, 9)
    lines = [f"{s.gradient.name} is used by {v.name}:   {formula(v, writer)}" for v in s.consumers]
    lines += _chain(s.lines, writer, limit)
    if s.torch:
        lines.append(f"torch    {s.torch}        shape {s.shape}")
    else:
        lines.append(f"shape    {s.shape}")
    if checked:
        lines.append(f"checked  {checked}")
    first, *rest = lines
    return "\n".join([head.ljust(len(indent)) + first, *(indent + line for line in rest)])


def _chain(lines: Sequence[Line], writer: Writer, limit: int = WIDTH) -> list[str]:
    """`left = right   reason`, the equals signs and the reasons below one another."""
    left = writer.write(lines[0].left) if lines[0].left is not None else ""
    formulas = [f"{left} = {writer.write(lines[0].right)}"]
    formulas += [f"{' ' * len(left)} = {writer.write(line.right)}" for line in lines[1:]]
    reasons = [sentences(line.reasons, writer) for line in lines]
    column = max([len(f) for f, r in zip(formulas, reasons, strict=True) if len(f) + len(r) + 4 <= limit], default=0)
    most = limit + 10 if limit == WIDTH else limit
    made = []
    for shown, reason in zip(formulas, reasons, strict=True):
        if not reason:
            made.append(shown)
        elif max(len(shown), column) + len(reason) + 4 <= most:
            made.append(f"{shown.ljust(column)}    {reason}")
        else:
            made += [shown, f"{' ' * (len(left) + 3)}    {reason}"]
    return made


def _closed(g: Gradient, writer: Writer, limit: int = WIDTH) -> str:
    from tutor.symbolic.torch_form import torch_form

    lines = _chain(closed_lines(g), writer, limit)
    torch = torch_form(g.closed, g.indices, g.derivation.exercise)
    result = f"{writer.write(g.entry)} = {writer.write(g.closed)}" if torch is None else f"{g.symbol_name} = {torch}"
    return "\n".join([f"Closed form of {g.symbol_name}", *(f"  {line}" for line in lines), "", f"  {result}"])


def closed(c: ClosedForm) -> str:
    return _closed(c.gradient, Writer(c.gradient.derivation.exercise))


def gradient(g: Gradient) -> str:
    """`dW[j,k] = Σi dz[i,k]·x[i,j]        torch: dW = x.T @ dz        shape (D, K)`"""
    writer = Writer(g.derivation.exercise)
    torch = f"        torch: {g.symbol_name} = {g.torch}" if g.torch else ""
    return f"{writer.write(g.entry)} = {writer.write(g.expr)}{torch}        shape {shape_text(g.shape)}"


def verification(v: Any) -> str:
    """A row per quantity, its largest relative error against each judge."""
    rows: list[tuple[str, ...]] = [("quantity", "shape", *JUDGES, "")]
    for row in verification_rows(v):
        rows.append((row.quantity, row.shape, *row.errors, "ok" if row.agrees else "DIFFERS"))
    verdict = "agrees" if v.agrees else "DISAGREES"
    lines = [f"{v.exercise}   {verdict}   largest relative error of our gradient against each judge"]
    lines += [f"  {line}" for line in _aligned(rows)]
    lines += [f"  note: {note}" for note in v.notes]
    return "\n".join(lines)


def certificate(c: Any) -> str:
    """What was planted and told apart, what the true answer earned, and what stands against the exercise."""
    least = "" if c.least is None else f", the least of them by {c.least:.1g} of the values"
    kinds = ", ".join(f"{id} {count}" for id, count in c.by_mistake.most_common())
    earned = ", ".join(f"{form} {score:g}" for form, score in c.scores.items()) or "none"
    rows = [
        ("mistakes", f"{len(c.told)} planted, each changes the values{least}"),
        ("", kinds),
        ("no change", f"{len(c.same)} more change nothing here, and are right"),
        ("true answer", f"{earned} of {c.points:g} points"),
        ("empty sheet", f"{c.empty:g} points"),
        ("exact zeros", ", ".join(f"d{name}" for name in c.zeros)),
        *(("breaks", where) for where in c.breaks),
        *(("REFUSED", reason) for reason in c.refusals),
    ]
    return "\n".join([f"{c.exercise}   certificate", *(f"  {row}" for row in _aligned([r for r in rows if r[1]]))])


def report(r: Any) -> str:
    from tutor.views.report import report as view

    return view(r)


def contrast(c: Any) -> str:
    from tutor.views.contrast import contrast as view

    return view(c)
