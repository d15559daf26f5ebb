"""What a learner is told about their grade: no more than the assignment's `feedback` releases.

Whatever leaves for a learner (pages, results of an autograder, a cell in a notebook) is made from a `Feedback` and from
nothing else, so that what is held back is held back in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LineShown:
    """A line of the learner's own sheet, with what is said of it; nothing where that is not released."""

    line: int
    text: str
    quantity: str | None = None
    verdict: str | None = None  # from "verdicts" on
    reason: str = ""  # of the first that diverges, from "divergence" on; of an unreadable line always
    mistakes: tuple[str, ...] = ()  # from "mistakes" on: what kind of mistake, in words; never the formula in its place
    cell: int | None = None


@dataclass(frozen=True)
class QuestionShown:
    """A question as its learner sees it graded. `points` is None while a person has to look at it."""

    question: str
    title: str
    exercise: str  # the member that the learner has: `mlp:loss=mae`
    points: float | None
    max_points: float
    earned: Mapping[str, float] = field(default_factory=dict)  # asked name (`dW`) -> points
    worth: Mapping[str, float] = field(default_factory=dict)
    attempts: tuple[float | None, ...] = ()  # points of each attempt, in order
    file: str = ""  # of the attempt that is shown
    verdict: str | None = None
    lines: tuple[LineShown, ...] = ()
    missing: tuple[str, ...] = ()
    comment: str = ""  # the teacher's, with an override
    derivation: str = ""  # HTML, once the assignment is due and says so


@dataclass(frozen=True)
class Feedback:
    """All that one learner is told about one assignment."""

    assignment: str
    title: str
    learner: str
    person: str
    points: float | None
    max_points: float
    questions: tuple[QuestionShown, ...]
    problems: tuple[tuple[str, str], ...] = ()  # (file, what is wrong with it, and what to do)
