"""Gradient descent with the learner's own gradients, beside autograd's, from the same point.

At every step the sheet is read anew at the parameters that its own gradients led to; nothing of it is executed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tutor.answers import documents
from tutor.answers import language as lang
from tutor.catalogue import load
from tutor.checking.check import check_sheet, read_answer
from tutor.checking.interpret import Failure, Run
from tutor.checking.judge import as_tensor
from tutor.checking.literals import literal
from tutor.checking.meant import as_meant
from tutor.checking.outline import Outline, names_of
from tutor.checking.premises import prepared
from tutor.checking.readings import as_read
from tutor.checking.truth import Point
from tutor.errors import UsageError
from tutor.exercise import Exercise, Quantity
from tutor.language import joined, nsaid, said
from tutor.numeric.autograd import gradients_by_autograd
from tutor.numeric.programs import forward_plan
from tutor.numeric.sample import Instance, checked_seed, sample, worked_instance
from tutor.shown import Shown, has_shape

if TYPE_CHECKING:
    from tutor.checking.report import Report

RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 1e-5, 1e-6)
TRIED = 30  # steps at which a rate has to go down
MOST_STEPS = 10_000
MOST_NAMED = 8  # gradients that a sheet lacks
SAME = 1e-9  # relative: curves that are nearer than that are one
LEVEL = 1e-6  # relative: a loss that changes by less stays where it is

Values = Mapping[str, Tensor]


@dataclass(frozen=True)
class Curve:
    """The loss before the first step and after each; a loss that is no finite number is the last."""

    losses: tuple[float, ...]

    @property
    def start(self) -> float:
        return self.losses[0]

    @property
    def end(self) -> float:
        return self.losses[-1]

    @property
    def lost(self) -> int | None:
        """The step from which on the loss is not finite."""
        return None if math.isfinite(self.end) else len(self.losses) - 1

    @property
    def course(self) -> str:
        """`lost`, `falls`, `rises` or `stays`."""
        if self.lost is not None:
            return "lost"
        change = self.end - self.start
        if abs(change) <= LEVEL * max(abs(self.start), abs(self.end)):
            return "stays"
        return "falls" if change < 0 else "rises"


@dataclass(frozen=True)
class Training(Shown):
    """Both curves, and what they were made with. `chosen` says that the rate was found and not given."""

    shown_as = "training"

    exercise: str
    steps: int
    rate: float
    chosen: bool
    yours: Curve
    true: Curve
    trained: tuple[str, ...]
    report: Report
    point: Mapping[str, Any] | None  # the worked example; None for random values
    seed: int
    targets: tuple[str, ...] = ()  # the outputs of a layer, which are trained against a target
    notes: tuple[str, ...] = ()

    @property
    def parted(self) -> int | None:
        """The first step after which the curves differ; None where they are one."""
        for step, (a, b) in enumerate(zip(self.yours.losses, self.true.losses, strict=False)):
            if not abs(a - b) <= SAME * max(abs(a), abs(b)) and not (math.isnan(a) and math.isnan(b)):
                return step
        return None

    def __repr__(self) -> str:
        return f"Training({self.exercise!r}, {self.yours.start:g} to {self.yours.end:g}, autograd {self.true.end:g})"


def train(
    exercise: Exercise | str, answer: Any, *, steps: int = 100, rate: float | None = None, seed: int | None = None
) -> Training:
    """Train an exercise with the gradients of a sheet (its text, or a `Path`) and with autograd's.

    Without a seed it starts at the worked example, if there is one. Without a rate the largest of `RATES` is taken with
    which autograd's loss goes down at every step. A layer has no loss: it is trained towards its outputs at another
    draw of what is trained, by half of the mean square of the difference.

    Raises UsageError where the sheet gives no gradient to train with.
    """
    exercise = load(exercise) if isinstance(exercise, str) else exercise
    sheet = answer if isinstance(answer, lang.Sheet) else read_answer(exercise, answer)
    steps, rate = _checked(steps, rate)
    start = _start(exercise, sheet, seed)
    own = _Own(exercise, as_read(exercise, as_meant(exercise, sheet), seed or 0))
    trained, notes = _trained(exercise, own, start)
    course = _Course(exercise, start, trained, _target(exercise, start, trained))
    chosen = _fitting(course, steps) if rate is None else rate
    return Training(
        exercise.id, steps, chosen, rate is None,
        Curve(tuple(course.losses(own.gradients, chosen, steps))),
        Curve(tuple(course.losses(course.by_autograd, chosen, steps))),
        tuple(trained),
        check_sheet(exercise, sheet, seed=seed or 0, repairs=False),
        exercise.instances[0] if seed is None and exercise.instances else None,
        seed or 0,
        tuple(course.target),
        tuple(notes),
    )  # fmt: skip


def train_sheet(exercise: str, path: str, **options: Any) -> Training:
    """As `train`, for a file of any kind, or - for stdin."""
    loaded = load(exercise)
    return train(loaded, read_answer(loaded, documents.read(path), documents.kind_of(path)), **options)


def _checked(steps: int, rate: float | None) -> tuple[int, float | None]:
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(said("{steps} steps: give a number from 1 to {most}", steps=steps, most=MOST_STEPS))
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise UsageError(said("{rate} is no learning rate: give a positive number", rate=rate))
    return steps, rate


# -- where it starts, and what is trained -------------------------------------------------------------------------


def _start(exercise: Exercise, sheet: lang.Sheet, seed: int | None) -> Instance:
    if seed is None and exercise.instances:
        return worked_instance(exercise, exercise.instances[0])
    return sample(exercise, checked_seed(seed or 0), sizes=sheet.sizes or None)


class _Own:
    """The sheet's gradients at any point."""

    def __init__(self, exercise: Exercise, sheet: lang.Sheet):
        self.exercise = exercise
        self.outline = Outline(prepared(exercise, sheet), exercise, names_of(exercise))

    def gradients(self, instance: Instance) -> dict[str, Tensor | str]:
        """`W` -> the value of dW, or why it has none."""
        run = Run(self.outline, Point(self.exercise, instance)).execute()
        made: dict[str, Tensor | str] = {}
        for q in self.exercise.leaves:
            value = run.variables.get(f"d{q.name}")
            if isinstance(value, Failure):
                made[q.name] = value.reason
            elif (tensor := as_tensor(value)) is not None:
                made[q.name] = tensor
        return made

    def is_number(self, name: str) -> bool:
        """Whether the sheet gives a plain number, `dw = 4`."""
        segments = [s for s in self.outline.segments if s.name == f"d{name}"]
        return bool(segments) and literal(segments[-1].statement) is not None


def _trained(exercise: Exercise, own: _Own, start: Instance) -> tuple[list[str], list[str]]:
    """The parameters (else what is asked) that the sheet has a gradient for, and what is to be said of the others."""
    found = own.gradients(start)
    trained: list[str] = []
    notes: list[str] = []
    for q in _candidates(exercise):
        value, true = found.get(q.name), start.values[q.name]
        if value is None:
            notes.append(said("{name} stays as it is: the sheet has no d{name}", name=q.name))
        elif isinstance(value, str):
            notes.append(said("{name} stays as it is: d{name} has no value ({reason})", name=q.name, reason=value))
        elif value.shape != true.shape:
            shapes = {"given": has_shape(value.shape), "shape": has_shape(true.shape)}
            notes.append(said("{name} stays as it is: d{name} {given}, but {name} {shape}", name=q.name, **shapes))
        else:
            trained.append(q.name)
            if own.is_number(q.name):
                notes.append(said("d{name} is a number on the sheet: it is the same at every step", name=q.name))
    if not trained:
        raise _nothing_to_train(exercise, [note for note, q in zip(notes, _candidates(exercise), strict=True)
                                           if q.name in found])  # fmt: skip
    return trained, notes


def _nothing_to_train(exercise: Exercise, faults: list[str]) -> UsageError:
    """What is needed, and of what the sheet does give, why it cannot be used: of an empty sheet nothing."""
    names = [f"d{q.name}" for q in _candidates(exercise)]
    if not names:
        return UsageError(
            said("{exercise} cannot be trained: it is asked for no gradient of a parameter or an input",
                 exercise=exercise.id)
        )  # fmt: skip
    needed = ", ".join([*names[:MOST_NAMED], *(["..."] if len(names) > MOST_NAMED else [])])
    if faults:
        return UsageError(
            said("nothing to train {exercise} with: {reasons}. Needed: {names}", exercise=exercise.id,
                 reasons=joined(faults, said("; ")), names=needed)
        )  # fmt: skip
    return UsageError(
        nsaid("nothing to train {exercise} with: the sheet has no {names} yet; fill it in, 'tutor hint' with the "
              "sheet's name says where to begin",
              "nothing to train {exercise} with: the sheet has none of {names} yet; fill in one at least, 'tutor hint' "
              "with the sheet's name says where to begin",
              len(names), exercise=exercise.id, names=needed)
    )  # fmt: skip


def _candidates(exercise: Exercise) -> list[Quantity]:
    """Parameters; where there are none, the inputs that are asked. What has to obey facts cannot move freely."""
    held = {fact.quantity for fact in exercise.facts}
    free = [q for q in exercise.leaves if q.domain in ("real", "positive") and q.name not in held]
    parameters = [q for q in free if q.kind == "parameter"]
    return parameters or [q for q in free if q.name in exercise.asked]


def _target(exercise: Exercise, start: Instance, trained: list[str]) -> dict[str, Tensor]:
    """The outputs of a layer at another draw of what is trained: a target that can be reached."""
    if exercise.ends[0].kind == "loss":
        return {}
    other = sample(exercise, start.seed + 1, sizes=start.sizes)
    values = {**start.values, **{name: other.values[name] for name in trained}}
    with torch.no_grad():
        made = forward_plan(exercise).run(values, start.sizes)
    return {q.name: made[q.name] for q in exercise.ends}


# -- going down ---------------------------------------------------------------------------------------------------


class _Course:
    """Gradient descent from one point."""

    def __init__(self, exercise: Exercise, start: Instance, trained: list[str], target: dict[str, Tensor]):
        self.exercise, self.start, self.trained, self.target = exercise, start, trained, target

    def losses(self, gradients: Callable[[Instance], Mapping[str, Any]], rate: float, steps: int) -> Iterator[float]:
        """The loss at the start and after each step, until it is not finite."""
        moved: dict[str, Tensor] = {name: self.start.values[name] for name in self.trained}
        for step in range(steps + 1):
            instance = self._at(moved)
            yield (loss := self._loss(instance))
            if not math.isfinite(loss) or step == steps:
                return
            found = gradients(instance)
            moved = {name: x - rate * self._as(found.get(name), x) for name, x in moved.items()}

    def by_autograd(self, instance: Instance) -> Values:
        return gradients_by_autograd(self.exercise, instance)

    def _as(self, gradient: Any, x: Tensor) -> Tensor:
        """A gradient that had a value at the start and has none here is no number."""
        given = isinstance(gradient, Tensor) and gradient.shape == x.shape
        return gradient if given else torch.full_like(x, torch.nan)

    def _at(self, moved: Values) -> Instance:
        values = {**self.start.leaves, **moved}
        with torch.no_grad():
            values.update(forward_plan(self.exercise).run(values, self.start.sizes))
        for name, target in self.target.items():
            values[f"d{name}"] = (values[name] - target) / max(target.numel(), 1)
        return Instance(self.exercise, self.start.sizes, values, seed=self.start.seed)

    def _loss(self, instance: Instance) -> float:
        """The exercise's own; of a layer half of the mean square of what is missing to the target."""
        if not self.target:
            return float(instance.values[self.exercise.ends[0].name])
        gaps = ((instance.values[name] - target).square() for name, target in self.target.items())
        return float(sum(gap.sum() / (2 * max(gap.numel(), 1)) for gap in gaps))


def _fitting(course: _Course, steps: int) -> float:
    """The largest rate with which autograd's loss never rises."""
    for rate in RATES:
        losses = list(course.losses(course.by_autograd, rate, min(steps, TRIED)))
        falling = all(b <= a + SAME * abs(a) for a, b in zip(losses, losses[1:], strict=False))
        if falling and math.isfinite(losses[-1]):
            return rate
    return RATES[-1]
