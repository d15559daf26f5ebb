"""What the tests of grades share: sheets judged into a `LearnerGrade`, without files or a gradebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tutor
from tutor.checking.report import EARNS, Report
from tutor.grading.assignment import Assignment, parse
from tutor.grading.model import Attempt, LearnerGrade, Part, QuestionGrade


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


def attempt_of(address: str, part: Part, number: int = 1, name: str = "sheet.py") -> Attempt:
    exercise = tutor.load(address)
    worth = {exercise.answer_name(name): float(points) for name, points in exercise.asked.items()}
    earned = {name: worth[name] if why in EARNS else 0.0 for name, why in part.credit.items()}
    return Attempt(number, name, sum(earned.values()), earned, part)


def grade_of(address: str, *parts: Part, **more: Any) -> LearnerGrade:
    """A learner's grade for one question, its attempts in order; the last one is shown."""
    attempts = tuple(attempt_of(address, part, n) for n, part in enumerate(parts, 1))
    worth = sum(map(float, tutor.load(address).asked.values()))
    points = attempts[-1].points if attempts else 0.0
    counts = len(attempts) - 1 if attempts else None
    question = QuestionGrade(id_of(address), points, worth, attempts, counts)
    given: Mapping[str, Any] = {"learner": "ada", "person": "Ada L.", "questions": (question,), **more}
    return LearnerGrade(**given)
