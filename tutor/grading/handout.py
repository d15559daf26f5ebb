"""What a learner is handed: the questions as they have them, what these are worth, and how to hand in.

Nothing here knows a gradient: a handout is made from the exercises' forward programs, so that no view of it can show a
solution, and the secret stays behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tutor.grading.assignment import Assignment, Question
from tutor.grading.variants import Variant, variant
from tutor.language import N_, said

if TYPE_CHECKING:
    from tutor.exercise import Exercise

FEEDBACK = {
    "score": N_("When it is graded you are told your points."),
    "verdicts": N_("When it is graded you are told your points and, line by line, what is right."),
    "divergence": N_(
        "When it is graded you are told your points, line by line what is right, and why the first line that is not "
        "right is not."
    ),
    "mistakes": N_(
        "When it is graded you are told your points, line by line what is right, why the first line that is not right "
        "is not, and what kind of mistake it looks like."
    ),
    "derivation": N_(
        "When it is graded you are told your points, line by line what is right, why the first line that is not right "
        "is not, and what kind of mistake it looks like; after the due date also the derivation."
    ),
}
ATTEMPTS = {
    "best": N_("You may hand in several times: the best attempt at a question counts."),
    "last": N_("You may hand in several times: the last attempt at a question counts."),
    "average": N_("You may hand in several times: the average of your attempts at a question counts."),
}
FORMS = {
    "torch": N_("torch's spelling (x.T @ dz)"),
    "index": N_("indices (Sum(x[i,j]*dz[i,k], i))"),
    "latex": N_("LaTeX, in a .tex or .md file"),
}


@dataclass(frozen=True)
class Asked:
    """`dW`, its shape, and what it is worth."""

    name: str
    shape: str
    points: float


@dataclass(frozen=True)
class Asking:
    """A question as it is put."""

    id: str
    title: str
    exercise: Exercise
    asked: tuple[Asked, ...]
    sizes: tuple[tuple[str, int], ...] = ()  # that were drawn
    numbers: tuple[tuple[str, str], ...] = ()  # of the worked instance, where some were drawn
    of_family: bool = False  # one of several, of which the text may speak too
    chosen: bool = False  # other names are asked than the exercise asks

    @property
    def points(self) -> float:
        return sum(each.points for each in self.asked)

    @property
    def sheet(self) -> str:
        """The file to fill in."""
        return f"q-{re.sub(r'[^A-Za-z0-9_.-]+', '-', self.id)}.py"

    @property
    def headers(self) -> tuple[str, ...]:
        """The lines by which a sheet says what it is about."""
        sizes = ", ".join(f"{name}={extent}" for name, extent in self.sizes)
        return (f"# exercise: {self.exercise.id}", *([f"# sizes: {sizes}"] if sizes else []))


@dataclass(frozen=True)
class Handout:
    """An assignment as one learner has it; without a learner it is everybody's."""

    title: str
    questions: tuple[Asking, ...]
    rules: tuple[str, ...]
    due: str = ""
    learner: str = ""
    person: str = ""

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions)


def handout(assignment: Assignment, learner: str = "", person: str = "", cache: Cache | None = None) -> Handout:
    """What a learner is handed; a `cache` serves many of one assignment."""
    cache = Cache(assignment) if cache is None else cache
    asked = (cache.asking(question, variant(assignment, question, learner)) for question in assignment.questions)
    title = assignment.title or assignment.id
    return Handout(title, tuple(asked), tuple(rules(assignment)), due_text(assignment.due), learner, person)


class Cache:
    """Questions that were made already: most learners of a class share their variants."""

    MOST = 256

    def __init__(self, assignment: Assignment):
        self.folder = assignment.path.parent
        self._made: dict[Variant, Asking] = {}

    def asking(self, question: Question, drawn: Variant) -> Asking:
        made = self._made.get(drawn)
        if made is None:
            made = asking(question, drawn, drawn.exercise(self.folder))
            if len(self._made) >= self.MOST:
                self._made.clear()
            self._made[drawn] = made
        return made


def asked_of(exercise: Exercise) -> tuple[Asked, ...]:
    from tutor.symbolic.notation import shape_text

    return tuple(
        Asked(exercise.answer_name(name), shape_text(exercise[name].shape), points)
        for name, points in exercise.asked.items()
    )


def asking(question: Question, drawn: Variant, exercise: Exercise) -> Asking:
    numbers = tuple((name, spelt(value)) for name, value in exercise.instances[0].items()) if drawn.instance else ()
    title, asked = question.title_of(exercise), asked_of(exercise)
    of_family = bool(question.draw.parameters) or ":" in exercise.id
    return Asking(question.name, title, exercise, asked, drawn.sizes, numbers, of_family, question.ask is not None)


def spelt(value: Any) -> str:
    """`2`, `0.01`, `[1, 2.5]`"""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelt, value))}]"
    return repr(int(value)) if isinstance(value, (int, float)) and value == int(value) else repr(value)


def due_text(due: datetime | None) -> str:
    """`2026-12-10 23:59 UTC+01:00`: the zone that the teacher wrote."""
    if due is None:
        return ""
    return f"{due:%Y-%m-%d %H:%M} {due.tzname() or due.strftime('UTC%z')}"


def rules(assignment: Assignment) -> Iterator[str]:
    """What counts, in sentences."""
    from tutor.language import listed

    yield said("Write in {forms}, as you like.", forms=listed([said(FORMS[form]) for form in assignment.forms]))
    yield said("You may derive other gradients on the way: their lines show where a mistake began.")
    share = assignment.follow_through
    if share == 1:
        yield said("A mistake costs once: what follows soundly from an earlier line that is wrong earns its points.")
    elif share == 0:
        yield said("What follows from an earlier line that is wrong earns nothing: look at the first lines twice.")
    else:
        yield said(
            "What follows soundly from an earlier line that is wrong earns {percent} % of its points.",
            percent=f"{100 * share:g}",
        )
    if assignment.lenient_shapes:
        yield said("Shapes count, but for axes of length 1: (N, 1) passes for (N,).")
    else:
        yield said("Shapes count: (N, 1) is not (N,).")
    yield said(ATTEMPTS[assignment.attempts])
    yield said(FEEDBACK[assignment.feedback])
