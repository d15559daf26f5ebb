"""Single keys from a terminal, without Enter: read by a thread of its own, the terminal left as it was found."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from select import select
from threading import Event, Thread
from typing import Any

WAIT = 0.1  # seconds between two looks at whether to stop
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)


@contextmanager
def keys(queue: SimpleQueue[tuple[str, Any]]) -> Iterator[bool]:
    """Put `("key", letter)` into the queue for every key; False where there is no terminal to read from."""
    if not _is_ours():
        yield False
        return
    stop = Event()
    with _by_letter():
        reader = Thread(target=_read, args=(queue, stop), daemon=True)
        reader.start()
        try:
            yield True
        finally:
            stop.set()
            reader.join(5 * WAIT)


def _is_ours() -> bool:
    """Whether keys that are typed come to us: a process in the background would be stopped for reading them."""
    try:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            return False
        return os.name == "nt" or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # closed, or none at all
        return False


@contextmanager
def _by_letter() -> Iterator[None]:
    """No line is waited for and no key is echoed; Ctrl-C interrupts as always.

    The terminal is left as it was found, also where the process is told to end; after Ctrl-Z and `fg` keys are read
    again.
    """
    try:
        import termios
        import tty
    except ImportError:  # Windows reads letters without it
        yield
        return
    stream = sys.stdin.fileno()
    before = termios.tcgetattr(stream)
    handlers = {signal.SIGTERM: _ended, signal.SIGHUP: _ended, signal.SIGCONT: lambda *_: tty.setcbreak(stream)}
    former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        tty.setcbreak(stream)
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        with suppress(termios.error):  # it may be gone
            termios.tcsetattr(stream, termios.TCSADRAIN, before)


def _ended(number: int, _: Any) -> None:
    raise SystemExit(128 + number)


def _read(queue: SimpleQueue[tuple[str, Any]], stop: Event) -> None:
    typed = _windows_typed if sys.platform == "win32" else _posix_typed
    while not stop.is_set():
        try:
            found = typed()
        except (OSError, ValueError):  # the terminal is gone
            return
        if found == "":
            return
        for letter in letters(found or ""):
            queue.put(("key", letter))


def letters(typed: str) -> list[str]:
    """The keys in what arrived at once; an arrow, or another key that sends a sequence, is none of ours."""
    return list(_SEQUENCE.sub("", typed))


def _posix_typed() -> str | None:
    """What was typed; None if nothing was, an empty text at the end of the input."""
    ready, _, _ = select([sys.stdin], [], [], WAIT)
    if not ready:
        return None
    found = os.read(sys.stdin.fileno(), 64)
    return found.decode("utf-8", "ignore") or None if found else ""


def _windows_typed() -> str | None:
    import msvcrt
    import time

    if msvcrt.kbhit():  # type: ignore[attr-defined]
        return msvcrt.getwch()  # type: ignore[attr-defined]
    time.sleep(WAIT)
    return None
