"""Two exercises side by side: which gradients change, in formula and in numbers.

Both are evaluated at the same values: their worked example where they share it, else at one seed with every input
and parameter that they have in common set equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tutor.exercise import Exercise, Quantity
from tutor.language import said
from tutor.numeric.programs import forward_plan
from tutor.numeric.sample import Instance, sample, worked_instance
from tutor.shown import Shown
from tutor.symbolic.derive import derive
from tutor.symbolic.notation import plain_form

CLOSE = 1e-9  # relative: what is nearer counts as the same number


@dataclass(frozen=True)
class Side:
    """One exercise's part of a row: its formula and its value."""

    entry: str
    formula: str
    value: Tensor = field(repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    @property
    def number(self) -> float | None:
        """The value of a scalar."""
        return float(self.value) if self.value.dim() == 0 else None

    @property
    def norm(self) -> float:
        """sqrt(sum of the squares of all entries)"""
        return float(torch.linalg.vector_norm(self.value.double()))

    @property
    def typical(self) -> float:
        """The root of the mean square: the size of one entry, comparable between layers of different widths."""
        return self.norm / max(self.value.numel(), 1) ** 0.5

    def to_dict(self) -> dict[str, Any]:
        return {"formula": self.formula, "shape": list(self.shape), "value": self.number, "norm": self.norm}


@dataclass(frozen=True)
class Row:
    """One quantity or gradient; a side is None where the exercise does not have it."""

    name: str
    kind: str  # forward, gradient or value
    left: Side | None
    right: Side | None

    @property
    def shared(self) -> bool:
        return self.left is not None and self.right is not None

    @property
    def same_formula(self) -> bool:
        return self.left is not None and self.right is not None and (
            (self.left.entry, self.left.formula) == (self.right.entry, self.right.formula)
        )  # fmt: skip

    @property
    def same_value(self) -> bool:
        if self.left is None or self.right is None or self.left.shape != self.right.shape:
            return False
        return bool(torch.allclose(self.left.value, self.right.value, rtol=CLOSE, atol=1e-300, equal_nan=True))

    @property
    def same(self) -> bool:
        return self.same_formula and self.same_value

    def to_dict(self) -> dict[str, Any]:
        sides = [None if side is None else side.to_dict() for side in (self.left, self.right)]
        same = {"same_formula": self.same_formula, "same_value": self.same_value}
        return {"name": self.name, "kind": self.kind, "left": sides[0], "right": sides[1], **same}


@dataclass(frozen=True, eq=False)
class Contrast(Shown):
    """What two exercises have in common and what not; rows in the order forward, then from the loss back."""

    shown_as = "contrast"

    left: Exercise
    right: Exercise
    rows: tuple[Row, ...]
    seed: int
    point: Mapping[str, Any] | None  # the worked example; None for random values
    notes: tuple[str, ...] = ()

    def row(self, name: str) -> Row:
        """`contrast.row("dw")`"""
        found = next((row for row in self.rows if row.name == name), None)
        if found is None:
            raise LookupError(
                said("no row {name}: there are {names}", name=name, names=", ".join(row.name for row in self.rows))
            )
        return found

    def names(self, *kinds: str) -> Iterable[str]:
        return [row.name for row in self.rows if row.kind in kinds]

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "tutor.contrast/1", "left": self.left.id, "right": self.right.id, "seed": self.seed,
            "rows": [row.to_dict() for row in self.rows], "notes": list(self.notes),
        }  # fmt: skip


def contrast(a: Exercise | str | Path, b: Exercise | str | Path, seed: int = 0) -> Contrast:
    """Compare the gradients of two exercises, or of two members of a family (addresses are loaded)."""
    import tutor

    left, right = (e if isinstance(e, Exercise) else tutor.load(e) for e in (a, b))
    left.validate()
    right.validate()
    point = _shared_example(left, right)
    notes: tuple[str, ...] = ()
    if point is None:
        first = sample(left, seed)
        second, notes = _alike(right, first, seed)
    else:
        first, second = (worked_instance(e, e.instances[0]) for e in (left, right))
    rows = _rows(_sides(left, first), _sides(right, second))
    return Contrast(left, right, rows, seed, point, notes)


# -- one point for both -------------------------------------------------------------------------------------


def _shared_example(left: Exercise, right: Exercise) -> Mapping[str, Any] | None:
    """The worked example, if each has one and they agree wherever both give a value."""
    if not (left.instances and right.instances):
        return None
    first, second = left.instances[0], right.instances[0]
    shared = first.keys() & second.keys()
    agree = bool(shared) and all(_same_given(first[name], second[name]) for name in shared)
    return {**first, **second} if agree else None


def _same_given(a: Any, b: Any) -> bool:
    a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (a, b))
    return a.shape == b.shape and bool(torch.equal(a, b))


def _alike(exercise: Exercise, other: Instance, seed: int) -> tuple[Instance, tuple[str, ...]]:
    """A random instance that has the other's sizes and values wherever the two exercises share a name."""
    sizes = {name: extent for name, extent in other.sizes.items() if name in exercise.size_symbols}
    own = sample(exercise, seed, sizes=sizes)
    leaves = own.leaves
    for name, value in other.leaves.items():
        if name in leaves and leaves[name].shape == value.shape and _same_domain(exercise, other.exercise, name):
            leaves[name] = value
    with torch.no_grad():
        made = forward_plan(exercise).run(leaves, own.sizes)
    if not all(bool(torch.isfinite(value).all()) for value in made.values()):
        return own, (
            said(
                "{id} is not finite at the values of {id2}: it has values of its own here",
                id=exercise.id,
                id2=other.exercise.id,
            ),
        )
    return Instance(exercise, own.sizes, {**leaves, **made}, seed=seed), ()


def _same_domain(a: Exercise, b: Exercise, name: str) -> bool:
    qs = [e.quantities.get(name) for e in (a, b)]
    if None in qs:  # an upstream gradient
        return True
    first, second = qs
    assert first is not None and second is not None
    return (first.domain, str(first.below)) == (second.domain, str(second.below))


# -- rows ---------------------------------------------------------------------------------------------------


def _sides(exercise: Exercise, instance: Instance) -> dict[str, dict[str, Side]]:
    """kind -> name -> side"""

    def formula(q: Quantity) -> Side:
        assert q.expr is not None
        return Side(plain_form(q.entry, exercise), plain_form(q.expr, exercise), instance[q.name])

    gradients = [g for g in derive(exercise).gradients.values() if _is_of_interest(exercise, g.name)]
    return {
        "forward": {q.name: formula(q) for q in exercise.forward},
        "gradient": {
            g.symbol_name: Side(
                plain_form(g.entry, exercise), plain_form(g.expr, exercise), instance.after[g.symbol_name]
            )
            for g in gradients
        },
        "value": {q.name: formula(q) for q in exercise.values},
    }


def _is_of_interest(exercise: Exercise, name: str) -> bool:
    """Steps, parameters and what is asked: the data's own gradients would only fill the page."""
    return exercise[name].kind in ("step", "parameter") or name in exercise.asked


def _rows(left: Mapping[str, Mapping[str, Side]], right: Mapping[str, Mapping[str, Side]]) -> tuple[Row, ...]:
    return tuple(
        Row(name, kind, left[kind].get(name), right[kind].get(name))
        for kind in left
        for name in merged(list(left[kind]), list(right[kind]))
    )


def merged(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Both orders in one: what only the second has stands after its predecessor there."""
    order = list(first)
    place = 0
    for name in second:
        if name in order:
            place = order.index(name) + 1
        else:
            order.insert(place, name)
            place += 1
    return order
