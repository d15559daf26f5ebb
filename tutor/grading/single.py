"""One learner's grade, here and now: for autograders and notebooks, which keep no gradebook."""

from __future__ import annotations

from collections.abc import Iterable

from tutor.grading.assignment import Assignment
from tutor.grading.gradebook import Entry
from tutor.grading.grades import grade, known_worths, signature
from tutor.grading.judging import Job, Rules, judge
from tutor.grading.model import LearnerGrade, Submission
from tutor.grading.variants import variants


def grade_one(assignment: Assignment, learner: str, submissions: Iterable[Submission]) -> LearnerGrade:
    """Judge a learner's files in this process, and keep nothing."""
    rules, own = Rules.of(assignment), variants(assignment, learner)
    entries, person, known = [], "", True
    for s in submissions:
        person = person or s.person
        known = known and not any(problem.id == "unknown-learner" for problem in s.problems)
        result = None if s.data is None else judge(rules, Job("", s.data, s.name, own))
        entries.append(Entry(learner, s.attempt, s.name, None, s.problems, None, result))
    found = known_worths(own, assignment.path.parent)
    worth = {variant.question: found[signature(variant)] for variant in own}
    return grade(assignment, learner, person, entries, worth, {}, known=known)
