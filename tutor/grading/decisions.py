"""A teacher's own points for one question of one learner, whatever was judged."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from tutor.errors import NotFoundError, UsageError, did_you_mean
from tutor.grading.gradebook import Gradebook
from tutor.grading.grades import assignment_of, signature
from tutor.grading.model import Override
from tutor.grading.variants import variant
from tutor.language import said


@dataclass(frozen=True)
class Decision:
    """What was decided; None for `made` where a decision was taken back. `before` is what had been decided.

    `most` is what the question is worth.
    """

    learner: str
    question: str
    made: Override | None
    before: Override | None
    most: float


def decide(
    book: Gradebook, learner: str, question: str, points: float | None, comment: str = "", *, forget: bool = False
) -> Decision:
    """Keep a decision, or forget it; the learner and the question have to be there."""
    if forget == (points is not None):
        raise UsageError(said("give the points, or --forget: 'tutor override RESULTS LEARNER QUESTION 2.5'"))
    if points is not None and not (isfinite(points) and points >= 0):
        raise UsageError(said("{points} are no points: give a number from 0 up", points=points))
    version = book.newest()
    assignment = assignment_of(version)
    asked = assignment.question(question)
    people = [id for id, *_ in book.people()]
    if learner not in people:
        raise NotFoundError(
            said('the gradebook has no learner "{learner}"{hint}', learner=learner, hint=did_you_mean(learner, people))
        )
    before = book.overrides().get((learner, question))
    if forget and before is None:
        raise NotFoundError(
            said("nothing was decided about {question} of {learner}", question=question, learner=learner)
        )
    made = None if points is None else Override(learner, question, points, comment)
    book.override(made, learner, question)
    worth = book.get_worths(version.number).get(signature(variant(assignment, asked, learner)), {})
    return Decision(learner, question, made, before, float(sum(worth.values())))
