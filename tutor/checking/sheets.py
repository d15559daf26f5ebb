"""From a sheet's text to its reports: which exercise it is for, and one report for each `# exercise:` part."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tutor.answers import documents
from tutor.catalogue import load
from tutor.errors import ReadingError, UsageError

if TYPE_CHECKING:
    from tutor.checking.report import Report
    from tutor.exercise import Exercise


def check_sheets(
    text: str, address: str | None = None, kind: str | None = None, *, load: Callable[[str], Exercise] = load,
    **options: Any,
) -> list[Report]:  # fmt: skip
    """A report for the given exercise, or one for each exercise that the sheet's headers name.

    `kind` is how the text is written: python, latex, markdown, notebook; None where the text says it itself.
    `load` may give exercises that were used before, with all that was computed for them; `options` are those of
    `check`.
    """
    exercise = load(address) if address else None
    parts = documents.parts(text, kind)  # a text too long to be a sheet is refused here
    exercises = [] if exercise else [load(_named(part)) for part in parts]  # all, before torch is imported
    from tutor.checking.check import check, read_answer

    if exercise:
        return [check(exercise, read_answer(exercise, text, kind), **options)]
    return [check(found, part.sheet(found), **options) for found, part in zip(exercises, parts, strict=True)]


def _named(part: documents.Part) -> str:
    """The id in the header. It is a catalogue id: a sheet never has a file loaded, since that would run it."""
    if part.exercise is not None:
        return part.exercise
    header = part.header
    if header is not None:
        raise ReadingError(header.reason, header.line, header.column)
    raise UsageError(
        "the sheet does not say which exercise it is for: begin it with a line like '# exercise: linear-regression', "
        "or give --exercise"
    )
