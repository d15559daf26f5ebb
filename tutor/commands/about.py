"""The tutor itself: help, what is installed, completion."""

from __future__ import annotations

from pathlib import Path

import click

from tutor.commands.codes import NOT_RIGHT, RIGHT
from tutor.commands.group import Commands
from tutor.errors import UsageError
from tutor.language import said, tr
from tutor.terminal import deliver, patience, say
from tutor.usage import commands_in

room = Commands()


@room.command("help")
@click.argument("topic", metavar="[TOPIC]", nargs=-1)
@click.pass_context
def help_(context: click.Context, topic: tuple[str, ...]) -> int:
    """Help on a command, or a topic: syntax."""
    from tutor.desk import topics

    own = context.find_root()
    commands, name = dict(commands_in(own.command)), " ".join(topic)
    if name in topics.TOPICS or topic not in commands:
        say(topics.topic(name, [" ".join(names) for names in commands if names]))
        return RIGHT
    for depth, last in enumerate(topic, start=1):
        command = commands[topic[:depth]]
        own = command.context_class(command, parent=own, info_name=last)
    say(own.get_help())
    return RIGHT


@room.command()
def doctor() -> int:
    """Versions, what is missing, the terminal."""
    from tutor.desk.doctor import findings
    from tutor.views import desk

    with patience(tr("looking")):
        found = list(findings(Path.cwd()))
    say(desk.findings(found))
    return NOT_RIGHT if any(each.well is False for each in found) else RIGHT


@room.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """What makes a shell complete commands and ids.

    \b
    in ~/.bashrc (in ~/.zshrc with zsh):
        eval "$(tutor completion bash)"
    in ~/.config/fish/config.fish:
        tutor completion fish | source
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(said("this click has no completion for {shell}", shell=shell))
    deliver(kind(context.find_root().command, {}, "tutor", "_TUTOR_COMPLETE").source())
    return RIGHT
