"""The table of operations: a row per ATen operation, each the steps that a textbook would write for it.

A row is a function of a `Builder` and the operation's arguments, by the names of ATen's schema. It is called until
nothing more is learnt of sizes, and then once to write the steps, so it keeps nothing of its own. An argument that a
row does not name has to have its default, or the operation is refused: nothing is overlooked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

STEPS = ("coarse", "standard", "fine")  # how small the steps are
# arguments that do not change what is computed; what a dtype changes, the builder sees in the kind of the result
SILENT = frozenset({
    "cudnn_enable", "cudnn_enabled", "memory_format", "device", "layout", "pin_memory", "non_blocking", "copy",
    "generator", "dtype", "implicit", "momentum", "sparse", "half_to_float",
})  # fmt: skip
GROUPS = {
    "pointwise": "Elementwise functions",
    "views": "Views and shapes",
    "joining": "Joining, padding, writing into",
    "linear": "Products",
    "reductions": "Sums, means, norms",
    "softmax": "Softmax and attention",
    "losses": "Losses",
    "norms": "Normalisation",
    "indexing": "Embedding and indexing",
    "convolutions": "Convolution",
    "pooling": "Pooling and resizing",
    "recurrent": "Recurrent cells and layers",
    "constants": "Constants and masks",
}


@dataclass(frozen=True)
class Row:
    """One operation: its ATen name, how a user calls it, the steps it becomes (its function's docstring)."""

    name: str
    torch: str
    group: str
    build: Callable[..., Any]

    @cached_property
    def takes(self) -> frozenset[str]:
        return frozenset(list(inspect.signature(self.build).parameters)[1:])

    @property
    def says(self) -> str:
        return inspect.getdoc(self.build) or ""


_ROWS: dict[str, Row] = {}
_REASONS: dict[str, str] = {}


def refused(*names: str, reason: str) -> None:
    """ATen operations that index notation cannot say, and why: torch's own decomposition would say no more."""
    assert _ROWS.keys().isdisjoint(names), names
    _REASONS.update(dict.fromkeys(names, reason))


def reasons() -> dict[str, str]:
    """ATen name -> why it is refused."""
    rows()
    return _REASONS


def operation(*names: str, torch: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the row of one or several ATen operations that have the same arguments."""

    def enter(build: Callable[..., Any]) -> Callable[..., Any]:
        group = build.__module__.rsplit(".", 1)[-1]
        for name in names:
            assert name not in _ROWS and name not in _REASONS, name
            _ROWS[name] = Row(name, torch or _usual(name), group, build)
        return build

    return enter


def _usual(name: str) -> str:
    """`torch.exp`, or `F.hardswish` where torch itself has none."""
    import torch

    if name.startswith(("special_", "linalg_")):
        return f"torch.{name.replace('_', '.', 1)}"
    return f"torch.{name}" if hasattr(torch, name) else f"F.{name.replace('log_sigmoid', 'logsigmoid')}"


def rows() -> dict[str, Row]:
    """ATen name -> row, every group loaded."""
    for group in GROUPS:
        import_module(f"tutor.torch_import.rows.{group}")
    return _ROWS
