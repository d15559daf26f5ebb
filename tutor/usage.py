"""What the command line says of itself: click's help in the language in use, in lines that fit a terminal.

What is translated is the English text as it stands at a command (its docstring, short help, epilog) or an option, each
paragraph for itself; a literal block (behind `\\b`) keeps its lines, and stays as it is where it is code. It is looked
up when it is shown, since `--lang` is not known before. Usage lines stay as they are: texts and errors name `ID|FILE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from gettext import gettext
from inspect import cleandoc
from typing import Any

import click

from tutor import language
from tutor.language import tr
from tutor.terminal import shows_letters

OF_CLICK = {"--help": "Show this message and exit.", "--version": "Show the version and exit."}  # its own options
LITERAL = "\b\n"  # what click lets stand as it is begins so


class Formatter(click.HelpFormatter):
    """click breaks lines by their letters; where some take two columns, the lines come to it broken."""

    def write_text(self, text: str) -> None:
        super().write_text(_broken(text, self.width - self.current_indent))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        first = min(max((len(name) for name, _ in rows), default=0), col_max) + col_spacing
        room = max(self.width - first - 2, 10)  # as click has it
        super().write_dl([(name, _broken(text, room)) for name, text in rows], col_max, col_spacing)


class Context(click.Context):
    formatter_class = Formatter


class Spoken(click.Command):
    """A command whose help is in the language in use."""

    context_class = Context

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        """click keeps the words of its own options in the language in which they were first said."""
        params = super().get_params(context)
        for option in params:
            for name in OF_CLICK.keys() & option.opts if isinstance(option, click.Option) else ():
                option.help = gettext(OF_CLICK[name])
        return params

    def format_help(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with self._speaking(context):
            super().format_help(context, formatter)

    def shell_complete(self, context: click.Context, incomplete: str) -> list[Any]:
        with self._speaking(context):
            return super().shell_complete(context, incomplete)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence, in at most so many columns; click knows those that end with `. ` alone."""
        english = self.short_help or self.help or ""
        said = spoken(english)
        if said == english:
            return super().get_short_help_str(limit)
        from tutor.views.plain import cut

        return cut(re.split(r"(?<=。)|\n", said, maxsplit=1)[0], limit)

    @contextmanager
    def _speaking(self, context: click.Context) -> Iterator[None]:
        """Inside a `with` block the command and its options have their words in the language in use."""
        english = [(each, name, text) for each, name, text in _texts(self, self.get_params(context))]
        for each, name, text in english:
            setattr(each, name, spoken(text))
        try:
            yield
        finally:
            for each, name, text in english:
                setattr(each, name, text)


def _texts(command: click.Command, params: Iterable[click.Parameter]) -> Iterator[tuple[Any, str, str]]:
    """What is said of a command and its parameters: whose, which attribute, and the English text."""
    for each, name in [(command, "help"), (command, "epilog"), *((param, "help") for param in params)]:
        if text := getattr(each, name, None):
            yield each, name, text


def commands_in(command: click.Command, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, each behind the names that lead to it."""
    yield names, command
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        yield from commands_in(below, (*names, name))


def sentences(command: click.Command) -> Iterator[str]:
    """What a command says of itself, as the catalogue has it; without what click says."""
    ours = [param for param in command.params if not OF_CLICK.keys() & set(param.opts)]
    for text in (*(text for *_, text in _texts(command, ours)), command.short_help or ""):
        yield from (words for mark, words in _parts(text) if not mark or not words.startswith("    "))


def spoken(text: str) -> str:
    """A text of a command or an option in the language in use; English where that cannot be written."""
    if language.current() == language.ENGLISH or not shows_letters():
        return text
    return "\n\n".join(mark + tr(words) for mark, words in _parts(text))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Its paragraphs: the mark of a literal block and its lines, or no mark and one line."""
    from tutor.paragraphs import paragraphs

    for part in paragraphs(cleandoc(text)):
        literal = part.removeprefix(LITERAL)
        yield ("", " ".join(part.split())) if literal == part else (LITERAL, literal)


def _broken(text: str, width: int) -> str:
    """Paragraphs of which click would count the columns wrongly, as literal blocks with lines that fit."""
    if text.isascii():
        return text
    from tutor.paragraphs import paragraphs, wrapped
    from tutor.views.plain import columns

    return "\n\n".join(
        part
        if part.startswith(LITERAL) or columns(part) == len(part)
        else LITERAL + wrapped(part.replace("\n", " "), width)
        for part in paragraphs(text)
    )
