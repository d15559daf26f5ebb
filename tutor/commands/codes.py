"""Exit codes: of errors, of verdicts, of several results together."""

from __future__ import annotations

from tutor.errors import ExerciseError, NotFoundError, ReadingError, TutorError, UsageError

RIGHT, NOT_RIGHT, USAGE, NOT_FOUND, UNREADABLE, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
CODES: tuple[tuple[type[TutorError], int], ...] = (
    (UsageError, USAGE),
    (NotFoundError, NOT_FOUND),
    (ReadingError, UNREADABLE),
    (ExerciseError, UNREADABLE),
    (TutorError, UNDECIDED),
)
VERDICTS = {"correct": RIGHT, "wrong": NOT_RIGHT, "incomplete": NOT_RIGHT, "unreadable": UNREADABLE}


def code_of(error: BaseException | None) -> int:
    if error is None:
        return RIGHT
    return next((code for kind, code in CODES if isinstance(error, kind)), UNDECIDED)


def weight(code: int) -> int:
    """Of several sheets or exercises the gravest counts: wrong, then what could not be read or found, or decided."""
    return (RIGHT, UNDECIDED, USAGE, NOT_FOUND, UNREADABLE, NOT_RIGHT).index(code)
