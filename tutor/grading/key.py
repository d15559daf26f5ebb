"""The teacher's answer key: derivations, the forms in which an answer is right, numbers. It is never handed out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from tutor.grading.assignment import Assignment, Question
from tutor.grading.handout import Asked, asked_of
from tutor.grading.variants import Variant, count, possible, variant
from tutor.symbolic.indices import quantities_in
from tutor.symbolic.notation import latex_form, sheet_form
from tutor.symbolic.torch_form import torch_form

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.derive import Derivation

MOST = 64  # variants of a question
MOST_NUMBERS = 12  # of one tensor


@dataclass(frozen=True)
class Line:
    """One right line of a sheet, and the gradients that it takes from lines before it."""

    name: str  # dW
    form: str  # torch, index, latex
    text: str
    reads: tuple[str, ...]
    closed: bool = False


@dataclass(frozen=True)
class Numbers:
    """What was drawn, and the asked values at the worked instance: nothing where there is none."""

    sizes: Mapping[str, int]
    given: Mapping[str, Any]
    values: Mapping[str, Any]  # dw -> -8.0, or nested lists


@dataclass(frozen=True)
class Answer:
    """A question in one member of its exercise's family; `variants` differ in sizes and numbers alone."""

    question: str
    title: str
    exercise: Exercise
    derivation: Derivation
    asked: tuple[Asked, ...]
    lines: tuple[Line, ...]
    variants: tuple[Numbers, ...]

    @property
    def points(self) -> float:
        return sum(each.points for each in self.asked)


@dataclass(frozen=True)
class AnswerKey:
    """The whole key; `left_out` says how many variants of a question it does not list."""

    assignment: str
    title: str
    answers: tuple[Answer, ...]
    learner: str = ""
    left_out: Mapping[str, int] | None = None


def answer_key(assignment: Assignment, learner: str | None = None, most: int = MOST) -> AnswerKey:
    """Each distinct variant once, at most so many of a question; those of one learner, if one is named."""
    answers: list[Answer] = []
    left_out: dict[str, int] = {}
    for question in assignment.questions:
        drawn = list(islice(possible(question, most), most)) if learner is None else [
            variant(assignment, question, learner)
        ]  # fmt: skip
        if learner is None and count(question) > len(drawn):
            left_out[question.name] = count(question) - len(drawn)
        by_address: dict[str, list[Variant]] = {}
        for each in drawn:
            by_address.setdefault(each.address, []).append(each)
        answers += [_answer(assignment, question, same) for same in by_address.values()]
    title = assignment.title or assignment.id
    return AnswerKey(assignment.id, title, tuple(answers), learner or "", left_out)


def _answer(assignment: Assignment, question: Question, variants: Sequence[Variant]) -> Answer:
    made = [variant.exercise(assignment.path.parent) for variant in variants]
    exercise = made[0]
    derivation = exercise.derive()
    lines = tuple(line for line in right_lines(derivation) if line.form in assignment.forms)
    numbers = tuple(_numbers(each, dict(drawn.sizes)) for each, drawn in zip(made, variants, strict=True))
    title, asked = question.title_of(exercise), asked_of(exercise)
    return Answer(question.name, title, exercise, derivation, asked, lines, numbers)


# -- forms -----------------------------------------------------------------------------------------------------------


def right_lines(derivation: Derivation) -> Iterator[Line]:
    """The steps in the order of a sheet, each as every form writes it; then the asked gradients by themselves."""
    exercise = derivation.exercise
    gradients = [*derivation.needed]
    for g in gradients:
        yield from _lines(exercise, g.entry, g.symbol_name, g.indices, g.expr)
    for q in exercise.values:
        yield from _lines(exercise, q.entry, q.name, q.indices, q.expr)
    for g in gradients:
        if g.name in derivation.wrt and g.closed != g.expr:
            yield from _lines(exercise, g.entry, g.symbol_name, g.indices, g.closed, closed=True)


def _lines(exercise: Exercise, entry: Any, name: str, indices: Any, expr: Any, closed: bool = False) -> Iterator[Line]:
    reads = tuple(sorted(_read(exercise, expr)))
    torch = torch_form(expr, indices, exercise)
    if torch is not None:
        yield Line(name, "torch", f"{name} = {torch}", reads, closed)
    yield Line(name, "index", f"{sheet_form(entry, exercise)} = {sheet_form(expr, exercise)}", reads, closed)
    yield Line(name, "latex", f"{latex_form(entry, exercise)} = {latex_form(expr, exercise)}", reads, closed)


def _read(exercise: Exercise, expr: Any) -> set[str]:
    """Gradients and values that a line takes from earlier ones; what is given from above is there already."""
    given = {f"d{q.name}" for q in exercise.ends}
    computed = {q.name for q in exercise.values}
    return {n for n in quantities_in(expr) if (exercise.differentiated(n) is not None or n in computed)} - given


# -- numbers -----------------------------------------------------------------------------------------------------------


def _numbers(exercise: Exercise, sizes: Mapping[str, int]) -> Numbers:
    if not exercise.instances:
        return Numbers(sizes, {}, {})
    from tutor.numeric.sample import worked

    instance = worked(exercise)
    values = {
        name: instance.after[name].tolist() for name in exercise.worth if instance.after[name].numel() <= MOST_NUMBERS
    }
    return Numbers(sizes, dict(exercise.instances[0]), values)
