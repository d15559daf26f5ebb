"""What grading hands from room to room: plain data, the same bytes for the same input. Neither sympy nor torch.

    submissions/ --collect--> Submission --judge--> Result --gradebook--> LearnerGrade --> feedback, exports, report

A `Result` says what a sheet's lines come to and knows no points: these, attempts, follow-through and overrides are
reckoned from results when grades are made, so that changing them judges nothing anew.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tutor.checking.report import CREDITS as JUDGED

# `form` is a right line in a way of writing that the assignment does not take
CREDITS = (*JUDGED, "form")
RESULT_FORMAT = "tutor.result/1"
NOBODY = ""  # the learner of what belongs to nobody, as a damaged archive
# what can be said of something that was handed in, beside its marks; the second of a pair is said to people
PROBLEMS = (
    "unknown-learner",  # not on the roster; graded, and kept apart
    "duplicate",  # a further sheet for a question in one attempt; it counts as an attempt after the first
    "wrong-exercise",  # for an exercise that the assignment does not ask
    "unplaced",  # it does not say which question it is for, and could be for one that has no other answer
    "unreadable",  # no text, damaged, or nothing in it can be read
    "empty",
    "too-large",
    "not-a-sheet",  # a picture, a PDF, an archive in an archive
    "unsafe",  # a path that leads out, a link, a bomb
    "undecided",  # our own fault, or stopped by the last guard: a person has to look
)


@dataclass(frozen=True)
class Problem:
    """Something about a submission that a teacher has to know; `message` states the fact, then what to do."""

    id: str  # one of PROBLEMS
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"id": self.id, "message": str(self.message)}


@dataclass(frozen=True)
class Submission:
    """One file that a learner handed in, or why it could not be taken.

    `learner` is the roster's id, or what the file's place says where there is no roster; `name` is its place in what
    was handed in, with `/` between folders, and with the learner and the attempt it identifies the file.
    """

    learner: str
    attempt: int  # 1, 2, ... in the order in which they were handed in
    name: str
    data: bytes | None
    problems: tuple[Problem, ...] = ()
    person: str = ""  # the learner's name, where it is known
    aliases: Mapping[str, str] = field(default_factory=dict)  # what the system calls the learner: {"canvas": "4711"}


@dataclass(frozen=True)
class Part:
    """What a sheet says to one question: the report's JSON, and per asked name one of `CREDITS`.

    `question` is None where the part does not say which one it is for; `fits` has those it could be for.
    """

    question: str | None
    credit: Mapping[str, str]
    report: Mapping[str, Any]

    @classmethod
    def unplaced(cls, fits: Iterable[str]) -> Part:
        return cls(None, {}, {"fits": list(fits)})

    @property
    def fits(self) -> tuple[str, ...]:
        return tuple(self.report.get("fits", ())) if self.question is None else ()

    def to_dict(self) -> dict[str, Any]:
        return {"question": self.question, "credit": dict(self.credit), "report": dict(self.report)}


@dataclass(frozen=True)
class Result:
    """What judging a file gave. One that is `cut` (the process died, or ran out of time) is never kept."""

    parts: tuple[Part, ...] = ()
    problems: tuple[Problem, ...] = ()
    cut: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": RESULT_FORMAT,
            "parts": [part.to_dict() for part in self.parts],
            "problems": [problem.to_dict() for problem in self.problems],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        parts = tuple(Part(p["question"], p["credit"], p["report"]) for p in data["parts"])
        return cls(parts, tuple(Problem(p["id"], p["message"]) for p in data["problems"]))

    def packed(self) -> Packed:
        text = json.dumps(self.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return Packed(zlib.compress(text.encode("utf-8", "replace"), 6), self.cut)


@dataclass(frozen=True)
class Packed:
    """A result as it is kept, packed by whoever judged: who hands it on need not look into it."""

    body: bytes
    cut: bool = False

    def opened(self) -> Result:
        found = Result.from_dict(json.loads(zlib.decompress(self.body)))
        return Result(found.parts, found.problems, self.cut)


# -- grades ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Override:
    """A teacher's own decision about one question of one learner."""

    learner: str
    question: str
    points: float
    comment: str = ""


@dataclass(frozen=True)
class Attempt:
    """One sheet's part for a question with what it earned; None where a person has to look."""

    number: int
    name: str  # of the file
    points: float | None
    earned: Mapping[str, float]  # asked name -> points
    part: Part


@dataclass(frozen=True)
class QuestionGrade:
    """What a learner has for a question. `points` is None while a person has to look at it."""

    question: str
    points: float | None
    max_points: float
    attempts: tuple[Attempt, ...] = ()  # in their order; none where nothing was handed in
    counts: int | None = None  # the attempt shown: the best, or the last
    override: Override | None = None

    @property
    def attempt(self) -> Attempt | None:
        return None if self.counts is None else self.attempts[self.counts]


@dataclass(frozen=True)
class LearnerGrade:
    """All that a learner has in an assignment."""

    learner: str
    person: str
    questions: tuple[QuestionGrade, ...]
    problems: tuple[tuple[str, Problem], ...] = ()  # (file, problem)
    aliases: Mapping[str, str] = field(default_factory=dict)
    known: bool = True  # on the roster, or there is none
    handed_in: bool = True

    @cached_property
    def points(self) -> float | None:
        """The sum; None while a part of it is not known."""
        found = [question.points for question in self.questions]
        return None if any(points is None for points in found) else float(sum(p for p in found if p is not None))

    @cached_property
    def max_points(self) -> float:
        return float(sum(question.max_points for question in self.questions))
