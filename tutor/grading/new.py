"""A new assignment file: valid as it stands, every key explained, with a secret of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.answers.blank import write_new
from tutor.catalogue import Entry, Parameter, find, is_path, load, read_entry, spelled, split_address
from tutor.errors import UsageError
from tutor.grading.assignment import FEEDBACK, FORMAT, FORMS, Question, parse
from tutor.grading.handout import ATTEMPTS
from tutor.language import current, of_exercise, said, tr

if TYPE_CHECKING:
    from tutor.exercise import Exercise

PATH = "assignment.toml"
EXERCISES = ("linear-regression", "softmax-regression")  # where none is named: one with numbers, one with shapes
MOST_CHOICES = 4


def write(path: str | Path | None = None, exercises: Sequence[str] = (), title: str = "") -> Path:
    """Write an assignment's file that was not there before."""
    target = Path(path or PATH)
    if target.is_dir():
        target = target / PATH
    made = text(target, exercises or EXERCISES, title, secrets.token_hex(32))
    write_new(target, made, said("{path} exists and is left as it is: give another path", path=target))
    return target


def text(target: Path, exercises: Sequence[str], title: str, secret: str) -> str:
    """The file's text; what it says is read back before anything is written."""
    blocks = [_head(target, title, secret), *(_question(target, address) for address in exercises)]
    made = "\n".join(blocks)
    parse(made, target)
    return made


def _head(target: Path, title: str, secret: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", target.stem).strip("-._") or "assignment"
    chosen = " | ".join
    rows = [
        f"# {tr('An assignment of the derivation tutor.')}",
        f"#     tutor assignment lint {target.name}     {tr('says what is wrong with it')}",
        f"#     tutor assignment build {target.name} -o bundle/     {tr('writes what is handed out')}",
        "",
        _key("format", FORMAT, tr("of this file; leave it")),
        _key("id", name[:64], tr("letters, digits, . - and _; leave it once handed out: what is drawn hangs on it")),
        _key("title", title or tr("Backpropagation by hand"), tr("what learners read at the top")),
        _key("secret", secret, tr("variants are drawn from it: keep it to yourself, and do not change it")),
        _key("language", current(), tr("of what learners read: {choices}", choices="en | zh")),
        _key("due", "2030-12-10T23:59:00+01:00", tr("with its time zone"), off=True, raw=True),
        _key("feedback", "mistakes", tr("what learners are told: {choices}", choices=chosen(FEEDBACK))),
        _key("attempts", "best", tr("which attempt counts: {choices}", choices=chosen(ATTEMPTS))),
        _key("forms", list(FORMS), tr("ways of writing that earn points")),
        _key("lenient_shapes", False, tr("whether (N, 1) passes for (N,)")),
        _key("follow_through", 1.0, tr("share of the points, 0 to 1, for what follows from an earlier mistake")),
        _key("seed", 0, tr("of the values at which answers are compared")),
        _key("roster", "roster.csv", tr("who takes part, a CSV file beside this one"), off=True),
    ]
    return "\n".join(rows) + "\n"


def _question(target: Path, address: str) -> str:
    exercise = load(address)
    entry = _entry(address)
    drawn = [
        ("draw.parameters", _parameters(exercise, entry, address), tr("drawn for each learner")),
        ("draw.sizes", _sizes(exercise), tr("drawn for each learner; every answer is then compared at these")),
        ("draw.instance", _numbers(exercise), tr("drawn for each learner: numbers of the worked instance")),
    ]
    rows = [
        "",
        f"# {' '.join(of_exercise(exercise.title).split())}",
        "[[questions]]",
        _key("exercise", _beside(target, address), tr("an id of 'tutor list', or the path of a file of yours")),
        _id(Question(exercise=address).name),
        _key("title", of_exercise(exercise.title), tr("else the exercise's"), off=True),
        _key("ask", list(exercise.asked), tr("of these the gradients; else what the exercise asks"), off=True),
        _key("points", dict(exercise.asked), tr("for each that is asked")),
        *(_key(key, table, says, off=True) for key, table, says in drawn if table),
    ]
    return "\n".join(rows) + "\n"


def _id(name: str) -> str:
    """The question's name, to be given where its exercise's is none."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:64] or "question"
    return _key("id", plain, tr("else the exercise's"), off=plain == name)


def _entry(address: str) -> Entry:
    name = split_address(address)[0]
    return read_entry(Path(name).expanduser()) if is_path(name) else find(name)


def _beside(target: Path, address: str) -> str:
    """An exercise's path as it is from where the assignment lies."""
    name, given = split_address(address)
    if not is_path(name):
        return address
    try:
        path = os.path.relpath(Path(name).expanduser(), target.parent)
    except ValueError:  # on another drive
        path = str(Path(name).expanduser().resolve())
    path = path.replace(os.sep, "/")
    return f"{path}:{given}" if given else path


def _parameters(exercise: Exercise, entry: Entry, address: str) -> dict[str, list[Any]]:
    """Choices of a family's parameters that the address leaves open, and with which the same is asked."""
    name, given = split_address(address)
    fixed = {part.partition("=")[0].strip() for part in (given or "").split(",")}

    def alike(parameter: Parameter, choice: Any) -> bool:
        member = load(f"{name}:{','.join(filter(None, (given, f'{parameter.name}={spelled(choice)}')))}")
        return set(exercise.asked) <= set(member.asked) and set(exercise.size_symbols) <= set(member.size_symbols)

    open_ = (p for p in entry.parameters if p.name not in fixed)
    found = {p.name: [choice for choice in _some(p) if alike(p, choice)] for p in open_}
    return {name: choices for name, choices in found.items() if len(choices) > 1}


def _some(parameter: Parameter) -> Iterator[Any]:
    if parameter.choices:
        yield from parameter.choices[:MOST_CHOICES]
    elif parameter.kind == "bool":
        yield from (False, True)
    elif parameter.low is not None and parameter.high is not None:
        low = min(max(parameter.default, parameter.low), parameter.high)
        yield from (value for value in (low, low + 1) if value <= parameter.high)


def _sizes(exercise: Exercise) -> dict[str, list[int]]:
    """Primes for two of the sizes, larger than the usual ones: a square would hide a transpose."""
    return dict(zip(exercise.size_symbols, ([17, 19], [11, 13]), strict=False))


def _numbers(exercise: Exercise) -> dict[str, list[Any]]:
    """The worked instance's own numbers, and one beside each."""
    if not exercise.instances:
        return {}
    given = exercise.instances[0]
    scalars = [q.name for q in exercise.leaves if not q.indices and isinstance(given.get(q.name), (int, float))]
    real = [name for name in scalars if exercise[name].domain == "real"][:2]
    return {name: [given[name], given[name] + 1] for name in real}


# -- TOML ----------------------------------------------------------------------------------------------------------


def _key(name: str, value: Any, says: str, *, off: bool = False, raw: bool = False) -> str:
    """`name = value  # what it is`; one that is `off` is a comment, to be switched on."""
    written = f"{'# ' if off else ''}{name} = {value if raw else toml(value)}"
    return f"{written}  # {says}"


def toml(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, bool):
        return spelled(value)
    if isinstance(value, str):
        if any(not letter.isprintable() for letter in value):
            raise UsageError(said("{text} has signs in it that cannot be printed", text=repr(value)))
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_bare(key)} = {toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) and value == int(value) and abs(value) < 1e15 else repr(value)


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
