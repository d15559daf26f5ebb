"""Where files lie: a folder on disk, or a zip. They are listed and read; none is executed, none is unpacked to disk.

Nothing that stands here was named or made by us: a name may hold any letters, a link may lead anywhere, an archive may
say one thing and hold another. What is not a plain file in its place is a `File` with a problem, and never opened.
"""

from __future__ import annotations

import errno
import hashlib
import heapq
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

from tutor.grading.model import Problem
from tutor.language import said

MOST_DEPTH = 32  # folders inside each other
MOST_FILES = 1_000  # below one place at the top, which is one learner's
MOST_ENTRIES = 500_000  # of an archive
MOST_DIRECTORY = 96_000_000  # bytes of an archive's list of entries, which is held in memory
MOST_NAME = 200  # characters of a name that is shown
BOMB, BOMB_BYTES = 100, 10_000_000  # a file that is so many times as large as in the archive, and so large

# what systems and tools leave behind: never a learner's work, and passed over without a word
PASSED_OVER = frozenset(
    {".ds_store", "__macosx", "thumbs.db", "desktop.ini", ".git", "__pycache__", ".ipynb_checkpoints"}
)
_APPLE_DOUBLE = "._"  # a Mac's notes about the file of that name
_DAMAGED = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, LookupError, OverflowError,
    OSError, struct.error, zlib.error,
)  # fmt: skip  # what zipfile raises for archives that are none, or no longer


class Refused(Exception):
    """Something that cannot be read, with the problem that is said of it."""

    def __init__(self, problem: Problem):
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True)
class File:
    """What lies in a place: `parts` are the names of its folders and its own, as they stand.

    `read(limit)` gives its bytes, fewer than `limit`, or raises Refused; `problem` is why it is not asked to.
    """

    parts: tuple[str, ...]
    read: Callable[[int], bytes]
    problem: Problem | None = None


class Place(Protocol):
    """A folder, or an archive."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def around(self) -> int:
        """How many folders there are around everything in it: they are no part of what a file is called."""

    def top(self) -> list[tuple[str, bool]]:
        """The names at the top in their natural order, and whether each is a folder."""

    def below(self, name: str) -> Iterator[File]:
        """All files below a name at the top, or the file of that name."""

    def strays(self) -> Iterator[File]:
        """What has no place at all, as `../x.py`."""

    def inside(self, name: str) -> Place:
        """The folder of that name at the top as a place of its own."""

    def stream(self, name: str) -> IO[bytes] | None:
        """A file at the top to be read as it comes; None where there is none."""


# -- names -------------------------------------------------------------------------------------------------------


def natural(name: str) -> str:
    """A key for the order in which people count: `x2` before `x10`, small letters as capitals, the same everywhere."""
    folded = name.casefold()
    return f"{_DIGITS.sub(_number, folded)}\0{name}"


_DIGITS = re.compile(r"[0-9]+")


def _number(digits: re.Match[str]) -> str:
    """How many digits there are comes before which; as one letter, it stands where a digit does."""
    plain = digits[0].lstrip("0")
    return f"0{chr(len(plain) + 1)}{plain}"


def shown(name: str) -> str:
    r"""A name that can be shown anywhere: what is not printed as a letter or a sign is written as `\x1b` or `\u202e`.

    Two names stay two. One that is too long keeps its two ends and a digest of all of it.
    """
    if not name.isprintable() or "\\" in name:
        name = "".join(_escaped(letter) if letter == "\\" or not letter.isprintable() else letter for letter in name)
    if len(name) > MOST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: MOST_NAME // 2]}...{digest}...{name[-MOST_NAME // 4 :]}"
    return name


def _escaped(letter: str) -> str:
    if letter == "\\":
        return "\\\\"
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as os.fsdecode has it
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_passed_over(name: str) -> bool:
    return name.casefold() in PASSED_OVER or name.startswith(_APPLE_DOUBLE)


def unreadable(reason: str) -> Problem:
    return Problem("unreadable", reason)


def unsafe(reason: str) -> Problem:
    return Problem("unsafe", reason)


def too_large(limit: int) -> Problem:
    most = f"{limit - 1:,}"
    return Problem("too-large", said("more than {most} bytes, and not read: leave out what is no answer", most=most))


TOO_DEEP = unsafe(
    said("more than {most} folders inside each other, which are not looked into: hand in plain files", most=MOST_DEPTH)
)
TOO_MANY = Problem(
    "too-large",
    said("more than {most} files: those after them are not read; hand in the sheets alone", most=f"{MOST_FILES:,}"),
)


def _never(limit: int) -> bytes:
    raise AssertionError("a file with a problem is not read")


def _with(parts: tuple[str, ...], problem: Problem) -> File:
    return File(parts, _never, problem)


def _at_most(files: Iterable[File], parts: tuple[str, ...]) -> Iterator[File]:
    """The first `MOST_FILES`, and a problem if there are more."""
    for count, file in enumerate(files):
        if count == MOST_FILES:
            yield _with((*parts, "..."), TOO_MANY)
            return
        yield file


# -- on disk -----------------------------------------------------------------------------------------------------

# links are refused by the system itself, whatever changes after a look; a pipe does not wait for a writer
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_BY_HANDLE = os.open in os.supports_dir_fd and os.scandir in os.supports_fd


@dataclass(frozen=True)
class Disk:
    """A folder; `prefix` are the folders below it that everything lies in, `handle` its own, once opened."""

    folder: Path
    prefix: tuple[str, ...] = ()
    handle: int | None = None

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Disk]:
        """The folder at a path; Refused where it may not be read."""
        try:
            handle = os.open(folder, os.O_RDONLY) if _BY_HANDLE else None
        except OSError as error:
            raise Refused(_not_opened(error)) from None
        try:
            yield cls(folder, (), handle)
        finally:
            if handle is not None:
                os.close(handle)

    @property
    def name(self) -> str:
        return self.folder.name or str(self.folder)

    @property
    def around(self) -> int:
        return len(self.prefix)

    def top(self) -> list[tuple[str, bool]]:
        try:
            found = [(name, is_folder) for name, is_folder, _ in self._listing(self.prefix)]
        except OSError as error:
            raise Refused(_not_opened(error)) from None
        return sorted(found, key=lambda each: natural(each[0]))

    def below(self, name: str) -> Iterator[File]:
        parts = (*self.prefix, name)
        return _at_most(self._walk(parts), parts)

    def strays(self) -> Iterator[File]:
        return iter(())

    def inside(self, name: str) -> Disk:
        return replace(self, prefix=(*self.prefix, name))

    def stream(self, name: str) -> IO[bytes] | None:
        try:
            with self._opened((*self.prefix, name)) as handle:
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    return os.fdopen(os.dup(handle), "rb")
        except OSError:
            pass
        return None

    def _walk(self, parts: tuple[str, ...]) -> Iterator[File]:
        try:
            listing = self._listing(parts)
            entries = heapq.nsmallest(MOST_FILES + 1, listing, key=lambda each: natural(each[0]))
        except OSError as error:
            yield self._file(parts, self._kind(parts) if error.errno in _NO_FOLDER else _not_opened(error))
            return
        if len(parts) - len(self.prefix) > MOST_DEPTH:
            yield _with(parts, TOO_DEEP)
            return
        for name, is_folder, problem in entries:
            inner = (*parts, name)
            if is_folder:
                yield from self._walk(inner)
            else:
                yield self._file(inner, problem)

    def _file(self, parts: tuple[str, ...], problem: Problem | None) -> File:
        return File(parts, lambda limit: self._read(parts, limit), problem)

    def _kind(self, parts: tuple[str, ...]) -> Problem | None:
        """Why what lies there is not opened."""
        try:
            with self._opened(parts[:-1], of_folder=True) as handle:
                if self.handle is not None:
                    mode = os.stat(parts[-1], dir_fd=handle, follow_symlinks=False).st_mode
                else:
                    mode = os.lstat(handle / parts[-1]).st_mode
        except OSError as error:
            return _not_opened(error)
        return None if stat.S_ISREG(mode) else _no_file(mode)

    def _listing(self, parts: tuple[str, ...]) -> Iterator[tuple[str, bool, Problem | None]]:
        """(name, whether it is a folder, why it is not opened) of what lies in a folder."""
        with self._opened(parts, of_folder=True) as handle, os.scandir(handle) as entries:
            for entry in entries:
                if is_passed_over(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
                    yield entry.name, entry.is_dir(follow_symlinks=False), None
                    continue
                try:
                    yield entry.name, False, _no_file(entry.stat(follow_symlinks=False).st_mode)
                except OSError as error:
                    yield entry.name, False, _not_opened(error)

    def _read(self, parts: tuple[str, ...], limit: int) -> bytes:
        try:
            with self._opened(parts) as handle:
                found = os.fstat(handle)
                if not stat.S_ISREG(found.st_mode):
                    raise Refused(_no_file(found.st_mode))
                if found.st_size >= limit:
                    raise Refused(too_large(limit))
                with os.fdopen(os.dup(handle), "rb") as file:
                    data = file.read(found.st_size + 1)  # no more room is asked for than it takes
                    if len(data) > found.st_size:
                        data += file.read(limit - len(data))
                if len(data) >= limit:  # it has grown since
                    raise Refused(too_large(limit))
                return data
        except OSError as error:
            raise Refused(_not_opened(error)) from None

    @contextmanager
    def _opened(self, parts: tuple[str, ...], of_folder: bool = False) -> Iterator[Any]:
        """A handle of what lies there; each folder on the way is opened in the one before, so that none is a link."""
        if self.handle is None:
            with self._opened_by_path(parts, of_folder) as path:
                yield path
            return
        handle = self.handle
        try:
            for n, part in enumerate(parts, 1):
                flags = _FLAGS | (os.O_DIRECTORY if of_folder or n < len(parts) else 0)
                inner = os.open(part, flags, dir_fd=handle)
                self._close(handle)
                handle = inner
            yield handle
        finally:
            self._close(handle)

    def _close(self, handle: int) -> None:
        if handle != self.handle:
            os.close(handle)

    @contextmanager
    def _opened_by_path(self, parts: tuple[str, ...], of_folder: bool) -> Iterator[Any]:
        """Where the system has no such handles: each step is looked at before it is taken."""
        path = self.folder
        for part in parts:
            path = path / part
            if path.is_symlink():
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if of_folder:
            if not path.is_dir():
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            yield path
            return
        handle = os.open(path, _FLAGS)
        try:
            yield handle
        finally:
            os.close(handle)


_LINK = said("a link, which is not followed: hand in the file itself")
_OTHER = said("no plain file, and not opened: hand in a file")
_KINDS = {
    stat.S_IFDIR: said("a folder that was a file a moment ago: run again"),
    stat.S_IFIFO: said("a named pipe, which is not opened: hand in a file"),
    stat.S_IFSOCK: said("a socket, which is not opened: hand in a file"),
    stat.S_IFCHR: said("a device, which is not opened: hand in a file"),
    stat.S_IFBLK: said("a device, which is not opened: hand in a file"),
    stat.S_IFLNK: _LINK,
}


# what opening a folder says of what is none
_NO_FOLDER = (errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.ENXIO)


def _no_file(mode: int) -> Problem:
    return unsafe(_KINDS.get(stat.S_IFMT(mode), _OTHER))


def _not_opened(error: OSError) -> Problem:
    if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
        return unsafe(_LINK)
    if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):
        return unsafe(_KINDS[stat.S_IFSOCK])
    if error.errno in (errno.EACCES, errno.EPERM):
        return unreadable(said("it may not be read: give yourself permission, and run again"))
    if error.errno in (errno.ENOENT, errno.ESTALE):
        return unreadable(said("it is no longer there: run again"))
    reason = os.strerror(error.errno) if error.errno else str(error)
    return unreadable(said("it cannot be opened: {reason}; run again", reason=reason))


# -- in an archive -----------------------------------------------------------------------------------------------


class Archive:
    """A zip. Its list of entries is held, its files are read one by one, and never more of one than can be a sheet."""

    def __init__(self, name: str, packed: zipfile.ZipFile, infos: Iterable[zipfile.ZipInfo], at: int = 0):
        self.name, self._zip, self._at = name, packed, at
        self._strays: list[File] = []
        self._overlapping: frozenset[int] = frozenset()
        self._places: dict[str, list[zipfile.ZipInfo]] = {}
        for info in infos:
            parts = _parts(info)
            if len(parts) > at:
                self._places.setdefault(parts[at], []).append(info)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Archive]:
        """The archive in a file; Refused where it cannot be read at all."""
        try:
            _not_too_many(path)
            packed = zipfile.ZipFile(path)
        except _DAMAGED as error:
            raise Refused(_of_archive(error)) from None
        with packed:
            infos = packed.infolist()
            packed.NameToInfo.clear()  # entries are asked for by what they are
            made = cls(path.name, packed, infos)
            named = ((name, _leads_out(name)) for name in map(_decoded, infos))
            made._strays = [_with((name,), unsafe(reason)) for name, reason in named if reason is not None]
            made._overlapping = _overlapping(infos)
            yield made

    @property
    def around(self) -> int:
        return self._at

    def top(self) -> list[tuple[str, bool]]:
        found = ((name, any(len(_parts(info)) > self._at + 1 for info in each)) for name, each in self._places.items())
        return sorted(found, key=lambda each: natural(each[0]))

    def below(self, name: str) -> Iterator[File]:
        entries = [(_parts(info), info) for info in self._places[name]]
        if len(entries) > 1:
            entries.sort(key=lambda each: [natural(part) for part in each[0]])
        files = (File(parts, self._reader(info), self._problem(parts, info)) for parts, info in entries)
        return _at_most(files, (*entries[0][0][: self._at], name))

    def strays(self) -> Iterator[File]:
        return iter(self._strays)

    def inside(self, name: str) -> Archive:
        made = Archive(self.name, self._zip, self._places[name], self._at + 1)
        made._strays, made._overlapping = self._strays, self._overlapping
        return made

    def stream(self, name: str) -> IO[bytes] | None:
        for info in self._places.get(name, ()):
            parts = _parts(info)
            if len(parts) == self._at + 1 and self._problem(parts, info) is None:
                with suppress(*_DAMAGED):
                    return self._zip.open(info)
        return None

    def _problem(self, parts: tuple[str, ...], info: zipfile.ZipInfo) -> Problem | None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            return _no_file(kind)
        if len(parts) - self._at > MOST_DEPTH + 1:
            return TOO_DEEP
        if info.header_offset in self._overlapping:
            return unsafe(said("it shares its bytes with another entry of the archive, as a bomb does: pack it anew"))
        if info.flag_bits & _ENCRYPTED:
            return unreadable(said("it is encrypted: hand it in without a password"))
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return unreadable(said("it is packed in a way that is not read: pack it as an ordinary zip"))
        return None

    def _reader(self, info: zipfile.ZipInfo) -> Callable[[int], bytes]:
        return lambda limit: self._read(info, limit)

    def _read(self, info: zipfile.ZipInfo, limit: int) -> bytes:
        if info.file_size >= limit:
            bomb = info.file_size > max(BOMB * info.compress_size, BOMB_BYTES)
            raise Refused(_bomb(info) if bomb else too_large(limit))
        try:
            with self._zip.open(info) as file:
                return file.read(limit)
        except _DAMAGED:
            raise Refused(_LIES if self._holds_more(info) else _DAMAGED_HERE) from None

    def _holds_more(self, info: zipfile.ZipInfo) -> bool:
        """Whether an entry goes on after as many bytes as it says: one more is looked for."""
        longer = copy(info)
        longer.file_size += 1
        del longer.CRC  # which is that of all
        try:
            with self._zip.open(longer) as file:
                return len(file.read(longer.file_size)) == longer.file_size
        except _DAMAGED:
            return False


_ENCRYPTED = 0x1 | 0x40
_LIES = unsafe(said("it unpacks to more than it says, as a bomb does: pack it anew"))
_DAMAGED_HERE = unreadable(said("the archive is damaged here: pack it anew, or download it again"))


def _bomb(info: zipfile.ZipInfo) -> Problem:
    size, packed = f"{info.file_size:,}", f"{info.compress_size:,}"
    return unsafe(
        said("{packed} bytes that unpack to {size}, as a bomb's do: it is not unpacked", packed=packed, size=size)
    )


def _of_archive(error: Exception) -> Problem:
    if isinstance(error, OSError) and error.errno:
        return _not_opened(error)
    return unreadable(said("the archive is damaged, or not all of it is here: download it again"))


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    """The names of an entry's folders and its own; none for a folder, what is passed over, and what leads out."""
    name = _decoded(info)
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.endswith("/") or _leads_out(name) is not None or any(map(is_passed_over, parts)):
        return ()
    return parts


def _decoded(info: zipfile.ZipInfo) -> str:
    """The entry's name. Many programs write UTF-8 without saying so; where they mean something else, it reads oddly."""
    name = info.orig_filename
    if info.flag_bits & 0x800 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _leads_out(name: str) -> str | None:
    """Why a name says no place in the archive."""
    if "\\" in name or "\0" in name:
        return said("its name has a letter in it that leads elsewhere on some machines: rename it, and pack it anew")
    if name.startswith("/") or name[1:2] == ":":
        return said("its name begins at the root of a disk: pack it anew, from inside its folder")
    if ".." in name.split("/"):
        return said("its name leads out of the archive: pack it anew, from inside its folder")
    return None


def _overlapping(infos: Iterable[zipfile.ZipInfo]) -> frozenset[int]:
    """Where entries begin that share bytes: https://www.bamsoftware.com/hacks/zipbomb/"""
    made: set[int] = set()
    end, last = 0, -1
    for offset, size in sorted((info.header_offset, info.compress_size) for info in infos):
        if offset < end:
            made |= {offset, last}
        if offset + _HEADER + size > end:
            end, last = offset + _HEADER + size, offset
    return frozenset(made)


_HEADER, _END, _END_64, _LOCATOR = 30, 22, 56, 20  # bytes, at least, of a file's header and of the ends of an archive


def _not_too_many(path: Path) -> None:
    """Refused where the list of entries says of itself that it is longer than we hold.

    PKWARE's APPNOTE.TXT, 4.3.14 to 4.3.16: the end of the central directory, its locator, and its 64 bit form.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _END - 0xFFFF - _LOCATOR, 0))
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END:
            return  # no archive: zipfile says so
        count, length = struct.unpack_from("<HL", tail, at + 10)
        if count == 0xFFFF or length == 0xFFFFFFFF:
            locator = at - _LOCATOR
            if locator >= 0 and tail[locator : locator + 4] == b"PK\6\7":
                (where,) = struct.unpack_from("<Q", tail, locator + 8)
                file.seek(min(where, size))
                found = file.read(_END_64)
                if len(found) == _END_64:
                    count, length = struct.unpack_from("<QQ", found, 32)
    if count > MOST_ENTRIES or length > MOST_DIRECTORY:
        most = f"{MOST_ENTRIES:,}"
        raise Refused(unsafe(said("an archive of more than {most} files: divide it, or unpack it", most=most)))
