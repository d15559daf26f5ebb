"""The seam: a `concurrent.futures.Executor` judges; who that is, processes here or a Dask cluster, nothing else knows.

A sheet has a deadline and a memory limit in the worker itself. Past the deadline the worker ends, even out of code that
never gives Python a turn; a worker that ends, for whatever reason, costs the sheets of its task a second try, each by
itself, and only what ends a worker three times by itself is given up. Both executors replace a worker that ended.
"""

from __future__ import annotations

import faulthandler
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tutor.errors import TutorError, UsageError
from tutor.grading.judging import Job, Rules, cut, judge
from tutor.grading.model import Packed
from tutor.language import said

DEADLINE = 30.0  # seconds for a sheet, which takes about 0.01: only what hangs reaches it
MEMORY = 2 << 30  # bytes beyond what a worker has at its start
BATCH = 16  # sheets of a task: sending one costs about as much as a tenth of judging it
AHEAD = 4  # tasks in flight for each worker
BATCH_FAR, AHEAD_FAR = 64, 2  # the same on a cluster, where a task goes by way of its scheduler
TRIES = 3  # of a sheet by itself
MOST_FRUITLESS = 5


def work(rules: Rules, jobs: tuple[Job, ...], deadline: float) -> list[Packed]:
    """Judge some files, each with its deadline. What runs in a worker."""
    results = []
    for job in jobs:
        with _ends_after(deadline):
            results.append(judge(rules, job).packed())
    return results


@contextmanager
def _ends_after(seconds: float) -> Iterator[None]:
    """The process ends if this takes longer: faulthandler's own thread needs no turn from Python."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=_nowhere())
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


_opened: list[Any] = []


def _nowhere() -> Any:
    if not _opened:
        _opened.append(open(os.devnull, "w"))  # noqa: SIM115  it is written to when the process ends
    return _opened[0]


# -- executors -----------------------------------------------------------------------------------------------------


class Processes(Executor):
    """Processes of this machine; one that dies costs its task alone, and another takes its place."""

    batch, ahead = BATCH, AHEAD

    def __init__(self, workers: int, memory: int = MEMORY):
        self.workers, self._memory = workers, memory
        self._fruitless = 0  # pools that broke, one after the other, without a result between
        self._pool = self._new()

    def _new(self) -> Any:
        from multiprocessing import get_context

        from pebble import ProcessPool

        return ProcessPool(
            max_workers=self.workers,
            initializer=_prepare,
            initargs=(self._memory, os.getpid()),
            context=get_context("spawn"),
        )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As ever; a pool whose processes were killed while they started is broken, and another takes its place."""
        if self._fruitless > MOST_FRUITLESS:
            raise TutorError(
                said("the processes that judge die as they start, perhaps for want of memory: try --jobs 1")
            )
        try:
            with _uninterrupted():
                made: Future[Any] = self._pool.schedule(fn, args=args, kwargs=kwargs)
        except RuntimeError:
            self._fruitless += 1
            self._pool.stop()
            self._pool = self._new()
            return self.submit(fn, *args, **kwargs)
        made.add_done_callback(self._count)
        return made

    def _count(self, done: Future[Any]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._fruitless = 0

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures or not wait:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Threads and processes that start here never see an interrupt, not even while they still import."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # started later, it would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(memory: int, parent: int) -> None:
    """A process of ours: an interrupt is the parent's to answer, and small tensors want one thread."""
    import gc
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()  # also while torch is imported

    import torch

    import tutor.checking.check  # noqa: F401  before the limit is set: what is imported is not the sheet's

    torch.set_num_threads(1)
    gc.freeze()  # what was imported stays, and need not be looked through for garbage again and again
    gc.set_threshold(50_000)
    _limit(memory)


def _end_with(parent: int) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    import time

    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _limit(memory: int) -> None:
    """Let the process have no more than so much beyond what it has, where the system can say so."""
    try:
        import resource
    except ImportError:  # Windows
        return
    if sys.platform != "linux":
        return  # elsewhere RLIMIT_DATA does not count what torch maps
    with open("/proc/self/status") as status:
        held = next((int(line.split()[1]) for line in status if line.startswith("VmData:")), 0) * 1024
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = held + memory
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


class Cluster(Executor):
    """A Dask cluster that is there already: `tutor` has to be installed where its workers run."""

    batch, ahead = BATCH_FAR, AHEAD_FAR

    def __init__(self, scheduler: str):
        try:
            from distributed import Client
        except ImportError:
            raise UsageError(said("--scheduler needs Dask: pip install 'derivation-tutor[dask]'")) from None
        try:
            self._client = Client(scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                said("no Dask scheduler answers at {address}: {reason}", address=scheduler, reason=_first_line(error))
            ) from None
        self._flying: set[Any] = set()  # Dask forgets a task that nobody holds
        self.workers = max(len(self._client.scheduler_info(n_workers=-1)["workers"]), 1)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As Dask's own executor does, which loses a task whose worker ended just after it was done."""
        made: Future[Any] = Future()
        try:
            task = self._client.submit(fn, *args, **kwargs, pure=False)
        except Exception as error:
            raise _gone(error) from None
        self._flying.add(task)
        task.add_done_callback(lambda task: self._hand_on(task, made))
        return made

    def _hand_on(self, task: Any, made: Future[Any]) -> None:
        """In a thread of Dask's: what a task gave, or why it gave nothing."""
        try:
            made.set_result(task.result())
        except BaseException as error:
            made.set_exception(error if self._client.status == "running" else _gone(error))
        finally:
            self._flying.discard(task)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._client.close()


def _gone(error: BaseException) -> TutorError:
    return TutorError(
        said("the Dask scheduler is gone ({reason}): what was judged is kept; run the same command again to go on",
             reason=_first_line(error))
    )  # fmt: skip


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class Judges:
    """Who judges: an executor, started when it is first needed; what is not done when the block is left is dropped."""

    def __init__(self, jobs: int | None = None, scheduler: str | None = None):
        self._jobs, self._scheduler = jobs or os.cpu_count() or 1, scheduler
        self._made: Executor | None = None

    def start(self) -> Executor:
        """Have them get ready: a process imports torch for seconds, in which something else may be done."""
        if self._made is None:
            self._made = Cluster(self._scheduler) if self._scheduler else Processes(self._jobs)
            self._made.submit(work, Rules("."), (), DEADLINE)
        return self._made

    def __enter__(self) -> Judges:
        self._told = ExitStack()
        self._told.enter_context(_ends_when_told())
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._told:
            if self._made is not None:
                self._made.shutdown(wait=kind is None, cancel_futures=kind is not None)


@contextmanager
def _ends_when_told() -> Iterator[None]:
    """A process that is told to end takes its workers along, and what they shared with it."""
    import signal
    import threading

    def end(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only there can it be told
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# -- keeping them busy ----------------------------------------------------------------------------------------------


@dataclass
class _Task:
    jobs: tuple[Job, ...]
    tries: int = 0  # of a single sheet


def judged(
    executor: Executor,
    rules: Rules,
    jobs: Iterable[Job],
    *,
    count: float = math.inf,
    deadline: float = DEADLINE,
    batch: int | None = None,
    work: Callable[[Rules, tuple[Job, ...], float], list[Packed]] = work,
) -> Iterator[list[tuple[Job, Packed]]]:
    """Jobs with their results, as many at a time as are done together; no more is asked for than keeps all busy.

    `count` is how many jobs there are, or could be.
    """
    workers = getattr(executor, "workers", 1)
    largest = batch or int(getattr(executor, "batch", BATCH))
    waiting = map(_Task, _grouped(jobs, largest, workers, count))
    again: deque[_Task] = deque()
    flying: dict[Future[Any], _Task] = {}
    most = workers * getattr(executor, "ahead", AHEAD)

    def launch() -> None:
        while len(flying) < most:
            task = again.popleft() if again else next(waiting, None)
            if task is None:
                return
            flying[executor.submit(work, rules, task.jobs, deadline)] = task

    launch()
    while flying:
        done, _ = wait(flying, return_when=FIRST_COMPLETED)
        for future in done:
            task = flying.pop(future)
            yield _results(future, task, again)
        launch()


def _grouped(jobs: Iterable[Job], most: int, workers: int, left: float) -> Iterator[tuple[Job, ...]]:
    """So many together, and towards the end fewer, so that no worker is busy long after the others are done."""
    todo = iter(jobs)
    while group := tuple(islice(todo, max(1, int(min(most, left / (2 * workers)))))):
        left -= len(group)
        yield group


def _results(future: Future[Any], task: _Task, again: deque[_Task]) -> list[tuple[Job, Packed]]:
    """What a task gave; where its worker ended, its sheets are tried again one by one."""
    try:
        results = future.result()
    except Exception as error:
        if not _ended(error):
            raise
        if len(task.jobs) == 1 and task.tries + 1 >= TRIES:
            return [(task.jobs[0], cut(said("the process that judged it died, or it took too long")).packed())]
        tries = task.tries + 1 if len(task.jobs) == 1 else 0
        again.extend(_Task((job,), tries) for job in task.jobs)
        return []
    return list(zip(task.jobs, results, strict=True))


def _ended(error: BaseException) -> bool:
    """Whether a worker is gone, by whichever executor's word."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"ProcessExpired", "BrokenExecutor", "KilledWorker", "TimeoutError", "CancelledError"})
