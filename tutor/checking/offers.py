"""What could be put into a wrong line, nearest first: names, functions, parts left out, indices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import pool
from tutor.checking.library import FUNCTION
from tutor.checking.outline import Meaning, Segment
from tutor.checking.pool import CLOSE, Forms, Slope
from tutor.checking.rewriting import Place, all_of, attribute, constant, named, picked, with_part
from tutor.checking.sheet_runs import SheetRuns
from tutor.checking.wrong_line import WrongLine

MOST_FUNCTIONS = 4
NEAR = 2  # steps along the forward program


class Offers(WrongLine):
    """A wrong line, and what the rows of EDITS ask for when they look at a place."""

    def __init__(self, judge: SheetRuns, segment: Segment, meaning: Meaning, statement: lang.Statement):
        super().__init__(judge, segment, meaning, statement)
        self._forms: dict[Any, Forms] = {}

    @cached_property
    def likely(self) -> dict[str, int]:
        """Every name, by its distance from the quantity along the forward program: 0 stands in the true formula."""
        key = ("names near", self.meaning.name)
        return self.exercise.cached(key, lambda: _names_near(self.exercise, self.meaning))

    def close(self, name: str) -> bool:
        return self.likely.get(name, 99) <= NEAR

    @cached_property
    def offers(self) -> list[tuple[str, Tensor]]:
        """(name, value) of what the line could read, nearest first: forward values, earlier gradients, helpers."""
        own = (self.segment.name, self.meaning.name, *self._unread_losses)
        kept = [(name, value) for name, value in self.values.items() if name not in own]
        return sorted(kept, key=lambda nv: self.likely.get(nv[0], 99))

    @property
    def _unread_losses(self) -> list[str]:
        """A loss whose own value is in no gradient, as that of tanh is in `1 - o**2`."""

        def make() -> list[str]:
            from tutor.symbolic.derive import derive
            from tutor.symbolic.indices import quantities_in

            read = frozenset().union(*(quantities_in(g.expr) for g in derive(self.exercise).gradients.values()))
            return [name for name in self.names.losses if name not in read]

        return self.exercise.cached("unread losses", make)

    @cached_property
    def values(self) -> dict[str, Tensor]:
        found = {**self.here.draw.values, **self.here.before}
        return {name: v for name, v in found.items() if isinstance(v, Tensor) and v.is_floating_point()}

    @cached_property
    def functions(self) -> list[str]:
        """Functions of one argument in the exercise's formulas and in the true ones."""
        key = ("functions near", self.meaning.of)
        return self.exercise.cached(key, lambda: _functions(self.exercise, self.meaning))

    @cached_property
    def sizes(self) -> list[str]:
        return list(self.names.sizes)

    @cached_property
    def left_out(self) -> list[tuple[pool.Part, Tensor]]:
        """Parts of the formulas with their values; not the answer itself, nor what the sheet has not given."""
        known = {*self.here.before, *self.here.draw.values}
        true = self.targets[0].value
        return [
            (part, value)
            for part, value in self._parts()
            if part.reads <= known and (len(part.expr.args) < 2 or not _proportional(value, true))
        ]

    def _parts(self) -> Iterable[tuple[pool.Part, Tensor]]:
        if not self.stacked:
            return pool.values(self.exercise, self.here.draw)
        drawn = [dict(pool.values(self.exercise, point)) for point in self.judge.points]
        shared = [part for part in drawn[0] if all(part in one for one in drawn)]
        return [(part, torch.stack([one[part] for one in drawn])) for part in shared]

    def spelled_so(self, node: lang.Expression | None) -> lang.Expression | None:
        """`sin` for `torch.sin`, where the learner writes functions so."""
        if node is None or not self._bare:
            return node
        for part in tuple(lang.parts(node)):
            made = self.spelled_so(part)
            if made is not part and made is not None:
                node = with_part(node, part, made)
        known = isinstance(node, lang.Attribute) and lang.is_module(node.value) and node.name in FUNCTION
        return named(node.name) if known else node  # type: ignore[attr-defined]

    @cached_property
    def _bare(self) -> bool:
        calls = [p.node.function for p in self.line.order if isinstance(p.node, lang.Call)]
        return any(isinstance(f, lang.Name) for f in calls) and not any(lang.is_module(f) for f in calls)

    def forms(self, slope: Slope) -> Forms:
        """Parts as the learner would write them, with their values spread over a place."""
        key = (slope.labels, tuple(slope.value.shape))
        if key not in self._forms:
            made = _indexed_forms if self.line.indexed else _torch_forms
            self._forms[key] = Forms.of(made(self, slope))
        return self._forms[key]

    @cached_property
    def spelled(self) -> dict[str, lang.Expression]:
        """Gradients in the learner's own spelling, `W.grad` for dW."""
        made: dict[str, lang.Expression] = {}
        for unit in self.judge.outline.units:
            for target in lang.targets(unit.statement):
                base = lang.root(target)
                name = self.names.read(base)
                if isinstance(base, lang.Name) and name != base.name:
                    made.setdefault(name or "", named(base.name))
                elif isinstance(base, lang.Attribute) and isinstance(base.value, lang.Name):
                    made.setdefault(name or "", lang.Attribute(0, 0, 0, named(base.value.name), base.name))
        return made

    def spell(self, name: str) -> lang.Expression:
        return self.spelled.get(name) or named(name)

    @cached_property
    def ranges(self) -> dict[str, Any]:
        """label -> the size of the axes at which it stands"""
        found: dict[str, Any] = {}
        for place in self.line.order:
            node = place.node
            if isinstance(node, lang.Subscript):
                for item, size in zip(node.items, self._axes(node.value), strict=False):
                    if isinstance(item, lang.Name):
                        found.setdefault(item.name, size)
        return found

    def _axes(self, base: lang.Expression) -> tuple[Any, ...]:
        name = self.names.read(base)
        quantity = self.exercise.quantities.get(self.names.meaning(name).of or name) if name else None
        return quantity.shape if quantity is not None else ()

    def entries(self, name: str, place: Place) -> Iterator[lang.Expression]:
        """`x[i, j]` with indices of the line that fit there."""
        base = self.spell(name)
        if not self.line.indexed:
            yield base
            return
        axes = self._axes(base)
        value = self.values.get(name)
        if value is None or value.ndim != len(axes):
            return
        if not axes:
            yield base
            return
        free = [lb for lb in self.ranges if lb in place.bound or lb in self.free_labels]
        chosen: list[list[str]] = [[]]
        for axis in axes:
            chosen = [[*c, lb] for c in chosen for lb in free if self.ranges[lb] == axis and lb not in c]
        for labels in chosen[:2]:
            yield lang.Subscript(0, 0, 0, base, tuple(named(label) for label in labels))

    @cached_property
    def index_sizes(self) -> dict[str, Any]:
        from tutor.symbolic.indices import size

        return {name: size(index) for name, index in self.names.indices.items()}

    @cached_property
    def target_labels(self) -> list[str]:
        target = next((root for root, role in self.line.roots if role == "target"), None)
        items = target.items if isinstance(target, lang.Subscript) else ()
        return [item.name if isinstance(item, lang.Name) else "0" for item in items]

    @cached_property
    def free_labels(self) -> set[str]:
        targets = [root for root, role in self.line.roots if role == "target"]
        return {n.name for t in targets for n in lang.walk(t) if isinstance(n, lang.Name)}


def _proportional(value: Tensor, true: Tensor) -> bool:
    if value.shape != true.shape or not value.numel():
        return False
    at = int(true.abs().argmax())
    ratio = value.reshape(-1)[at] / true.reshape(-1)[at]
    return bool(((value - ratio * true).abs() <= CLOSE * (ratio * true).abs().max()).all())


def _torch_forms(s: Offers, slope: Slope) -> Iterator[tuple[lang.Expression, Tensor]]:
    shape = tuple(slope.value.shape)
    own: list[tuple[Any, Tensor]] = [(named(n), v) for n, v in s.offers if n in s.here.before and n not in s.likely]
    for part, value in (*own, *s.left_out):
        if value.numel() > slope.value.numel() or (value.ndim > len(shape)):
            continue
        plain = isinstance(part, lang.Name)
        form = part if plain else s.spelled_so(part.form(s.exercise, False))
        spread = pool.fitted(value, shape)
        if form is not None and spread is not None:
            yield form, spread
        if s.stacked or len(shape) != 2 or form is None:
            continue
        if value.ndim == 1 and value.shape[0] == shape[0]:
            yield picked(form, all_of(), constant(None)), value[:, None].expand(shape)
        if value.ndim == 2 and tuple(value.shape) == shape[::-1]:
            single = isinstance(form, lang.Name)
            turned = attribute(form, "T") if single else s.spelled_so(part.form(s.exercise, False, turned=True))
            if turned is not None:
                yield turned, value.T


def _indexed_forms(s: Offers, slope: Slope) -> Iterator[tuple[lang.Expression, Tensor]]:
    """Indices of a part are those of the place that run over the same axes."""
    extents = dict(zip(slope.labels, slope.value.shape, strict=True))
    sizes = {label: s.ranges.get(label, s.index_sizes.get(label)) for label in slope.labels}
    for part, value in s.left_out:
        form = part.form(s.exercise, True)
        if form is None or value.ndim != len(part.axes):
            continue
        chosen: list[tuple[str, ...]] = [()]
        for axis, size, extent in zip(part.axes, pool.axis_sizes(part), value.shape, strict=True):
            # the sheet may have given the place another shape than its indices say
            fit = [label for label in slope.labels if sizes[label] == size and extents[label] == extent]
            fit.sort(key=lambda label, axis=axis: label != axis.name)  # type: ignore[misc]
            chosen = [(*c, label) for c in chosen for label in fit if label not in c]
        for labels in chosen[:2]:
            order = [labels.index(label) for label in slope.labels if label in labels]
            view = [extents[label] if label in labels else 1 for label in slope.labels]
            spread = value.permute(order).reshape(view).expand(tuple(slope.value.shape))
            renamed = dict(zip((axis.name for axis in part.axes), labels, strict=True))
            yield pool.relabelled(form, renamed), spread


def _functions(exercise: Any, meaning: Meaning) -> list[str]:
    from tutor.symbolic.derive import derive

    def used(formula: Any) -> list[str]:
        names = {node.func.__name__ for node in formula.find(lambda n: n.is_Function and len(n.args) == 1)}
        return sorted({"Abs": "abs"}.get(name, name) for name in names if name in FUNCTION)

    gradients = derive(exercise).gradients
    formulas = [gradient.expr for gradient in gradients.values()] + [q.expr for q in exercise.forward]
    all_of_them = exercise.cached("functions used", lambda: [name for formula in formulas for name in used(formula)])
    own = used(gradients[meaning.of].expr) if meaning.of in gradients else []
    return list(dict.fromkeys([*own, *all_of_them]))[:MOST_FUNCTIONS]


def _names_near(exercise: Any, meaning: Meaning) -> dict[str, int]:
    from tutor.symbolic.derive import derive
    from tutor.symbolic.indices import quantities_in

    found: dict[str, int] = {}
    if meaning.kind == "local":
        found.update({meaning.of: 0, meaning.by: 0})
    if meaning.kind == "gradient" and meaning.of in derive(exercise).gradients:
        found.update(dict.fromkeys(sorted(quantities_in(derive(exercise).gradients[meaning.of].expr)), 0))
    if meaning.of not in exercise.quantities:
        return found
    if meaning.kind != "gradient":
        found.update((name, found.get(name, 1)) for name in sorted(exercise[meaning.of].reads))
    edge, distance = [meaning.of], 0
    seen = {meaning.of}
    while edge:
        distance += 1
        consumers = [q for q in exercise.forward if q.reads & set(edge) and q.name not in seen]
        for q in consumers:
            for name in (f"d{q.name}", q.name, *sorted(q.reads)):
                found.setdefault(name, distance)
        edge = [q.name for q in consumers]
        seen.update(edge)
    return found
