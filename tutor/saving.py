"""Where files of ours are written: over what is there, and what the system refuses is said in our words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tutor.errors import UsageError
from tutor.language import said


@contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """A refusal of the system becomes a UsageError that names the path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(said("cannot write {path}: {reason}; give another path", path=path, reason=reason)) from None


def save(path: str | Path, content: str | bytes, *, with_folder: bool = False) -> None:
    """Write a file, and before it the folder if that is wanted."""
    path = Path(path)
    with explained(path):
        if with_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)


def lay_out(files: Mapping[str, bytes], folder: Path, executable: Iterable[str] = ()) -> None:
    """Write files below a folder."""
    runs = set(executable)
    for name in sorted(files):
        save(folder / name, files[name], with_folder=True)
        (folder / name).chmod(0o755 if name in runs else 0o644)


def kept_whole(path: str, content: bytes) -> None:
    """A file that holds this, untouched where it does, and never half written.

    A class has many: hence plain calls, a third of what `Path` and a buffer would take.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        pass
    folder, name = os.path.split(path)
    made = os.path.join(folder, f".{name}.new")
    try:
        with open(made, "wb", buffering=0) as file:
            written = file.write(content)
        if written != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.replace(made, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(made)
        raise


@contextmanager
def replaced(path: Path, mode: str = "wb", *, lasting: bool = False, **how: Any) -> Iterator[IO[Any]]:
    """A file that takes another's place once it is whole, and is on the disk by then if it is `lasting`."""
    made = path.with_name(f".{path.name}.new")
    try:
        with made.open(mode, **how) as file:
            yield file
            if lasting:  # through a power cut
                file.flush()
                os.fsync(file.fileno())
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
