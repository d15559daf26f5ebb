"""Many exercises verified in a row: which ones, and a line for each.

A family is proved at its default, at every choice of one parameter, and at the ends of an integer's bounds where
they are near enough to be cheap; the other parameters have their default.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tutor.catalogue import Entry, Parameter, entries, find, is_path, load, normal_id, read_entry, split_address
from tutor.errors import TutorError, UsageError

if TYPE_CHECKING:
    from tutor.exercise import Exercise

FARTHEST = 16  # an integer parameter beyond this is not tried: depth=2000


@dataclass(frozen=True)
class Proof:
    """One exercise's verification, small and (where it has real sizes) full; or the error that stood in its way."""

    address: str
    verification: Any = None
    full: Any = None
    error: TutorError | None = None
    seconds: float = 0.0

    @property
    def verifications(self) -> list[Any]:
        return [v for v in (self.verification, self.full) if v is not None]

    @property
    def agrees(self) -> bool:
        return self.error is None and all(v.agrees for v in self.verifications)


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


def proofs(todo: Iterable[str], *, full: bool = True, seed: int = 0, device: str = "cpu") -> Iterator[Proof]:
    """Verify one after another, at three seeds and at full size at one; an error stops that one, not the others."""
    _check_device(device)
    for address in todo:
        began = time.perf_counter()
        try:
            proof = _proof(address, load(address), full, seed, device)
        except TutorError as error:
            proof = Proof(address, error=error)
        yield replace(proof, seconds=time.perf_counter() - began)


def _proof(address: str, exercise: Exercise, full: bool, seed: int, device: str) -> Proof:
    import tutor

    small = tutor.verify(exercise, seeds=(seed, seed + 1, seed + 2), device=device)
    if not (full and exercise.full_sizes):
        return Proof(address, small)
    return Proof(address, small, tutor.verify(exercise, seeds=(seed,), sizes=exercise.full_sizes, device=device))


def _check_device(device: str) -> None:
    """Refuse what torch cannot compute on, before it looks like a fault of ours."""
    import torch

    try:
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0].split(" device type at start")[0][:160]
        raise UsageError(f"torch has no device {device!r} here ({reason}): use cpu") from None
