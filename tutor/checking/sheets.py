"""From a sheet's text to its reports: which exercise it is for, and one report for each `# exercise:` part."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from tutor.answers import documents
from tutor.answers import language as lang
from tutor.catalogue import load
from tutor.errors import NotFoundError, ReadingError, UsageError
from tutor.language import said

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
    `check`. Of several parts each has its report, also one whose header names no exercise there is: a slip in one part
    does not withhold what is to be said of the others.
    """
    if address:
        exercise = load(address)  # before torch is imported
        from tutor.checking.check import check, read_answer

        return [check(exercise, read_answer(exercise, text, kind), **options)]
    parts = documents.parts(text, kind)
    rows = [] if any(part.cells for part in parts) else text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    known = cache(load)  # parts for one exercise share what is computed for it
    found = [_exercise_of(part, rows, known, alone=len(parts) == 1) for part in parts]
    return [_judged(part, exercise, options) for part, exercise in zip(parts, found, strict=True)]


def _exercise_of(
    part: documents.Part, rows: list[str], load: Callable[[str], Exercise], alone: bool
) -> Exercise | lang.Unreadable:
    """What a part is for, or the header that does not say it; of a part that stands alone that is raised."""
    try:
        return load(_named(part))
    except (NotFoundError, ReadingError, UsageError) as error:
        if alone:
            raise
        named = part.exercise
        if named is None:
            return part.header or lang.Unreadable(1, 1, "", 1, error.says)
        header = rows[part.line - 1] if rows else f"# exercise: {named}"
        return lang.Unreadable(part.line, header.find(named) + 1, header, 1, error.says)


def _judged(part: documents.Part, exercise: Exercise | lang.Unreadable, options: dict[str, Any]) -> Report:
    from tutor.checking.check import check, unread

    if isinstance(exercise, lang.Unreadable):
        return unread(part.exercise or "", exercise, part.cells, options.get("seed", 0))
    return check(exercise, part.sheet(exercise), **options)


def _named(part: documents.Part) -> str:
    """The id in the header. It is a catalogue id: a sheet never has a file loaded, since that would run it."""
    if part.exercise is not None:
        return part.exercise
    header = part.header
    if header is not None:
        raise ReadingError(header.reason, header.line, header.column)
    raise UsageError(
        said(
            "the sheet does not say which exercise it is for: begin it with a line like '# exercise: "
            "linear-regression', or give --exercise"
        )
    )
