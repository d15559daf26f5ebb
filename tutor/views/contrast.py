"""Two exercises side by side, as plain text of at most 100 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from tutor.shown import shown_shape

if TYPE_CHECKING:
    from tutor.numeric.contrast import Contrast, Row, Side

WIDTH = 100  # of a line
HEADS = {"forward": "Forward", "gradient": "Gradients, from the loss back", "value": "After the backward pass"}


def contrast(c: Contrast) -> str:
    """Where the forward programs differ, every gradient with its numbers, and what that amounts to."""
    wide = max(len(row.name) for row in c.rows)
    blocks = ["\n".join(_columns("", c.left.id, "", c.right.id, wide)), _point(c)]
    for kind, head in HEADS.items():
        rows = [row for row in c.rows if row.kind == kind and (kind != "forward" or not row.same_formula)]
        if rows:
            blocks.append("\n".join([f"{head}:", *(line for row in rows for line in _row(row, wide))]))
    blocks += [_summary(c), *c.notes]
    return "\n\n".join(block for block in blocks if block)


def _point(c: Contrast) -> str:
    if c.point is not None:
        where = "at the worked example " + ", ".join(f"{name}={value}" for name, value in c.point.items())
    else:
        where = f"at random values (seed {c.seed}), equal wherever both use one name"
    return f"{where};   = same, ≠ different"


def _row(row: Row, wide: int) -> list[str]:
    """The formulas, and below them the numbers, each with its mark."""
    marks = ["", ""]
    if row.shared:
        marks = ["=" if same else "≠" for same in (row.same_formula, row.same_value)]
    formulas = ["-" if side is None else side.formula for side in (row.left, row.right)]
    numbers = [_number(side) for side in (row.left, row.right)]
    return _columns(row.name, formulas[0], marks[0], formulas[1], wide) + _columns(
        "", numbers[0], marks[1], numbers[1], wide
    )


def _number(side: Side | None) -> str:
    if side is None:
        return ""
    if side.number is not None:
        return f"{side.number:.6g}"
    return f"norm {side.norm:.4g}, per entry {side.typical:.2g}, {shown_shape(side.shape)}"


def _columns(name: str, left: str, mark: str, right: str, wide: int) -> list[str]:
    column = max(16, min(40, (WIDTH - wide - 9) // 2))
    lefts, rights = (textwrap.wrap(text, column, subsequent_indent="  ") or [""] for text in (left, right))
    lines = []
    for n in range(max(len(lefts), len(rights))):
        cells = [side[n] if n < len(side) else "" for side in (lefts, rights)]
        lines.append(
            f"  {name if n == 0 else '':{wide}}  {cells[0]:{column}}  {mark if n == 0 else '':1}  {cells[1]}".rstrip()
        )
    return lines


def _summary(c: Contrast) -> str:
    """In words: what has another formula, what only another value, what one side alone has."""
    rows = [row for row in c.rows if row.kind != "forward"]
    found = [
        ("same formula and value", [r.name for r in rows if r.shared and r.same]),
        ("same formula, other value", [r.name for r in rows if r.same_formula and not r.same_value]),
        ("other formula", [r.name for r in rows if r.shared and not r.same_formula]),
        (f"only in {c.left.id}", [r.name for r in rows if r.right is None]),
        (f"only in {c.right.id}", [r.name for r in rows if r.left is None]),
    ]
    lines = [f"{words}: {', '.join(names)}" for words, names in found if names]
    return "\n".join(line for text in lines for line in textwrap.wrap(text, 96, subsequent_indent="    "))
