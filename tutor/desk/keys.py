"""Single keys from a terminal, without Enter: read by a thread of its own, the terminal left as it was found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

WAIT = 0.1  # seconds between two looks at whether to stop


@contextmanager
def keys(queue: SimpleQueue[tuple[str, Any]]) -> Iterator[bool]:
    """Put `("key", letter)` into the queue for every key; False where there is no terminal to read from."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
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


@contextmanager
def _by_letter() -> Iterator[None]:
    """No line is waited for and no key is echoed; Ctrl-C interrupts as always."""
    try:
        import termios
        import tty
    except ImportError:  # Windows reads letters without it
        yield
        return
    stream = sys.stdin.fileno()
    before = termios.tcgetattr(stream)
    try:
        tty.setcbreak(stream)
        yield
    finally:
        termios.tcsetattr(stream, termios.TCSADRAIN, before)


def _read(queue: SimpleQueue[tuple[str, Any]], stop: Event) -> None:
    letter = _windows_letter if sys.platform == "win32" else _posix_letter
    while not stop.is_set():
        with suppress(OSError, ValueError):
            found = letter()
            if found == "":
                return
            if found is not None:
                queue.put(("key", found))


def _posix_letter() -> str | None:
    """A key; None if none came, nothing at the end of the input."""
    from select import select

    ready, _, _ = select([sys.stdin], [], [], WAIT)
    if not ready:
        return None
    return os.read(sys.stdin.fileno(), 1).decode("latin-1")


def _windows_letter() -> str | None:
    import msvcrt
    import time

    if msvcrt.kbhit():  # type: ignore[attr-defined]
        return msvcrt.getwch()  # type: ignore[attr-defined]
    time.sleep(WAIT)
    return None
