"""The judges of our gradients: autograd on our forward pass, autograd on the native reference, finite differences.

`verify` runs all three for every quantity, at several seeds and sizes, and reports the largest relative error of each.
An error is measured against the size of the terms that were added up (`magnitude`), not of what is left of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from sympy import Basic, Expr
from torch import Tensor

from tutor.errors import ExerciseError, TutorError, UsageError
from tutor.exercise import Exercise, Quantity
from tutor.language import said
from tutor.numeric.evaluate import Plan, Trace, compile_program
from tutor.numeric.kinks import FAR, kinks, own_kinks
from tutor.numeric.programs import magnitude_plan, step_plans
from tutor.numeric.sample import Instance, generator, sample, worked_instance
from tutor.shown import Shown
from tutor.symbolic.indices import ordered_indices, reduce_over
from tutor.symbolic.operations import ArgMaxOver, ArgMinOver, MaxOver, MinOver

EXACT, APPROXIMATE = 1e-9, 1e-6  # relative errors allowed against autograd, and against finite differences
NOISE = 1e-14  # what rounding leaves of terms a few steps earlier, where they cancel
BUDGET = 30_000  # torch calls spent on finite differences per instance
WIDE = 1e8  # the range of a tensor's entries from which on a zero has no scale
ENTRIES = 40  # entries of one tensor that are varied


# -- autograd ------------------------------------------------------------------------------------------------


def differentiable(exercise: Exercise) -> list[Quantity]:
    """Every quantity with a gradient to be found: not integers, not the loss or outputs themselves."""
    return [q for q in exercise if q.differentiable and q.kind not in ("loss", "output")]


def _tracked(instance: Instance) -> dict[str, Tensor]:
    """Inputs and parameters that autograd follows; integers and upstream gradients as they are."""
    real = {q.name for q in instance.exercise.leaves if q.differentiable}
    return {name: x.detach().clone().requires_grad_(name in real) for name, x in instance.leaves.items()}


def _scalar(exercise: Exercise, values: Mapping[str, Tensor], instance: Instance) -> Tensor:
    """The loss, or the outputs weighted by their upstream gradients."""
    parts = []
    for q in exercise.ends:
        value = values[q.name]
        parts.append(value if q.kind == "loss" else (value * instance.values[f"d{q.name}"]).sum())
    return sum(parts[1:], parts[0])


def gradients_by_autograd(
    exercise: Exercise, instance: Instance, given: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Our forward pass under autograd, with a node of its own for every quantity.

    `given={"dz": dz}` takes the gradient of z as it stands: what comes before z follows from it.
    """
    given = given or {}
    with torch.enable_grad():
        nodes = _tracked(instance)
        used = dict(nodes)
        for q, plan in zip(exercise.forward, step_plans(exercise), strict=True):
            made = plan.run(used, instance.sizes)[q.name]
            nodes[q.name] = made if made.requires_grad else made.clone().requires_grad_()  # a constant step
            used[q.name] = nodes[q.name].detach() if f"d{q.name}" in given else nodes[q.name]
        scalar = _scalar(exercise, used, instance)
        for q in exercise.forward:
            if f"d{q.name}" in given:
                scalar = scalar + (nodes[q.name] * given[f"d{q.name}"]).sum()
        found = _grad(scalar, {q.name: nodes[q.name] for q in differentiable(exercise)})
    return {name: given.get(f"d{name}", gradient) for name, gradient in found.items()}


def _grad(scalar: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of what autograd knows; zeros for what the scalar does not depend on."""
    asked = {name: x for name, x in values.items() if x.requires_grad}
    found: Sequence[Tensor | None] = [None] * len(asked)
    if scalar.requires_grad and asked:
        found = torch.autograd.grad(scalar, list(asked.values()), allow_unused=True)
    made = dict(zip(asked, found, strict=True))
    return {name: torch.zeros_like(x) if (g := made.get(name)) is None else g.detach() for name, x in values.items()}


# -- the native reference ---------------------------------------------------------------------------------------


class Given:
    """What a reference sees: `t.x`, `t["x"]`, sizes and upstream gradients; its inputs know their gradients."""

    def __init__(self, values: Mapping[str, Any]):
        self.__dict__.update(values)

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            said("the reference is given {names}, not {name}", names=", ".join(self.__dict__), name=name)
        )


@dataclass(frozen=True)
class Reference:
    """What the native code computed: values by name, and gradients of what its graph contains."""

    values: dict[str, Tensor]
    gradients: dict[str, Tensor]


def reference(exercise: Exercise, instance: Instance) -> Reference | None:
    """Run the exercise's own reference; None where it has none."""
    if exercise.reference_function is None:
        return None
    with torch.enable_grad():
        leaves = _tracked(instance)
        try:
            given = exercise.reference_function(Given({**instance.sizes, **leaves}))
        except Exception as error:
            raise ExerciseError(
                said(
                    "exercise {name}: its reference fails: {name2}: {error}",
                    name=exercise.name,
                    name2=type(error).__name__,
                    error=error.says if isinstance(error, TutorError) else error,
                )
            ) from error
        values = _named(exercise, given)
        _check_shapes(exercise, values, instance)
        scalar = _scalar(exercise, values, instance)
        inner = {n: x for n, x in values.items() if x.requires_grad and exercise[n].kind == "step"}
        found = torch.autograd.grad(scalar, list(inner.values()), allow_unused=True, retain_graph=True) if inner else ()
        gradients = {n: g.detach() for n, g in zip(inner, found, strict=True) if g is not None}
        real = {q.name: leaves[q.name] for q in exercise.leaves if q.differentiable}
        gradients |= _grad(scalar, real)
    return Reference({n: x.detach() for n, x in values.items()}, gradients)


def gradients_by_reference(exercise: Exercise, instance: Instance) -> dict[str, Tensor]:
    """The native reference under autograd; empty where the exercise has none."""
    found = reference(exercise, instance)
    return {} if found is None else found.gradients


def _named(exercise: Exercise, given: Any) -> dict[str, Tensor]:
    """The loss, a tuple of outputs, or a dict of named quantities -> a dict."""
    ends = [q.name for q in exercise.ends]
    if not isinstance(given, Mapping):
        parts = list(given) if isinstance(given, (tuple, list)) else [given]
        if len(parts) != len(ends):
            raise ExerciseError(
                said(
                    "exercise {name}: its reference returns {count} values, but it ends in {names}",
                    name=exercise.name,
                    count=len(parts),
                    names=", ".join(ends),
                )
            )
        given = dict(zip(ends, parts, strict=True))
    for name, value in given.items():
        if name not in exercise.quantities:
            raise ExerciseError(
                said(
                    "exercise {name}: its reference returns {name2}, which is not a quantity of it",
                    name=exercise.name,
                    name2=name,
                )
            )
        if not isinstance(value, Tensor):
            raise ExerciseError(
                said(
                    "exercise {name}: its reference returns {name2} as {name3}, no tensor",
                    name=exercise.name,
                    name2=name,
                    name3=type(value).__name__,
                )
            )
    missing = [name for name in ends if name not in given]
    if missing:
        raise ExerciseError(
            said("exercise {name}: its reference does not return {names}", name=exercise.name, names=", ".join(missing))
        )
    return dict(given)


def _check_shapes(exercise: Exercise, values: Mapping[str, Tensor], instance: Instance) -> None:
    for name, value in values.items():
        ours = tuple(instance[name].shape)
        if tuple(value.shape) != ours:
            raise ExerciseError(
                said(
                    "exercise {name}: {name2} has shape {theirs} in its reference, but {ours} here",
                    name=exercise.name,
                    name2=name,
                    theirs=tuple(value.shape),
                    ours=ours,
                )
            )


# -- finite differences --------------------------------------------------------------------------------------------


@dataclass
class Slopes:
    """Central differences at some entries of one quantity."""

    places: list[int] = field(default_factory=list)  # positions in the flattened tensor
    slopes: list[float] = field(default_factory=list)
    noise: list[float] = field(default_factory=list)  # what rounding may contribute
    at_kinks: int = 0  # entries passed over: every step crosses a kink
    not_finite: int = 0  # or leaves the domain


def _patterns(expr: Basic) -> list[Expr]:
    """Kinks by their sign; of a maximum, who wins."""
    if isinstance(expr, (MaxOver, MinOver)):
        winner = ArgMaxOver if isinstance(expr, MaxOver) else ArgMinOver
        return [reduce_over(winner, expr.args[0], [limit[0]]) for limit in expr.limits if len(expr.limits) == 1]
    return list(own_kinks(expr))


def _differences_plan(exercise: Exercise) -> tuple[Plan, tuple[str, ...]]:
    """The forward pass and its branch pattern, every quantity a register of its own."""

    def make() -> tuple[Plan, tuple[str, ...]]:
        found = dict.fromkeys(k for q in exercise.forward for k in kinks(q.expr, own=_patterns))
        patterns = [(f"pattern {n}", ordered_indices(k), k) for n, k in enumerate(found)]
        program = [(q.name, q.indices, q.expr) for q in exercise.forward]
        return compile_program([*program, *patterns], distinct=True), tuple(name for name, _, _ in patterns)

    return exercise.cached("differences", make)


def differences(exercise: Exercise, instance: Instance) -> dict[str, Slopes]:
    """d(scalar)/dq by varying entries of every q and repeating what follows from them."""
    plan, patterns = _differences_plan(exercise)
    ends = tuple(q.name for q in exercise.ends)
    with torch.no_grad():
        trace = plan.trace(instance.leaves, instance.sizes)
        found = {}
        for q, places in _chosen(exercise, instance, trace, (*ends, *patterns)):
            slopes = found[q.name] = Slopes()
            probe = _Probe(exercise, instance, trace, q.name, ends, patterns)
            for place in places:
                slope, noise = probe.slope(place)
                if slope is None:
                    slopes.at_kinks += probe.crossed
                    slopes.not_finite += not probe.crossed
                    continue
                slopes.places.append(place)
                slopes.slopes.append(slope)
                slopes.noise.append(noise)
    return found


def gradients_by_differences(exercise: Exercise, instance: Instance) -> dict[str, Tensor]:
    """Central differences of fourth order; nan at entries that were not varied or sit at a kink."""
    made = {}
    for name, slopes in differences(exercise, instance).items():
        gradient = torch.full_like(instance.values[name], math.nan).reshape(-1)
        gradient[slopes.places] = torch.tensor(slopes.slopes, dtype=gradient.dtype, device=gradient.device)
        made[name] = gradient.reshape(instance.values[name].shape)
    return made


def _chosen(
    exercise: Exercise, instance: Instance, trace: Trace, wanted: tuple[str, ...]
) -> Iterator[tuple[Quantity, list[int]]]:
    """Which entries of which quantities are varied: a budget of calls, spread by chance."""
    source = generator(exercise.id, instance.seed, instance.draw, "entries")
    quantities = differentiable(exercise)
    heavy = 1 + sum(x.numel() for x in instance.values.values()) / 50_000
    costs = {q.name: 5 * heavy * (1 + trace.work(q.name, wanted)) for q in quantities}
    mean = sum(costs.values()) / max(len(costs), 1)
    affordable = max(int(BUDGET / mean), 8)
    if affordable < len(quantities):
        order = torch.randperm(len(quantities), generator=source)[:affordable].sort().values
        quantities = [quantities[n] for n in order.tolist()]
    for q in quantities:
        count = instance.values[q.name].numel()
        many = max(1, min(ENTRIES, int(BUDGET / len(quantities) / costs[q.name])))
        yield q, list(range(count)) if count <= many else torch.randperm(count, generator=source)[:many].tolist()


class _Probe:
    """The scalar, and the branches taken on the way to it, as a function of one entry of a quantity."""

    def __init__(
        self,
        exercise: Exercise,
        instance: Instance,
        trace: Trace,
        name: str,
        ends: tuple[str, ...],
        patterns: tuple[str, ...],
    ):
        self.trace, self.name, self.wanted, self.count = trace, name, (*ends, *patterns), len(ends)
        self.weights = [
            instance.values[f"d{q.name}"] if q.kind == "output" else torch.ones((), dtype=torch.float64).to(
                instance.values[q.name]
            )
            for q in exercise.ends
        ]  # fmt: skip
        self.value = instance.values[name]
        self.flat = self.value.reshape(-1)
        self.typical = float(self.flat.square().mean().sqrt()) or 1.0
        sizes = self.flat[self.flat != 0].abs()
        self.wide = bool(sizes.numel()) and self.typical > WIDE * float(sizes.min())
        self.terms = sum(float((w * trace.value(n)).abs().sum()) for w, n in zip(self.weights, ends, strict=True))
        self.largest, self.crossed = 0.0, False
        self.branches = [trace.value(n) for n in patterns]

    def at(self, place: int, step: float) -> float | None:
        """The scalar one step away; None on another branch, or where it is not finite."""
        moved = self.flat.clone()
        moved[place] += step
        made = self.trace.changed(self.name, moved.reshape(self.value.shape), self.wanted)
        for new, old in zip(made[self.count :], self.branches, strict=True):
            if new is not old and not bool((_side(new) == _side(old)).all()):
                self.crossed = True
                return None
        total = sum(float((w * value).sum()) for w, value in zip(self.weights, made, strict=False))
        return total if math.isfinite(total) else None

    def estimate(self, place: int, step: float) -> tuple[float, float, float] | None:
        """(8 (f1 - f-1) - (f2 - f-2)) / 12h, what the second order says otherwise, and what rounding may add."""
        points = [self.at(place, k * step) for k in (-2, -1, 1, 2)]
        if None in points:
            return None
        far_left, left, right, far_right = (float(p) for p in points if p is not None)
        fourth = (8 * (right - left) - (far_right - far_left)) / (12 * step)
        self.largest = max(self.largest, abs(fourth))
        return fourth, abs(fourth - (right - left) / (2 * step)), 4e-16 * max(self.terms, abs(left), abs(right)) / step

    def slope(self, place: int) -> tuple[float | None, float]:
        """The slope and its noise, with a step that fits the entry: smaller while the curve bends, larger while
        rounding drowns it, but never so large that it contradicts what a smaller one has seen."""
        x = abs(float(self.flat[place]))
        if not x and self.wide:  # a zero among entries of 1e-9 and 1e20: no step is known to be small
            return None, 0.0
        coarse = 2e-3 * max(x, 0.1 * self.typical)
        step, way, self.crossed = 2e-3 * x or coarse / 8**3, 0, False
        best: tuple[float, float, float] | None = None
        for _ in range(14):
            found = self.estimate(place, step)
            if found is None:
                if way > 0:
                    break
                step, way = step / 8, -1
                continue
            slope, bend, noise = found
            if best is not None and way > 0 and abs(slope - best[0]) > 10 * (best[1] + best[2]):
                break
            if best is None or bend + noise < best[1] + best[2]:
                best = found
            size = max(abs(slope), 0.01 * self.largest)
            bent = bend > 3e-6 * size + 3 * noise
            if (not bent and noise <= 1e-7 * size) or (bent and way > 0):
                break
            if not bent and (way < 0 or 8 * step > coarse):
                break
            way = -1 if bent else 1
            step = step / 8 if bent else step * 8
        return (None, 0.0) if best is None else (best[0], best[2])


def _side(pattern: Tensor) -> Tensor:
    """On which side of 0; a winner's number is its own side."""
    return pattern.sign() if pattern.is_floating_point() else pattern


# -- all judges together ---------------------------------------------------------------------------------------------


@dataclass
class Row:
    """One quantity: the largest relative error of our gradient against each judge, None where one was not asked."""

    quantity: str
    shape: tuple[Expr, ...]
    autograd: float | None = None
    reference: float | None = None
    differences: float | None = None

    @property
    def agrees(self) -> bool:
        """An error that is not a number is no agreement."""
        limits = ((self.autograd, EXACT), (self.reference, EXACT), (self.differences, APPROXIMATE))
        return all(error is None or error <= limit for error, limit in limits)

    def worsen(self, judge: str, error: float) -> None:
        former = getattr(self, judge)
        setattr(self, judge, error if former is None or math.isnan(error) else max(former, error))


@dataclass
class Verification(Shown):
    """Our gradients against all judges, over all seeds and sizes."""

    shown_as = "verification"

    exercise: str
    rows: list[Row]
    notes: list[str]
    sizes: list[dict[str, int]]
    seeds: tuple[int, ...]
    disputes: list[str] = field(default_factory=list)  # quantities whose values the reference does not share
    zeros: list[str] = field(default_factory=list)  # quantities whose gradient vanishes, if only by cancellation

    @property
    def agrees(self) -> bool:
        return not self.disputes and all(row.agrees for row in self.rows)


def verify(
    exercise: Exercise,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    sizes: Mapping[str, int] | Sequence[Mapping[str, int]] | None = None,
    device: Any = "cpu",
    spoil: Mapping[str, float] | None = None,
) -> Verification:
    """Our symbolic gradients against autograd, the native reference and finite differences, for every quantity.

    At each seed both of the exercise's sizes are used, or those given; without any, an imported module's own weights
    at its own sizes as well. `spoil={"W": 1.001}` multiplies our gradient
    of W, to see that the judges notice.
    """
    exercise.validate()
    given = [sizes] if isinstance(sizes, Mapping) else sizes
    if not seeds or (given is not None and not given):
        raise UsageError(
            said("verify needs a seed, and sizes are a dict or a list of some: nothing is verified without")
        )
    trial = _Trial(exercise, dict(spoil or {}))
    for seed in seeds:
        for draw, extents in enumerate(given or [None, None]):
            trial.judge(sample(exercise, seed, draw=draw, sizes=extents, device=device))
    for extents, values in exercise.own if given is None else ():
        trial.judge(worked_instance(exercise, values, extents).to(device=device), vary=False)
    return trial.verdict(tuple(seeds))


class _Trial:
    """Collects errors and remarks over the instances."""

    def __init__(self, exercise: Exercise, spoil: dict[str, float]):
        self.exercise, self.spoil = exercise, spoil
        self.rows = {q.name: Row(q.name, q.shape) for q in differentiable(exercise)}
        self.sizes: list[dict[str, int]] = []
        self.margins: list[float] = []
        self.disputes: dict[str, str] = {}
        self.zero = set(self.rows)
        self.varied = self.entries = self.at_kinks = self.not_finite = 0

    def judge(self, instance: Instance, vary: bool = True) -> None:
        """Finite differences (`vary`) cost a forward pass for each entry: a large module's own weights do without."""
        if instance.sizes not in self.sizes:
            self.sizes.append(instance.sizes)
        self.margins.append(instance.kink_margin)
        ours = {n: x * self.spoil.get(n[1:], 1.0) for n, x in instance.after.items()}
        sums = scales(self.exercise, instance)
        self.zero -= {n for n in self.zero if not vanishes(ours[f"d{n}"], sums[f"d{n}"])}
        for name, truth in gradients_by_autograd(self.exercise, instance).items():
            self.rows[name].worsen("autograd", _error(ours[f"d{name}"], truth, sums[f"d{name}"]))
        native = reference(self.exercise, instance)
        if native is not None:
            for name, truth in native.gradients.items():
                self.rows[name].worsen("reference", _error(ours[f"d{name}"], truth, sums[f"d{name}"]))
            self.values(instance, native, sums)
        for name, slopes in differences(self.exercise, instance).items() if vary else ():
            self.varied += len(slopes.places)
            self.at_kinks += slopes.at_kinks
            self.not_finite += slopes.not_finite
            error = _error_at(slopes, ours[f"d{name}"], sums[f"d{name}"])
            if error is not None:
                self.rows[name].worsen("differences", error)
        if vary:
            self.entries += sum(instance.values[q.name].numel() for q in differentiable(self.exercise))

    def values(self, instance: Instance, native: Reference, sums: Mapping[str, float]) -> None:
        """Whatever the reference names is compared; a value after the backward pass gets a row."""
        for q in self.exercise:
            if q.name not in native.values:
                continue
            ours, theirs = instance[q.name], native.values[q.name]
            error = _error(ours, theirs, sums[q.name])
            if q.kind == "value":
                self.rows.setdefault(q.name, Row(q.name, q.shape)).worsen("reference", error)
            if not error <= EXACT:
                self.disputes.setdefault(q.name, _dispute(q.name, ours, theirs))

    def verdict(self, seeds: tuple[int, ...]) -> Verification:
        order = list(self.exercise.quantities)
        return Verification(
            self.exercise.id,
            list(self.rows.values()),
            list(self.notes()),
            self.sizes,
            seeds,
            disputes=sorted(self.disputes, key=order.index),
            zeros=sorted(self.zero, key=order.index),
        )

    def notes(self) -> Iterator[str]:
        order = list(self.exercise.quantities)
        yield from (self.disputes[name] for name in sorted(self.disputes, key=order.index))
        if self.exercise.reference_function is None:
            yield said("there is no native reference: add one with @exercise.reference")
        elif self.exercise.remark:
            yield self.exercise.remark
        nearest = min(self.margins, default=math.inf)
        if nearest < math.inf:
            kept = said("kinks avoided: the nearest is {nearest:.1e} away", nearest=nearest)
            yield (
                kept
                if nearest > FAR
                else said("a kink is {nearest:.1e} away: with this many entries one always is close", nearest=nearest)
            )
        tried = self.varied + self.at_kinks + self.not_finite
        if tried < self.entries:
            yield said(
                "finite differences at {percent:.2g} % of the entries, chosen at random",
                percent=100 * tried / self.entries,
            )
        if self.at_kinks:
            yield said("finite differences passed over {at_kinks} entries next to a kink", at_kinks=self.at_kinks)
        if self.not_finite:
            yield said(
                "finite differences passed over {not_finite} entries at the edge of what is finite",
                not_finite=self.not_finite,
            )
        if self.zero:
            names = ", ".join(f"d{n}" for n in order if n in self.zero)
            yield said("exactly zero, so a wrong factor cannot be told from a right one: {names}", names=names)


def _dispute(name: str, ours: Tensor, theirs: Tensor) -> str:
    """Both values, of a tensor the entry furthest apart."""
    gap = (ours - theirs).abs().nan_to_num(nan=math.inf).reshape(-1)
    at = int(gap.argmax())
    place = [int(i) for i in torch.unravel_index(torch.tensor(at), ours.shape)] if ours.dim() else []
    entry = f"{name}[{', '.join(map(str, place))}]" if place else name
    a, b = float(ours.reshape(-1)[at]), float(theirs.reshape(-1)[at])
    return said(
        "{entry} is {b:.9g} in the reference, but {a:.9g} by the exercise's formulas: one of them is wrong",
        entry=entry,
        b=b,
        a=a,
    )


def scales(exercise: Exercise, instance: Instance) -> dict[str, float]:
    """Name -> the largest sum of the absolute values of the terms of one entry.

    Where terms cancel, those they came from are looked at as well, three steps back: what rounding leaves of them
    is not an error.
    """
    plan = magnitude_plan(exercise)
    known = {**instance.values, **instance.after}
    gradients = {f"d{q.name}" for q in differentiable(exercise)}
    own: dict[str, float] = {}
    for _ in range(4):
        terms = {name[1:-1]: x for name, x in plan.run(known, instance.sizes).items()}
        found = {name: float(x.max()) if x.numel() else 0.0 for name, x in terms.items()}
        own = own or found
        known = {**known, **{name: x for name, x in terms.items() if name in gradients}}
    return {name: max(scale, NOISE / EXACT * found[name]) for name, scale in own.items()}


def vanishes(gradient: Tensor, scale: float) -> bool:
    return not gradient.numel() or float(gradient.abs().max()) <= 1e-12 * scale


def _error(ours: Tensor, truth: Tensor, scale: float) -> float:
    """max |a - b| / scale"""
    gap = float((ours - truth).abs().max()) if ours.numel() else 0.0
    return 0.0 if gap == 0 else gap / scale if scale else math.inf


def _error_at(slopes: Slopes, ours: Tensor, scale: float) -> float | None:
    """The error over the entries where rounding does not drown the difference."""
    flat = ours.reshape(-1)
    seen = [
        abs(float(flat[place]) - slope)
        for place, slope, noise in zip(slopes.places, slopes.slopes, slopes.noise, strict=True)
        if 10 * noise <= APPROXIMATE * scale or not scale
    ]
    if not seen:
        return None
    worst = max(seen) if not any(map(math.isnan, seen)) else math.nan
    return 0.0 if worst == 0 else worst / scale if scale else (0.0 if worst < 1e-9 else math.inf)
