"""Two exercises side by side, as plain text of at most 100 columns, less where the terminal has fewer."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from tutor.language import N_, tr
from tutor.shown import shown_shape
from tutor.views.plain import padded

if TYPE_CHECKING:
    from tutor.numeric.contrast import Contrast, Row, Side

WIDTH = 100  # of a line
HEADS = {
    "forward": N_("Forward"),
    "gradient": N_("Gradients, from the loss back"),
    "value": N_("After the backward pass"),
}


def contrast(c: Contrast, width: int | None = None) -> str:
    """Where the forward programs differ, every gradient with its numbers, and what that amounts to."""
    wide = max(len(row.name) for row in c.rows)
    column = max(16, min(40, (min(width or WIDTH, WIDTH) - wide - 9) // 2))
    blocks = ["\n".join(_columns("", c.left.id, "", c.right.id, wide, column)), _point(c)]
    for kind, head in HEADS.items():
        rows = [row for row in c.rows if row.kind == kind and (kind != "forward" or not row.same_formula)]
        if rows:
            blocks.append("\n".join([tr(head) + tr(":"), *(line for row in rows for line in _row(row, wide, column))]))
    blocks += [_summary(c), *map(tr, c.notes)]
    return "\n\n".join(block for block in blocks if block)


def _point(c: Contrast) -> str:
    if c.point is not None:
        values = ", ".join(f"{name}={value}" for name, value in c.point.items())
        return tr("at the worked example {values};   = same, ≠ different", values=values)
    return tr("at random values (seed {seed}), equal wherever both use one name;   = same, ≠ different", seed=c.seed)


def _row(row: Row, wide: int, column: int) -> list[str]:
    """The formulas, and below them the numbers, each with its mark."""
    marks = ["", ""]
    if row.shared:
        marks = ["=" if same else "≠" for same in (row.same_formula, row.same_value)]
    formulas = ["-" if side is None else side.formula for side in (row.left, row.right)]
    numbers = [_number(side) for side in (row.left, row.right)]
    return _columns(row.name, formulas[0], marks[0], formulas[1], wide, column) + _columns(
        "", numbers[0], marks[1], numbers[1], wide, column
    )


def _number(side: Side | None) -> str:
    if side is None:
        return ""
    if side.number is not None:
        return f"{side.number:.6g}"
    return tr("norm {norm:.4g}, per entry {typical:.2g}, {shape}", norm=side.norm, typical=side.typical,
              shape=shown_shape(side.shape))  # fmt: skip


def _columns(name: str, left: str, mark: str, right: str, wide: int, column: int) -> list[str]:
    lefts, rights = (textwrap.wrap(text, column, subsequent_indent="  ") or [""] for text in (left, right))
    lines = []
    for n in range(max(len(lefts), len(rights))):
        cells = [side[n] if n < len(side) else "" for side in (lefts, rights)]
        first = n == 0
        shown = f"  {name if first else '':{wide}}  {padded(cells[0], column)}  {mark if first else '':1}  {cells[1]}"
        lines.append(shown.rstrip())
    return lines


def _summary(c: Contrast) -> str:
    """In words: what has another formula, what only another value, what one side alone has."""
    rows = [row for row in c.rows if row.kind != "forward"]
    found = [
        (tr("same formula and value"), [r.name for r in rows if r.shared and r.same]),
        (tr("same formula, other value"), [r.name for r in rows if r.same_formula and not r.same_value]),
        (tr("other formula"), [r.name for r in rows if r.shared and not r.same_formula]),
        (tr("only in {exercise}", exercise=c.left.id), [r.name for r in rows if r.right is None]),
        (tr("only in {exercise}", exercise=c.right.id), [r.name for r in rows if r.left is None]),
    ]
    lines = [f"{words}{tr(': ')}{', '.join(names)}" for words, names in found if names]
    return "\n".join(line for text in lines for line in textwrap.wrap(text, 96, subsequent_indent="    "))
