"""Numbers of a tensor as rows of words: few digits, and what is large cut short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

ROWS, COLUMNS, SLICES = 6, 8, 2  # shown of each axis
CUT = "…"


def number(value: float | int) -> str:
    """`-0.6287`, `3`; four digits."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def slices(tensor: Any) -> Iterator[tuple[str, list[list[str]]]]:
    """(`[0]`, its rows of numbers) for every matrix in a tensor; one without a label up to two axes."""
    *outer, _, _ = shape if len(shape := tuple(tensor.shape)) > 2 else (0, 0)
    if not outer:
        yield "", rows(tensor)
        return
    places = list(product(*map(range, outer)))
    for place in places[:SLICES]:
        yield f"[{', '.join(map(str, place))}]", rows(tensor[place])
    if len(places) > SLICES:
        yield CUT, []


def rows(tensor: Any) -> list[list[str]]:
    """The entries of a number, a vector or a matrix, as one row or several."""
    values = tensor.tolist()
    if tensor.dim() == 0:
        return [[number(values)]]
    table = [values] if tensor.dim() == 1 else values
    made = [[number(x) for x in _cut(row, COLUMNS)] + [CUT] * (len(row) > COLUMNS) for row in _cut(table, ROWS)]
    return made + [[CUT]] * (len(table) > ROWS)


def _cut(values: Sequence[Any], most: int) -> Sequence[Any]:
    return values if len(values) <= most else values[: most - 1]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Columns of numbers below one another, at their right ends."""
    full = [row for row in table if row != [CUT]]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    return ["  ".join(map(str.rjust, row, widths)) if row != [CUT] else CUT for row in table]
