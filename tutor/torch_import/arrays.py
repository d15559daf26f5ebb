"""What a value of the graph is here: a shape, and what stands at an index.

A view (transpose, slice, reshape) is no step of a derivation: it only says where to look. So an `Array` is a rule
from index expressions to a formula, and a chain of views composes rules. What computes something is a quantity, and
its rule is its entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sympy import Basic, Expr, Idx, Indexed, Mod, S, floor, sympify
from sympy.logic.boolalg import Boolean

from tutor.symbolic.indices import bracket, fresh, transform
from tutor.symbolic.radix import settled_digits

At = Callable[..., Any]


@dataclass(frozen=True)
class Array:
    """`array[i, j]` is a formula; of a `bool` array it is a condition, of an `int` array a whole number.

    `below`: what the entries of a computed `int` array stay under. `leaf`: the input or parameter that it is, or whose
    entries it has (`viewed`).
    """

    shape: tuple[Expr, ...]
    at: At
    kind: str = "float"
    below: Expr | None = None
    leaf: str = ""
    viewed: bool = False

    @property
    def dim(self) -> int:
        return len(self.shape)

    def __getitem__(self, indices: Any) -> Any:
        given = indices if isinstance(indices, tuple) else (indices,)
        assert len(given) == self.dim, f"{given} into {self.shape}"
        return self.at(*(sympify(i) for i in given))

    def spread(self, indices: Sequence[Expr], shape: Sequence[Expr]) -> Any:
        """The entry that meets `indices` of a larger shape: torch's broadcasting."""
        own = indices[len(indices) - self.dim :]
        over = shape[len(shape) - self.dim :]
        return self[tuple(S.Zero if n == 1 and m != 1 else i for i, n, m in zip(own, self.shape, over, strict=True))]

    def met(self, over: Sequence[Expr], lead: Sequence[Expr], *own: Expr) -> Any:
        """The entry at `own` of its last axes, where its axes before them meet `over` of the shape `lead`."""
        batch = Array(self.shape[: self.dim - len(own)], lambda *ix: self[(*ix, *own)])
        return batch.spread(over, lead)

    def seen(self, shape: Sequence[Expr], at: At) -> Array:
        """A view of it."""
        return replace(self, shape=tuple(shape), at=at, viewed=True)

    @property
    def numbers(self) -> Array:
        """A condition as the number 1 or 0."""
        if self.kind != "bool":
            return self
        return Array(self.shape, lambda *ix: bracket(self[ix]))

    @property
    def is_plain(self) -> bool:
        """Whether it is a quantity with its axes in some order, or no quantity at all: a view with nothing to tell."""
        entry = self[tuple(fresh(Idx("i", n)) for n in self.shape)]
        if isinstance(entry, Boolean) or not isinstance(entry, Basic) or not entry.has(Indexed):
            return True
        if not isinstance(entry, Indexed):
            return False
        varying = [i for i in entry.indices if not i.is_number and i.atoms(Idx)]
        return all(isinstance(i, Idx) for i in varying) and len(set(varying)) == len(varying)


def constant(value: Any, shape: Sequence[Expr] = (), kind: str = "float") -> Array:
    """The same everywhere."""
    return Array(tuple(shape), lambda *ix: value, kind)


def whole_part(index: Expr, length: Expr) -> Expr:
    """floor(index / length), solved where the index says it: that of n*R + r by R is n."""
    return transform(floor(index / length), settled_digits)


def remainder(index: Expr, length: Expr) -> Expr:
    """index modulo length, solved where the index says it."""
    return transform(Mod(index, length), settled_digits)
