"""A command and a group of commands, as all of ours are: `--lang` and `--ascii` are understood behind every name."""

from __future__ import annotations

from typing import Any

import click

from tutor import language
from tutor.errors import did_you_mean
from tutor.terminal import ascii_only
from tutor.usage import Spoken


class Command(Spoken):
    """One of ours: `--ascii` and `--lang` are understood behind its name as well; the topmost's help tells of them."""

    def __init__(self, *args: Any, top: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.params += _everywhere(hidden=not top)


class Commands(Command, click.Group):
    """Commands and groups below one name, or a room of them, which has none."""

    command_class = Command
    group_class = type  # a group in it is one of ours as well

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """As click has it, with the command that is probably meant."""
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], self.commands)
            if not hint or not args[0][:1].isalnum():  # it may be an option that is wrong
                raise
            raise click.UsageError(f"{error.message.rstrip('.。')}{hint}", context) from None


def _everywhere(hidden: bool) -> list[click.Parameter]:
    return [
        click.Option(["--lang"], type=click.Choice(language.LANGUAGES), expose_value=False, hidden=hidden,
                     callback=_speak, help="The language of what is said; else the locale's."),
        click.Option(["--ascii"], is_flag=True, expose_value=False, hidden=hidden, callback=_write_ascii,
                     help="Nothing but ASCII, for terminals without mathematics."),
    ]  # fmt: skip


def _speak(context: click.Context, _: click.Parameter, lang: str | None) -> None:
    if lang is not None and not ascii_only.get():
        language.use(lang)


def _write_ascii(context: click.Context, _: click.Parameter, plain: bool) -> None:
    """ASCII has no other letters, so what is said is English then."""
    if plain:
        ascii_only.set(True)
        language.use(language.ENGLISH)
