"""Everything the tutor refuses, by kind. Each message states the fact, then what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from tutor.language import said


class Saying(Exception):
    """An error with a sentence, which is said in the language in use when it is shown."""

    @property
    def says(self) -> str:
        """The sentence as it was kept: to be put into another."""
        return self.args[0] if self.args else ""


class TutorError(Saying):
    """The base of every error the tutor raises on purpose."""


class ExerciseError(TutorError):
    """An exercise's definition is not sound; `objection` is what is said of it, without its name."""

    objection: str = ""


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
        return str(self.says)

    @property
    def says(self) -> str:
        return said("line {line}, column {column}: {message}", line=self.line, column=self.column, message=self.message)


class UndecidedError(TutorError):
    """We could not tell; never the learner's fault."""


def is_a_slip(name: str, other: str) -> bool:
    """Whether one is typed for the other: a letter missing, too much, another, or two turned round; of long names two.
    Or a word follows it: relu_grad.

    Closer than `did_you_mean` asks for, where there are so many names that one is always close: "le" is no lerp.
    """
    name, other = name.lower(), other.lower()
    if name.startswith(f"{other}_"):
        return True
    most = 1 if min(len(name), len(other)) < 6 else 2
    if abs(len(name) - len(other)) > most:
        return False
    before, last = [0] * (len(other) + 1), list(range(len(other) + 1))
    for n, letter in enumerate(name):
        row = [n + 1]
        for m, sign in enumerate(other):
            slips = min(last[m] + (letter != sign), last[m + 1] + 1, row[m] + 1)
            if n and m and letter == other[m - 1] and name[n - 1] == sign:
                slips = min(slips, before[m - 1] + 1)
            row.append(slips)
        before, last = last, row
    return last[-1] <= most


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "mse"?`, or nothing when no known name is close."""
    known = list(known)
    same = [other for other in known if other.lower() == name.lower()]  # P for p
    close = same or get_close_matches(name, known, n=1, cutoff=0.6)
    return said('; did you mean "{name}"?', name=close[0]) if close else ""
