"""What an exercise can tell apart, computed: its certificate.

Known mistakes are planted in every gradient, at three seeds and at both sizes of a sheet's first draws: with each seed
each must change the values of one of them by far more than the tolerance. The true answer, as it is printed, must earn
every point, and an empty sheet none. An exercise that hides a mistake is refused, with the reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tutor.checking.check import check
from tutor.checking.spoils import Observation, scattered, spoilt
from tutor.errors import TutorError
from tutor.exercise import Exercise, Quantity
from tutor.language import joined, said
from tutor.numeric.autograd import Reference, differentiable, reference, scales, vanishes
from tutor.numeric.compare import DOUBLE
from tutor.numeric.programs import backward_steps
from tutor.numeric.sample import Instance, generator, sample, worked_instance
from tutor.shown import Shown
from tutor.symbolic.indices import quantities_in, size
from tutor.symbolic.notation import latex_form, sheet_form
from tutor.symbolic.torch_form import torch_form

SEEDS = (0, 1, 2)
DRAWS = (0, 1)  # the two sizes at which every sheet is judged
LEAST = 1_000 * DOUBLE.relative  # a mistake must show by so much of the values
NEAR = 1e-11  # what rounding alone leaves
FORMS = ("torch", "index", "LaTeX")


@dataclass(frozen=True)
class Planted:
    """One mistake in one gradient; `change` is what it makes of the values, relative to them."""

    quantity: str
    id: str
    message: str
    change: float

    @property
    def shows(self) -> bool:
        return self.change > LEAST

    @property
    def what(self) -> str:
        return said('{id} ("{message}")', id=self.id, message=self.message)


@dataclass
class Certificate(Shown):
    """What was planted, what the true answer earned, and what stands against the exercise."""

    shown_as = "certificate"

    exercise: str
    points: float
    told: list[Planted] = field(default_factory=list)
    same: list[Planted] = field(default_factory=list)  # they change no value of this exercise: nothing to tell
    hidden: list[Planted] = field(default_factory=list)  # mistakes that do not show, or too little: refused
    scores: dict[str, float] = field(default_factory=dict)  # form -> what the true answer earned in it
    empty: float = 0.0
    zeros: list[str] = field(default_factory=list)  # gradients that vanish, if only by cancellation
    breaks: list[str] = field(default_factory=list)  # where a delicate form fails, as it says
    refusals: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not self.refusals

    @property
    def by_mistake(self) -> Counter[str]:
        """Mistake id -> in how many ways it was planted and told apart."""
        return Counter(planted.id for planted in self.told)

    @property
    def least(self) -> float | None:
        """The smallest change that a planted mistake makes."""
        return min((planted.change for planted in self.told), default=None)


def certify(exercise: Exercise) -> Certificate:
    """Plant every mistake that applies, and mark the true answer and an empty sheet."""
    exercise.validate()
    made = Certificate(exercise.id, sum(exercise.asked.values()))
    trials = [_Trial(sample(exercise, seed, draw=draw)) for seed in SEEDS for draw in DRAWS]
    for q in differentiable(exercise):
        _plant(made, exercise, q, trials)
    _mark(made, exercise)
    if set(exercise.asked) <= set(made.zeros):
        made.refusals.append(
            said("every gradient that is asked is exactly zero: no wrong factor shows; ask for another")
        )
    made.refusals += _sums_over_one(exercise)
    for values in exercise.failures:
        _break(made, exercise, values)
    return made


# -- what planted mistakes change ----------------------------------------------------------------------------


class _Trial:
    """One draw: forward values and true gradients, and the same with other gradients in their place."""

    def __init__(self, instance: Instance):
        self.seed, self.sizes = instance.seed, instance.sizes
        self.steps = dict(backward_steps(instance.exercise))
        self.known = {**instance.values, **instance.after}
        self.zeros = self._zeros(instance)
        source = generator("certificate", instance.exercise.id, instance.seed, instance.draw)
        self.others = {
            name: torch.randn(x.shape, generator=source, dtype=x.dtype) for name, x in instance.after.items()
        }

    def _zeros(self, instance: Instance) -> set[str]:
        """Gradients that vanish; with them those that nothing else reaches, which are only what rounding left."""
        exercise, sums, known = instance.exercise, scales(instance.exercise, instance), dict(self.known)
        found: set[str] = set()
        for name in exercise.derive().gradients:
            if exercise[name].kind in ("loss", "output"):
                continue
            made = self.steps[f"d{name}"].run(known, self.sizes)[f"d{name}"]
            if vanishes(made, sums[f"d{name}"]):
                found.add(name)
                known[f"d{name}"] = torch.zeros_like(made)
        return found

    def changes(self, exercise: Exercise, q: Quantity, others: Sequence[str] = ()) -> list[float]:
        """How much every variant changes the values; infinite where the shape is another."""
        known = {**self.known, **{name: self.others[name] for name in others}}
        name = f"d{q.name}"
        true = self.steps[name].run(known, self.sizes)[name] if others else known[name]
        seen = Observation(true, known, self.sizes)
        return [_change(scattered(v, x, seen), true) for v, x in spoilt(exercise, q.name).values(known, self.sizes)]


def _change(value: Tensor | None, true: Tensor) -> float:
    """max |value - true| / max |true|"""
    if value is None or value.shape != true.shape or not bool(torch.isfinite(value).all()):
        return math.inf
    return float((value - true).abs().max() / true.abs().max()) if true.numel() else 0.0


def _plant(made: Certificate, exercise: Exercise, q: Quantity, trials: Sequence[_Trial]) -> None:
    trials = [trial for trial in trials if q.name not in trial.zeros]
    if not trials:
        made.zeros.append(q.name)
        return
    changes = _largest(exercise, q, trials)
    variants = spoilt(exercise, q.name).variants
    planted = [Planted(q.name, v.id, v.message, change) for v, change in zip(variants, changes, strict=True)]
    made.told += [p for p in planted if p.shows]
    near = [p for p in planted if p.change > NEAR and not p.shows]
    ones = _ones(exercise, q, trials)
    others = _largest(exercise, q, trials, ones) if ones else [0.0] * len(planted)
    silent = [(p, other > LEAST) for p, other in zip(planted, others, strict=True) if not p.shows and p not in near]
    hidden = [p for p, shows in silent if shows]
    made.same += [p for p, shows in silent if not shows]
    made.hidden += [*near, *hidden]
    made.refusals += [
        said(
            "in d{name} the mistake {what} changes the values by {change:.1g} of their size alone, "
            "which passes for rounding: change a constant of the exercise",
            name=q.name,
            what=p.what,
            change=p.change,
        )
        for p in near
    ]
    if hidden:
        more = said(" (and {count} more)", count=len(hidden) - 1) if len(hidden) > 1 else ""
        made.refusals.append(
            said(
                "in d{name} the mistake {what}{more} changes nothing, since {names} is 1 in every entry: "
                "end in an output, whose upstream gradient is random, or let the loss weigh its terms",
                name=q.name,
                what=hidden[0].what,
                more=more,
                names=joined(ones, said(" and ")),
            )
        )


def _largest(exercise: Exercise, q: Quantity, trials: Sequence[_Trial], others: Sequence[str] = ()) -> list[float]:
    """How much each mistake changes the values: the larger one of a seed's draws, and the least of all seeds.

    `others` are gradients that are given other values, the same for the truth and for the mistake.
    """
    by_seed: dict[int, list[list[float]]] = {}
    for trial in trials:
        by_seed.setdefault(trial.seed, []).append(trial.changes(exercise, q, others))
    return [min(seeds) for seeds in zip(*([max(c) for c in zip(*rows, strict=True)] for rows in by_seed.values()),
                                        strict=True)]  # fmt: skip


def _ones(exercise: Exercise, q: Quantity, trials: Sequence[_Trial]) -> list[str]:
    """The gradients that this one reads and whose entries are all 1."""
    reads = sorted(quantities_in(exercise.derive().gradients[q.name].expr) & set(trials[0].others))
    return [name for name in reads if all(bool((trial.known[name] == 1).all()) for trial in trials)]


def _sums_over_one(exercise: Exercise) -> Iterator[str]:
    """A sum over an axis of one entry: whoever forgets it gets the same."""
    from sympy import Sum

    for q in exercise.forward:
        for node in sorted(q.expr.atoms(Sum) if q.expr is not None else (), key=str):
            for index in (limit[0] for limit in node.limits if size(limit[0]) == 1):
                yield said(
                    "{name} sums over {index}, which has one entry: a forgotten sum does not show; give it a size",
                    name=q.name,
                    index=index,
                )


# -- what the true answer earns --------------------------------------------------------------------------------


def answer(exercise: Exercise, form: str) -> list[str]:
    """The true answer as it is printed in one form, a line for each gradient and asked value; ends are given."""
    ends = {q.name for q in exercise.ends}
    write = _WRITERS[form]
    lines = [write(exercise, g.entry, g.symbol_name, g.indices, g.expr)
             for g in exercise.derive().gradients.values() if g.name not in ends]  # fmt: skip
    return lines + [write(exercise, q.entry, q.name, q.indices, q.expr) for q in exercise.values]


def _torch_line(exercise: Exercise, entry: Any, name: str, indices: Any, expr: Any) -> str:
    form = torch_form(expr, indices, exercise)
    if form is None:
        raise TutorError(said("{name} has no torch form", name=name))
    return f"{name} = {form}"


_WRITERS = {
    "torch": _torch_line,
    "index": lambda ex, entry, name, indices, expr: f"{sheet_form(entry, ex)} = {sheet_form(expr, ex)}",
    "LaTeX": lambda ex, entry, name, indices, expr: f"{latex_form(entry, ex)} = {latex_form(expr, ex)}",
}


def _mark(made: Certificate, exercise: Exercise) -> None:
    from tutor.answers import latex

    for form in FORMS:
        try:
            text = "\n".join(answer(exercise, form))
            report = check(exercise, latex.read(text, exercise) if form == "LaTeX" else text, repairs=False)
        except TutorError as error:
            made.refusals.append(said("the true answer as {form} is not marked: {error}", form=form, error=error.says))
            continue
        made.scores[form] = report.score
        made.refusals += [
            said(
                "the true answer as {form} is {verdict}: {line}   {reason}",
                form=form,
                verdict=line.verdict,
                line=line.text.strip(),
                reason=line.reason,
            )
            for line in report.lines
            if line.verdict != "correct"
        ]
        if report.score != made.points:
            made.refusals.append(
                said(
                    "the true answer as {form} earns {score:g} of {points:g} points",
                    form=form,
                    score=report.score,
                    points=made.points,
                )
            )
    made.empty = check(exercise, "").score
    if made.empty:
        made.refusals.append(said("an empty sheet earns {empty:g} points", empty=made.empty))


# -- where a delicate form breaks --------------------------------------------------------------------------------


def _break(made: Certificate, exercise: Exercise, values: Mapping[str, Any]) -> None:
    """What our form ends in, or a gradient of ours, is not finite there, as declared; the reference's are."""
    instance = worked_instance(exercise, values)
    where = ", ".join(f"{name}={value}" for name, value in values.items())
    native = reference(exercise, instance) or Reference({}, {})
    ends = {q.name for q in exercise.ends}
    ours = _infinite({n: instance.values[n] for n in ends} | instance.after)
    theirs = _infinite({n: x for n, x in native.values.items() if n in ends})
    theirs += _infinite({f"d{n}": x for n, x in native.gradients.items() if exercise[n].is_leaf})
    if not ours:
        made.refusals.append(said("it says that it fails at {where}, but all of it is finite there", where=where))
    elif theirs:
        made.refusals.append(
            said("at {where} the reference fails too: {names} is not finite", where=where, names=", ".join(theirs))
        )
    else:
        made.breaks.append(
            said(
                "at {where} {names} is not finite in this form, and in the reference it is",
                where=where,
                names=", ".join(ours),
            )
        )


def _infinite(values: Mapping[str, Tensor]) -> list[str]:
    return [name for name, x in values.items() if not bool(torch.isfinite(x).all())]
