"""Shape first, then finiteness, then value: |a - b| <= 1e-9 max(|a|, |b|) + 1e-12 scale, in float64.

`scale` is the size of the terms that were added up to form an entry, not of what is left of them: a gradient that is
zero by cancellation is 1e-17 in floats, and nobody's mistake. `magnitude` writes it down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import torch
from sympy import Abs, Add, Basic, Expr, Idx, Indexed, KroneckerDelta, Mul, Piecewise, Pow, Sum, Symbol
from torch import Tensor

from tutor.symbolic.indices import bound_indices, reduce_over


@dataclass(frozen=True)
class Tolerance:
    """|given - true| <= relative*size + scaled*terms: of the values, and of the terms that were added up.

    `least` is what the smallest numbers of a precision are apart. `most` is the largest share that a value may be off
    and be called right: where rounding can do more, the digits do not tell.
    """

    relative: float = 1e-9
    scaled: float = 1e-12
    least: float = 0.0
    most: float = math.inf

    def allows(self, gap: Any, size: Any, terms: Any = 0.0) -> Any:
        """Numbers, or entry by entry of tensors; what is not finite is close to nothing."""
        return (gap <= self.relative * size + self.scaled * terms + self.least) & (gap < math.inf)

    @property
    def plainly(self) -> Tolerance:
        """What no longer passes for right, whatever rounding can do."""
        return Tolerance(0.0, self.most, self.least)

    def close(self, given: Tensor, true: Tensor, terms: Tensor | None) -> Tensor:
        """The entries that are the true ones; rounding is measured by what was added up, not by what is left of it."""
        size = torch.maximum(given.abs(), true.abs())
        largest = true.abs().max() if true.numel() else size.sum()
        floor = largest if terms is None else torch.maximum(terms, largest)
        return self.allows((given - true).abs(), size, floor)


DOUBLE = Tolerance()
ROUNDINGS = 16  # times a rounding of all that is computed: honest gradients were off by less than 5 such
CERTAIN = 1e-3  # of a tensor: a mistake


@cache
def tolerance_of(dtype: torch.dtype) -> Tolerance:
    """A precision's own: `terms` are then what a value moves by, per unit of rounding in all that it is made of."""
    if not dtype.is_floating_point or torch.finfo(dtype).eps <= torch.finfo(torch.float64).eps:
        return DOUBLE
    limits = torch.finfo(dtype)
    unit = limits.eps / 2
    least = ROUNDINGS * limits.smallest_normal * limits.eps
    return Tolerance(max(1e-5, 8 * unit), ROUNDINGS * unit, least, max(CERTAIN, 8 * unit))


SINGLE = tolerance_of(torch.float32)


def same(given: Tensor, true: Tensor, scale: Callable[[], Tensor | None], tolerance: Tolerance = DOUBLE) -> str:
    """equal, shape, finite (not finite where the truth is), different, or unknown (the truth is not finite)."""
    if given.shape != true.shape:
        return "shape"
    if true.numel() == 1:
        return _same_number(given.item(), true.item(), scale, tolerance)
    size = torch.maximum(given.abs(), true.abs())
    if bool(tolerance.allows((given - true).abs(), size).all()):
        return "equal"  # whatever was added up
    if not bool(torch.isfinite(true).all()):
        return "unknown"
    if not bool(torch.isfinite(given).all()):
        return "finite"
    return "equal" if bool(tolerance.close(given, true, scale()).all()) else "different"


def _same_number(given: float, true: float, scale: Callable[[], Tensor | None], tolerance: Tolerance) -> str:
    """One entry, in Python's own floats: the same in a tenth of the time."""
    if not math.isfinite(true):
        return "unknown"
    if not math.isfinite(given):
        return "finite"
    gap, size = abs(given - true), max(abs(given), abs(true))
    if tolerance.allows(gap, size):
        return "equal"
    terms = scale()
    floor = abs(true) if terms is None else max(terms.item(), abs(true))
    return "equal" if tolerance.allows(gap, size, floor) else "different"


def alike(one: Tensor, other: Tensor) -> bool:
    """One shape and, but for rounding, the same entries; what is undefined in both is the same too."""
    if one.shape != other.shape:
        return False
    relative, absolute = DOUBLE.relative, DOUBLE.scaled
    return torch.allclose(one.double(), other.double(), rtol=relative, atol=absolute, equal_nan=True)


def leeway(true: Tensor) -> Tensor:
    """How far an entry may be from the true one and still be it beyond doubt."""
    return DOUBLE.relative * true.abs()


def clearly(given: Tensor, true: Tensor, leeway: Tensor) -> Tensor:
    """The entries that are the true ones beyond doubt: the quick answer for right lines."""
    return (given - true).abs_() <= leeway


def ratio(given: Tensor, true: Tensor, slack: float = DOUBLE.relative) -> float | None:
    """c where given = c * true for one constant c that is neither 0 nor 1, else None."""
    if given.shape != true.shape or not true.numel():
        return None
    if true.numel() == 1:
        a, b = given.item(), true.item()
        known = b != 0 and math.isfinite(a) and math.isfinite(b)
        c = a / b if known else 0.0
        return c if c != 0 and math.isfinite(c) and abs(c - 1) > slack else None
    flat, other = true.reshape(-1), given.reshape(-1)
    at = int(flat.abs().argmax())
    if flat[at] == 0 or not bool(torch.isfinite(other).all() & torch.isfinite(flat).all()):
        return None
    c = float(other[at] / flat[at])
    gap = (other - c * flat).abs()
    if c == 0 or abs(c - 1) <= slack:
        return None
    near = Tolerance(slack).allows(gap, (c * flat).abs(), abs(c) * flat[at].abs())
    return c if bool(near.all()) else None


def simple_fraction(value: float, most: int, slack: float = 1e-6) -> Fraction | None:
    """p/q close to a value, where |p| and q are at most `most`; None where there is none, and for 0."""
    if not math.isfinite(value):
        return None
    for q in range(1, most + 1):
        p = round(value * q)
        if p and abs(value * q - p) <= slack * abs(p):
            return Fraction(p, q) if abs(p) <= most else None
    return None


def errors(given: Tensor, true: Tensor) -> tuple[float, float]:
    """(largest absolute, largest relative error)"""
    gap = (given - true).abs()
    if not gap.numel():
        return 0.0, 0.0
    size = torch.maximum(given.abs(), true.abs())
    relative = torch.where(gap == 0, 0.0, gap / size)
    return float(gap.max()), float(relative.max())


def worst(given: Tensor, true: Tensor, count: int = 3) -> list[tuple[tuple[int, ...], float, float]]:
    """(index, given, true) of the entries that are furthest off; what is not a number comes first."""
    gap = (given - true).abs().reshape(-1)
    gap = torch.where(torch.isnan(gap), torch.inf, gap)
    order = torch.argsort(gap, descending=True, stable=True)[:count]
    found = []
    for flat in order.tolist():
        if gap[flat] == 0:
            break
        found.append((unravelled(flat, given.shape), float(given.reshape(-1)[flat]), float(true.reshape(-1)[flat])))
    return found


MOST_CELLS, MOST_PANELS, MOST_SHOWN = 24, 6, 600  # of a heat map: cells to a side, matrices, cells in all


def heat(given: Tensor, true: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """|given - true| as matrices (P, R, C), 0 where it is nothing but rounding, and how many entries a cell stands for.

    A vector is one row. What is too large is shown by the largest entry of each block; further matrices are left out.
    """
    gap = (given - true).abs()
    right = DOUBLE.close(given, true, None) & torch.isfinite(gap)
    gap = torch.where(right, 0.0, torch.where(torch.isnan(gap), torch.inf, gap))
    rows, columns = ([1, 1, *given.shape])[-2:]
    block = -(-rows // MOST_CELLS), -(-columns // MOST_CELLS)
    cells = -(-rows // block[0]) * -(-columns // block[1])
    panels = gap.reshape(-1, rows, columns)[: max(1, min(MOST_PANELS, MOST_SHOWN // cells))]
    if block != (1, 1):
        panels = torch.nn.functional.max_pool2d(panels[:, None], block, ceil_mode=True)[:, 0]
    return panels, block


def unravelled(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of an entry of the flat tensor."""
    index: list[int] = []
    for extent in reversed(shape):
        index.insert(0, place % extent)
        place //= extent
    return tuple(index)


def magnitude(expr: Basic) -> Expr:
    """The size of the terms of an expression: every term and factor by its absolute value."""
    if isinstance(expr, (Add, Mul)):
        return expr.func(*map(magnitude, expr.args))
    if isinstance(expr, Sum):
        return reduce_over(Sum, magnitude(expr.args[0]), bound_indices(expr))
    if isinstance(expr, Piecewise):
        return Piecewise(*((magnitude(body), condition) for body, condition in expr.args))
    if isinstance(expr, Pow) and expr.exp.is_Integer and expr.exp > 0:
        return Pow(magnitude(expr.base), expr.exp)
    if isinstance(expr, KroneckerDelta):
        return expr
    if isinstance(expr, (Idx, Indexed, Symbol)) and expr.is_nonnegative:
        return expr
    return Abs(expr)
