"""What is printed, and where: results to stdout, progress and notes to stderr, in letters and lines that fit."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from itertools import count, cycle
from threading import Event, Thread
from typing import Any

import click

from tutor.language import tr

ascii_only: ContextVar[bool] = ContextVar("ascii_only", default=False)
PATIENCE, TURN = 1.0, 0.1  # seconds without a word; of one look of the sign that something is going on
CLEAR_LINE = "\r\033[2K"


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


def width(stream: Any = None) -> int | None:
    """The terminal's columns; None where the output (stdout's, unless another is asked for) goes elsewhere."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


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
    from tutor.views.plain import fitted, writable

    try:
        sys.stderr.write(fitted(writable(text, encoding_of(sys.stderr)), width(sys.stderr)) + "\n")
        sys.stderr.flush()
    except OSError:
        let_go(sys.stderr)


def encoding_of(stream: Any) -> str | None:
    """The letters a stream can show; ASCII alone where that was asked for."""
    return "ascii" if ascii_only.get() else stream.encoding


def shows_letters() -> bool:
    """Whether the language in use can be written: what click writes is not put into ASCII, as what we say is."""
    try:
        for stream in (sys.stdout, sys.stderr):
            tr("error: ").encode(encoding_of(stream) or "utf-8")
    except (UnicodeEncodeError, LookupError, AttributeError):
        return False
    return True


def let_go(stream: Any) -> None:
    """Further output, the interpreter's last flush included, goes nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        pass


def complain(text: str) -> None:
    """`error: ...`, the word in colour where a terminal shows it."""
    if not in_colour(sys.stderr):
        return note(tr("error: ") + text)
    sys.stderr.write(click.style(tr("error: "), fg="red", bold=True))
    note(text)


def in_colour(stream: Any) -> bool:
    return moves(stream) and not os.environ.get("NO_COLOR")


def moves(stream: Any) -> bool:
    """Whether it is a terminal that does more than print letters."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def clear() -> None:
    """An empty screen, what was on it left above; a line where a terminal cannot."""
    if moves(sys.stdout):
        sys.stdout.write("\033[H\033[2J")
    elif sys.stdout.isatty():
        sys.stdout.write("\n")


@contextmanager
def patience(said: str) -> Iterator[None]:
    """A sign on stderr's terminal that something is going on, once it takes over a second; gone when it is done."""
    if not sys.stderr.isatty():
        yield
        return
    done = Event()
    sign = Thread(target=_turning, args=(said, done), daemon=True)
    sign.start()
    try:
        yield
    finally:
        done.set()
        sign.join()


def _turning(said: str, done: Event) -> None:
    from tutor.views.plain import writable

    if done.wait(PATIENCE):
        return
    said = writable(said, encoding_of(sys.stderr))
    with suppress(OSError, ValueError):
        if not moves(sys.stderr):
            sys.stderr.write(f"{said} ...\n")
            return
        for look in cycle("|/-\\"):
            sys.stderr.write(f"\r{look} {said} ...")
            sys.stderr.flush()
            if done.wait(TURN):
                break
        sys.stderr.write(CLEAR_LINE)
        sys.stderr.flush()


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], AbstractContextManager[None]]]:
    """On stderr a bar where it is a terminal, which makes way for what is printed; else a line for each step."""
    bar = click.progressbar(length=total, file=sys.stderr, show_pos=True, item_show_func=lambda label: label)
    numbers = count(1)

    @contextmanager
    def step(label: str) -> Iterator[None]:
        if not moves(sys.stderr):
            note(f"[{next(numbers)}/{total}] {label}")
            yield
            return
        sys.stderr.write(CLEAR_LINE)
        sys.stderr.flush()
        yield
        bar.update(1, label)

    if not moves(sys.stderr):
        yield step
        return
    with bar:
        bar.render_progress()
        yield step


@contextmanager
def counting(label: str) -> Iterator[Callable[[int, int], None]]:
    """How many of how many are done, on stderr: a bar where it is a terminal, else a line for every tenth part."""
    bar: Any = None
    told = 0

    def step(done: int, total: int) -> None:
        nonlocal bar, told
        if not moves(sys.stderr):
            if done * 10 // total > told:
                told = done * 10 // total
                note(f"{label} {done}/{total}")
            return
        if bar is None:
            bar = click.progressbar(length=total, file=sys.stderr, label=label, show_pos=True)
            bar.__enter__()
        bar.update(done - bar.pos)

    try:
        yield step
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)
