"""The torch calls that plans are made of: name -> (parameters -> function of tensors)."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import lru_cache, reduce
from typing import Any

import torch

from tutor.errors import ExerciseError
from tutor.language import said
from tutor.numeric.constants import COMPARE


def _unsqueeze(*holes: int) -> Callable[..., Any]:
    if len(holes) == 1:
        return lambda x: x.unsqueeze(holes[0])

    def insert(x: torch.Tensor) -> torch.Tensor:
        for hole in holes:
            x = x.unsqueeze(hole)
        return x

    return insert


def _permute(*order: int) -> Callable[..., Any]:
    return (lambda x: x.t()) if order == (1, 0) else (lambda x: x.permute(order))


def _total(*dims: int) -> Callable[..., Any]:
    return lambda x: x.sum(dims)


def _product(*dims: int) -> Callable[..., Any]:
    return lambda x: reduce(lambda y, dim: y.prod(dim), sorted(dims, reverse=True), x)


def _gap(*dims: int) -> Callable[..., Any]:
    """Largest minus second largest over some axes; one entry has no rival."""

    def gap(x: torch.Tensor) -> torch.Tensor:
        rest = [d for d in range(x.dim()) if d not in dims]
        flat = x.permute(*rest, *dims).flatten(len(rest))
        if flat.shape[-1] < 2:
            return flat.squeeze(-1).abs() * 0 + math.inf
        best = flat.topk(2, -1).values
        return best[..., 0] - best[..., 1]

    return gap


def _inside(entry: str, axis: int) -> Callable[..., Any]:
    """Index values checked against their axis; outside it, only where the guard is false."""

    def check(index: torch.Tensor, extent: int, *guard: torch.Tensor) -> torch.Tensor:
        if index.numel() == 0:
            return index
        low, high = (int(v) for v in torch.aminmax(index))
        if low >= 0 and high < extent:
            return index
        if not guard or bool((((index < 0) | (index >= extent)) & guard[0]).any()):
            raise ExerciseError(
                said(
                    "{entry} leaves axis {axis}, which ends at {end}: its index runs from {low} to "
                    "{high}; guard it with Piecewise((..., condition), (0, True))",
                    entry=entry,
                    axis=axis + 1,
                    end=extent - 1,
                    low=low,
                    high=high,
                )
            )
        return index

    return check


def _select(entry: str, axis: int, dim: int) -> Callable[..., Any]:
    def select(x: torch.Tensor, at: int, extent: int, *guard: torch.Tensor) -> torch.Tensor:
        if not 0 <= at < extent:
            if not guard or bool(guard[0].any()):
                raise ExerciseError(
                    said(
                        "{entry} leaves axis {axis}, which ends at {end}: the index is {at}",
                        entry=entry,
                        axis=axis + 1,
                        end=extent - 1,
                        at=at,
                    )
                )
            at = min(max(at, 0), extent - 1)
        return x.select(dim, at)

    return select


def _strided(entry: str, axis: int, dim: int) -> Callable[..., Any]:
    def strided(x: torch.Tensor, start: int, step: int, count: int, extent: int) -> torch.Tensor:
        last = start + step * (count - 1)
        if start < 0 or last >= extent:
            raise ExerciseError(
                said(
                    "{entry} leaves axis {axis}, which ends at {end}: its index runs from {start} to "
                    "{last}; guard it with Piecewise((..., condition), (0, True))",
                    entry=entry,
                    axis=axis + 1,
                    end=extent - 1,
                    start=start,
                    last=last,
                )
            )
        if step == 1:
            return x.narrow(dim, start, count)
        return x[(slice(None),) * dim + (slice(start, last + 1, step),)]

    return strided


def _spaced(entry: str, axis: int, dim: int) -> Callable[..., Any]:
    """x[..., start + sum of step*index, ...] as a view, an axis for each index."""
    narrow = _strided(entry, axis, dim)

    def spaced(x: torch.Tensor, start: int, extent: int, *given: int) -> torch.Tensor:
        spans, full = _spans(given)
        if spans[0] != extent or start != 0:
            x = narrow(x, start, 1, spans[0], extent)
        if full:  # every digit has its whole range: no need for windows
            shape = x.shape
            return x.view(*shape[:dim], *given[1::2], *shape[dim + 1 :])
        for n, step in enumerate(given[:-2:2]):
            x = x.unfold(dim + n, spans[n + 1], step).movedim(-1, dim + n + 1)
        return x if given[-2] == 1 else x[(slice(None),) * (dim + len(spans) - 1) + (slice(None, None, given[-2]),)]

    return spaced


@lru_cache(maxsize=1024)
def _spans(given: tuple[int, ...]) -> tuple[list[int], bool]:
    """How far each index and those after it reach together; whether every step is what those after it count."""
    steps, counts = given[::2], given[1::2]
    spans = [1 + sum(s * (c - 1) for s, c in zip(steps[n:], counts[n:], strict=True)) for n in range(len(steps))]
    return spans, all(s == t * c for s, t, c in zip(steps, (*steps[1:], 1), (*counts[1:], 1), strict=True))


def _place(dim: int) -> Callable[..., Any]:
    """Zeros along an axis, with x at start, start + step, ..."""

    def place(x: torch.Tensor, start: int, step: int, extent: int) -> torch.Tensor:
        count = x.shape[dim]
        if step == 1:
            return torch.constant_pad_nd(x, (*[0, 0] * (x.dim() - 1 - dim), start, extent - start - count))
        made = x.new_zeros((*x.shape[:dim], extent, *x.shape[dim + 1 :]))
        made[(slice(None),) * dim + (slice(start, start + step * count, step),)].copy_(x)
        return made

    return place


def _joined(dim: int, count: int) -> Callable[..., Any]:
    """Parts of an axis one after the other, with zeros between them."""

    def join(*given: Any) -> torch.Tensor:
        parts, starts, extent = given[:count], given[count : 2 * count], given[-1]
        row, end = [], 0
        for x, start in zip((*parts, None), (*starts, extent), strict=True):
            if start > end:
                shape = list(parts[0].shape)
                shape[dim] = start - end
                row.append(parts[0].new_zeros(shape))
            if x is not None:
                row.append(x)
                end = start + x.shape[dim]
        return torch.cat(row, dim)

    return join


def _take(dim: int) -> Callable[..., Any]:
    def take(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        if index.dim() == 1:
            return x.index_select(dim, index)
        if index.dim() == 0:
            return x.index_select(dim, index.reshape(1)).squeeze(dim)
        return x.index_select(dim, index.reshape(-1)).unflatten(dim, index.shape)

    return take


def _lookup(count: int) -> Callable[..., Any]:
    return lambda x, *indices: x[indices]


def _scatter(count: int) -> Callable[..., Any]:
    """zeros.index_add_ over the joint place of `count` indices; places outside go to a row that is cut off."""

    def scatter(source: torch.Tensor, *given: Any) -> torch.Tensor:
        indices, extents = given[:count], given[count:]
        places = torch.broadcast_tensors(*indices)[0].shape  # broadcast_shapes has imports of its own
        rest = source.shape[len(places) :]
        flat: Any = 0
        valid: Any = None
        for index, extent in zip(indices, extents, strict=True):
            low, high = (int(v) for v in torch.aminmax(index)) if index.numel() else (0, 0)
            if low < 0 or high >= extent:
                inside = (index >= 0) & (index < extent)
                valid = inside if valid is None else valid & inside
            flat = flat * extent + index
        rows = math.prod(extents)
        if valid is not None:
            flat = torch.where(valid, flat, rows)
        source = source.expand(*places, *rest)
        out = source.new_zeros((rows + (valid is not None), *rest))
        out.index_add_(0, flat.expand(places).reshape(-1), source.reshape(-1, *rest))
        return (out.narrow(0, 0, rows) if valid is not None else out).view(*extents, *rest)

    return scatter


def _heaviside(x: torch.Tensor, at_zero: Any) -> torch.Tensor:
    tie = torch.as_tensor(at_zero, dtype=x.dtype, device=x.device)
    return torch.where(x == 0, tie, (x > 0).to(x.dtype))  # torch.heaviside refuses to be differentiated


def _log_abs_det(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.slogdet(x).logabsdet


def _softplus(x: torch.Tensor) -> torch.Tensor:
    # torch turns linear at 20, which is 1e-10 off
    return torch.nn.functional.softplus(x, 1, 40)


def elementwise(path: str) -> Callable[..., Any]:
    """`"torch.nn.functional.silu"` -> the function."""
    if path == "torch.nn.functional.softplus":
        return _softplus
    found: Any = torch
    for part in path.split(".")[1:]:
        found = getattr(found, part, None)
    if found is None:
        name = path.rsplit(".", 1)[-1]
        raise ExerciseError(said("torch has no function {name}: write it out with functions that torch has", name=name))
    return found


OPS: dict[str, Callable[..., Callable[..., Any]]] = {
    # views
    "permute": _permute,
    "unsqueeze": _unsqueeze,
    "expand": lambda: lambda x, *extents: x.expand(extents),
    "alias": lambda serial: lambda x: x.view_as(x),
    "diagonal": lambda a, b: lambda x: x.diagonal(0, a, b),
    "select": _select,
    "strided": _strided,
    "spaced": _spaced,
    "flatten": lambda first, last: lambda x: x.flatten(first, last),
    # new tensors
    "place": _place,
    "joined": _joined,
    "arange": lambda: lambda extent, device: torch.arange(extent, device=device),
    "full": lambda: lambda value, dtype, device: torch.full((), value, dtype=dtype, device=device),
    "truth": lambda: lambda value, device: torch.tensor(bool(value), device=device),
    "convert": lambda: lambda x, dtype: x.to(dtype),
    "whole": lambda: lambda x: x.round().long() if x.is_floating_point() else x.long(),
    # arithmetic
    "add": lambda: operator.add,
    "sub": lambda: operator.sub,
    "add_scaled": lambda: lambda x, y, by: torch.add(x, y, alpha=by),
    "mul": lambda: operator.mul,
    "div": lambda: operator.truediv,
    "neg": lambda: operator.neg,
    "reciprocal": lambda: torch.reciprocal,
    "square": lambda: torch.square,
    "sqrt": lambda: torch.sqrt,
    "rsqrt": lambda: torch.rsqrt,
    "pow": lambda: torch.pow,
    "maximum": lambda: torch.maximum,
    "minimum": lambda: torch.minimum,
    # not x.clamp: at a tie its gradient is 1, that of maximum 1/2
    "clamp_min": lambda: lambda x, least: torch.maximum(x, torch.as_tensor(least, dtype=x.dtype, device=x.device)),
    "clamp_max": lambda: lambda x, most: torch.minimum(x, torch.as_tensor(most, dtype=x.dtype, device=x.device)),
    "clamp": lambda low, high: lambda x: x.clamp(low, high),
    "floor_divide": lambda: lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "remainder": lambda: torch.remainder,
    "floor": lambda: torch.floor,
    "ceil": lambda: torch.ceil,
    "call": elementwise,
    "heaviside": lambda: _heaviside,
    "polygamma": lambda order: lambda x: torch.special.polygamma(order, x),
    # conditions
    "compare": lambda name, whole: {c.__name__: f for c, f in COMPARE.items()}[name],
    "and": lambda: operator.and_,
    "or": lambda: operator.or_,
    "not": lambda: operator.invert,
    "where": lambda: torch.where,
    "threshold": lambda: torch.ops.aten.threshold_backward,
    # reductions and contractions
    "sum": _total,
    "prod": _product,
    # over one axis the first of what is tied has the gradient, over several all share it
    "amax": lambda *dims: (lambda x: x.max(dims[0]).values) if len(dims) == 1 else (lambda x: x.amax(dims)),
    "amin": lambda *dims: (lambda x: x.min(dims[0]).values) if len(dims) == 1 else (lambda x: x.amin(dims)),
    "amax_shared": lambda *dims: lambda x: x.amax(dims),
    "amin_shared": lambda *dims: lambda x: x.amin(dims),
    "argmax": lambda dim: lambda x: x.argmax(dim),
    "argmin": lambda dim: lambda x: x.argmin(dim),
    "gap": _gap,
    "mm": lambda: torch.mm,
    "mv": lambda: torch.mv,
    "dot": lambda: torch.dot,
    "matmul": lambda: torch.matmul,
    "einsum": lambda equation: lambda *xs: torch.einsum(equation, *xs),
    # gather, scatter, matrices
    "inside": _inside,
    "clamped": lambda: lambda index, extent, checked: index.clamp(0, extent - 1),
    "take": _take,
    "lookup": _lookup,
    "scatter": _scatter,
    "inv": lambda: torch.linalg.inv,
    "logdet": lambda: _log_abs_det,
    "det": lambda: torch.linalg.det,
}
