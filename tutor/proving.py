"""Many exercises verified in a row: which ones, and a line for each.

A family is proved at its default, at every choice of one parameter, and at the ends of an integer's bounds where
they are near enough to be cheap; the other parameters have their default.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any

from tutor.catalogue import Entry, Parameter, entries, find, is_path, load, normal_id, read_entry, split_address
from tutor.errors import TutorError, UsageError
from tutor.language import said

if TYPE_CHECKING:
    from tutor.exercise import Exercise

FARTHEST = 16  # an integer parameter beyond this is not tried: depth=2000
FEW = 8  # fewer are proved sooner here than in processes that import torch first


@dataclass(frozen=True)
class Proof:
    """One exercise's verification, small and (where it has real sizes) full; or the error that stood in its way.

    Its certificate too, where one was asked for.
    """

    address: str
    verification: Any = None
    full: Any = None
    certificate: Any = None
    error: TutorError | None = None
    seconds: float = 0.0

    @property
    def verifications(self) -> list[Any]:
        return [v for v in (self.verification, self.full) if v is not None]

    @property
    def agrees(self) -> bool:
        found = [*self.verifications, *([self.certificate] if self.certificate is not None else [])]
        return self.error is None and all(part.agrees for part in found)


def members(entry: Entry) -> list[str]:
    """Addresses of a family's members worth proving; its id alone for a single exercise."""
    default = {p.name: p.default for p in entry.parameters}
    found = [default]
    for parameter in entry.parameters:
        found += [
            {**default, parameter.name: value} for value in _worth_trying(parameter) if value != parameter.default
        ]
    return [normal_id(entry, values) for values in found]


def _worth_trying(parameter: Parameter) -> list[Any]:
    if parameter.kind == "bool":
        return [False, True]
    ends = [end for end in (parameter.low, parameter.high) if end is not None and end <= FARTHEST]
    return [*parameter.choices, *ends]


def addresses(given: Sequence[str] = ()) -> list[str]:
    """What to prove: the members of what is named without parameters, and of everything if nothing is named."""
    if not given:
        return [address for entry in entries() for address in members(entry)]
    return list(dict.fromkeys(address for name in given for address in _expanded(name)))


def _expanded(address: str) -> list[str]:
    name, parameters = split_address(address)
    if parameters is not None:
        return [address]
    if not is_path(name):
        return members(find(name))
    try:
        entry = read_entry(_plain_path(name))
    except TutorError:
        return [address]  # loading it will say what is wrong
    return [name + identity.removeprefix(entry.id) for identity in members(entry)]


def _plain_path(name: str) -> Any:
    from pathlib import Path

    return Path(name).expanduser()


@dataclass(frozen=True)
class Task:
    """How an exercise is proved."""

    full: bool = True
    certificate: bool = False
    seed: int = 0
    device: str = "cpu"

    def __call__(self, address: str) -> Proof:
        """At three seeds, and at full size at one; an error is part of the result."""
        began = time.perf_counter()
        try:
            proof = self._proof(address, load(address))
        except TutorError as error:
            proof = Proof(address, error=error)
        return replace(proof, seconds=time.perf_counter() - began)

    def _proof(self, address: str, exercise: Exercise) -> Proof:
        import tutor
        from tutor.certificate import certify

        seeds = (self.seed, self.seed + 1, self.seed + 2)
        small = tutor.verify(exercise, seeds=seeds, device=self.device)
        proof = Proof(address, small, certificate=certify(exercise) if self.certificate else None)
        if not (self.full and exercise.full_sizes):
            return proof
        full = tutor.verify(exercise, seeds=seeds[:1], sizes=exercise.full_sizes, device=self.device)
        return replace(proof, full=full)


def proofs(todo: Sequence[str], task: Task, *, jobs: int | None = None) -> Iterator[Proof]:
    """Prove many, in their order, by as many processes as there are processors.

    An error stops that one alone; a process that dies, those that are not done yet.
    """
    _check_device(task.device)
    workers = min(jobs or os.cpu_count() or 1, len(todo))
    if workers <= 1 or (jobs is None and len(todo) < FEW) or task.device != "cpu":
        yield from map(task, todo)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _prepare)
    try:
        started = [pool.submit(task, address) for address in todo]
        for address, result in zip(todo, started, strict=True):
            try:
                yield result.result()
            except BrokenProcessPool:
                yield Proof(
                    address, error=TutorError(said("a process of ours died, perhaps for want of memory: try --jobs 1"))
                )
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _prepare() -> None:
    """A process of ours: an interrupt is the parent's to answer, and one thread is enough for small tensors.

    It ends with its parent: without that, one whose parent was killed would wait for work for ever.
    """
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent_process(),), daemon=True).start()
    torch.set_num_threads(1)


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _check_device(device: str) -> None:
    """Refuse what torch cannot compute on, before it looks like a fault of ours."""
    import torch

    try:
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0].split(" device type at start")[0][:160]
        raise UsageError(
            said("torch has no device {device!r} here ({reason}): use cpu", device=device, reason=reason)
        ) from None
