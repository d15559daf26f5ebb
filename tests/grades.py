"""What the tests of grades share: sheets judged into a `LearnerGrade`, without files or a gradebook."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import tutor
from tutor.checking.report import EARNS, Report
from tutor.grading.assignment import Assignment, parse
from tutor.grading.model import Attempt, LearnerGrade, Part, Problem, QuestionGrade


def assignment(*exercises: str, feedback: str = "mistakes", **more: Any) -> Assignment:
    """An assignment that asks these exercises as they are."""
    head = {"format": "tutor.assignment/1", "id": "homework", "title": "Homework", "feedback": feedback, **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items()]
    lines += [f"[[questions]]\nexercise = {json.dumps(name)}\nid = {json.dumps(id_of(name))}" for name in exercises]
    return parse("\n".join(lines))


def id_of(address: str) -> str:
    return address.replace(":", "-").replace("=", "-").replace(",", "-")


def part_of(address: str, report: Report) -> Part:
    """As a worker keeps it: what JSON keeps of it."""
    return Part(id_of(address), dict(report.credit), json.loads(json.dumps(report.to_dict())))


@cache
def worth_of(address: str) -> Mapping[str, float]:
    return tutor.load(address).worth


def attempt_of(address: str, part: Part, number: int = 1, name: str = "sheet.py") -> Attempt:
    worth = worth_of(address)
    earned = {name: worth[name] if why in EARNS else 0.0 for name, why in part.credit.items()}
    return Attempt(number, name, sum(earned.values()), earned, part)


def grade_of(address: str, *parts: Part, **more: Any) -> LearnerGrade:
    """A learner's grade for one question, its attempts in order; the last one is shown."""
    attempts = tuple(attempt_of(address, part, n) for n, part in enumerate(parts, 1))
    worth = sum(worth_of(address).values())
    points = attempts[-1].points if attempts else 0.0
    counts = len(attempts) - 1 if attempts else None
    question = QuestionGrade(id_of(address), points, worth, attempts, counts)
    given: Mapping[str, Any] = {"learner": "ada", "person": "Ada L.", "questions": (question,), **more}
    return LearnerGrade(**given)


def classroom(number: int, seed: int = 0) -> tuple[Assignment, list[LearnerGrade]]:
    """A class with something of everything: right and wrong sheets, attempts, absences, files with problems."""
    dice = random.Random(seed)
    asked = assignment(*CLASS)
    pool = {name: [part_of(name, tutor.check(name, text)) for text in texts] for name, texts in CLASS.items()}
    return asked, [_learner(n, pool, dice) for n in range(number)]


CLASS = {
    "linear-regression": (
        "dy_pred = 2*(y_pred - y)\ndw = dy_pred*x\ndb = dy_pred\n",
        "dy_pred = y_pred - y\ndw = dy_pred*x\ndb = dy_pred\n",
        "dw = 4\ndb = 2\n",
        "dw = 2*(y - y_pred)*x\n",
    ),
    "softmax-regression": (
        "dz = (p - y)/N\ndW = x.T @ dz\ndb = dz.sum(0)\n",
        "dz = p - y\ndW = x.T @ dz\ndb = dz.sum(0)\n",
        "dz = (p - y)/N\ndW = x @ dz\ndb = dz\n",
        "dz = (p - y)/N\ndW = x.T @ dz\ndb = dz[0]\n",
        "dz = (p - y)/N\ndW = 2x\ndb = dz.sum(0)\n",
    ),
    "layer-norm": (
        "dbeta = dy.sum(0)\ndgamma = (dy*xhat).sum(0)\n",
        "dbeta = dy\ndgamma = (dy*xhat).sum(0)\n",
        "dbeta = dy.sum(1)\ndgamma = dy.sum(0)\n",
    ),
}


def _learner(n: int, pool: Mapping[str, list[Part]], dice: random.Random) -> LearnerGrade:
    learner, person = f"s{n:05d}", f"Learner {n}"
    here = dice.random() > 0.08
    questions = tuple(_asked(name, parts, dice, here) for name, parts in pool.items())
    problems: list[tuple[str, Problem]] = []
    if here and dice.random() < 0.06:
        id = dice.choice(["unreadable", "duplicate", "empty", "wrong-exercise", "undecided"])
        problems.append((f"homework ({n}).py", Problem(id, "said to a teacher")))
    return LearnerGrade(learner, person, questions, tuple(problems), known=dice.random() > 0.01, handed_in=here)


def _asked(name: str, parts: list[Part], dice: random.Random, here: bool) -> QuestionGrade:
    weights = [5, *([2] * (len(parts) - 1))]
    number = dice.choice([0, 1, 1, 1, 1, 2, 3]) if here else 0
    chosen = dice.choices(parts, weights, k=number)
    grade = grade_of(name, *chosen).questions[0]
    return replace(grade, points=None) if number and dice.random() < 0.02 else grade
