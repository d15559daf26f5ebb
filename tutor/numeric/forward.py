"""The forward pass in numbers, step by step, for those who debug by numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tutor.errors import UsageError
from tutor.exercise import Exercise, Quantity
from tutor.language import said
from tutor.numeric.sample import Instance
from tutor.shown import Shown


@dataclass(frozen=True)
class Forward(Shown):
    """Every leaf and every step of an exercise with its value at one instance."""

    shown_as = "forward"

    exercise: Exercise
    instance: Instance

    @property
    def given(self) -> Iterator[tuple[Quantity, Tensor]]:
        """Inputs, parameters and upstream gradients."""
        ends = map(self.exercise.gradient_quantity, self.exercise.ends)
        for q in (*self.exercise.leaves, *(q for q in ends if q.kind == "upstream")):
            yield q, self.instance.values[q.name]

    @property
    def steps(self) -> Iterator[tuple[Quantity, Tensor]]:
        for q in self.exercise.forward:
            yield q, self.instance.values[q.name]


def forward(exercise: Exercise, t: Any) -> Forward:
    if not isinstance(t, Instance):
        raise UsageError(said("show takes values of the exercise, as t = ex.sample() gives, not {kind}", kind=_kind(t)))
    if t.exercise.id != exercise.id:
        raise UsageError(
            said("t holds values of {other}, not of {exercise}", other=t.exercise.id, exercise=exercise.id)
        )
    return Forward(exercise, t)


def _kind(value: Any) -> str:
    return type(value).__name__
