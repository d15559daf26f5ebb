"""Plain text, as on a good blackboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tutor.language import N_, ntr, of_exercise, tr
from tutor.paragraphs import refilled
from tutor.shown import shown_shape
from tutor.symbolic.notation import Writer, shape_text
from tutor.views import numbers
from tutor.views.page import (
    JUDGES,
    Line,
    Section,
    closed_gradients,
    closed_lines,
    formula,
    indexed_name,
    page,
    sentences,
    used_by,
    verification_rows,
)
from tutor.views.plain import NARROWEST, columns, padded

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient

MOST_NUMBERS = 12  # of a quantity, in the table of an instance
KINDS = {"step": N_("step"), "loss": N_("loss"), "output": N_("output")}
DOMAINS = {
    "real": "",
    "positive": N_("positive"),
    "probability": N_("probability"),
    "one-hot": N_("one-hot"),
    "index": N_("integers from 0 to {below} - 1"),
    "mask": N_("mask"),
    "sign": N_("1 or -1"),
    "constant": N_("positive constants"),
    "fixed": N_("given numbers"),
}
STATEMENT = 80  # columns of a statement in a language that has no line breaks of its own
WIDTH = 110  # reasons that would pass this column go below their line


def exercise(ex: Exercise, width: int | None = None) -> str:
    """Statement, shapes, forward program, what is asked; `width` is the terminal's."""
    writer = Writer(ex)
    parts = [tr("{id}   {title}   (level {level})", id=ex.id, title=of_exercise(ex.title), level=ex.level)]
    if ex.statement:
        most = STATEMENT if width is None else min(max(width, NARROWEST), WIDTH)
        statement = of_exercise(ex.statement.strip(), most)
        parts.append(statement if width is None else refilled(statement, most))
    parts.append(_block(tr("Given"), [_leaf_row(q, writer) for q in ex.leaves if q.kind == "input"]))
    parts.append(_block(tr("Parameters"), [_leaf_row(q, writer) for q in ex.leaves if q.kind == "parameter"]))
    parts.append(
        _block(tr("Forward"), [(formula(q, writer), shape_text(q.shape), tr(KINDS[q.kind])) for q in ex.forward])
    )
    parts.append(_block(tr("After the backward pass"), [_value_row(ex, q, writer) for q in ex.values]))
    facts = [(f"{writer.write(f.left)} = {writer.write(f.right)}", "", str(f.reason)) for f in ex.facts]
    parts.append(_block(tr("Facts you may use"), facts))
    parts.append(_block(tr("Asked"), [_asked_row(ex, name, points) for name, points in ex.asked.items()]))
    return "\n\n".join(part for part in parts if part)


def _leaf_row(q: Any, writer: Writer) -> tuple[str, str, str]:
    domain = tr(DOMAINS.get(q.domain, q.domain), below=q.below)
    return indexed_name(q, writer), shape_text(q.shape), domain


def _value_row(ex: Exercise, q: Any, writer: Writer) -> tuple[str, str, str]:
    """A value that is asked keeps its formula to itself."""
    return (indexed_name(q, writer) if q.name in ex.asked else formula(q, writer), shape_text(q.shape), "")


def _asked_row(ex: Exercise, name: str, points: float) -> tuple[str, str, str]:
    q = ex[name]
    return ex.answer_name(name), shape_text(q.shape), _points(points)


def _points(points: float) -> str:
    return ntr("{points} point", "{points} points", 1 if points == 1 else 2, points=f"{points:g}")


def _block(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join([title + tr(":"), *(f"  {row}" for row in _aligned(rows))]) if rows else ""


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [min(max(columns(row[c]) for row in rows), 70) for c in range(len(rows[0]))]
    return ["   ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


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
        blocks.append(_block(tr("Given from above"), rows))
    blocks += [_section(s, writer, checks.get(s.gradient.name), limit) for s in content.sections]
    if not content.sections and not content.given:
        blocks.append(tr("{name} = 1: the loss by itself", name=f"d{d.exercise.ends[0].name}"))
    if content.values:
        blocks.append(_block(tr("Then"), [(formula(q, writer), shape_text(q.shape)) for q in content.values]))
    if closed:
        blocks += [_closed(g, writer, limit) for g in closed_gradients(d)]
    return "\n\n".join(blocks)


def _checked(verification: Any) -> dict[str, str]:
    """Quantity -> `autograd 2.2e-16, finite differences 4.0e-10`."""
    if verification is None:
        return {}
    names = {"autograd": "autograd", "reference": tr("native torch"), "differences": tr("finite differences")}
    return {
        row.quantity: ", ".join(f"{word} {getattr(row, key):.1e}" for key, word in names.items()
                                if getattr(row, key) is not None)
        for row in verification.rows
    }  # fmt: skip


def _section(s: Section, writer: Writer, checked: str | None, limit: int) -> str:
    head = f"{s.number}. {s.gradient.symbol_name}"
    indent = " " * max(len(head) + 2, 9)
    lines = [used_by(s.gradient.name, f"{v.name}:   {formula(v, writer)}") for v in s.consumers]
    lines += _chain(s.lines, writer, limit)
    if s.torch:
        lines.append(f"torch    {s.torch}        {tr('shape {shape}', shape=s.shape)}")
    else:
        lines.append(f"{padded(tr('shape'), 7)}  {s.shape}")
    if checked:
        lines.append(f"{padded(tr('checked'), 7)}  {checked}")
    first, *rest = lines
    return "\n".join([head.ljust(len(indent)) + first, *(indent + line for line in rest)])


def _chain(lines: Sequence[Line], writer: Writer, limit: int = WIDTH) -> list[str]:
    """`left = right   reason`, the equals signs and the reasons below one another."""
    left = writer.write(lines[0].left) if lines[0].left is not None else ""
    formulas = [f"{left} = {writer.write(lines[0].right)}"]
    formulas += [f"{' ' * len(left)} = {writer.write(line.right)}" for line in lines[1:]]
    reasons = [sentences(line.reasons, writer) for line in lines]
    fitting = [len(f) for f, r in zip(formulas, reasons, strict=True) if len(f) + columns(r) + 4 <= limit]
    column = max(fitting, default=0)
    most = limit + 10 if limit == WIDTH else limit
    made = []
    for shown, reason in zip(formulas, reasons, strict=True):
        if not reason:
            made.append(shown)
        elif max(len(shown), column) + columns(reason) + 4 <= most:
            made.append(f"{shown.ljust(column)}    {reason}")
        else:
            made += [shown, f"{' ' * (len(left) + 3)}    {reason}"]
    return made


def _closed(g: Gradient, writer: Writer, limit: int = WIDTH) -> str:
    from tutor.symbolic.torch_form import torch_form

    lines = _chain(closed_lines(g), writer, limit)
    torch = torch_form(g.closed, g.indices, g.derivation.exercise)
    result = f"{writer.write(g.entry)} = {writer.write(g.closed)}" if torch is None else f"{g.symbol_name} = {torch}"
    return "\n".join(
        [tr("Closed form of {name}", name=g.symbol_name), *(f"  {line}" for line in lines), "", f"  {result}"]
    )


def closed(c: ClosedForm) -> str:
    return _closed(c.gradient, Writer(c.gradient.derivation.exercise))


def gradient(g: Gradient) -> str:
    """`dW[j,k] = Σi dz[i,k]·x[i,j]        torch: dW = x.T @ dz        shape (D, K)`"""
    writer = Writer(g.derivation.exercise)
    torch = f"        torch: {g.symbol_name} = {g.torch}" if g.torch else ""
    shape = tr("shape {shape}", shape=shape_text(g.shape))
    return f"{writer.write(g.entry)} = {writer.write(g.expr)}{torch}        {shape}"


def verification(v: Any) -> str:
    """A row per quantity, its largest relative error against each judge."""
    rows: list[tuple[str, ...]] = [(tr("quantity"), tr("shape"), *map(tr, JUDGES), "")]
    for row in verification_rows(v):
        rows.append((row.quantity, row.shape, *row.errors, "ok" if row.agrees else tr("DIFFERS")))
    verdict = tr("agrees") if v.agrees else tr("DISAGREES")
    lines = [f"{v.exercise}   {verdict}   {tr('largest relative error of our gradient against each judge')}"]
    lines += [f"  {line}" for line in _aligned(rows)]
    lines += [f"  {tr('note: {note}', note=note)}" for note in v.notes]
    return "\n".join(lines)


def certificate(c: Any) -> str:
    """What was planted and told apart, what the true answer earned, and what stands against the exercise."""
    told = tr("{count} planted, each changes the values", count=len(c.told))
    if c.least is not None:
        told = tr("{count} planted, each changes the values, the least of them by {least:.1g} of the values",
                  count=len(c.told), least=c.least)  # fmt: skip
    kinds = ", ".join(f"{id} {count}" for id, count in c.by_mistake.most_common())
    earned = ", ".join(f"{form} {score:g}" for form, score in c.scores.items()) or tr("none")
    rows = [
        (tr("mistakes"), told),
        ("", kinds),
        (tr("no change"), tr("{count} more change nothing here, and are right", count=len(c.same))),
        (tr("true answer"), tr("{earned} of {points:g} points", earned=earned, points=c.points)),
        (tr("empty sheet"), tr("{points:g} points", points=c.empty)),
        (tr("exact zeros"), ", ".join(f"d{name}" for name in c.zeros)),
        *((tr("breaks"), tr(where)) for where in c.breaks),
        *((tr("REFUSED"), tr(reason)) for reason in c.refusals),
    ]
    return "\n".join(
        [f"{c.exercise}   {tr('certificate')}", *(f"  {row}" for row in _aligned([r for r in rows if r[1]]))]
    )


def report(r: Any) -> str:
    from tutor.views.report import report as view

    return view(r)


def contrast(c: Any) -> str:
    from tutor.views.contrast import contrast as view

    return view(c)


def instance(t: Any) -> str:
    """Name, kind, shape of what an instance holds, and the numbers where there are few."""
    kinds = {q.name: q.kind for q in t.exercise}
    rows = []
    for name, value in t.values.items():
        shape = "scalar" if value.dim() == 0 else shown_shape(value.shape)
        shown = _few(value.tolist()) if value.numel() <= MOST_NUMBERS else ""
        rows.append((name, kinds.get(name, "upstream"), shape, shown))
    widths = [max((len(row[c]) for row in rows), default=0) for c in range(3)]
    lines = ["  " + "  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in rows]
    return "\n".join([repr(t), *lines])


def _few(value: Any) -> str:
    return f"[{', '.join(map(_few, value))}]" if isinstance(value, list) else f"{value:.4g}"


def forward(f: Any) -> str:
    """The values of a forward pass: what is given, then every step with its formula."""
    writer = Writer(f.exercise)
    sizes = ", ".join(f"{name}={extent}" for name, extent in f.instance.sizes.items())
    blocks = [f"{f.exercise.id}   {tr('the forward pass in numbers')}{f'   {sizes}' if sizes else ''}"]
    given = [(_valued(indexed_name(q, writer), q, value), value.dim()) for q, value in f.given]
    scalars = [text for text, axes in given if not axes]
    blocks += ["\n".join(scalars)] * bool(scalars) + [text for text, axes in given if axes]
    blocks += [_valued(f"{n}. {formula(q, writer)}", q, value) for n, (q, value) in enumerate(f.steps, 1)]
    return "\n\n".join(blocks)


def _valued(head: str, q: Any, value: Any) -> str:
    if value.dim() == 0:
        return f"{head} = {numbers.number(value.item())}"
    lines = [f"{head}        {tr('shape {shape}', shape=shape_text(q.shape))} = {shown_shape(value.shape)}"]
    for label, rows in numbers.slices(value):
        indent = "    " if not label else f"    {label}  "
        lines += [
            (indent if n == 0 else " " * len(indent)) + row for n, row in enumerate(numbers.aligned(rows) or [""])
        ]
    return "\n".join(line.rstrip() for line in lines)


def graph(g: Any) -> str:
    from tutor.views.graph import text as view

    return view(g)


def training(t: Any) -> str:
    from tutor.views.curves import training as view

    return view(t)


def hint(given: Any) -> str:
    from tutor.views.desk import hint as view

    return view(given)


def report_page(p: Any) -> str:
    """A page is for a browser; in text it is its reports."""
    return "\n\n".join(report(part.report) for part in p.parts)
