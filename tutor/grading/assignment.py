"""The assignment file: TOML, versioned, checked against a schema; errors say the line and the key.

format = "tutor.assignment/1"
id = "homework-3"
title = "Backpropagation by hand"
secret = "9f86d081884c7d65"          # each learner's variant is drawn from it; it is never handed out

[[questions]]
exercise = "mlp"
points = { W1 = 2, b1 = 1 }
draw.parameters = { loss = ["mse", "mae"] }
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from tutor.catalogue import is_path, split_address
from tutor.errors import NotFoundError, ReadingError, UsageError, did_you_mean
from tutor.language import LANGUAGES, N_, of_exercise, said

if TYPE_CHECKING:
    from tutor.exercise import Exercise

FORMAT = "tutor.assignment/1"
MOST_BYTES = 1_000_000
FEEDBACK = ("score", "verdicts", "divergence", "mistakes", "derivation")  # each says more than the one before
Form = Literal["torch", "index", "latex"]
FORMS: tuple[Form, ...] = ("torch", "index", "latex")

Number = Annotated[float, Field(allow_inf_nan=False)]
Worth = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Scalar = bool | int | Number | str


class _Table(BaseModel):
    """A table of the file: its keys are fixed, and its values are taken as they stand."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Draw(_Table):
    """What is drawn for each learner, from choices: a family's parameters, sizes, numbers of the worked instance."""

    parameters: dict[str, Annotated[list[Scalar], Field(min_length=1)]] = {}
    sizes: dict[str, Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]] = {}
    instance: dict[str, Annotated[list[Number], Field(min_length=1)]] = {}

    @property
    def nothing(self) -> bool:
        return not (self.parameters or self.sizes or self.instance)


class Question(_Table):
    """One exercise that is asked, with what it is worth."""

    exercise: Annotated[str, Field(min_length=1)]
    id: Name | None = None
    title: str | None = None
    ask: Annotated[list[str], Field(min_length=1)] | None = None  # default: what the exercise asks
    points: dict[str, Worth] = {}  # per asked name; default: the exercise's
    draw: Draw = Draw()

    @cached_property
    def name(self) -> str:
        """Its id; without one, the exercise's."""
        address = split_address(self.exercise)[0]
        return self.id or (Path(address).stem if is_path(address) else address)

    def title_of(self, exercise: Exercise) -> str:
        """Its title; without one, the exercise's in the language in use."""
        return self.title or of_exercise(exercise.title)


class Assignment(_Table):
    """What is asked, how it is graded, and what learners are told."""

    format: Literal["tutor.assignment/1"]
    id: Name
    title: str = ""
    secret: str = ""
    language: str = "en"
    due: datetime | None = None
    feedback: Literal["score", "verdicts", "divergence", "mistakes", "derivation"] = "mistakes"
    attempts: Literal["best", "last", "average"] = "best"
    forms: Annotated[list[Form], Field(min_length=1)] = list(FORMS)
    lenient_shapes: bool = False
    follow_through: Annotated[float, Field(ge=0, le=1)] = 1.0  # of the points, for what follows from an earlier mistake
    seed: int = 0
    roster: str | None = None  # a CSV file beside this one
    questions: Annotated[list[Question], Field(min_length=1)]

    _path: Path = PrivateAttr(default=Path("assignment.toml"))
    _text: str = PrivateAttr(default="")

    @field_validator("language")
    @classmethod
    def _spoken(cls, value: str) -> str:
        if value not in LANGUAGES:
            raise ValueError(
                said("expected {expected}, not {given}", expected=" or ".join(LANGUAGES), given=repr(value))
            )
        return value

    @model_validator(mode="after")
    def _sound(self) -> Assignment:
        names = [question.name for question in self.questions]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(said("two questions are called {name}: give one of them another id", name=twice))
        if not self.secret and any(not question.draw.nothing for question in self.questions):
            raise ValueError(
                said("something is drawn for each learner, so a secret is needed: 'tutor assignment new' makes one")
            )
        if self.due is not None and self.due.tzinfo is None:
            raise ValueError(said("due needs its time zone: 2026-12-10T23:59:00+01:00"))
        return self

    @property
    def path(self) -> Path:
        return self._path

    @property
    def text(self) -> str:
        """The file as it was read."""
        return self._text

    def question(self, name: str) -> Question:
        """The question of that name; NotFoundError where there is none."""
        found = next((question for question in self.questions if question.name == name), None)
        if found is None:
            names = [question.name for question in self.questions]
            raise NotFoundError(
                said(
                    'the assignment has no question "{name}"{hint}: it has {names}',
                    name=name, hint=did_you_mean(name, names), names=", ".join(names),
                )
            )  # fmt: skip
        return found

    @property
    def varies(self) -> bool:
        """Whether learners get different questions."""
        return any(not question.draw.nothing for question in self.questions)

    def is_due(self, now: datetime) -> bool:
        return self.due is not None and now >= self.due

    @cached_property
    def own_files(self) -> Mapping[str, str]:
        """The text of each exercise file that is not the catalogue's, by its path as the assignment has it."""
        names = {split_address(question.exercise)[0] for question in self.questions}
        return {name: _source(self._path.parent / name, name) for name in sorted(names) if is_path(name)}

    @cached_property
    def version(self) -> str:
        """A digest of all that grades hang on: the file's content, its comments apart, and its own exercises."""
        content = [self.model_dump(mode="json"), dict(self.own_files)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _source(path: Path, name: str) -> str:
    try:
        return path.expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or said("it is not text in UTF-8")
        raise NotFoundError(
            said("the assignment's exercise {name} cannot be read: {reason}", name=name, reason=reason)
        ) from None


# -- reading -----------------------------------------------------------------------------------------------------


class AssignmentError(ReadingError):
    """The file is not an assignment: every fault with its line and key."""

    def __init__(self, path: Path, faults: list[Fault]):
        first = faults[0]
        super().__init__(first.message, first.line)
        self.path, self.faults = path, faults

    @property
    def says(self) -> str:
        from tutor.language import joined

        return joined([said("{path}, {fault}", path=self.path, fault=fault.says) for fault in self.faults], "\n")


class Fault:
    """One thing that is wrong: the line, the key (`questions[2].points.W`), and what is expected."""

    def __init__(self, line: int, key: str, message: str):
        self.line, self.key, self.message = line, key, message

    @property
    def says(self) -> str:
        if not self.key:
            return said("line {line}: {message}", line=self.line, message=self.message)
        return said("line {line}, {key}: {message}", line=self.line, key=self.key, message=self.message)


def read(path: str | Path) -> Assignment:
    """The assignment in a file; AssignmentError where it is none, NotFoundError where there is no such file."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotFoundError(
            said("cannot open {path}: {reason}; 'tutor assignment new' makes one", path=path, reason=reason)
        ) from None
    if len(data) > MOST_BYTES:
        raise UsageError(said("{path} is too large for an assignment", path=path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AssignmentError(path, [Fault(line, "", said("not text in UTF-8"))]) from None
    return parse(text, path)


def parse(text: str, path: str | Path = "assignment.toml") -> Assignment:
    """The assignment that a text is; `path` is what it stands in, and where its files are looked for."""
    path = Path(path)
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise AssignmentError(path, [_toml_fault(text, error)]) from None
    try:
        made = Assignment.model_validate(data)
    except ValidationError as error:
        raise AssignmentError(path, [_fault(text, found) for found in error.errors(include_url=False)]) from None
    made._path, made._text = path, text
    return made


def _toml_fault(text: str, error: Exception) -> Fault:
    import re

    place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
    line = int(place[1]) if place else text.count("\n") + 1
    reason = re.sub(r"\s*\(at .*\)$", "", str(error)) or said("nested too deeply")
    return Fault(line, "", said("no valid TOML: {reason}", reason=reason[:1].lower() + reason[1:]))


def _fault(text: str, found: Any) -> Fault:
    """One of pydantic's errors, with the line on which the key is given, or its table begins."""
    where = tuple(found["loc"])
    return Fault(line_of(text, where), key_of(where), _message(found))


def _in_file(text: str, where: tuple[Any, ...]) -> tuple[Any, ...]:
    """The part of a place that stands in the file: pydantic adds which of several types it tried."""
    node: Any = tomllib.loads(text)
    known: list[Any] = []
    for key in where:
        if (
            isinstance(node, Mapping)
            and key in node
            or isinstance(node, list)
            and isinstance(key, int)
            and key < len(node)
        ):
            node = node[key]
            known.append(key)
        else:
            break
    return tuple(known)


def key_of(where: tuple[Any, ...]) -> str:
    """`questions[2].points.W`, counted from 1 as people do."""
    made = ""
    for key in where:
        if isinstance(key, int):
            made += f"[{key + 1}]"
        elif not key.startswith(("function-", "constrained-", "list[", "float", "int", "bool", "str")):
            made += f".{key}" if made else key
    return made


def line_of(text: str, where: tuple[Any, ...]) -> int:
    """The line on which a key, or what is nearest around it, first has its value.

    That is the end of the shortest beginning of the file that already gives it: only the TOML reader knows all ways of
    writing a key, so it is asked; a file is short and this is for errors.
    """
    rows, line = text.split("\n"), 1
    where = _in_file(text, where)
    if not where:
        return line
    for end in range(1, len(rows) + 1):
        try:
            node: Any = tomllib.loads("\n".join(rows[:end]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value
        try:
            for key in where:
                node = node[key]
        except (KeyError, IndexError, TypeError):
            line = end + 1  # what comes next begins here
            continue
        return line if end > line and not rows[line - 1].lstrip().startswith("#") else end
    return line


def _message(found: Mapping[str, Any]) -> str:
    """pydantic's sentence in ours where a plainer one can be given."""
    kind, given = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return said("there is no such key{hint}", hint=did_you_mean(str(found["loc"][-1]), _keys_beside(found["loc"])))
    if kind == "missing":
        return said("this key is missing")
    if kind == "literal_error":
        return said("expected {expected}, not {given}", expected=given["expected"], given=repr(found["input"]))
    if kind in _EXPECTED:
        return said("expected {expected}, not {given}", expected=said(_EXPECTED[kind]), given=repr(found["input"])[:60])
    if kind in _BOUNDS:
        bound = given.get("ge", given.get("le"))
        return said(_BOUNDS[kind], bound=f"{bound:g}", given=repr(found["input"])[:60])
    if kind in _LENGTHS:
        return said(_LENGTHS[kind])
    if kind == "value_error":
        return given["error"].args[0]
    message = str(found["msg"])
    return message[:1].lower() + message[1:]


_EXPECTED = {
    "float_type": N_("a number"),
    "int_type": N_("a whole number"),
    "finite_number": N_("a finite number"),
    "string_type": N_("text in quotation marks"),
    "bool_type": N_("true or false"),
    "list_type": N_("a list"),
    "dict_type": N_("a table"),
    "model_type": N_("a table"),
    "datetime_type": N_("a date with its time: 2026-12-10T23:59:00+01:00"),
    "string_pattern_mismatch": N_("letters, digits, and . _ - after the first of them"),
}
_BOUNDS = {
    "greater_than_equal": N_("expected {bound} or more, not {given}"),
    "less_than_equal": N_("expected {bound} or less, not {given}"),
}
_LENGTHS = {
    "too_short": N_("this list is empty"),
    "string_too_short": N_("this text is empty"),
    "string_too_long": N_("this text is too long"),
}
_TABLES: dict[str, type[BaseModel]] = {"questions": Question, "draw": Draw}


def _keys_beside(where: tuple[Any, ...]) -> list[str]:
    table: type[BaseModel] = Assignment
    for key in where[:-1]:
        table = _TABLES.get(str(key), table)
    return list(table.model_fields)
