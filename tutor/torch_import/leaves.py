"""Inputs, parameters and buffers: what their axes are called, where their values lie, what a mask is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sympy import Eq, Expr, Not, Piecewise, S
from torch import Tensor

from tutor.symbolic.indices import bracket
from tutor.torch_import.arrays import Array, At, constant
from tutor.torch_import.graph import Leaf, kind_of
from tutor.torch_import.numbers import exact

AXES = {  # of a real input, by the number of its axes; the batch first
    1: [["N"]],
    2: [["N"], ["D"]],
    3: [["N"], ["T"], ["D", "E"]],
    4: [["N"], ["C"], ["H"], ["W"]],
    5: [["N"], ["C"], ["T"], ["H"], ["W"]],
}
INTEGERS = {1: [["N"]], 2: [["N"], ["T"]], 3: [["N"], ["T"], ["M"]]}


def axis_wishes(leaf: Leaf) -> list[list[str]]:
    """Names that the sizes of its axes would like."""
    rank = leaf.value.dim()
    if leaf.kind == "input":
        table = AXES if leaf.value.is_floating_point() else INTEGERS
        return table.get(rank, [["N"], *([[]] * max(rank - 1, 0))])[:rank]
    return [[] for _ in range(rank)]


def repeated(leaf: Leaf) -> str:
    """`h.0.fc.weight` and `h.1.fc.weight` are one parameter of a block that is repeated: they have the same sizes.

    The layers of a plain `Sequential` are not: `0.weight` and `2.weight` are different layers.
    """
    return re.sub(r"\.\d+\.(?=.*\.)", ".*.", leaf.path) if leaf.kind == "parameter" else leaf.name


def domain_of(leaf: Leaf, needed: str | None) -> str:
    """Where the sampler draws it from: what the operations need, or what its values say they are."""
    x = leaf.value.detach()
    if leaf.kind == "constant" and x.is_floating_point():  # it stands in the program, which has no gradient for it
        return "sign" if needed == "sign" else "constant" if needed or bool((x > 0).all()) else "fixed"
    if leaf.value.dtype == torch.bool or needed is None and _is_mask(x) and leaf.kind != "input":
        return "mask"
    if needed == "distribution":
        return _distribution(x)
    if needed == "labels":
        return "mask" if _is_mask(x) else "fraction" if bool(((x > 0) & (x < 1)).all()) else "real"
    if needed:
        return needed
    if leaf.kind == "buffer" and x.is_floating_point() and x.numel() and bool((x > 0).all()):
        return "positive"
    if x.is_floating_point():
        return "real"
    return "mask" if _is_mask(x) else "fixed"  # whole numbers have no gradient


def _distribution(x: Tensor) -> str:
    """Targets of a cross-entropy that are no class indices."""
    if x.dim() and bool((x >= 0).all()) and torch.allclose(x.sum(-1), torch.ones(()).to(x)):
        return "one-hot" if _is_mask(x) else "probability"
    return "real"


def _is_mask(x: Tensor) -> bool:
    return x.numel() > 0 and bool(((x == 0) | (x == 1)).all())


def pattern(leaf: Leaf, shape: Sequence[Expr]) -> Array | None:
    """A constant that has a formula: all entries equal, a triangle of ones, an identity, 0 1 2 3."""
    if leaf.kind not in ("buffer", "constant"):
        return None
    x = leaf.value.detach()
    kind = kind_of(x.dtype)
    if x.numel() and bool((x == x.reshape(-1)[0]).all()) and (x.dim() == 0 or kind == "bool"):
        value = x.reshape(-1)[0].item()
        return constant(S(bool(value)) if kind == "bool" else exact(value), shape, kind)
    if kind == "int":
        return _counted(x, shape)
    return _triangular(x, shape, kind)


def _counted(x: Tensor, shape: Sequence[Expr]) -> Array | None:
    axes = [d for d, n in enumerate(x.shape) if n != 1]
    if len(axes) != 1 or not torch.equal(x.reshape(-1), torch.arange(x.numel())):
        return None
    axis = axes[0]
    return Array(tuple(shape), lambda *ix: ix[axis], "int", below=shape[axis])


# how torch spells it, the condition on row and column, the same of a matrix of ones
TRIANGLES: tuple[tuple[str, Callable[..., Any], Callable[[Tensor], Tensor]], ...] = (
    (".tril()", lambda i, j: j <= i, lambda ones: ones.tril()),
    (".tril(-1)", lambda i, j: j < i, lambda ones: ones.tril(-1)),
    (".triu()", lambda i, j: j >= i, lambda ones: ones.triu()),
    (".triu(1)", lambda i, j: j > i, lambda ones: ones.triu(1)),
    (".tril().triu()", lambda i, j: Eq(i, j), lambda ones: ones.tril().triu()),
)


@dataclass(frozen=True)
class Triangle:
    """`yes` where the condition on row and column holds, `no` elsewhere, over the axes that are longer than 1."""

    form: str
    condition: Callable[..., Any]
    axes: tuple[int, int]
    yes: float
    no: float


def triangle(x: Tensor) -> Triangle | None:
    """What `tril(ones)`, `triu(ones)`, `eye` and masks of minus infinity are."""
    axes = [d for d, n in enumerate(x.shape) if n != 1]
    if len(axes) != 2:
        return None
    square = x.reshape([x.shape[d] for d in axes])
    ones = torch.ones_like(square, dtype=torch.bool)
    for form, condition, of in TRIANGLES:
        inside = of(ones)
        if bool(inside.all()) or not bool(inside.any()):
            continue
        values = square[inside].unique(), square[~inside].unique()
        if all(len(v) == 1 for v in values):
            return Triangle(form, condition, (axes[0], axes[1]), *(v.item() for v in values))
    return None


def _triangular(x: Tensor, shape: Sequence[Expr], kind: str) -> Array | None:
    found = triangle(x)
    if found is None:
        return None
    rows, columns = found.axes
    if kind != "bool":
        return Array(tuple(shape), _either(found.condition, rows, columns, exact(found.yes), exact(found.no)))
    whole = found.condition if found.yes else lambda i, j: Not(found.condition(i, j))
    return Array(tuple(shape), lambda *ix: whole(ix[rows], ix[columns]), kind)


def _either(condition: Callable[..., Any], rows: int, columns: int, yes: Expr, no: Expr) -> At:
    """One number where the condition on row and column holds, another elsewhere."""

    def at(*ix: Expr) -> Expr:
        holds = condition(ix[rows], ix[columns])
        return bracket(holds) if (yes, no) == (1, 0) else Piecewise((yes, holds), (no, True))

    return at


def short_names(leaves: Sequence[Leaf]) -> dict[str, str]:
    """W1, b1, W2, b2: weights and biases in the order of the module, those of one layer with one number."""
    parameters = [leaf for leaf in leaves if leaf.kind == "parameter"]
    layers = list(dict.fromkeys(leaf.path.rpartition(".")[0] for leaf in parameters))
    letters = {"weight": "W", "bias": "b"}
    made = {}
    for leaf in parameters:
        owner, _, own = leaf.path.rpartition(".")
        number = str(layers.index(owner) + 1) if len(layers) > 1 else ""
        if own in letters:
            made[leaf.name] = f"{letters[own]}{number}"
    return made
