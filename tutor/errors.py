"""Everything the tutor refuses, by kind. Each message states the fact, then what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TutorError(Exception):
    """The base of every error the tutor raises on purpose."""


class ExerciseError(TutorError):
    """An exercise's definition is not sound."""


class NotFoundError(TutorError, LookupError):
    """No exercise, quantity or file of that name."""


class UsageError(TutorError, ValueError):
    """An argument that makes no sense here."""


class ReadingError(TutorError):
    """Text that is not in the answer language: where, and what is allowed."""

    def __init__(self, message: str, line: int = 1, column: int = 1):
        super().__init__(message)
        self.message, self.line, self.column = message, line, column

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class UndecidedError(TutorError):
    """We could not tell; never the learner's fault."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "mse"?`, or nothing when no known name is close."""
    known = list(known)
    same = [other for other in known if other.lower() == name.lower()]  # P for p
    close = same or get_close_matches(name, known, n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""
