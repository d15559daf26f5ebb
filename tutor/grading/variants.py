"""A learner's variant of a question: what is drawn within the declared choices, from learner and secret alone.

    choice = HMAC-SHA256(secret, assignment, question, what is drawn, learner) mod number of choices

so that bundles, sheets and keys agree without a list of who got what, and nobody without the secret can tell.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.catalogue import Entry, find, is_path, load, read_entry, spelled, split_address
from tutor.errors import NotFoundError
from tutor.grading.assignment import Assignment, Question
from tutor.language import said

if TYPE_CHECKING:
    from tutor.exercise import Exercise


@dataclass(frozen=True)
class Variant:
    """A question as one learner has it: plain data, equal for all who drew the same."""

    question: str
    address: str  # `mlp:loss=mae`, or a path as the assignment has it
    sizes: tuple[tuple[str, int], ...] = ()
    instance: tuple[tuple[str, float], ...] = ()
    ask: tuple[str, ...] = ()  # nothing: what the exercise asks
    points: tuple[tuple[str, float], ...] = ()

    def exercise(self, folder: Path) -> Exercise:
        """The exercise with all that was drawn put in; `folder` is the assignment's, for files of its own."""
        name = split_address(self.address)[0]
        address = str(folder / self.address) if is_path(name) else self.address
        made = load(address)
        if self.ask:
            made.ask_instead(*self.ask)
        made.points(**dict(self.points))
        if self.instance:
            changed = {**(made.instances[0] if made.instances else {}), **dict(self.instance)}
            made.instances.clear()
            made.instance(**changed)
        made.validate()
        return made

    @property
    def judged_by(self) -> tuple[Any, ...]:
        """What a verdict hangs on: all but the points."""
        return (self.question, self.address, self.sizes, self.instance, self.ask)


def variant(assignment: Assignment, question: Question, learner: str) -> Variant:
    """What a learner has as a question."""
    if question.draw.nothing:
        return _made(question, {}, {}, {})

    def drawn(what: str, choices: Sequence[Any]) -> Any:
        asked = json.dumps([assignment.id, question.name, what, learner]).encode()
        number = int.from_bytes(hmac.new(assignment.secret.encode(), asked, hashlib.sha256).digest(), "big")
        return choices[number % len(choices)]

    draw = question.draw
    tables: tuple[tuple[str, Mapping[str, Sequence[Any]]], ...] = (
        ("parameters", draw.parameters),
        ("sizes", draw.sizes),
        ("instance", draw.instance),
    )
    chosen = {
        kind: {name: drawn(f"{kind}.{name}", choices) for name, choices in sorted(table.items())}
        for kind, table in tables
    }
    return _made(question, chosen["parameters"], chosen["sizes"], chosen["instance"])


def variants(assignment: Assignment, learner: str) -> tuple[Variant, ...]:
    """All questions as a learner has them."""
    return tuple(variant(assignment, question, learner) for question in assignment.questions)


def possible(question: Question, most: int = 256) -> Iterator[Variant]:
    """Every variant there is, in a fixed order; at most so many."""
    draw = question.draw
    tables: list[list[tuple[str, Any]]] = [sorted(t.items()) for t in (draw.parameters, draw.sizes, draw.instance)]
    every = (_choices(table) for table in tables)
    for parameters, sizes, instance in itertools.islice(itertools.product(*every), most):
        yield _made(question, parameters, sizes, instance)


def looked_at(question: Question, most: int = 256) -> list[Variant]:
    """Every variant, or of many so many, in which each choice stands at least once if that can be."""
    if count(question) <= most:
        return list(possible(question, most))
    draw = question.draw
    tables: list[Mapping[str, Sequence[Any]]] = [draw.parameters, draw.sizes, draw.instance]
    longest = max(len(choices) for table in tables for choices in table.values())

    def nth(table: Mapping[str, Sequence[Any]], n: int) -> dict[str, Any]:
        return {name: choices[n % len(choices)] for name, choices in table.items()}

    each = (_made(question, nth(draw.parameters, n), nth(draw.sizes, n), nth(draw.instance, n)) for n in range(longest))
    return list(dict.fromkeys(itertools.chain(each, possible(question, most))))[:most]


def _choices(table: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    names = [name for name, _ in table]
    return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*(values for _, values in table))]


def count(question: Question) -> int:
    """How many variants a question has."""
    draw = question.draw
    return prod(len(c) for table in (draw.parameters, draw.sizes, draw.instance) for c in table.values())


def _made(
    question: Question, parameters: Mapping[str, Any], sizes: Mapping[str, int], instance: Mapping[str, float]
) -> Variant:
    return Variant(
        question.name,
        _address(question.exercise, parameters),
        tuple(sorted(sizes.items())),
        tuple(sorted(instance.items())),
        tuple(question.ask or ()),
        tuple(sorted(question.points.items())),
    )


def _address(exercise: str, parameters: Mapping[str, Any]) -> str:
    """`mlp:layers=2` with what was drawn: `mlp:layers=2,loss=mae`."""
    if not parameters:
        return exercise
    name, fixed = split_address(exercise)
    given = [fixed] if fixed else []
    return f"{name}:{','.join([*given, *(f'{key}={spelled(value)}' for key, value in sorted(parameters.items()))])}"


def entry_of(address: str, folder: Path) -> Entry:
    """What an exercise's file says of itself, without running it; `folder` is where files of one's own are."""
    name = split_address(address)[0]
    return read_entry(folder / name) if is_path(name) else find(name)


def source_of(address: str, folder: Path) -> str:
    """A digest of an exercise's file, which a verdict hangs on as well."""
    try:
        return hashlib.sha256(entry_of(address, folder).path.read_bytes()).hexdigest()
    except OSError as error:
        raise NotFoundError(
            said(
                "the assignment's exercise {name} cannot be read: {reason}",
                name=split_address(address)[0],
                reason=error.strerror or error,
            )
        ) from None
