"""Draws of the same sizes taken through a sheet at once: under `torch.func.vmap` every line sees one draw alone.

What fails, what costs much, and what vmap has no way for (a branch on a value, `view`, changes in place) is left to the
draws one by one. A sheet means the same either way; it is a matter of time alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library
from tutor.checking.interpret import Failure, Run
from tutor.checking.library import Limits, Refusal
from tutor.checking.outline import Outline, Unit
from tutor.checking.truth import Point, Stack

MOST_ENTRIES = 4_000_000  # computed for all draws together

Key = tuple[str, int]


BUILTINS = frozenset(("range", "len", "tuple", "list", "reversed"))  # Python's own, which see no values


class Apart(Exception):
    """Not to be computed for several draws at once."""


def side_by_side(
    outline: Outline, draws: Sequence[Point], stack: Stack, instead: Sequence[Mapping[Key, Tensor]]
) -> Side | None:
    """The sheet at every draw, or None where they have to be computed one by one; `stack` has their values.

    `instead` are the values that stand in place of the learner's, at each draw.
    """
    if not outline.elementwise and not all(_at_once(outline, unit) for unit in outline.units):
        return None
    if any(each.keys() != instead[0].keys() for each in instead):
        return None
    replaced: dict[Key, Tensor] = {}
    for key in instead[0]:
        every = [each[key] for each in instead]
        if any(value.shape != every[0].shape for value in every):
            return None
        replaced[key] = torch.stack(every)
    try:
        run, found = _executed(outline, stack, replaced)
    except Exception:  # one by one the same fault is found again, with its place
        return None
    outputs = zip(run.outputs, found, strict=True)
    side = Side(run, {id(value): out if out.ndim else out.expand(stack.count) for value, out in outputs})
    if not all(bool(side.held[id(check)].all()) for check in run.limits.checks):
        return None
    if run.failures:  # what does not fit does so at every draw; how it is said, one of them tells
        first = Run(outline, draws[0], instead[0]).execute()
        same = {n: f.kind for n, f in first.failures.items()} == {n: f.kind for n, f in run.failures.items()}
        if not same or not all(_by_shapes(outline, unit) for unit in outline.units if unit.position in run.failures):
            return None
        run.failures = first.failures
    return side


def _executed(outline: Outline, stack: Stack, replaced: dict[Key, Tensor]) -> tuple[_Together, Sequence[Tensor]]:
    """The run of all draws, and its outputs; scalars need no vmap."""
    made: list[_Together] = []
    values = {name: stack.values[name] for name in outline.given_names if name in stack.values}
    gradients = {name: stack.gradients[name] for name in outline.given_names if name in stack.gradients}
    if not outline.names.only_values:
        gradients = {}

    def execute(*inputs: Tensor) -> Sequence[Tensor]:
        each = iter(inputs)
        draw = Stack({n: next(each) for n in values}, {n: next(each) for n in gradients}, stack.sizes, stack.count)
        made.append(_Together(outline, draw, {key: next(each) for key in replaced}))
        made[0].execute()
        return tuple(made[0].outputs)

    given = (*values.values(), *gradients.values(), *replaced.values())
    if outline.elementwise:
        found = execute(*given)
        return made[0], found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where vmap goes draw by draw itself it says that it is slow
        found = _mapped(execute, given, stack.count)
    return made[0], found


def _mapped(function: Callable[..., Sequence[Tensor]], given: Sequence[Tensor], count: int) -> Sequence[Tensor]:
    """`torch.func.vmap(function)(*given)`, without its search for tensors in what may be nested.

    That search takes a third of a sheet's time. The parts of vmap have no public name: a torch that calls them
    otherwise has vmap itself.
    """
    level = _levels()
    if level is None:
        return torch.func.vmap(function)(*given)
    depth = level._vmap_increment_nesting(count, "error")
    try:
        made = function(*(level._add_batch_dim(value, 0, depth) for value in given))
        return [level._remove_batch_dim(value, depth, count, 0) for value in made]
    finally:
        level._vmap_decrement_nesting()


@cache
def _levels() -> Any:
    """torch's own module of vmap's parts, or None; tried once, which has vmap load what it needs."""
    numbers = torch.arange(3)
    doubled = torch.func.vmap(lambda n: 2 * n)(numbers)
    try:
        from torch._C import _functorch as parts

        depth = parts._vmap_increment_nesting(3, "error")
        try:
            made = parts._remove_batch_dim(2 * parts._add_batch_dim(numbers, 0, depth), depth, 3, 0)
        finally:
            parts._vmap_decrement_nesting()
    except (ImportError, AttributeError, TypeError):
        return None
    return parts if torch.equal(made, doubled) else None


def _at_once(outline: Outline, unit: Unit) -> bool:
    """Whether a line means the same for several draws at once: nothing changes in place, all functions are known."""
    if outline.mutates or isinstance(unit.statement, lang.Loop):
        return False
    for node in outline.nodes(unit.statement):
        if isinstance(node, lang.Call):
            name = getattr(node.function, "name", "")
            if not known(name) and not (isinstance(node.function, lang.Name) and name in library.INDEX):
                return False
        if isinstance(node, lang.Sequence) and not node.items:
            return False  # no axis at all, `x.sum(())`: every function has its own idea of it
    return True


def known(name: str) -> bool:
    """Whether a function of this name means the same under vmap, whoever's it is: the table says so of each."""
    rows = [table[name] for table in (library.FUNCTION, library.METHOD, library.NUMPY) if name in table]
    alike = all(row.at_once or row.elementwise or row.broadcasts for row in rows)
    return alike if rows else name in BUILTINS


def _by_shapes(outline: Outline, unit: Unit) -> bool:
    """Whether a line fails at one draw as at any other of its sizes: its shapes decide, or the language."""
    if outline.style.get(id(unit.statement)):
        return True
    for node in outline.nodes(unit.statement):
        if isinstance(node, lang.Subscript) and not all(isinstance(item, _PLACES) for item in node.items):
            return False
        if isinstance(node, lang.Binary) and node.op in ("//", "%"):
            return False
        if isinstance(node, lang.Call) and getattr(node.function, "name", "") in ("one_hot", "embedding"):
            return False
    return True


_PLACES = (lang.Number, lang.Constant, lang.Unary, lang.Slice)


@dataclass
class Side:
    """A run of several draws: of each of its tensors the values at all of them, draw by draw."""

    run: _Together
    held: dict[int, Tensor]

    def block(self, value: Any) -> Any:
        """A value of the run at all draws, along a first axis; a number is the same for all."""
        return self.held[id(value)] if isinstance(value, Tensor) else value

    @property
    def count(self) -> int:
        """Of the draws."""
        return self.run.draw.count

    def one(self, n: int) -> Run:
        """The run of one draw."""
        made = Run(self.run.outline, self.run.draw)
        made.values = _Picked(self.run.values, self.held, n)  # type: ignore[assignment] # only read from here on
        made.seen = _Picked(self.run.seen, self.held, n)  # type: ignore[assignment]
        made.failures, made.limits, made.disturbed = self.run.failures, self.run.limits, self.run.disturbed
        return made


class _Together(Run):
    """All draws in one run."""

    draw: Stack
    limits: _Share

    def __init__(self, outline: Outline, draw: Stack, replace: Mapping[Key, Tensor]):
        super().__init__(outline, draw, replace)
        self.most = MOST_ENTRIES // draw.count
        self.limits = _Share(self.most)

    @property
    def outputs(self) -> list[Tensor]:
        """What has to leave the vmap, each tensor once."""
        kept = (*self.values.values(), *self.seen.values(), *self.limits.checks)
        return list({id(value): value for value in kept if isinstance(value, Tensor)}.values())

    def _attempt(self, unit: Unit) -> Failure | None:
        failure = super()._attempt(unit)
        made = () if failure else [self.values.get((touch.name, unit.position)) for touch in unit.touches]
        if self.limits.entries > self.most or not all(isinstance(value, _PLAIN) for value in made):
            raise Apart
        return failure


class _Share(Limits):
    """What one draw may cost."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most
        self.checks: list[Tensor] = []

    def holds(self, mask: Tensor) -> bool:
        """Taken as true where it hangs on the draw, and looked at once all draws are there."""
        try:
            return super().holds(mask)
        except RuntimeError:
            self.checks.append(mask.all())
            return True

    def room(self, *extents: int) -> None:
        super().room(*extents)
        if self.entries > self.most:
            raise Refusal("more than the draws may cost together")


class _Picked(Mapping[Key, Any]):
    """The values of one draw; numbers are the same for all."""

    def __init__(self, kept: Mapping[Key, Any], found: Mapping[int, Tensor], n: int):
        self._kept, self._found, self._n = kept, found, n

    def __getitem__(self, key: Key) -> Any:
        value = self._kept[key]
        return self._found[id(value)][self._n] if isinstance(value, Tensor) else value

    def __iter__(self) -> Iterator[Key]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


_PLAIN = (Tensor, int, float, Failure)
