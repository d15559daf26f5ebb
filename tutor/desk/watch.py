"""Sheets checked whenever they are saved, and a few keys. The process stays warm, so that a check takes milliseconds.

Two threads put what happens into one queue, saves and keys; whoever runs the desk takes them out and acts, one at a
time. It does not go on to another exercise by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from tutor import course
from tutor.desk import sheets
from tutor.errors import NotFoundError, TutorError, UsageError
from tutor.language import said, tr

if TYPE_CHECKING:
    from tutor.checking.report import Report

QUIET = 20  # milliseconds without another change: editors write in several steps
POLLING = 200  # milliseconds, where a file system sends no events
LOOK = 1000  # milliseconds between two looks at whether the folder is still there
PROBE, PROBES, PATIENCE = ".tutor-probe", 4, 1.2  # a file that is written to be heard of; how often, and seconds in all


@contextmanager
def saves(queue: SimpleQueue[tuple[str, Any]], folder: Path, poll: bool = False) -> Iterator[bool]:
    """Put `("saved", path)` into the queue for every sheet of a folder that is written.

    Yields whether the folder is looked at again and again: where that is asked for with `poll`, or where a file system
    sends no events, which a file written for it tells.
    """
    watcher = _Watcher(queue, folder, poll)
    if not poll and not watcher.hears():
        watcher.stop()
        watcher = _Watcher(queue, folder, True)
    try:
        yield watcher.poll
    finally:
        watcher.stop()


class _Watcher:
    """A thread that waits for changes."""

    def __init__(self, queue: SimpleQueue[tuple[str, Any]], folder: Path, poll: bool):
        self.queue, self.folder, self.poll = queue, folder, poll
        self.stopped, self.heard = Event(), Event()
        self.seen = self._states() if poll else {}
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def hears(self) -> bool:
        """Whether an event arrives for a file that is written; a folder that cannot be written is believed."""
        probe = self.folder / PROBE
        for _ in range(PROBES):
            try:
                probe.touch()
                probe.unlink()
            except OSError:
                return self.thread.is_alive()
            if self.heard.wait(PATIENCE / PROBES):
                return True
        return False

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join(1)

    def _run(self) -> None:
        try:
            for paths in self._looked() if self.poll else self._events():
                for path in sorted(paths):
                    self.queue.put(("saved", path))
                if not self.folder.is_dir():
                    self.queue.put(("lost", said("it is gone")))
                    return
        except Exception as error:
            if self.poll or not self.folder.is_dir():  # else it is looked at again and again instead
                self.queue.put(("lost", f"{type(error).__name__}: {error}"))

    def _events(self) -> Iterator[set[Path]]:
        """What the file system tells."""
        from watchfiles import Change, watch

        for changes in watch(self.folder, watch_filter=self._wanted, step=QUIET, debounce=10 * QUIET,
                             stop_event=self.stopped, recursive=False, raise_interrupt=False, rust_timeout=LOOK,
                             yield_on_timeout=True):  # fmt: skip
            yield {Path(name) for change, name in changes if change != Change.deleted}

    def _looked(self) -> Iterator[set[Path]]:
        """What is another file than at the last look, or of another time or length.

        The polling of watchfiles compares whole seconds, so that of two saves in one second it misses the second.
        """
        while not self.stopped.wait(POLLING / 1000):
            before, self.seen = self.seen, self._states()
            yield {path for path, state in self.seen.items() if before.get(path) != state}

    def _states(self) -> dict[Path, tuple[int, ...]]:
        found: dict[Path, tuple[int, ...]] = {}
        for each in os.scandir(self.folder):
            if self._wanted(None, each.path):
                with suppress(OSError):  # gone since
                    state = each.stat()
                    found[Path(each.path)] = (state.st_mtime_ns, state.st_size, state.st_ino)
        return found

    def _wanted(self, _: Any, name: str) -> bool:
        path = Path(name)
        if path.name == PROBE:
            self.heard.set()
            return False
        return path.suffix in course.SHEETS and not path.name.startswith((".", "~", "#"))


@dataclass
class Desk:
    """A folder under watch: the sheet in hand, its last reports, and what each key does.

    `say` shows a text of ours, `show` the reports of a sheet; `busy` is what takes a while, `width` the terminal's.
    """

    folder: Path
    say: Callable[[str], None]
    show: Callable[[list[Report]], None]
    busy: Callable[[str], AbstractContextManager[None]] = field(default=lambda _: nullcontext())
    width: Callable[[], int | None] = field(default=lambda: None)
    options: dict[str, Any] = field(default_factory=dict)
    told: int = 0  # how often something was shown
    path: Path | None = None
    made: sheets.Judged | None = None
    asked: str = ""  # the key that waits to be pressed a second time
    written: Path | None = None  # a sheet of our own making, whose saving was not heard of yet

    def open(self) -> None:
        """Judge the sheet that was worked on last; without one load what a first save would wait for."""
        from tutor.desk.standing import standing

        stand = standing(self.folder)
        if stand.open:
            self.saved(self.folder / stand.open[0].path)
        else:
            with self.busy(tr("loading torch")):
                import tutor.checking.check  # noqa: F401 - now, and not at the first save

    def opened(self, polling: bool) -> str:
        """What is said when the watch begins."""
        how = tr(" (looked at again and again: no events arrive here)") if polling else ""
        return tr("watching {folder}{how}: save a sheet and it is checked", folder=self.folder.resolve(), how=how)

    def saved(self, path: Path) -> None:
        """Check a sheet and show its reports; what cannot be read is said, and the watch goes on."""
        ours, self.written = self.written, None
        if ours is not None and ours.name == path.name:  # the sheet that `n` wrote
            return
        if self._judge(path) and self.made is not None:
            self.told += 1
            self.show(self.made.reports)
            if self.made.problem:
                self._tell(tr("note: {problem}", problem=self.made.problem))

    def _tell(self, text: str) -> None:
        self.told += 1
        self.say(text)

    def _judge(self, path: Path) -> bool:
        """Take a sheet in hand and judge it; whether there is something to show."""
        if not path.is_file():
            return False
        self.path, self.made, self.asked = path, None, ""
        try:
            with self.busy(tr("checking {sheet}", sheet=path.name)):
                self.made = sheets.judged(str(path), make=True, **self.options)
        except NotFoundError as error:  # an exercise of another name; or the sheet was deleted in the meantime
            if path.is_file():
                self._tell(f"{path.name}: {error}")
        except TutorError as error:
            self._tell(f"{path.name}: {error}")
        return self.made is not None

    def fault(self, error: Exception) -> None:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        self._tell(tr("this is our fault, not yours: {error}\nplease report it; TUTOR_DEBUG=1 shows where", error=said))

    def pressed(self, key: str) -> bool:
        """Do what a key is for; False ends the watch."""
        before, self.asked = self.asked, ""
        key = key.lower()
        if key in ("q", "\x04"):
            return False
        act = {"n": self.following, "h": self.hint, "d": lambda: self.derive(before == "d"), "l": self.list_,
               "c": self.again}.get(key)  # fmt: skip
        if act is None:
            self.told += 1  # the keys are shown again
            return True
        try:
            act()
        except TutorError as error:
            self._tell(str(error))
        return True

    @property
    def current(self) -> Report | None:
        """The report that the keys are about: of several exercises the first that is not solved."""
        reports = self.made.reports if self.made is not None else []
        return next((report for report in reports if not report.correct), next(iter(reports), None))

    def again(self) -> None:
        if self.path is not None:
            self.saved(self.path)

    def following(self) -> None:
        """The open sheet after this one, in turn; where none is open, a sheet for the next exercise is written."""
        from tutor.answers.blank import write_sheet
        from tutor.desk.standing import standing

        stand = standing(self.folder)
        here = "" if self.path is None else self.path.name
        waiting = sorted({each.path for each in stand.open if each.path != here})
        if waiting:
            path = self.folder / next((name for name in waiting if name > here), waiting[0])
        elif stand.following is not None:
            path = self.written = write_sheet(stand.following, str(self.folder)).path
        elif stand.open:
            return self._tell(tr("{sheet} is the last one that is open", sheet=here))
        else:
            return self._tell(tr("there is no exercise after this one: the course is done"))
        if self._judge(path):
            report = self.current
            named = os.path.relpath(path) + ("" if report is None else f", {report.exercise}")
            written = path is self.written
            self._tell(tr("written: {sheet}: edit and save it", sheet=named) if written else
                       tr("next: {sheet}: edit and save it", sheet=named))  # fmt: skip

    def hint(self) -> None:
        """The next hint for the sheet in hand."""
        from tutor.views import desk as view

        report = self.current
        if report is None or self.path is None or self.made is None:
            self._tell(tr("save a sheet first: a hint is about what it says"))
        else:
            self._tell(view.hint(sheets.next_hint(self.path, report, self.made.text), keys=True))

    def derive(self, confirmed: bool) -> None:
        """The true derivation: after solving, or when asked for twice."""
        from tutor.catalogue import load
        from tutor.views import text

        report = self.current
        if report is None:
            self._tell(tr("save a sheet first: the derivation is that of its exercise"))
        elif report.correct or confirmed:
            self._tell(text.derivation(load(report.exercise).derive(), width=self.width()))
        else:
            self.asked = "d"
            self._tell(tr("{exercise} is not solved: press d again to see its derivation all the same",
                        exercise=report.exercise))  # fmt: skip

    def list_(self) -> None:
        from tutor.desk.standing import standing
        from tutor.views import desk

        self._tell(desk.standing(standing(self.folder), keys=True))


def run(desk: Desk, queue: SimpleQueue[tuple[str, Any]], ready: Callable[[], None]) -> None:
    """Act on saves and keys until `q`; `ready` is called where something was shown and a prompt belongs."""
    told = -1
    while True:
        if told != desk.told:
            ready()
        told = desk.told
        what, value = queue.get()
        if what == "lost":
            raise UsageError(said("{folder} cannot be watched: {reason}", folder=desk.folder, reason=value))
        try:
            if what == "key" and not desk.pressed(value):
                return
            if what == "saved":
                desk.saved(value)
        except Exception as error:  # a fault of ours ends one check and not the watch
            if os.environ.get("TUTOR_DEBUG"):
                raise
            desk.fault(error)
