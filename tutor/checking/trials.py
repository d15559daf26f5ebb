"""An edited line run at one draw, within a budget: what the edit leaves alone is computed once.

Work is counted, not timed, so that a report is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import interpret
from tutor.checking.index_style import IndexStyle, Named
from tutor.checking.interpret import Located, Reads, Run
from tutor.checking.judge import as_tensor
from tutor.checking.library import Cut, Limits, Refusal, TorchRefuses
from tutor.checking.outline import Outline, Segment, Unit
from tutor.checking.pool import Slope
from tutor.checking.rewriting import Line, called
from tutor.errors import ReadingError

MOST_OPERATIONS = 3_000  # computed at the first draw; one with indices costs as much as INDEX_WEIGHT others
MOST_ENTRIES = 1_500_000  # computed at one draw
MOST_TENSOR = 200_000  # entries of one tensor
MOST_WORK = 4_000_000  # multiplications in one product
INDEX_WEIGHT = 4


class Purse(Limits):
    """What the search at one draw may cost."""

    def room(self, *extents: int) -> None:
        entries = prod(max(int(extent), 0) for extent in extents)
        if entries > MOST_TENSOR or self.entries > MOST_ENTRIES:
            raise Refusal("more than a repair may cost")
        self.entries += entries

    def work(self, multiplications: int) -> None:
        if multiplications > MOST_WORK or self.entries > MOST_ENTRIES:
            raise Refusal("more than a repair may cost")
        self.entries += multiplications // 64


class Trial(Run):
    """The edited line, and the units up to the end of its quantity's lines, at one draw."""

    watches = True  # a number may be the place that is asked for

    def __init__(
        self,
        outline: Outline,
        segment: Segment,
        line: Line,
        unit: int,
        before: dict[str, Any],
        point: Any,
        instead: Mapping[tuple[str, int], Tensor] | None = None,
    ):
        super().__init__(outline, point, instead)
        self.limits: Limits = Purse()
        self.segment, self.line, self.before = segment, line, before
        self.tail: list[Unit] = outline.units[unit : segment.end + 1]
        self.operations = 0
        self.new = line.statement
        self.memo: dict[Any, Any] = {}
        in_place = _changes_in_place(line)
        looped = self.tail[0].statement is not line.statement
        kept = (lang.Binary, lang.Unary, lang.Call, lang.Attribute, lang.Subscript)
        self.kept = set() if in_place or looped else {id(p.node) for p in line.order if isinstance(p.node, kept)}
        self.changed = {t.name for u in self.tail for t in u.touches} if outline.mutates else set()
        if in_place:
            self.changed = set(before)
        self.pure = not (in_place or looped)
        self.placed, self.above = 0, frozenset[int]()  # ids of the place whose slope is asked for, and of what holds it
        self.leaf: Named | None = None
        self.spread: tuple[int, ...] | None = None
        self.alone = len(self.tail) == 1 and self.pure and not line.indexed and _plain_target(line.statement)
        self.plain = self.alone and isinstance(line.statement, lang.Assign)

    def value(self, statement: lang.Statement) -> Tensor | None:
        """The quantity's value at the end of its lines; None where there is none."""
        self.new = statement
        return as_tensor(self._safely(self._through))

    def part(self, node: lang.Expression) -> Any:
        """The value of one part alone, or None."""
        return self._safely(self.evaluate, node) if self.pure else None

    def _safely(self, work: Any, *args: Any) -> Any:
        try:
            self.variables = dict(self.before)
            return work(*args)
        except (ReadingError, Refusal, Located, TorchRefuses, Reads, Cut):
            return None
        except Exception:
            if interpret.STRICT:
                raise
            return None  # our own fault: no repair

    def _through(self) -> Any:
        """From the edited statement to the end of its quantity's lines."""
        if self.plain and isinstance(self.new, lang.Assign):
            return self.evaluate(self.new.value)
        # an edit that makes `=` an update must not reach the truths, which stand among the variables
        changed = set(self.before) if isinstance(self.new, lang.Update) else self.changed
        copies = {id(v): v.clone() for n in changed for v in _tensors(self.before.get(n))}
        for name, value in self.before.items() if copies else ():
            self.variables[name] = _copied(value, copies)  # one tensor under two names stays one
        for unit in self.tail:
            self.statement(unit.statement)
            for touch in unit.touches:
                if (touch.name, unit.position) in self.replace:
                    self.variables[touch.name] = self.replace[touch.name, unit.position].clone()
        return self.variables.get(self.segment.name)

    def statement(self, statement: lang.Statement) -> None:
        if statement is not self.line.statement:
            self.operations += self.outline.weight.get(id(statement), 1)
            super().statement(statement)
            return
        if self.line.indexed:
            Indexing(self, self.new).execute()
        elif isinstance(self.new, lang.Assign):
            self.assign(self.new)
        elif isinstance(self.new, lang.Update):
            self.update(self.new)
        elif isinstance(self.new, lang.Effect):
            self.evaluate(self.new.call)

    def evaluate(self, node: lang.Expression) -> Any:
        """What an edit leaves alone is computed once."""
        held = self.memo.get(id(node)) if id(node) not in self.above else None
        if held is None:
            if self.operations > 2 * MOST_OPERATIONS:
                raise Refusal("more than a repair may cost")
            held = super().evaluate(node)
            if type(node) not in _FREE:
                self.operations += 1 + _width(node) // 8
            if id(node) in self.kept and id(node) not in self.above:
                self.memo[id(node)] = held
        return self._place(held).tensor if id(node) == self.placed else held

    def _place(self, held: Any, labels: tuple[str, ...] = (), extents: tuple[int, ...] | None = None) -> Named:
        """What stands at the place, from here on a variable of its own."""
        value = as_tensor(held)
        if value is None or self.leaf is not None or (self.line.indexed and extents is None):
            raise Refusal("no place to solve for")
        shape = extents if extents is not None else self.spread
        try:
            value = value if shape is None else value.expand(shape)
        except RuntimeError:
            raise Refusal("no place to solve for") from None
        self.leaf = Named(value.detach().clone().requires_grad_(), labels)
        return self.leaf

    def slope(self, place: lang.Expression, above: frozenset[int], true: Tensor) -> Slope | None:
        """How the line hangs on what stands at a place; where it has another shape than the truth, spread over it."""
        number = all(isinstance(node, (lang.Number, lang.Unary)) for node in lang.walk(place))
        spreads = (None, tuple(true.shape))
        for spread in spreads[::-1] if number else spreads:  # a number may stand for a whole tensor
            self.placed, self.above, self.leaf, self.spread = id(place), above, None, spread
            try:
                with torch.enable_grad():
                    made = self.value(self.line.statement)
                leaf = self.leaf
                if made is not None and leaf is not None and made.requires_grad and made.shape == true.shape:
                    return _slope(made, leaf, true)
            finally:
                self.placed, self.above, self.leaf = 0, frozenset(), None
            if self.line.indexed:
                break
        return None

    def store(self, target: lang.Expression, value: Any) -> None:
        if self.changed and isinstance(value, Tensor):
            value = value.clone()  # a later line may change it, and it is computed only once
        super().store(target, value)


def _tensors(value: Any) -> list[Tensor]:
    """A tensor, or those of a list."""
    if isinstance(value, tuple):
        return [tensor for item in value for tensor in _tensors(item)]
    return [value] if isinstance(value, Tensor) else []


def _copied(value: Any, copies: Mapping[int, Tensor]) -> Any:
    if isinstance(value, tuple):
        return tuple(_copied(item, copies) for item in value)
    return copies.get(id(value), value)


def _width(node: lang.Expression) -> int:
    """How many items a list or an index holds: a long one costs as much as several operations."""
    return len(node.items) if isinstance(node, (lang.Sequence, lang.Subscript)) else 0


_FREE = {lang.Number, lang.Name, lang.Constant, lang.Text}


class Indexing(IndexStyle):
    """With indices; a part means the same wherever its indices run over the same ranges."""

    def evaluate(self, node: lang.Expression) -> Named:
        run = self.run
        assert isinstance(run, Trial)
        if id(node) != run.placed:
            return self._known(run, node)
        labels, extents = tuple(self.extents), tuple(self.extents.values())
        return run._place(self._aligned(self._known(run, node), labels), labels, extents)

    def _known(self, run: Trial, node: lang.Expression) -> Named:
        if type(node) in _FREE:
            return super().evaluate(node)
        key = (id(node), *self.extents.items()) if id(node) in run.kept and id(node) not in run.above else None
        held = None if key is None else run.memo.get(key)
        if held is None:
            held = super().evaluate(node)
            run.operations += INDEX_WEIGHT
            if key is not None:
                run.memo[key] = held
        return held


def _slope(made: Tensor, leaf: Named, true: Tensor) -> Slope | None:
    """Along two directions in which all entries count, the small ones as well."""
    size = true.abs() + made.detach().abs()
    if not bool(size.isfinite().all()):
        return None
    value, rows, consts, needed = leaf.tensor.detach(), [], [], []
    weights = 1 / (size + size.mean()).reshape(-1)
    for turn in (1.7, 2.9):
        along = torch.cos(turn * torch.arange(1, true.numel() + 1, dtype=torch.float64)) * weights
        entry = (made.reshape(-1) * along).sum()
        try:
            (row,) = torch.autograd.grad(entry, leaf.tensor, retain_graph=True, allow_unused=True)
        except RuntimeError:  # torch has no derivative of % by its divisor
            return None
        if row is None or not bool(row.isfinite().all()) or not bool(row.any()):
            return None
        rows.append(row)
        consts.append(float(entry.detach() - (row * value).sum()))
        needed.append(float((true.reshape(-1) * along).sum()))
    return Slope(value, rows, consts, needed, leaf.axes)


def _changes_in_place(line: Line) -> bool:
    return any(isinstance(p.node, lang.Call) and called(p.node).endswith("_") for p in line.order)


def _plain_target(statement: lang.Statement) -> bool:
    if isinstance(statement, lang.Update):
        return isinstance(statement.target, (lang.Name, lang.Attribute))
    if not isinstance(statement, lang.Assign) or len(statement.targets) != 1:
        return False
    return isinstance(statement.targets[0], (lang.Name, lang.Attribute))
