"""Index style: `dz[i,k] = (p[i,k] - y[i,k])/N`, on tensors whose axes have names.

A name in brackets that is not a value is a dummy: the exercise's own indices run over their axis, others over the
axis at whose position they stand. `Sum` binds its index, and may shadow an outer one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library
from tutor.checking.library import FLOAT
from tutor.language import nsaid, said

if TYPE_CHECKING:
    from sympy import Idx

    from tutor.checking.interpret import Run

_COMPARED = ("<", "<=", ">", ">=", "==", "!=")
# Sum(f, i), and sum(f, i)
_REDUCERS = {name: row for key, row in library.INDEX.items() if row.over for name in {key, row.over}}
_DENSE = 20_000  # entries of a product up to which it is multiplied out before it is summed


@dataclass(slots=True)
class Named:
    """A tensor with one name for each axis; a plain number has none. Never changed once it is made."""

    tensor: Tensor
    axes: tuple[str, ...]


class IndexStyle:
    """One statement written with indices."""

    def __init__(self, run: Run, statement: lang.Statement):
        self.run, self.statement = run, statement
        self.extents: dict[str, int] = {}

    # -- the statement ---------------------------------------------------------------------------------

    def execute(self) -> None:
        statement = self.statement
        if isinstance(statement, lang.Assign):
            if len(statement.targets) != 1 or isinstance(statement.targets[0], lang.Sequence):
                raise self.run.refuse(statement.targets[0], said("with indices, one name is given on a line"))
            self._define(statement.targets[0], statement.value)
        elif isinstance(statement, lang.Update):
            self._update(statement)
        else:
            assert isinstance(statement, lang.Effect)
            raise self.run.refuse(statement.call, said("an in-place call takes whole tensors, without indices"))

    def _define(self, target: lang.Expression, value: lang.Expression) -> None:
        if not isinstance(target, lang.Subscript):
            made = self._entry(value, ())
            self.run.store(target, self._spread(made, ()))
            return
        base, items = _flat(target)
        self._bind(base, items, value)
        labels = self._labels(items)
        made = self._entry(value, labels)
        name = self.run.names.read(base)
        if name is None:
            raise self.run.refuse(target, said("the left side is a name with indices, as dz[i, k]"))
        plain = [isinstance(item, lang.Name) and item.name in self.extents for item in items]
        if all(plain) and len(labels) == len(items):
            self.run.store(base, self._spread(made, labels))
            return
        keepdim = all(p or _is_zero(item) for p, item in zip(plain, items, strict=True)) and len(labels) == sum(plain)
        if keepdim and self._single_axes(name, items, plain):
            shape = [self.extents[item.name] if isinstance(item, lang.Name) else 1 for item in items]
            self.run.store(base, self._spread(made, labels).reshape(shape))
            return
        container = self._whole(base)
        index = self._place(container, items, labels, target)
        self.run.set_item(target, container, index, self._spread(made, labels))

    def _single_axes(self, name: str, items: tuple[lang.Expression, ...], plain: list[bool]) -> bool:
        """Whether the zeros among the indices stand on axes of size 1 (or the name is new)."""
        shape = self._shape_of(name)
        if shape is None:
            return True
        return len(shape) == len(items) and all(p or extent == 1 for p, extent in zip(plain, shape, strict=True))

    def _update(self, statement: lang.Update) -> None:
        target = statement.target
        if not isinstance(target, lang.Subscript):
            name = self.run.names.read(target)
            if name is None:
                raise self.run.refuse(target, said("the left side is a name, as dW or dW[i, j]"))
            before = self.run.variable(name, target)
            made = self._spread(self._entry(statement.value, ()), ())
            self.run.store_again(name, self.run._changed(statement, before, made))
            return
        base, items = _flat(target)
        container = self._whole(base)
        self._bind(base, items, statement.value)
        labels = self._labels(items)
        made = self._spread(self._entry(statement.value, labels), labels)
        index = self._place(container, items, labels, target)
        if statement.op in "+-":  # as in mathematics: what meets the same entry adds up
            index = index if isinstance(index, tuple) else (index,)
            self.run.limits.room(container.numel())
            grids = tuple(i if isinstance(i, Tensor) else torch.tensor(i) for i in index)
            signed = made if statement.op == "+" else -made
            self.run._torch(target, lambda: container.index_put_(grids, signed, accumulate=True))
            return
        part = self.run._torch(target, container.__getitem__, index)
        self.run.set_item(target, container, index, self.run._changed(statement, part, made))

    def _whole(self, base: lang.Expression) -> Tensor:
        name = self.run.names.read(base)
        self.run.check_begun(name, base)
        made = self.run.variable(name, base) if name else None
        if not isinstance(made, Tensor):
            raise self.run.refuse(base, said("start with torch.zeros_like(...) before single entries are set"))
        return made

    def _place(self, container: Tensor, items: tuple[lang.Expression, ...], labels: tuple[str, ...], at: Any) -> Any:
        """The entries that the left side names, as index tensors over its dummies."""
        if len(items) != container.ndim:
            raise self.run.refuse(at, self._axes_message(at, container.ndim, items))
        grids = []
        for item, extent in zip(items, container.shape, strict=True):
            grid = self._aligned(self._index_value(item), labels)
            if not self.run.limits.holds((grid >= 0) & (grid < extent)):
                raise self.run.refuse(
                    item, said("this index leaves its axis, which has {extent} entries", extent=extent)
                )
            grids.append(grid)
        return tuple(grids)

    def _entry(self, value: lang.Expression, labels: tuple[str, ...]) -> Named:
        """The right side; what is free in it must be on the left."""
        made = self.evaluate(value)
        for axis in made.axes:
            if axis not in labels:
                left = f"[{', '.join(labels)}]" if labels else "side"
                raise self.run.refuse(
                    value,
                    said(
                        "{axis} is free on the right, but not on the left {left}: sum over {axis}", axis=axis, left=left
                    ),
                )
        return made

    def _spread(self, value: Named, labels: tuple[str, ...]) -> Tensor:
        extents = [self.extents[label] for label in labels]
        try:
            self.run.limits.room(*extents)
        except library.Refusal as error:
            raise self.run.refuse(_whole_of(self.statement), error.says) from None
        made = _float(self._aligned(value, labels))
        return made if list(made.shape) == extents and made.is_contiguous() else made.expand(extents).contiguous()

    def _labels(self, items: tuple[lang.Expression, ...]) -> tuple[str, ...]:
        seen: dict[str, None] = {}
        for item in items:
            for name in _names(item):
                if name in self.extents:
                    seen.setdefault(name)
        return tuple(seen)

    # -- dummies and their ranges -----------------------------------------------------------------------

    def _bind(self, base: lang.Expression, items: tuple[lang.Expression, ...], value: lang.Expression) -> None:
        """Find the range of every dummy on the left."""
        name = self.run.names.read(base)
        if name and self._bound_as_given(name, items):
            return
        shape = self._shape_of(name, items) if name else None
        if shape is not None and len(shape) != len(items):
            raise self.run.refuse(base, self._axes_message(base, len(shape), items))
        for axis, item in enumerate(items):
            for label in _names(item):
                if label in self.extents or self._is_value(label):
                    continue
                own = self._exercise_extent(label)
                here = shape[axis] if shape is not None and isinstance(item, lang.Name) else None
                if own is not None and here is not None and own != here:
                    raise self.run.refuse(
                        item,
                        said(
                            "{label} runs over {own} values, but this axis has {here}", label=label, own=own, here=here
                        ),
                    )
                found = own if own is not None else here
                if found is None:
                    found = self._inferred(label, value)
                if found is None:
                    found = self._inferred(label, lang.Sequence(0, 0, 0, items))
                if found is None:
                    raise self.run.refuse(
                        item, said("the range of {label} is not clear: use it as an index of something", label=label)
                    )
                self.extents[label] = found

    def _bound_as_given(self, name: str, items: tuple[lang.Expression, ...]) -> bool:
        """The usual case: `dz[i, k]` with z's own indices in their order, none of which is a variable here."""
        meaning = self.run.names.meaning(name)
        labels = self.run.names.labels(meaning.of)
        if meaning.kind not in ("gradient", "value", "forward") or labels is None or len(labels) != len(items):
            return False
        found = {}
        for item, label in zip(items, labels, strict=True):
            if not isinstance(item, lang.Name) or item.name != label or label in self.run.variables:
                return False
            extent = self._exercise_extent(label)
            if extent is None:
                return False
            found[label] = extent
        self.extents |= found
        return True

    def _is_value(self, name: str) -> bool:
        """Whether a name in brackets has a value of its own; the exercise's indices stay dummies."""
        run = self.run
        if name in run.names.indices and getattr(self.statement, "latex", False):
            return False  # a formula's index is no loop variable of the code before it
        if name in run.variables:
            held = run.variables[name]
            if name not in run.names.indices:
                return True
            return isinstance(held, int) or (isinstance(held, Tensor) and not held.is_floating_point())
        return name not in run.names.indices and run.outline.valued(name)

    def _exercise_extent(self, label: str) -> int | None:
        known = self.run.extents
        if label not in known:
            index = self.run.names.indices.get(label)
            known[label] = None if index is None else _extent(index, self.run.draw.sizes)
        return known[label]

    def _shape_of(self, name: str, items: tuple[lang.Expression, ...] = ()) -> tuple[int, ...] | None:
        """The shape of a variable, or what the exercise says a name must have."""
        meaning = self.run.names.meaning(name)
        quantity = self.run.names.quantities.get(meaning.of)
        if quantity is not None and meaning.kind == "local":
            own = _form_of_local(quantity.indices, self.run.names.quantities[meaning.by].indices, items)
            return tuple(self._exercise_extent(index.name) or 0 for index in own)
        if quantity is not None and meaning.kind in ("gradient", "value", "forward"):
            return tuple(self._exercise_extent(index.name) or 0 for index in quantity.indices)
        value = self.run.variables.get(name)
        if isinstance(value, Tensor) and isinstance(self.statement, lang.Update):
            return tuple(value.shape)
        return None

    def _inferred(self, label: str, node: lang.Expression) -> int | None:
        """The size of an axis at which `label` stands alone, not looking into sums that shadow it."""
        if isinstance(node, lang.Call) and _reducer(node) and label in self._bound_by(node):
            return None
        if isinstance(node, lang.Subscript):
            base, items = _flat(node)
            name = self.run.names.read(base)
            if name is not None or isinstance(base, lang.Call):  # also Inverse(A)[i, j]
                value = None
                if name is None:
                    value = self.run.evaluate(base)
                elif name in self.run.variables or self.run.names.meaning(name).kind != "helper":
                    value = self.run.variable(name, base)
                if isinstance(value, Tensor) and value.ndim == len(items):
                    for item, extent in zip(items, value.shape, strict=True):
                        if isinstance(item, lang.Name) and item.name == label:
                            return extent
                        often = self._often(label, item, extent)
                        if often is not None:
                            return often
        for part in lang.parts(node):
            found = self._inferred(label, part)
            if found is not None:
                return found
        return None

    def _often(self, label: str, item: lang.Expression, extent: int) -> int | None:
        """How often i, which runs over N values, goes by in `dy[i + N*k]`: the range of k."""
        if not isinstance(item, lang.Binary) or item.op != "+":
            return None
        for low, high in ((item.left, item.right), (item.right, item.left)):
            if not isinstance(low, lang.Name) or not isinstance(high, lang.Binary) or high.op != "*":
                continue
            own = self.extents.get(low.name, self._exercise_extent(low.name))
            for index, step in ((high.left, high.right), (high.right, high.left)):
                if isinstance(index, lang.Name) and index.name == label and not set(_names(step)) & {*self.extents}:
                    length = self.evaluate(step)
                    if own and not length.axes and float(length.tensor) == own and extent % own == 0:
                        return extent // own
        return None

    # -- expressions --------------------------------------------------------------------------------------

    def evaluate(self, node: lang.Expression) -> Named:
        return self.run.indexed(node, self._evaluate) if self.run.watches else self._evaluate(node)

    def _evaluate(self, node: lang.Expression) -> Named:
        return _EVALUATE.get(type(node), IndexStyle._plain)(self, node)

    def _name(self, node: lang.Name) -> Named:
        if node.name in self.extents:
            return Named(torch.arange(self.extents[node.name], dtype=FLOAT), (node.name,))
        return self._plain(node)

    def _number(self, node: lang.Number | lang.Constant) -> Named:
        if isinstance(node.value, (int, float)):
            return Named(torch.tensor(float(node.value), dtype=FLOAT), ())
        return self._plain(node)

    def _plain(self, node: lang.Expression) -> Named:
        """A part without dummies, in torch style; it must be a number."""
        if (
            isinstance(node, lang.Name)
            and not self.run.outline.valued(node.name)
            and node.name not in self.run.variables
        ):
            if node.name in ("pi", "inf"):
                return Named(library.real(self.run.evaluate(node)), ())
            if self._exercise_extent(node.name) is not None or self._looks_free(node.name):
                raise self.run.refuse(
                    node, said("{name} is free on the right: sum over {name}, or add it on the left", name=node.name)
                )
        value = self.run.evaluate(node)
        if isinstance(value, (int, float)):
            return Named(library.real(value), ())
        if not isinstance(value, Tensor):
            raise self.run.refuse(node, said("{kind} is not a number", kind=library.kind_of(value)))
        if value.ndim:
            what = node.name if isinstance(node, lang.Name) else said("this")
            raise self.run.refuse(
                node,
                said(
                    "{what} has {have}: give it an index for each",
                    what=what,
                    have=nsaid("{count} axis", "{count} axes", value.ndim, count=value.ndim),
                ),
            )
        return Named(library.real(value), ())

    def _looks_free(self, name: str) -> bool:
        """A single letter that stands in brackets elsewhere on the line."""
        for part in _statement_parts(self.statement):
            for node in lang.walk(part):
                if isinstance(node, lang.Subscript) and any(name in _names(item) for item in node.items):
                    return True
        return False

    def _binary(self, node: lang.Binary) -> Named:
        if node.op == "@":
            raise self.run.refuse(node, said("@ is for whole matrices: with indices, write Sum(a[i, j]*b[j, k], j)"))
        a, b = self._operand(node.left, node.op, "+-*"), self._operand(node.right, node.op, "+-*/")
        axes = _union(*(value for value in (a, b) if isinstance(value, Named)))
        left = self._aligned(a, axes) if isinstance(a, Named) else a
        right = self._aligned(b, axes) if isinstance(b, Named) else b
        if not isinstance(left, Tensor) and not isinstance(right, Tensor):
            left, right = library.real(left), library.real(right)
        made = self.run._library(node, library.elementwise, self.run.limits, node.op, left, right)
        return self._single(node, made, axes)

    def _operand(self, node: lang.Expression, op: str, exact: str) -> Named | float:
        """A number, and a size, stays one beside these operators, where that gives the same; a bracket, as (z[i] > 0),
        is 0 or 1."""
        if op in exact and not self.run.watches:  # 49/x is 49*(1/x) for torch where 49 is no tensor
            if isinstance(node, lang.Number):
                return node.value
            if isinstance(node, lang.Name) and node.name in self.run.names.sizes and node.name not in self.extents:
                value = self.run.evaluate(node)
                return value if isinstance(value, int) else self.evaluate(node)
        value = self.evaluate(node)
        return value if op in "&|" else _valued(value)

    def _unary(self, node: lang.Unary) -> Named:
        value = self.evaluate(node.operand)
        if node.op == "~":
            return Named(value.tensor == 0, value.axes)
        return Named(-_float(value.tensor), value.axes) if node.op == "-" else value

    def _combine(self, node: lang.Expression, function: Callable[..., Any], *values: Named) -> Named:
        """An elementwise function over the union of the axes."""
        axes = _union(*values)
        made = self.run._library(node, self._within_room, axes, function, [self._aligned(v, axes) for v in values])
        return self._single(node, made, axes)

    def _single(self, node: lang.Expression, made: Tensor, axes: tuple[str, ...]) -> Named:
        if made.ndim != len(axes):
            raise self.run.refuse(node, said("this is not for single entries: write Sum(...) or MaxOver(x[i, k], k)"))
        return Named(made, axes)

    def _within_room(self, axes: tuple[str, ...], function: Callable[..., Any], tensors: list[Tensor]) -> Any:
        self.run.limits.room(*[self.extents[axis] for axis in axes])
        return function(*tensors)

    def _aligned(self, value: Named, axes: tuple[str, ...]) -> Tensor:
        """The tensor with its axes in this order, size 1 where it has none."""
        if value.axes == axes:
            return value.tensor
        tensor = value.tensor
        if not value.axes:
            return tensor  # broadcasts as it is
        order = [value.axes.index(axis) for axis in axes if axis in value.axes]
        if order != sorted(order):
            tensor = tensor.permute(order)
        for place, axis in enumerate(axes):
            if axis not in value.axes:
                tensor = tensor.unsqueeze(place)
        return tensor

    # -- entries --

    def _subscript(self, node: lang.Subscript) -> Named:
        base, items = _flat(node)
        array = self._array(base)
        if not isinstance(array, Tensor):
            return self._plain(node)
        shape = array.shape
        if len(items) != len(shape):
            raise self.run.refuse(node, self._axes_message(base, len(shape), items))
        labels = tuple([item.name for item in items if isinstance(item, lang.Name) and item.name in self.extents])
        if len(labels) == len(items):
            if [self.extents[label] for label in labels] == [*shape] and len({*labels}) == len(labels):
                return Named(array, labels)  # nearly always
            for axis, (item, label, extent) in enumerate(zip(items, labels, shape, strict=True)):
                if self.extents[label] != extent and not self._is_part(base, axis, label, extent):
                    raise self._does_not_run(item, base, array, self.extents[label], extent)
        return self._gathered(node, array, items)

    def _does_not_run(
        self, item: lang.Expression, base: lang.Expression, array: Tensor, runs: int, extent: int
    ) -> Exception:
        """An index that is too long for its axis: of a gradient that was given another shape that is no slip here."""
        label = lang.variable(item)
        says = said("{name} runs over {runs} values, but this axis has {extent}", name=label, runs=runs, extent=extent)
        name = self.run.names.read(base)
        due = None if name is None else self._shape_of(name)
        if due is None or due == tuple(array.shape):
            return self.run.refuse(item, says)
        return self.run.refused_by_torch(item, says, tuple(array.shape))

    def _is_part(self, base: lang.Expression, axis: int, label: str, here: int) -> bool:
        """Whether a plain index runs over the front of this axis, or past its end where a condition on it says so.

        The axis is the exercise's own then, of the extent that it has there.
        """
        from tutor.numeric.constants import number
        from tutor.symbolic.indices import fits, size

        name = self.run.names.read(base)
        meaning = self.run.names.meaning(name) if name is not None else None
        quantity = self.run.names.quantities.get(meaning.of) if meaning is not None else None
        index = self.run.names.indices.get(label)
        if quantity is None or index is None or meaning is None or meaning.kind not in ("gradient", "value", "forward"):
            return False
        length, extent = size(index), quantity.shape[axis]
        if number(extent, self.run.draw.sizes) != here:
            return False
        return fits(length, extent) or (fits(extent, length) and self._compared(label))

    def _compared(self, label: str) -> bool:
        value = getattr(self.statement, "value", None)
        return value is not None and any(
            isinstance(node, lang.Binary) and node.op in _COMPARED and label in _names(node)
            for node in lang.walk(value)
        )

    def _array(self, base: lang.Expression) -> Any:
        name = None if isinstance(base, lang.Name) else self.run.names.read(base)
        return self.run.evaluate(base) if name is None else self.run.variable(name, base)

    def _gathered(self, node: lang.Subscript, array: Tensor, items: tuple[lang.Expression, ...]) -> Named:
        """Entries at computed places: `E[t[n], d]`, `x[o + k]` (0 outside), `A[i, i]`, `gain[0, h]`."""
        places = []
        for axis, (item, extent) in enumerate(zip(items, array.shape, strict=True)):
            other = isinstance(item, lang.Name) and self.extents.get(item.name, extent) != extent
            if isinstance(item, lang.Name) and other and not self._is_part(_flat(node)[0], axis, item.name, extent):
                raise self._does_not_run(item, _flat(node)[0], array, self.extents[item.name], extent)
            places.append(self._index_value(item))
        axes = tuple(dict.fromkeys(a for place in places for a in place.axes))
        self.run._within(node, lambda: self.run.limits.room(*(self.extents[axis] for axis in axes)))
        inside: Tensor | None = None
        grids = []
        for item, place, extent in zip(items, places, array.shape, strict=True):
            grid = self._aligned(place, axes)
            good = (grid >= 0) & (grid < extent)
            if not self.run.limits.holds(good):
                if not isinstance(item, (lang.Binary, lang.Name)) or not place.axes:
                    raise self.run.refuse(
                        item, said("this index leaves its axis, which has {extent} entries", extent=extent)
                    )
                inside = good if inside is None else inside & good
                grid = grid.clamp(0, extent - 1)
            grids.append(grid)
        made = array[tuple(grids)] if grids else array
        return Named(made if inside is None else torch.where(inside, made.to(FLOAT), 0.0), axes)

    def _index_value(self, item: lang.Expression) -> Named:
        """An index as whole numbers."""
        if isinstance(item, lang.Slice) or (isinstance(item, lang.Constant) and not isinstance(item.value, int)):
            raise self.run.refuse(item, said("with indices, every axis has an index of its own"))
        if isinstance(item, lang.Name) and item.name not in self.extents and self._is_value(item.name):
            held = self.run.variable(self.run.names.meaning(item.name).name, item)
            if isinstance(held, Tensor) and held.ndim:
                raise self.run.refuse(
                    item, said("{name} is a tensor here and no index: take another letter for it", name=item.name)
                )
        value = self.evaluate(item)
        if value.tensor.dtype == torch.bool:
            raise self.run.refuse(item, said("an index is a whole number, not a mask"))
        if value.tensor.is_floating_point():
            whole = value.tensor.round()
            if not self.run.limits.holds(whole == value.tensor):
                other = (
                    said(": {name} has a value, use another letter", name=item.name)
                    if isinstance(item, lang.Name)
                    else ""
                )
                raise self.run.refuse(item, said("an index is a whole number{other}", other=other))
            value = Named(whole.to(torch.int64), value.axes)
        return value

    def _axes_message(self, base: lang.Expression, axes: int, items: tuple[lang.Expression, ...]) -> str:
        base = lang.root(base)
        name = base.name if isinstance(base, (lang.Name, lang.Attribute)) else said("this")
        have = nsaid("{count} axis", "{count} axes", axes, count=axes)
        unknown = [
            n for item in items for n in _names(item) if not self._is_value(n) and n not in self.run.names.indices
        ]
        more = said("; {unknown} has no value", unknown=unknown[0]) if unknown and len(unknown[0]) > 1 else ""
        return said(
            "{name} has {have}, and {given} here{more}",
            name=name,
            have=have,
            given=nsaid("{count} index", "{count} indices", len(items), count=len(items)),
            more=more,
        )

    # -- calls --

    def _call(self, node: lang.Call) -> Named:
        name = _function_name(node.function)
        if _reducer(node) and (name in library.INDEX or self._sums_an_index(node)):
            return self._reduced(node, _REDUCERS[name])
        if name in ("KroneckerDelta", "delta"):
            return self._delta(node)
        if name == "Piecewise":
            return self._piecewise(node)
        entry = library.NUMPY.get(name) or library.FUNCTION.get(name)  # where takes numbers, as in mathematics
        known = isinstance(node.function, lang.Name) or self.run.module_path(node.function) is not None
        if known and entry is not None and not node.named and self._has_labels(node):
            return self._function(node, entry)
        if self._has_labels(node):
            raise self.run.refuse(
                node,
                said(
                    "{name} is not for single entries: write Sum(...), or a function such as exp(z[i, k])",
                    name=name or said("this"),
                ),
            )
        return self._plain(node)

    def _function(self, node: lang.Call, entry: library.Entry) -> Named:
        values = [self.evaluate(argument) for argument in node.arguments]
        if not (entry.elementwise or entry.broadcasts):
            raise self.run.refuse(
                node,
                said(
                    "{name} is not for single entries: write Sum(...), or a function such as exp(z[i, k])",
                    name=entry.name,
                ),
            )
        return self._combine(node, lambda *given: library.call(entry, self.run.limits, list(given), {}, False), *values)

    def _has_labels(self, node: lang.Expression) -> bool:
        if any(isinstance(part, lang.Name) and part.name in self.extents for part in lang.walk(node)):
            return True
        return any(
            isinstance(part, lang.Call) and _function_name(part.function) in library.INDEX for part in lang.walk(node)
        )

    def _sums_an_index(self, node: lang.Call) -> bool:
        return isinstance(node.function, lang.Name) and len(node.arguments) > 1 and bool(self._bound_by(node))

    def _bound_by(self, node: lang.Call) -> list[str]:
        """The indices a sum binds: `Sum(f, i, k)`, `Sum(f, (i, 0, N - 1))`."""
        names = (index.name for index in lang.bound(node))
        return [name for name in names if not (name in self.run.variables and self._is_value(name))]

    def _reduced(self, node: lang.Call, row: library.IndexRow) -> Named:
        if not node.arguments or node.named:
            raise self.run.refuse(node, said("a sum is written Sum(x[i, k], k)"))
        body, limits = node.arguments[0], node.arguments[1:]
        bound = self._bound_by(node)
        if len(bound) != len(limits) or len(set(bound)) != len(bound) or not bound:
            wrong = next((a for a in limits if not isinstance(a, (lang.Name, lang.Sequence))), node)
            raise self.run.refuse(wrong, said("a sum names the indices it runs over: Sum(x[i, k], k)"))
        outer = {label: self.extents[label] for label in bound if label in self.extents}
        for label, given in zip(bound, limits, strict=True):
            self.extents[label] = self._range(label, body, given)
        try:
            return self._masked(body, bound, limits, row)
        finally:
            for label in bound:
                self.extents.pop(label, None)
            self.extents |= outer  # the dummy of an outer sum keeps its range

    def _range(self, label: str, body: lang.Expression, given: lang.Expression) -> int:
        own = self._exercise_extent(label)
        found = own if own is not None else self._inferred(label, body)
        if found is None and isinstance(given, lang.Sequence) and len(given.items) == 3:
            last = self.evaluate(given.items[2])
            if not last.axes:
                found = int(self.run._within(given, lambda: library.finite(last.tensor))) + 1
                self.run._within(given, lambda: self.run.limits.room(found))
        if found is None:
            raise self.run.refuse(
                given, said("the range of {label} is not clear: use it as an index of something", label=label)
            )
        return found

    def _masked(
        self, body: lang.Expression, bound: list[str], limits: tuple[lang.Expression, ...], row: library.IndexRow
    ) -> Named:
        how = row.over
        masks = [mask for label, given in zip(bound, limits, strict=True) for mask in self._within_limits(label, given)]
        if how == "sum":
            made = self._contracted(body, bound, masks)
            if made is not None:
                return made
        value = self.evaluate(body)
        for mask in masks:
            value = self._combine(body, lambda a, m: torch.where(m != 0, a.to(FLOAT), row.neutral), value, mask)
        if how.startswith("arg"):
            return self._argument(body, value, bound, how)
        absent = [label for label in bound if label not in value.axes]
        times = math.prod(self.extents[label] for label in absent)
        dims = [value.axes.index(label) for label in bound if label in value.axes]
        axes = tuple(axis for axis in value.axes if axis not in bound)
        tensor = _float(value.tensor)
        if how == "prod":
            for dim in sorted(dims, reverse=True):
                tensor = tensor.prod(dim)
            tensor = tensor**times
        elif dims:
            tensor = getattr(torch, how)(tensor, dim=dims)
        if how == "sum" and times != 1:
            tensor = tensor * times
        if how == "mean" and masks:
            raise self.run.refuse(body, said("a mean has no limits: write Sum(...)/n"))
        return Named(tensor, axes)

    def _argument(self, body: lang.Expression, value: Named, bound: list[str], how: str) -> Named:
        """The first place of the largest or smallest value."""
        if len(bound) != 1:
            raise self.run.refuse(
                body, said("{name} runs over one index", name="ArgMaxOver" if how == "argmax" else "ArgMinOver")
            )
        if bound[0] not in value.axes:
            return Named(torch.zeros((), dtype=FLOAT), ())
        dim = value.axes.index(bound[0])
        places = getattr(torch, how)(value.tensor.to(FLOAT), dim=dim)
        return Named(places.to(FLOAT), value.axes[:dim] + value.axes[dim + 1 :])

    def _within_limits(self, label: str, given: lang.Expression) -> Iterator[Named]:
        """Masks for limits (i, low, high) that leave out a part of the axis."""
        if not isinstance(given, lang.Sequence):
            return
        if len(given.items) == 1:
            return
        if len(given.items) != 3:
            raise self.run.refuse(given, said("the limits of a sum are written (i, 0, N - 1)"))
        here = Named(torch.arange(self.extents[label], dtype=FLOAT), (label,))
        low, high = self.evaluate(given.items[1]), self.evaluate(given.items[2])
        if label in low.axes + high.axes:
            raise self.run.refuse(given, said("the limits of {label} cannot depend on {label}", label=label))
        if not low.axes and not high.axes:
            if float(low.tensor) < 0 or float(high.tensor) > self.extents[label] - 1:
                last = self.extents[label] - 1
                raise self.run.refuse(
                    given, said("{label} runs from 0 to {last}: write {label} alone", label=label, last=last)
                )
            if float(low.tensor) == 0 and float(high.tensor) == self.extents[label] - 1:
                return
        yield self._combine(given, lambda a, b: a >= b, here, low)
        yield self._combine(given, lambda a, b: a <= b, here, high)

    def _contracted(self, body: lang.Expression, bound: list[str], masks: list[Named]) -> Named | None:
        """A sum of a large product, factor by factor; None where the product is small enough to write out."""
        if math.prod(max(extent, 1) for extent in self.extents.values()) <= _DENSE:
            return None
        factors = list(_factors(body))
        if len(factors) < 2:
            return None
        labels = {
            name for part in lang.walk(body) if isinstance(part, lang.Name) and (name := part.name) in self.extents
        }
        if math.prod(self.extents[label] for label in labels) <= _DENSE:
            return None
        values = [self._factor(*factor) for factor in factors] + [
            Named(mask.tensor.to(FLOAT), mask.axes) for mask in masks
        ]
        present = list(dict.fromkeys(axis for value in values for axis in value.axes))
        self.run._within(body, lambda: self.run.limits.work(math.prod(self.extents[a] for a in present)))
        letters = {axis: chr(97 + n) if n < 26 else chr(39 + n) for n, axis in enumerate(present[:52])}
        axes = tuple(axis for axis in present if axis not in bound)
        self.run._within(body, lambda: self.run.limits.room(*(self.extents[a] for a in axes)))
        terms = ",".join("".join(letters[axis] for axis in value.axes) for value in values)
        equation = f"{terms}->{''.join(letters[axis] for axis in axes)}"
        tensor = self.run._torch(body, torch.einsum, equation, *(value.tensor for value in values))
        times = math.prod(self.extents[label] for label in bound if label not in present)
        return Named(tensor * times, axes)

    def _factor(self, node: lang.Expression, inverted: bool, negative: bool) -> Named:
        value = self.evaluate(node)
        tensor = value.tensor.to(FLOAT)
        tensor = 1 / tensor if inverted else tensor
        return Named(-tensor if negative else tensor, value.axes)

    def _delta(self, node: lang.Call) -> Named:
        if len(node.arguments) != 2 or node.named:
            raise self.run.refuse(node, said("a delta is written KroneckerDelta(i, k)"))
        left, right = (self.evaluate(argument) for argument in node.arguments)
        return self._combine(node, lambda a, b: (a == b).to(FLOAT), left, right)

    def _piecewise(self, node: lang.Call) -> Named:
        made: Named | None = None
        for branch in reversed(node.arguments):
            if not isinstance(branch, lang.Sequence) or len(branch.items) != 2 or node.named:
                raise self.run.refuse(node, said("cases are written Piecewise((a, x > 0), (b, True))"))
            value, condition = self.evaluate(branch.items[0]), self.evaluate(branch.items[1])
            other = made or Named(torch.tensor(torch.nan, dtype=FLOAT), ())
            made = self._combine(
                branch, lambda c, a, b: torch.where(c != 0, a.to(FLOAT), b.to(FLOAT)), condition, value, other
            )
        if made is None:
            raise self.run.refuse(node, said("cases are written Piecewise((a, x > 0), (b, True))"))
        return made


_EVALUATE: dict[type, Callable[[IndexStyle, Any], Named]] = {
    lang.Binary: IndexStyle._binary,
    lang.Subscript: IndexStyle._subscript,
    lang.Call: IndexStyle._call,
    lang.Unary: IndexStyle._unary,
    lang.Name: IndexStyle._name,
    lang.Number: IndexStyle._number,
    lang.Constant: IndexStyle._number,
}


def _float(value: Tensor) -> Tensor:
    return value if value.dtype is FLOAT else value.to(FLOAT)


def _union(*values: Named) -> tuple[str, ...]:
    """The axes of all, each once."""
    axes = values[0].axes if values else ()
    if all([value.axes == axes for value in values]):
        return axes
    return tuple(dict.fromkeys(axis for value in values for axis in value.axes))


def _valued(value: Named) -> Named:
    return Named(value.tensor.to(FLOAT), value.axes) if library.is_mask(value.tensor) else value


def _extent(index: Any, sizes: Any) -> int:
    """The number of values of an exercise's index at these sizes."""
    from tutor.symbolic.indices import size

    extent = size(index)
    if extent.is_Symbol:
        return int(sizes[extent.name])
    return int(extent.subs({symbol: sizes[symbol.name] for symbol in extent.free_symbols}))


def _flat(node: lang.Subscript) -> tuple[lang.Expression, tuple[lang.Expression, ...]]:
    """`x[i][j]` is `x[i, j]`."""
    base, items = node.value, node.items
    while isinstance(base, lang.Subscript):
        items = base.items + items
        base = base.value
    return base, items


def _names(node: lang.Expression) -> list[str]:
    """Names in an index, those of gathered tensors (`t` in `E[t[n], d]`) left out."""
    if isinstance(node, lang.Name):
        return [node.name]
    if isinstance(node, lang.Subscript):
        return [name for item in node.items for name in _names(item)]
    if isinstance(node, (lang.Binary, lang.Unary)):
        return [name for part in lang.parts(node) for name in _names(part)]
    return []


def _factors(
    node: lang.Expression, inverted: bool = False, negative: bool = False
) -> Iterator[tuple[lang.Expression, bool, bool]]:
    """(factor, whether it divides, whether it is negated) of a product."""
    if isinstance(node, lang.Binary) and node.op in "*/":
        yield from _factors(node.left, inverted, negative)
        yield from _factors(node.right, inverted != (node.op == "/"))
    elif isinstance(node, lang.Unary) and node.op == "-":
        yield from _factors(node.operand, inverted, not negative)
    else:
        yield node, inverted, negative


def _function_name(node: lang.Expression) -> str:
    return node.name if isinstance(node, (lang.Name, lang.Attribute)) else ""


def _reducer(node: lang.Call) -> bool:
    return isinstance(node.function, lang.Name) and node.function.name in _REDUCERS


def _is_zero(node: lang.Expression) -> bool:
    return isinstance(node, lang.Number) and node.value == 0


def _statement_parts(statement: lang.Statement) -> tuple[lang.Expression, ...]:
    if isinstance(statement, lang.Assign):
        return (*statement.targets, statement.value)
    return (statement.target, statement.value) if isinstance(statement, lang.Update) else ()


def _whole_of(statement: lang.Statement) -> lang.Expression:
    return lang.Name(statement.line, statement.column, 0, "")


def _form_of_local(v_axes: Sequence[Idx], u_axes: Sequence[Idx], items: Sequence[lang.Expression]) -> Sequence[Idx]:
    """The axes of dv_du for as many indices: v's own, entry by entry; u's, where they hold v's; or all of them."""
    if len(items) == len(v_axes):
        return v_axes
    if len(items) != len(u_axes) or not set(v_axes) <= set(u_axes):
        return [*v_axes, *u_axes]
    written = [item.name for item in items if isinstance(item, lang.Name)]
    named = {axis.name: axis for axis in u_axes}
    return [named[name] for name in written] if set(written) == set(named) else u_axes
