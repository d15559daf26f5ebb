"""A compiled program: a straight line of torch calls between slots, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from sympy import Expr

from tutor.errors import UsageError
from tutor.language import said
from tutor.numeric.calls import OPS
from tutor.numeric.constants import number

DTYPE, DEVICE = 0, 1  # the two slots every plan has: what new tensors are made as


@dataclass(frozen=True)
class Instruction:
    op: str
    params: tuple[Any, ...]
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True)
class Input:
    """A value from outside: where it goes, what it is, and the shape it must have."""

    name: str
    slot: int
    kind: str
    shape: tuple[int, ...]  # slots of the sizes


@dataclass(frozen=True)
class Schedule:
    """Steps for one choice of results: (call, inputs, output, slots that nobody needs any more)."""

    fixed: list[tuple[Callable[..., Any], tuple[int, ...], int]]  # depends on sizes alone: kept between runs
    lasting: list[int]
    steps: list[tuple[Callable[..., Any], tuple[int, ...], int, tuple[int, ...]]]


class Plan:
    """A compiled program: `run` gives the quantities it defines, in the axis order of their indices.

    Results may be views of one another or of the values given: copy before changing one in place.
    """

    def __init__(
        self,
        results: Mapping[str, int],
        inputs: Mapping[str, Input],
        constants: Mapping[Expr, int],
        instructions: Sequence[Instruction],
        slots: int,
    ):
        self.names = tuple(results)
        self.inputs = frozenset(inputs)
        self._given = list(inputs.values())
        self._results = dict(results)
        self._constants = dict(constants)
        self._size_names = sorted({s.name for c in self._constants for s in c.free_symbols})
        self._instructions = alive(instructions, self._results.values())
        self._slots = slots
        self._schedules: dict[frozenset[str] | None, Schedule] = {}
        self._numbers: dict[tuple[int, ...], list[tuple[int, Any]]] = {}
        self._lasting: dict[tuple[Any, ...], list[Any]] = {}
        self._calls: list[Callable[..., Any]] | None = None
        self._between: dict[tuple[str, tuple[str, ...]], list[int]] = {}

    def run(
        self, values: Mapping[str, torch.Tensor], sizes: Mapping[str, int], keep: Collection[str] | None = None
    ) -> dict[str, torch.Tensor]:
        """All defined quantities, or those in `keep`; what is not needed is neither computed nor held."""
        kept = None if keep is None else frozenset(keep)
        wanted = self.names if kept is None else [n for n in self.names if n in kept]
        if kept is not None and len(wanted) != len(kept):
            unknown = ", ".join(sorted(kept - frozenset(wanted)))
            raise UsageError(
                said(
                    "the program does not define {unknown}: it defines {names}",
                    unknown=unknown,
                    names=", ".join(self.names),
                )
            )
        schedule = self._schedule(kept)
        slots = self._filled(values, sizes)
        self._fix(schedule, slots, sizes, values)
        for call, inputs, output, done in schedule.steps:
            slots[output] = call(*[slots[i] for i in inputs])
            for slot in done:
                slots[slot] = None
        return {name: slots[self._results[name]] for name in wanted}

    def trace(self, values: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> Trace:
        """Run, and keep every register: for many runs that differ in one quantity."""
        if self._calls is None:
            self._calls = [OPS[made.op](*made.params) for made in self._instructions]
        slots = self._filled(values, sizes)
        for call, made in zip(self._calls, self._instructions, strict=True):
            slots[made.output] = call(*[slots[i] for i in made.inputs])
        return Trace(self, slots)

    def _downstream(self, name: str, wanted: tuple[str, ...]) -> list[int]:
        """Positions of the instructions between a quantity and the wanted ones, in order."""
        if (name, wanted) not in self._between:
            start = self._place(name)
            reached, needed = {start}, {self._results[w] for w in wanted} - {start}
            after = []
            for position, made in enumerate(self._instructions):
                if made.output != start and not reached.isdisjoint(made.inputs):
                    reached.add(made.output)
                    after.append(position)
            used = []
            for position in reversed(after):
                if self._instructions[position].output in needed:
                    needed.update(self._instructions[position].inputs)
                    used.append(position)
            self._between[name, wanted] = used[::-1]
        return self._between[name, wanted]

    def _place(self, name: str) -> int:
        """The slot that uses of a quantity read."""
        if name in self._results:
            return self._results[name]
        return next((given.slot for given in self._given if given.name == name), -1)

    def _filled(self, values: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> list[Any]:
        slots: list[Any] = [None] * self._slots
        for slot, constant in self._sized(sizes):
            slots[slot] = constant
        for each in self._given:
            if each.name not in values:
                reads = ", ".join(sorted(self.inputs))
                raise UsageError(
                    said("no value is given for {name}: the program reads {reads}", name=each.name, reads=reads)
                )
        given = {each.name: values[each.name] for each in self._given}
        like = next((x for x in chain(given.values(), values.values()) if x.is_floating_point()), None)
        some = next(chain(given.values(), values.values()), None)
        slots[DTYPE] = torch.float64 if like is None else like.dtype
        slots[DEVICE] = torch.device("cpu") if some is None else some.device
        for each in self._given:
            x = given[each.name]
            shape = tuple([slots[s] for s in each.shape])
            if x.shape != shape:
                raise UsageError(
                    said(
                        "{name} has shape {given}, but its axes have sizes {shape}",
                        name=each.name,
                        given=tuple(x.shape),
                        shape=shape,
                    )
                )
            if each.kind == "int":
                x = x.long()
            elif not x.is_floating_point():
                x = x.to(slots[DTYPE])
            slots[each.slot] = x
        return slots

    def _sized(self, sizes: Mapping[str, int]) -> list[tuple[int, Any]]:
        key = tuple(sizes.get(n, 0) for n in self._size_names)
        if key not in self._numbers:
            self._numbers[key] = [(slot, number(expr, sizes)) for expr, slot in self._constants.items()]
        return self._numbers[key]

    def _fix(
        self, schedule: Schedule, slots: list[Any], sizes: Mapping[str, int], values: Mapping[str, torch.Tensor]
    ) -> None:
        """Index tensors and masks that depend on sizes alone are made once, among torch's own tensors."""
        if not schedule.fixed:
            return
        if any(type(x) not in (torch.Tensor, torch.nn.Parameter) for x in values.values()):
            for call, inputs, output in schedule.fixed:  # tensors with many digits live as long as their computation
                slots[output] = call(*[slots[i] for i in inputs])
            return
        key = (id(schedule), slots[DTYPE], slots[DEVICE], *(sizes.get(n) for n in self._size_names))
        if key not in self._lasting:
            for call, inputs, output in schedule.fixed:
                slots[output] = call(*[slots[i] for i in inputs])
            while len(self._lasting) >= 4:
                self._lasting.pop(next(iter(self._lasting)))
            self._lasting[key] = [slots[i] for i in schedule.lasting]
            for _, _, output in schedule.fixed:
                slots[output] = None
        for slot, made in zip(schedule.lasting, self._lasting[key], strict=True):
            slots[slot] = made

    def _schedule(self, keep: frozenset[str] | None) -> Schedule:
        if keep not in self._schedules:
            self._schedules[keep] = self._plan([self._results[n] for n in self.names if keep is None or n in keep])
        return self._schedules[keep]

    def _plan(self, results: Sequence[int]) -> Schedule:
        used = alive(self._instructions, results)
        still = {DTYPE, DEVICE, *self._constants.values()}
        fixed, moving = [], []
        for made in used:
            if still.issuperset(made.inputs):
                still.add(made.output)
                fixed.append((OPS[made.op](*made.params), made.inputs, made.output))
            else:
                moving.append(made)
        outputs = {output for _, _, output in fixed}
        lasting = sorted({i for made in moving for i in made.inputs if i in outputs} | (outputs & set(results)))
        last: dict[int, int] = {}
        for position, made in enumerate(moving):
            last.update((slot, position) for slot in (*made.inputs, made.output))
        done: dict[int, list[int]] = {}
        for slot, position in last.items():
            if slot not in results and slot not in self._constants.values() and slot not in (DTYPE, DEVICE):
                done.setdefault(position, []).append(slot)
        steps = [
            (OPS[made.op](*made.params), made.inputs, made.output, tuple(done.get(position, ())))
            for position, made in enumerate(moving)
        ]
        return Schedule(fixed, lasting, steps)


def alive(instructions: Sequence[Instruction], results: Iterable[int]) -> list[Instruction]:
    """The instructions that the results need."""
    needed, used = set(results), []
    for made in reversed(instructions):
        if made.output in needed:
            needed.update(made.inputs)
            used.append(made)
    return used[::-1]


class Trace:
    """A finished run. `changed` repeats the part of it that follows from another value of one quantity.

    Use it on a `distinct` plan: there a quantity's uses by name are all that reads its slot.
    """

    def __init__(self, plan: Plan, slots: list[Any]):
        self._plan = plan
        self._slots = slots

    def value(self, name: str) -> torch.Tensor:
        return self._slots[self._plan._results[name]]

    def work(self, name: str, wanted: tuple[str, ...]) -> int:
        """How many calls lie between a quantity and the wanted ones."""
        return len(self._plan._downstream(name, wanted))

    def changed(self, name: str, value: torch.Tensor, wanted: tuple[str, ...]) -> list[torch.Tensor]:
        """The wanted quantities, had `name` this value."""
        plan, slots = self._plan, self._slots
        new: dict[int, Any] = {plan._place(name): value}
        assert plan._calls is not None
        for position in plan._downstream(name, wanted):
            made = plan._instructions[position]
            new[made.output] = plan._calls[position](*[new[i] if i in new else slots[i] for i in made.inputs])
        return [new.get(plan._results[w], slots[plan._results[w]]) for w in wanted]
