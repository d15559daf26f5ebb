"""Many exercises verified in a row: which ones, and a line for each.

A family is proved at its default, at every choice of one parameter, and at the ends of an integer's bounds where
they are near enough to be cheap; the other parameters have their default.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tutor.catalogue import Entry, Parameter, entries, find, is_path, load, normal_id, read_entry, split_address
from tutor.errors import TutorError

if TYPE_CHECKING:
    from tutor.exercise import Exercise

FARTHEST = 16  # an integer parameter beyond this is not tried: depth=2000


@dataclass(frozen=True)
class Proof:
    """One exercise's verification, or the error that stood in its way."""

    address: str
    verification: Any
    error: TutorError | None
    seconds: float

    @property
    def agrees(self) -> bool:
        return self.error is None and self.verification.agrees


def members(entry: Entry) -> list[str]:
    """Addresses of a family's members worth proving; its id alone for a single exercise."""
    default = {p.name: p.default for p in entry.parameters}
    found = [default]
    for parameter in entry.parameters:
        found += [{**default, parameter.name: value} for value in _worth_trying(parameter) if value != parameter.default]
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


def proofs(todo: Iterable[str], **options: Any) -> Iterator[Proof]:
    """Verify one after another; an error stops that one, not the others."""
    import tutor

    for address in todo:
        began = time.perf_counter()
        verification, error = None, None
        try:
            exercise: Exercise = load(address)
            verification = tutor.verify(exercise, **options)
        except TutorError as found:
            error = found
        yield Proof(address, verification, error, time.perf_counter() - began)


