"""|a - b| <= 1e-9 max(|a|, |b|) + 1e-12 scale: shape first, then finiteness, then value.

`scale` is the size of the terms that were added up to form an entry, not of what is left of them: a gradient that is
zero by cancellation is 1e-17 in floats, and nobody's mistake. `magnitude` writes it down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from sympy import Abs, Add, Basic, Expr, Idx, Indexed, KroneckerDelta, Mul, Piecewise, Pow, Sum, Symbol
from torch import Tensor

from tutor.symbolic.indices import bound_indices, reduce_over

TOLERANCES: dict[torch.dtype, tuple[float, float]] = {
    torch.float64: (1e-9, 1e-12),
    torch.float32: (1e-5, 1e-7),
    torch.bfloat16: (5e-2, 1e-2),
    torch.float16: (1e-2, 1e-3),
}
DOUBT = 1e4  # tolerances away: what is closer, or not finite, might be equal at a higher precision


@dataclass(frozen=True)
class Entry:
    """One entry of both tensors."""

    index: tuple[int, ...]
    given: float
    true: float


@dataclass(frozen=True)
class Comparison:
    """`reason` is "" if equal, else "shape", "finite" or "value"; `ratio` is r where a = r*b throughout."""

    equal: bool
    reason: str = ""
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    ratio: float | None = None
    worst: tuple[Entry, ...] = ()
    doubtful: bool = False  # rounding could explain it: worth a look at a higher precision

    def __bool__(self) -> bool:
        return self.equal


def compare(
    a: Any, b: Any, scale: Tensor | float | None = None, rtol: float | None = None, atol: float | None = None
) -> Comparison:
    """Whether `a` is the true `b`; float32 on either side widens the tolerance to 1e-5 and 1e-7."""
    a, b = _tensor(a), _tensor(b)
    if a.shape != b.shape:
        return Comparison(False, "shape")
    tolerances = [TOLERANCES[x.dtype] for x in (a, b)]
    rtol = max(t[0] for t in tolerances) if rtol is None else rtol
    atol = max(t[1] for t in tolerances) if atol is None else atol
    a, b = a.double(), b.double()
    if not a.numel():
        return Comparison(True, max_abs_error=0.0, max_rel_error=0.0)
    alike = (a == b) | (a.isnan() & b.isnan())  # an infinity equals itself
    if not bool((alike | (a.isfinite() & b.isfinite())).all()):
        return Comparison(False, "finite", worst=_worst(a, b), doubtful=True)
    gap = torch.where(alike, 0.0, (a - b).abs())
    larger = torch.maximum(a.abs(), b.abs())
    finite = b[b.isfinite()]
    terms = finite.abs().max() if finite.numel() else torch.zeros((), dtype=torch.float64)
    if scale is not None:
        terms = torch.maximum(torch.as_tensor(scale, dtype=torch.float64, device=b.device), terms)
    allowed = rtol * torch.where(alike, 0.0, larger) + atol * terms
    above_noise = gap > atol * terms
    relative = torch.where(above_noise, gap / larger.clamp(min=1e-300), 0.0)
    errors = float(gap.max()), float(relative.max())
    if bool((gap <= allowed).all()):
        return Comparison(True, "", *errors)
    doubtful = bool((gap <= DOUBT * allowed).all())
    return Comparison(False, "value", *errors, ratio(a, b, rtol, atol), _worst(a, b), doubtful)


def ratio(a: Tensor, b: Tensor, rtol: float = 1e-9, atol: float = 1e-12) -> float | None:
    """r where a = r*b in every entry: a sign is -1, a lost factor 1/2; None without such a constant."""
    flat, given = b.reshape(-1), a.reshape(-1)
    if a.shape != b.shape or not flat.numel() or not bool((given.isfinite() & flat.isfinite()).all()):
        return None
    at = int(flat.abs().argmax())
    if flat[at] == 0:
        return None
    r = given[at] / flat[at]
    gap = (given - r * flat).abs()
    return float(r) if bool((gap <= rtol * (r * flat).abs() + atol * (r * flat[at]).abs()).all()) else None


def _tensor(x: Any) -> Tensor:
    x = x.detach() if isinstance(x, Tensor) else torch.as_tensor(x, dtype=torch.float64)
    return x if x.dtype in TOLERANCES else x.double()


def _worst(a: Tensor, b: Tensor, count: int = 3) -> tuple[Entry, ...]:
    """The entries furthest apart, what is not finite first."""
    gap = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs())
    gap = gap.nan_to_num(nan=torch.inf).reshape(-1)
    order = [at for at in gap.argsort(descending=True, stable=True)[:count].tolist() if gap[at] > 0]
    places = [tuple(int(i) for i in torch.unravel_index(torch.tensor(at), a.shape)) for at in order]
    return tuple(Entry(place, float(a[place]), float(b[place])) for place in places)


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
