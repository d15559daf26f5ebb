"""Arguments and options that several commands have: an exercise, a sheet, the file behind `-o`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tutor import language
from tutor.errors import UsageError
from tutor.language import said, tr
from tutor.terminal import deliver, note


class ExerciseName(click.ParamType):
    """An exercise's id, or a file's path, completed by the shell."""

    name = "exercise"

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from tutor.catalogue import entries

        found = [entry for entry in entries() if entry.id.startswith(incomplete)]
        ids = [CompletionItem(entry.id, help=language.of_exercise(entry.title)) for entry in found]
        return ids or [CompletionItem(incomplete, type="file")]


EXERCISE = ExerciseName()
SHEET = click.Path(allow_dash=True)  # never looked at here: `documents.read` says what is wrong with it

DB = click.option("--db", metavar="URL", help="A gradebook on a server.")
NOW = click.option("--now", metavar="TIME", help="Instead of the clock: whether the assignment is due.")


def the_sheet(named: str | None) -> str:
    """The sheet that was named, or the only one here, which is said then."""
    from tutor.desk.standing import only_sheet

    if named is None:
        named = only_sheet(Path())
        note(tr("the sheet here: {sheet}", sheet=named) + "\n")
    return named


def point_in_time(text: str | None) -> datetime:
    """What was given for the clock's time, by itself in UTC; now, if nothing was."""
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(said("{text} is no date: write 2026-12-10 or 2026-12-10T23:59:00+01:00", text=text)) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def handed_over(content: str | bytes, output: str | None) -> None:
    """To the file, whose name is then said, or to stdout."""
    from tutor.saving import save

    if output is not None:
        save(output, content)
        note(tr("written: {path}", path=output))
    elif isinstance(content, str):
        deliver(content)
