"""Sheets for tests of grading: as many as wanted, all different, right, wrong, and with what follows from a mistake."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tutor.grading.model import Submission

NOW = datetime(2026, 1, 1, tzinfo=UTC)

TRUE = [
    "dp = -y / (N*p)",
    "ds = -(dp*e).sum(1) / s**2",
    "dz = (p - y) / N",
    "dW = x.T @ dz",
    "db = dz.sum(0)",
]
KINDS = ("right", "wrong at the end", "wrong in the middle", "wrong on the way")


def sheet(number: int) -> str:
    """The sheet of that number, five lines for softmax-regression: of one in `KINDS` after another."""
    lines, rng = list(TRUE), random.Random(number)
    kind = KINDS[number % len(KINDS)]
    if kind == "wrong at the end":
        lines[4] = rng.choice(["db = dz.sum(1)", "db = dz", "db = dz.sum(0) / N"])
    elif kind == "wrong in the middle":  # dW and db follow from it
        lines[2] = rng.choice(["dz = p - y", "dz = (y - p) / N", "dz = p / N"])
    elif kind == "wrong on the way":
        lines[3] = rng.choice(["dW = x.T @ (p - y)", "dW = dz.T @ x", "dW = x.T @ dp"])
    factor = number + 2
    lines[0] = f"dp = -y * {factor} / ({factor} * N * p)"  # so that no two are the same
    return "\n".join(["# exercise: softmax-regression", *lines, ""])


def earned(number: int) -> float:
    """Of two points, by hand: a mistake costs once, and what follows from it nothing."""
    return {"right": 2.0, "wrong at the end": 1.0, "wrong in the middle": 1.0, "wrong on the way": 1.0}[
        KINDS[number % len(KINDS)]
    ]


def submissions(count: int) -> Iterator[Submission]:
    """One from each learner."""
    for number in range(count):
        learner = f"learner{number:06}"
        yield Submission(learner, 1, f"{learner}/answer.py", sheet(number).encode())


def folder(at: Path, count: int) -> Path:
    """The same as files."""
    for submission in submissions(count):
        path = at / submission.name
        path.parent.mkdir(parents=True)
        path.write_bytes(submission.data or b"")
    return at
