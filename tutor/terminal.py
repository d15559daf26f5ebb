"""What is printed, and where: results to stdout, progress and notes to stderr, in letters and lines that fit."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import click

ascii_only: ContextVar[bool] = ContextVar("ascii_only", default=False)


def say(text: str) -> None:
    """Write a result to stdout, in letters that it can show and lines that fit; a reader who left is no error."""
    from tutor.views.plain import fitted, writable

    try:
        shown = fitted(writable(text.removesuffix("\n"), encoding_of(sys.stdout)), width())
        if in_colour(sys.stdout):
            from tutor.views.colour import coloured

            shown = coloured(shown)
        sys.stdout.write(shown + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        let_go(sys.stdout)


def width() -> int | None:
    """The terminal's columns; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def deliver(document: str) -> None:
    """Write a document for programs to stdout: UTF-8 whatever the terminal shows, the same bytes everywhere."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        return say(document)
    try:
        sys.stdout.flush()
        buffer.write((document.removesuffix("\n") + "\n").encode("utf-8", "replace"))
        buffer.flush()
    except BrokenPipeError:
        let_go(sys.stdout)


def note(text: str) -> None:
    """Progress and notes, on stderr."""
    from tutor.views.plain import writable

    try:
        sys.stderr.write(writable(text, encoding_of(sys.stderr)) + "\n")
        sys.stderr.flush()
    except OSError:
        let_go(sys.stderr)


def encoding_of(stream: Any) -> str | None:
    """The letters a stream can show; ASCII alone where that was asked for."""
    return "ascii" if ascii_only.get() else stream.encoding


def let_go(stream: Any) -> None:
    """Further output, the interpreter's last flush included, goes nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        pass


def complain(text: str) -> None:
    """`error: ...`, the word in colour where a terminal shows it."""
    word = click.style("error:", fg="red", bold=True) if in_colour(sys.stderr) else "error:"
    note(f"{word} {text}")


def in_colour(stream: Any) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], AbstractContextManager[None]]]:
    """On stderr a bar where it is a terminal, which makes way for what is printed; else a line for each step."""
    bar = click.progressbar(length=total, file=sys.stderr, show_pos=True, item_show_func=lambda label: label)
    numbers = count(1)

    @contextmanager
    def step(label: str) -> Iterator[None]:
        if not sys.stderr.isatty():
            note(f"[{next(numbers)}/{total}] {label}")
            yield
            return
        sys.stderr.write("\r\033[2K")
        sys.stderr.flush()
        yield
        bar.update(1, label)

    if not sys.stderr.isatty():
        yield step
        return
    with bar:
        bar.render_progress()
        yield step
