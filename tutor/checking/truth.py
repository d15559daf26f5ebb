"""The true values at the seeded draws: gradients, local derivatives, values, and the scale of what was added up.

Our own derivation is the truth here (`tutor verify` has it agree with autograd); it is compiled once per exercise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from tutor.checking.outline import Meaning
from tutor.exercise import Exercise
from tutor.numeric.compare import DOUBLE, leeway
from tutor.numeric.evaluate import compile_program, number
from tutor.numeric.kinks import ON, kink_plan
from tutor.numeric.programs import (
    backward_plan,
    backward_program,
    backward_steps,
    forward_plan,
    magnitude_plan,
    step_plans,
)
from tutor.numeric.sample import Instance, beside_kinks, generator, instances, on_kinks, sample, worked_instance
from tutor.symbolic.indices import quantities_in

FLOAT = torch.float64
MAX_ROWS, MAX_LOCAL = 2_000, 1_000_000  # entries of v, and of a whole local derivative dv/du
VANISHED = 1e-12  # of its terms: what rounding leaves of a gradient that is 0
ROUNDING, ROUNDINGS = 1e-15, 6  # relative, of a computed forward value; how often it is tried
SHAKE, SHAKES = 1e-9, 4  # relative, of everything that is computed, to see what a lower precision makes of it
STEP, SIDES = 1e-7, 48  # how far, and how often, one looks around a point on a kink


class Points(list["Point"]):
    """All draws of one seed, with the true values of a name side by side; and one on kinks, beside them."""

    def __init__(self, made: list[Point], on_kinks: Callable[[], Point | None] = lambda: None):
        super().__init__(made)
        self._on_kinks = on_kinks
        self._flat: dict[tuple[str, bool], Flat | None] = {}
        self._sizes: dict[tuple[str, bool], list[float]] = {}
        self._stacks: dict[tuple[int, ...], Stack] = {}  # by the ids of their draws, which are all kept here
        self._few: Points | None = None

    def flat(self, meaning: Meaning) -> Flat | None:
        """All true values in one row; None where some are missing or not finite."""
        key = meaning.name, meaning.total
        if key not in self._flat:
            true = [point.true(meaning) for point in self]
            self._flat[key] = None if any(t is None for t in true) else _flat(self.groups, true)  # type: ignore[arg-type]
        return self._flat[key]

    def sizes(self, meaning: Meaning) -> list[float]:
        """The sum of the absolute true entries at each draw; 0 where there is no true value."""
        key = meaning.name, meaning.total
        if key not in self._sizes:
            true = (point.true(meaning) for point in self)
            self._sizes[key] = [0.0 if t is None else t.abs().sum().item() for t in true]
        return self._sizes[key]

    def few(self) -> Points:
        """The first two draws, of different sizes: for a sheet that computes much."""
        if self._few is None:
            self._few = Points(self[:2], lambda: self.kinked)
        return self._few

    @cached_property
    def groups(self) -> list[list[int]]:
        """The places of the draws of each choice of sizes."""
        places: dict[tuple[tuple[str, int], ...], list[int]] = {}
        for n, point in enumerate(self):
            places.setdefault(tuple(point.sizes.items()), []).append(n)
        return list(places.values())

    @cached_property
    def kinked(self) -> Point | None:
        """The draw on kinks, or None."""
        return self._on_kinks()

    def beside(self, places: list[int]) -> list[Point]:
        """The draws at some places, and the one on kinks where it has their sizes and is none of the others."""
        drawn, kinked = [self[n] for n in places], self.kinked
        fits = kinked is not None and kinked.sizes == drawn[0].sizes and kinked not in self
        return [*drawn, kinked] if fits and kinked is not None else drawn

    def stacked(self, drawn: list[Point]) -> Stack:
        """The values of draws of the same sizes, side by side; made once."""
        key = tuple(map(id, drawn))
        if key not in self._stacks:
            self._stacks[key] = _stack(drawn)
        return self._stacks[key]

    @property
    def stack(self) -> Stack:
        """All draws of an exercise of scalars as one."""
        return self.stacked(self)


@dataclass(frozen=True)
class Flat:
    """True values of all draws in one row, group after group, their leeway, and the shape that each group has."""

    row: Tensor
    leeway: Tensor
    shapes: list[torch.Size]


def _flat(groups: list[list[int]], true: list[Tensor]) -> Flat | None:
    row = torch.cat([true[n].reshape(-1) for places in groups for n in places])
    shapes = [true[places[0]].shape for places in groups]
    return Flat(row, leeway(row), shapes) if bool(torch.isfinite(row).all()) else None


class Drawn(Sequence["Tensor | None"]):
    """A learner's value at every draw; those of draws that were computed at once are taken apart when asked for."""

    def __init__(self, groups: list[list[int]], blocks: Mapping[int, Tensor], alone: Mapping[int, Tensor | None]):
        """`blocks`: of draws that were computed at once, by the first's place; `alone`: of each of the others."""
        self._groups, self._blocks, self._alone = groups, blocks, alone

    @cached_property
    def _each(self) -> list[Tensor | None]:
        made = dict(self._alone)
        for first, block in self._blocks.items():
            made.update(zip(next(g for g in self._groups if g[0] == first), block.unbind(), strict=True))
        return [made[n] for n in range(len(made))]

    def __getitem__(self, n: Any) -> Any:
        return self._blocks[0][0] if n == 0 and 0 in self._blocks else self._each[n]

    def __iter__(self) -> Iterator[Tensor | None]:
        return iter(self._each)

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    def sums(self) -> list[float]:
        """The sum of the absolute entries at each draw; 0 where there is no value."""
        made = {n: 0.0 if value is None else value.abs().sum().item() for n, value in self._alone.items()}
        for places in self._groups:
            block = self._blocks.get(places[0])
            if block is not None:
                sums = block.abs().reshape(len(places), -1).sum(1).tolist()
                made.update(zip(places, sums, strict=True))
        return [made[n] for n in range(len(made))]

    @property
    def whole(self) -> bool:
        """Whether there is a value at every draw."""
        return all(value is not None for value in self._alone.values())

    def flat(self, shapes: list[torch.Size]) -> list[Tensor] | None:
        """All values in the order of `Flat`'s row; None where one is missing or has another shape."""
        made = []
        for places, shape in zip(self._groups, shapes, strict=True):
            block = self._blocks.get(places[0])
            if block is not None:
                if block.shape[1:] != shape:
                    return None
                made.append(block.reshape(-1))
                continue
            for value in map(self._alone.__getitem__, places):
                if value is None or value.shape != shape:
                    return None
                made.append(value.reshape(-1))
        return made


@dataclass(frozen=True)
class Stack:
    """Values of several draws, one draw per entry of the first axis."""

    values: dict[str, Tensor]
    gradients: dict[str, Tensor]
    sizes: dict[str, int]
    count: int


def _stack(draws: Sequence[Point]) -> Stack:
    values = {name: torch.stack([p.values[name] for p in draws]) for name in draws[0].values}
    gradients = {name: torch.stack([p.gradients[name] for p in draws]) for name in draws[0].gradients}
    return Stack(values, gradients, draws[0].sizes, len(draws))


def points(exercise: Exercise, seed: int, sizes: Mapping[str, int] | None = None) -> Points:
    """The draws at which answers are compared; made once per seed. Pinned sizes give two draws of those sizes.

    A strict exercise is judged on kinks like anywhere else.
    """

    def make() -> Points:
        drawn = instances(exercise, seed)
        if sizes:
            drawn = [sample(exercise, seed, draw=n, sizes=sizes) for n in range(2)]
            drawn += beside_kinks(exercise, drawn[0])
        made = Points([Point(exercise, instance) for instance in drawn], kinked)
        example = worked(exercise) if exercise.size_symbols and not sizes else None
        if example is not None and not example.on_kinks:
            made.append(example)  # one of its entries may be 0, which none is that was drawn
        if exercise.strict_kinks and made.kinked is not None:
            made.append(made.kinked)
        return made

    def kinked() -> Point | None:
        instance = on_kinks(exercise, seed, sizes)
        return None if instance is None else Point(exercise, instance)

    return exercise.cached(("points", seed, tuple(sorted((sizes or {}).items()))), make)


def worked(exercise: Exercise) -> Point | None:
    """The exercise's worked example, or None."""
    if not exercise.instances:
        return None
    return exercise.cached("worked", lambda: Point(exercise, worked_instance(exercise, exercise.instances[0])))


class Point:
    """One draw with all true values, each computed when first asked for. On a kink they are those of autograd."""

    def __init__(self, exercise: Exercise, instance: Instance):
        self.exercise, self.instance = exercise, instance
        self.on_kinks = instance.kink_margin < ON
        self.sizes: dict[str, int] = dict(instance.sizes)
        self.values: dict[str, Tensor] = {name: _real(value) for name, value in instance.values.items()}
        self._made: dict[tuple[str, bool], Tensor | None] = {}
        self._scales: dict[str, Tensor | None] = {}
        self._deep: dict[str, Tensor] = {}
        self._forms: dict[tuple[str, bool], list[Tensor]] = {}
        self._beside: dict[str, tuple[Tensor, Tensor]] = {}
        self._around: list[Point] | None = None
        self._moved: dict[str, Tensor | None] = {}
        self._gradients: dict[str, Tensor] | None = None
        self._parts: list[tuple[Any, Any, Tensor]] | None = None

    # -- truths ----------------------------------------------------------------------------------------

    def true(self, meaning: Meaning) -> Tensor | None:
        """The true value of what a name means; None where there is none (an index has no gradient)."""
        key = meaning.name, meaning.total
        if key not in self._made:
            self._made[key] = self._true(meaning)
        return self._made[key]

    def _true(self, meaning: Meaning) -> Tensor | None:
        if meaning.kind == "local":
            return self.local(meaning.of, meaning.by, meaning.total)
        return self.gradients.get(meaning.name)

    @property
    def gradients(self) -> dict[str, Tensor]:
        """`dW`, ... of every quantity that has one, and the values after the backward pass."""
        if self._gradients is None:
            self._gradients = self.walk({})
        return self._gradients

    def walk(self, given: Mapping[str, Tensor], changed: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Walk back from the loss; a gradient that is given is taken as it stands, and a forward value that changed."""
        known = {**self.values, **(changed or {})}
        if self.on_kinks and not changed:
            known.update(_by_autograd(self.exercise, self.instance, given))
        elif not given:
            known.update(backward_plan(self.exercise).run(known, self.sizes))
        else:
            known.update(given)  # an upstream gradient has no line of its own
            for name, plan in backward_steps(self.exercise):
                known[name] = given[name] if name in given else plan.run(known, self.sizes)[name]
        wanted = {name for name, _, _ in backward_program(self.exercise)}
        upstream = {f"d{q.name}" for q in self.exercise.ends if q.kind == "output"}
        return {name: value for name, value in known.items() if name in wanted or name in upstream}

    def beside(self, meaning: Meaning) -> tuple[Tensor, Tensor]:
        """Per entry, the least and the largest of the gradients around this point: on a kink, they differ."""
        if meaning.name not in self._beside:
            self._around = list(_around(self)) if self._around is None else self._around
            found = [true for point in self._around if (true := point.true(meaning)) is not None]
            stacked = torch.stack([*found, self.true(meaning)])  # type: ignore[list-item]
            self._beside[meaning.name] = stacked.amin(0), stacked.amax(0)
        return self._beside[meaning.name]

    @property
    def parts(self) -> list[tuple[Any, Any, Tensor]]:
        """(axes, expression, value) of the parts of the forward formulas."""
        if self._parts is None:
            from tutor.checking.subexpressions import part_values

            self._parts = part_values(self)
        return self._parts

    # -- local derivatives --------------------------------------------------------------------------------

    def local(self, v: str, u: str, total: bool = False) -> Tensor | None:
        """dv/du, axes of v and then of u: through v's own formula if it uses u, else through the steps between.

        `total`: through both, as in `dlogp/dz = delta - e/s`; None where v uses u in one of these ways alone.
        """
        u_quantity = self.exercise[u]
        if u_quantity.domain == "index":
            return None
        rows, columns = (math.prod(number(size, self.sizes) for size in self.exercise[q].shape) for q in (v, u))
        if rows > MAX_ROWS or rows * columns > MAX_LOCAL:
            return None  # pinned sizes
        steps = self._between(u, v)
        if total and not self._in_both_ways(u, v, steps):
            return None
        if not total and u in self.exercise[v].reads:
            steps = steps[-1:]
        plan = compile_program([(q.name, q.indices, q.expr) for q in steps], distinct=True)

        known = {**self.values, **self.gradients}

        def forward(x: Tensor) -> Tensor:
            return plan.run({**known, u: x}, self.sizes)[v] if u != v else x

        with torch.enable_grad():
            return torch.autograd.functional.jacobian(forward, known[u].clone()).detach()

    def _between(self, u: str, v: str) -> list[Any]:
        """The steps that lead from u to v, the last of which is v."""
        reached, steps = {u}, []
        for q in (*self.exercise.forward, *self.exercise.values):
            if q.reads & reached:
                reached.add(q.name)
                steps.append(q)
            if q.name == v:
                break
        wanted, leading = {v}, []
        for q in reversed(steps):
            if q.name in wanted:
                wanted |= q.reads
                leading.append(q)
        return leading[::-1] or [self.exercise[v]]

    def _in_both_ways(self, u: str, v: str, steps: list[Any]) -> bool:
        """Whether v uses u directly and through other steps; what gradients hang on is not followed."""
        if u not in self.exercise[v].reads or len(steps) == 1:
            return False
        known = self.exercise.quantities.keys() | self.exercise.size_symbols.keys()
        return self.exercise[u].kind == "value" or all(q.reads <= known for q in steps)

    def forms(self, meaning: Meaning) -> list[Tensor]:
        """A local derivative as a whole, then without axes along which it is diagonal: entry by entry, row by row.

        Their axes are v's, then u's others: p[i,k] of z[i,k] has (N, K, N, K) entries in full, and (N, K, K) row by
        row. Where v has only axes of u, as var[j] of xc[i,j], it also comes with the axes of u in their order: 2*xc/N.
        """
        key = meaning.name, meaning.total
        if key not in self._forms:
            full = self.true(meaning)
            self._forms[key] = [] if full is None else [full, *self._compact(meaning, full)]
        return self._forms[key]

    def diagonal(self, meaning: Meaning) -> Tensor | None:
        """The entries of a local derivative where the indices of v and u agree, `dp[i,k]/dz[i,k]`; None where these
        are of other axes."""
        full, (v, u) = self.true(meaning), (self.exercise[meaning.of], self.exercise[meaning.by])
        if full is None or not v.shape or v.shape != u.shape:
            return None
        axes = "".join(chr(97 + n) for n in range(len(v.shape)))
        return torch.einsum(f"{axes}{axes}->{axes}", full)

    def _compact(self, meaning: Meaning, full: Tensor) -> Iterator[Tensor]:
        v_axes, u_axes = self.exercise[meaning.of].indices, self.exercise[meaning.by].indices
        shared = [axis for axis in u_axes if axis in v_axes]
        mine = {axis: chr(97 + n) for n, axis in enumerate(v_axes)}
        for count in range(len(shared), 0, -1):
            for same in combinations(shared, count):
                other = [mine[axis] if axis in same else chr(110 + n) for n, axis in enumerate(u_axes)]
                left = "".join(mine.values()) + "".join(other)
                rest = "".join(c for c, axis in zip(other, u_axes, strict=True) if axis not in same)
                diagonal = torch.einsum(f"{left}->{''.join(mine.values())}{rest}", full)
                if torch.allclose(diagonal.abs().sum(), full.abs().sum(), rtol=1e-9):  # nothing stands off the diagonal
                    yield diagonal
                    if len(same) == len(v_axes) < len(u_axes):
                        yield torch.einsum(f"{''.join(mine.values())}{rest}->{''.join(other)}", diagonal)

    # -- scales ---------------------------------------------------------------------------------------------

    def scale(self, meaning: Meaning) -> Tensor | None:
        """The size of the terms that were added up to form each entry, and of what was lost on the way to them."""
        if meaning.kind == "local":
            return None
        if meaning.name not in self._scales:
            terms = self.terms(meaning)
            if terms is not None and meaning.name in self._lost:
                terms = torch.maximum(terms, self._lost[meaning.name] / DOUBLE.scaled)
            self._scales[meaning.name] = terms
        return self._scales[meaning.name]

    def terms(self, meaning: Meaning) -> Tensor | None:
        """The size of the terms that were added up to form each entry."""
        plan = magnitude_plan(self.exercise, meaning.name)
        terms = plan.run({**self.values, **self.gradients}, self.sizes).get(f"|{meaning.name}|")
        if terms is None or meaning.kind != "gradient" or bool(terms.any()):
            return terms
        return torch.full_like(terms, self._loss_per(meaning.of))

    def size_of_zero(self, meaning: Meaning) -> Tensor | None:
        """The size of the terms of a gradient that is 0 but for rounding; None of one that has a size of its own."""
        true, terms = self.true(meaning), self.terms(meaning)
        if true is None or terms is None or not true.numel():
            return None
        return terms if bool(true.abs().max() <= VANISHED * terms.max()) else None

    def _loss_per(self, name: str) -> float:
        """A gradient that is 0 here term by term is rounding of the whole loss on another way (scaling, and back)."""
        ends = ((q, self.values[q.name].abs()) for q in self.exercise.ends)
        whole = sum(float((x if q.kind == "loss" else x * self.values[f"d{q.name}"].abs()).sum()) for q, x in ends)
        largest = float(self.values[name].abs().max()) if self.values[name].numel() else 0.0
        return whole / largest if largest else 0.0

    @cached_property
    def _lost(self) -> dict[str, Tensor]:
        """How far rounding the forward values moves our gradients: `1 - o**2` has lost its digits where o is near 1."""
        if self.on_kinks:
            return {}
        lost: dict[str, Tensor] = {}
        for n in range(ROUNDINGS):
            source = generator(self.exercise.id, "rounding", n)
            known = dict(self.values)
            for q in self.exercise.forward:
                x = known[q.name]
                known[q.name] = x * (1 + ROUNDING * (2 * torch.rand(x.shape, generator=source, dtype=FLOAT) - 1))
            for name, x in backward_plan(self.exercise).run(known, self.sizes).items():
                if name in self.gradients:
                    gap = (x - self.gradients[name]).abs().nan_to_num(0.0, 0.0)
                    lost[name] = torch.maximum(lost.get(name, gap), gap)
        return lost

    def moved(self, meaning: Meaning) -> Tensor | None:
        """How far a value moves at most, per unit of relative rounding in all that is computed on the way to it."""
        if self.on_kinks:
            return self._deep_scale(meaning)
        if meaning.name not in self._moved:
            self._moved[meaning.name] = self._moved_by_shaking(meaning)
        return self._moved[meaning.name]

    def _moved_by_shaking(self, meaning: Meaning) -> Tensor | None:
        true = self.true(meaning)
        if true is None or not true.numel():
            return None
        gaps = [(shaken.true(meaning) - true).abs().nan_to_num(0.0, 0.0).max() for shaken in self._shaken]  # type: ignore[operator]
        moved = torch.stack(gaps).max() / SHAKE
        idle = meaning.kind == "gradient" and not bool(true.any()) and not bool(moved)
        return moved + self._loss_per(meaning.of) if idle else moved

    def may_cross(self, rounding: float) -> bool:
        """Whether rounding of this relative size can lead to the other side of a kink."""
        plan = kink_plan(self.exercise)
        here = plan.run(self.values, self.sizes)
        for shaken in self._shaken:
            for name, there in plan.run(shaken.values, self.sizes).items():
                if bool((here[name].abs() <= (there - here[name]).abs() * (rounding / SHAKE)).any()):
                    return True
        return False

    @cached_property
    def _shaken(self) -> list[Point]:
        """This point as it is computed in few digits: each line off by a share of the terms that it adds up."""
        terms = magnitude_plan(self.exercise).run({**self.values, **self.gradients}, self.sizes)
        return [self._shaken_once(terms, n) for n in range(SHAKES)]

    def _shaken_once(self, terms: Mapping[str, Tensor], n: int) -> Point:
        source = generator(self.exercise.id, "shaken", n)

        def shake(name: str, x: Tensor) -> Tensor:
            if not x.is_floating_point():
                return x
            size = torch.maximum(x.abs(), terms.get(f"|{name}|", x.abs())).nan_to_num(0.0, 0.0)
            return x + SHAKE * size * (2 * torch.rand(x.shape, generator=source, dtype=FLOAT) - 1)

        computed = {q.name for q in self.exercise.forward}
        known = {name: shake(name, x) for name, x in self.values.items() if name not in computed}
        for q, plan in zip(self.exercise.forward, step_plans(self.exercise), strict=True):
            known[q.name] = plan.run(known, self.sizes)[q.name]
            if q.name in self._rounding:
                known[q.name] = shake(q.name, known[q.name])
        made = Point(self.exercise, Instance(self.exercise, self.sizes, dict(known)))
        for name, plan in backward_steps(self.exercise):
            known[name] = shake(name, plan.run(known, self.sizes)[name])
        made._gradients = {name: known[name] for name in self.gradients}
        return made

    @cached_property
    def _rounding(self) -> set[str]:
        """The lines that round: a maximum of numbers is one of them, and a later line may ask which."""
        known = {name: _in_single(x) for name, x in self.values.items()}
        steps = zip(self.exercise.forward, step_plans(self.exercise), strict=True)
        made = {q.name: plan.run(known, self.sizes)[q.name] for q, plan in steps}
        return {name for name, x in made.items() if not torch.equal(_in_single(x), x)}

    def _deep_scale(self, meaning: Meaning) -> Tensor | None:
        """The size of what was added up here and three steps back, for a point on a kink, which cannot be shaken."""
        if not self._deep:
            plan = magnitude_plan(self.exercise)
            known = {**self.values, **self.gradients}
            for _ in range(4):
                terms = {name[1:-1]: x for name, x in plan.run(known, self.sizes).items()}
                known.update({name: x for name, x in terms.items() if name in self.gradients})
            self._deep = terms
        found = self._deep.get(meaning.name)
        return None if found is None or not found.numel() else found.max()


def met_on_the_way(exercise: Exercise, meaning: Meaning, names: frozenset[str]) -> set[str]:
    """Those of some gradients that the walk back from a quantity reads, where it stops at each of them."""
    reads = exercise.cached(
        "backward reads", lambda: {name: quantities_in(expr) for name, _, expr in backward_program(exercise)}
    )
    if meaning.kind == "local":
        return set()
    met: set[str] = set()
    todo, seen = [meaning.name], {meaning.name}
    while todo:
        for name in reads.get(todo.pop(), frozenset()) - seen:
            seen.add(name)
            if name in names:
                met.add(name)
            else:
                todo.append(name)
    return met


def _in_single(x: Tensor) -> Tensor:
    return x.to(torch.float32).to(FLOAT) if x.is_floating_point() else x


def _around(point: Point) -> Iterator[Point]:
    """Points a tiny step away, in all directions."""
    t = point.instance
    for n in range(SIDES):
        source = generator(point.exercise.id, "around", n)
        moved = {}
        for q in point.exercise.leaves:
            x = t.values[q.name]
            step = STEP * (1 + x.abs()) * torch.randn(x.shape, generator=source, dtype=FLOAT)
            moved[q.name] = x + step if q.domain in ("real", "positive") else x
        upstream = {name: x for name, x in t.leaves.items() if name not in moved}
        values = {**moved, **upstream}
        values.update(forward_plan(point.exercise).run(values, t.sizes))
        yield Point(point.exercise, Instance(point.exercise, t.sizes, values, seed=t.seed))


def _by_autograd(exercise: Exercise, instance: Instance, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Torch's choice at kinks, the loss's own gradient 1, and the values computed from them."""
    from tutor.numeric.autograd import gradients_by_autograd

    known = dict(instance.values)
    known.update({f"d{name}": g for name, g in gradients_by_autograd(exercise, instance, given).items()})
    for name, plan in backward_steps(exercise):
        if name not in known:
            known[name] = given[name] if name in given else plan.run(known, instance.sizes)[name]
    return known


def _real(value: Any) -> Tensor:
    made = value if isinstance(value, Tensor) else torch.tensor(value)
    return made.to(FLOAT) if made.is_floating_point() else made
