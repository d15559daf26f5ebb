"""Find, list and load exercise files.

Listing reads the files without running them, so it needs neither sympy nor torch. Loading runs a file:
exercise files are code, load only those you trust.
"""

from __future__ import annotations

import ast
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from inspect import cleandoc
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tutor import language
from tutor.course import read as read_course
from tutor.errors import ExerciseError, NotFoundError, TutorError, UsageError, did_you_mean
from tutor.language import joined, said

if TYPE_CHECKING:
    from tutor.exercise import Exercise

UNREADABLE_LEVEL = 99  # a file that cannot be read stands at the end of the list


@dataclass(frozen=True)
class Parameter:
    """One parameter of a family: `layers: int, 1 to 8, default 2`."""

    name: str
    kind: str  # int, float, bool, str or choice
    default: Any
    choices: tuple[Any, ...] = ()
    low: int | None = None
    high: int | None = None  # inclusive

    def __str__(self) -> str:
        return str(self.says)

    @property
    def says(self) -> str:
        return said(
            "{name}: {allowed}, default {default}", name=self.name, allowed=self.allowed, default=spelled(self.default)
        )

    @property
    def allowed(self) -> str:
        """What may be given, in words: `int, 1 to 8`."""
        if self.choices:
            return "|".join(map(spelled, self.choices))
        if self.kind == "bool":
            return "true|false"
        return (
            self.kind
            if self.low is None
            else said("{kind}, {low} to {high}", kind=self.kind, low=self.low, high=self.high)
        )

    def accepts(self, value: Any) -> bool:
        """Whether a value is of the right type and within bounds."""
        if self.choices:
            return any(value == choice and type(value) is type(choice) for choice in self.choices)
        if type(value).__name__ != self.kind:
            return False
        return self.low is None or self.low <= value <= self.high

    def read(self, text: str) -> Any:
        """The value that a text such as `4` or `mae` stands for; ValueError if it stands for none."""
        value = _choice(text, self.choices) if self.choices else _READERS[self.kind](text)
        if not self.accepts(value):
            raise ValueError(text)
        return value


@dataclass(frozen=True)
class Entry:
    """What a list shows of an exercise file, read without running it."""

    id: str
    title: str
    level: int
    tags: tuple[str, ...]
    requires: tuple[str, ...]
    source: str
    path: Path
    statement: str
    parameters: tuple[Parameter, ...] = ()
    track: str = ""  # the chapter of the course in which it stands

    @property
    def is_family(self) -> bool:
        return bool(self.parameters)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        parameters = [asdict(p) | {"choices": list(p.choices)} for p in self.parameters]
        title, track, statement = map(language.of_exercise_as_data, (self.title, self.track, self.statement))
        return {
            "id": self.id, "title": title, "level": self.level, "track": track, "tags": list(self.tags),
            "requires": list(self.requires), "source": self.source, "statement": statement,
            "parameters": parameters,
        }  # fmt: skip


# -- finding --------------------------------------------------------------------------------


def folder() -> Path:
    """Where the exercises are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    return next((f for f in (package / "exercises", package.parent / "exercises") if f.is_dir()), package / "exercises")


def entries(place: Path | None = None) -> list[Entry]:
    """All exercises of the catalogue (or of another folder) in course order, the others after it, by level and name."""
    place = place or folder()
    course = read_course(place)
    rank = {id: n for n, id in enumerate(course.order)}
    found = map(_entry_or_complaint, (f for f in place.glob("*.py") if not f.name.startswith("_")))
    placed = (replace(entry, track=course.track_of(entry.id)) for entry in found)
    return sorted(placed, key=lambda entry: (rank.get(entry.id, len(rank)), entry.level, entry.id))


def find(name: str) -> Entry:
    """The catalogue's entry of that id, without family parameters."""
    known = {entry.id: entry for entry in entries()}
    if name not in known:
        hint = _nearest(_short(name).lower(), known) or said(";")
        here = re.fullmatch(r"[\w-]+", name) and os.path.isfile(f"{name}.py")
        beside = said(' the file {name}.py is here: to use it, write "{name}.py";', name=name) if here else ""
        if not here and os.path.isfile(name):
            beside = said(" the file {name} is here, but exercise files end in .py;", name=_short(name))
        raise NotFoundError(
            said(
                "no exercise \"{name}\"{hint}{beside} 'tutor list' shows all",
                name=_short(name),
                hint=hint,
                beside=beside,
            )
        )
    return known[name]


def _nearest(name: str, known: Iterable[str]) -> str:
    """By likeness, or else the first that contains it: "softmax" means softmax-regression."""
    containing = [said('; did you mean "{id}"?', id=id) for id in known if name and name in id]
    return did_you_mean(name, known) or next(iter(containing), "")


def read_entry(path: Path) -> Entry:
    """The metadata of one file, from its text alone."""
    path = Path(path)
    try:
        state = path.stat()
    except OSError as error:
        raise _no_file(path, error) from None
    return _read_entry(path, state.st_mtime_ns, state.st_size)


def _entry_or_complaint(path: Path) -> Entry:
    """One broken file must not hide the others: it is listed with what is wrong with it."""
    try:
        return read_entry(path)
    except TutorError as error:
        complaint = said("cannot be read: {error}", error=error.says)
        return Entry(_id_of(path), complaint, UNREADABLE_LEVEL, (), (), "", path, complaint)


def _id_of(path: Path) -> str:
    return path.stem.replace("_", "-")


def _no_file(path: str | Path, error: OSError) -> NotFoundError:
    reason = said("there is no such file") if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
    return NotFoundError(
        said(
            "cannot open {path}: {reason}; give the path of an exercise file, or an id from 'tutor list'",
            path=_short(str(path), 200),
            reason=reason,
        )
    )


# -- reading without running ------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _read_entry(path: Path, changed: int, length: int) -> Entry:
    tree = _parse(path, _source(path))
    call = _exercise_call(tree)
    given = {k.arg: _literal(k.value) for k in call.keywords if k.arg} if call else {}
    if call and call.args:
        given["name"] = _literal(call.args[0])
    name = given.get("name")
    name = name if isinstance(name, str) else _id_of(path)
    return Entry(
        id=name,
        title=_if(str, given.get("title"), name),
        level=_if(int, given.get("level"), 1),
        tags=_names(given.get("tags")),
        requires=_names(given.get("requires")),
        source=_if(str, given.get("source"), ""),
        path=path,
        statement=_if(str, given.get("statement"), "") or _docstring(tree),
        parameters=_parameters(path, tree),
    )


def _source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _no_file(path, error) from None


def _parse(path: Path, source: bytes) -> ast.Module:
    try:
        return ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # ValueError: a null byte
        raise _syntax_error(path, error) from None


def _syntax_error(path: Path, error: BaseException) -> ExerciseError:
    line = getattr(error, "lineno", None)
    text = (getattr(error, "text", None) or "").strip()
    message = getattr(error, "msg", None) or str(error) or said("nested too deeply to be read")
    return ExerciseError(f"{_place(path, line)}: {message}" + (f": {text}" if text else ""))


def _place(path: Path, line: int | None) -> str:
    return said("{path}, line {line}", path=path, line=line) if line else str(path)


def _exercise_call(tree: ast.Module) -> ast.Call | None:
    """The first `Exercise("name", ...)` of the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last_name(node.func) == "Exercise":
            return node
    return None


def _last_name(node: ast.AST) -> str:
    """`Exercise` for `Exercise`, `tutor.Exercise` and `tutor.exercise.Exercise`."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _literal(node: ast.AST) -> Any:
    """A literal's value; None for what only running the file would tell."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _if(kind: type, value: Any, otherwise: Any) -> Any:
    return value if isinstance(value, kind) else otherwise


def _names(value: Any) -> tuple[str, ...]:
    return tuple(filter(lambda name: isinstance(name, str), value)) if isinstance(value, (list, tuple)) else ()


def _family(tree: ast.Module) -> ast.FunctionDef | None:
    """`def exercise(...)` at the top of the file."""
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "exercise"]
    return found[-1] if found else None


def _docstring(tree: ast.Module) -> str:
    family = _family(tree)
    text = ast.get_docstring(tree) or (ast.get_docstring(family) if family else None)
    return cleandoc(text or "")


# -- family parameters ----------------------------------------------------------------------


_PLAIN_KINDS = ("int", "float", "bool", "str")
_FORMS = 'int, float, bool, str, Literal["a", "b"] or Annotated[int, range(low, high)]'


def _parameters(path: Path, tree: ast.Module) -> tuple[Parameter, ...]:
    family = _family(tree)
    if family is None:
        return ()
    arguments = family.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        raise ExerciseError(
            said("{place}: a family has named parameters only, each with a default", place=_place(path, family.lineno))
        )
    plain = [None] * (len(arguments.args) - len(arguments.defaults))
    pairs = [
        *zip(arguments.args, [*plain, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return tuple(_parameter(path, argument, default) for argument, default in pairs)


def _parameter(path: Path, argument: ast.arg, default: ast.expr | None) -> Parameter:
    where = said("{place}: the parameter {arg}", place=_place(path, argument.lineno), arg=argument.arg)
    if default is None:
        raise ExerciseError(
            said("{where} has no default: give it one, so that the family loads without parameters", where=where)
        )
    value = _literal(default)
    if value is None:
        raise ExerciseError(
            said(
                "{where} has the default {written}: write a plain number, bool or text",
                where=where,
                written=ast.unparse(default),
            )
        )
    form = _annotation(argument.annotation)
    if form is None:
        written = ast.unparse(argument.annotation) if argument.annotation else "none"
        raise ExerciseError(
            said("{where} has the type {written}: write {forms}", where=where, written=written, forms=_FORMS)
        )
    made = Parameter(argument.arg, default=value, **form)
    if made.kind == "float" and type(value) is int:  # `rate: float = 1` is how one writes it
        made = Parameter(argument.arg, default=float(value), **form)
    if not made.accepts(made.default):
        raise ExerciseError(
            said(
                "{where} has the default {value!r}, which is not {allowed}",
                where=where,
                value=value,
                allowed=made.allowed,
            )
        )
    return made


def _annotation(node: ast.expr | None) -> dict[str, Any] | None:
    """`Annotated[int, range(1, 9)]` as {kind: int, low: 1, high: 8}; None if it is none of the forms."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a quoted annotation
        return _annotation(_quoted(node.value))
    if not isinstance(node, ast.Subscript):
        name = _last_name(node) if node else ""
        return {"kind": name} if name in _PLAIN_KINDS else None
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    form = _SUBSCRIPTED.get(_last_name(node.value))
    return form(parts) if form else None


def _quoted(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _literal_form(parts: list[ast.expr]) -> dict[str, Any] | None:
    choices = tuple(map(_literal, parts))
    good = all(isinstance(choice, (str, int)) for choice in choices)
    return {"kind": "choice", "choices": choices} if good else None


def _bounded_form(parts: list[ast.expr]) -> dict[str, Any] | None:
    if len(parts) != 2 or _last_name(parts[0]) != "int":
        return None
    bounds = parts[1]
    if not (isinstance(bounds, ast.Call) and _last_name(bounds.func) == "range" and not bounds.keywords):
        return None
    ends = [_literal(end) for end in bounds.args]
    if not all(type(end) is int for end in ends) or len(ends) not in (1, 2):
        return None
    low, high = (0, ends[0]) if len(ends) == 1 else ends
    return {"kind": "int", "low": low, "high": high - 1} if low < high else None


_SUBSCRIPTED = {"Literal": _literal_form, "Annotated": _bounded_form}


def spelled(value: Any) -> str:
    """A parameter's value as an address writes it: `4`, `0.5`, `true`, `mae`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choice(text: str, choices: tuple[Any, ...]) -> Any:
    return next((choice for choice in choices if spelled(choice) == text), None)


def _read_int(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):  # int() would also take 1_000 and other scripts' digits
        raise ValueError(text)
    return int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _read_bool(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _no(text)


def _no(text: str) -> Any:
    raise ValueError(text)


_READERS: dict[str, Callable[[str], Any]] = {"int": _read_int, "float": _read_float, "bool": _read_bool, "str": str}


# -- addresses ------------------------------------------------------------------------------


def split_address(address: str | Path) -> tuple[str, str | None]:
    """`mlp:layers=4` as ("mlp", "layers=4"); a path keeps the colons that are its own."""
    text = str(address).strip()
    path = re.fullmatch(r"(.*\.py)(?::([^/\\]*))?", text, re.DOTALL)
    if path:
        return path[1], path[2]
    name, colon, given = text.partition(":")
    return name.strip(), given if colon else None


def is_path(name: str) -> bool:
    """Whether an address, its parameters split off, means a file rather than a catalogue id."""
    return name.endswith(".py") or "/" in name or os.sep in name


def family_values(entry: Entry, given: str | None) -> dict[str, Any]:
    """The values of a family's parameters; those not given have their default."""
    values = {p.name: p.default for p in entry.parameters}
    if given is None:
        return values
    if not entry.parameters:
        raise UsageError(said('{id} has no parameters: write "{id}" without ":{given}"', id=entry.id, given=given))
    known, seen = {p.name: p for p in entry.parameters}, set()
    has = said("{id} has {parameters}", id=entry.id, parameters=joined([p.says for p in entry.parameters], "; "))
    for part in given.split(","):
        name, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise UsageError(
                said(
                    '"{part}" is not a parameter: write {example}. {has}',
                    part=part.strip(),
                    example=_example(entry),
                    has=has,
                )
            )
        if name not in known:
            hint = did_you_mean(name, known) or said(";")
            raise UsageError(
                said('{id} has no parameter "{name}"{hint} {has}', id=entry.id, name=name, hint=hint, has=has)
            )
        if name in seen:
            raise UsageError(
                said('"{id}:{given}" gives {name} twice: give it once', id=entry.id, given=given, name=name)
            )
        seen.add(name)
        try:
            values[name] = known[name].read(text)
        except ValueError:
            hint = did_you_mean(text, map(spelled, known[name].choices)).removeprefix("; ")
            hint = f" {hint}" if hint else ""
            raise UsageError(
                said(
                    "{name}={text} is not {allowed}.{hint} {has}",
                    name=name,
                    text=_short(text),
                    allowed=known[name].allowed,
                    hint=hint,
                    has=has,
                )
            ) from None
    return values


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[:length] + "..."


def _example(entry: Entry) -> str:
    first = entry.parameters[0]
    return f"{entry.id}:{first.name}={spelled(first.default)}"


def normal_id(entry: Entry, values: dict[str, Any]) -> str:
    """`mlp:layers=4,loss=mae`: what differs from the default, in the order of the signature."""
    chosen = [f"{p.name}={spelled(values[p.name])}" for p in entry.parameters if values[p.name] != p.default]
    return f"{entry.id}:{','.join(chosen)}" if chosen else entry.id


# -- loading ------------------------------------------------------------------------------------


def load(address: str | Path) -> Exercise:
    """A fresh exercise: `load("softmax-regression")`, `load("mlp:layers=4,loss=mae")`, `load("path/to/file.py")`."""
    name, given = split_address(address)
    entry = read_entry(_existing(name)) if isinstance(address, Path) or is_path(name) else find(name)
    values = family_values(entry, given)
    exercise = _run(entry.path, values)
    exercise.id, exercise.path = normal_id(entry, values), entry.path
    exercise.statement = exercise.statement or entry.statement
    try:
        exercise.validate()
    except TutorError as error:
        raise ExerciseError(joined([str(entry.path), error.says], ": ")) from error
    return exercise


def _existing(name: str) -> Path:
    path = os.path.expanduser(name)  # os.path answers False where pathlib raises, as for a name that is too long
    if os.path.isdir(path):
        raise NotFoundError(said("{path} is a folder: give the path of one exercise file in it", path=Path(path)))
    if not os.path.exists(path):
        raise _no_file(path, FileNotFoundError())
    if not path.endswith(".py"):
        raise NotFoundError(said("{path} is no exercise file: its name would end in .py", path=_short(path, 200)))
    return Path(path)


_serial = count(1)


def _run(path: Path, values: dict[str, Any]) -> Exercise:
    """Run the file as a module of its own, and call `exercise` where it is a family."""
    from tutor.exercise import Exercise

    source = _source(path)
    module = ModuleType(f"tutor_exercise_{next(_serial)}_{path.stem}")
    module.__file__ = str(path)
    with _placing_errors(path), _registered(module):
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
        made: Any = vars(module).get("exercise")
        is_family = callable(made) and not isinstance(made, Exercise)
        if is_family:
            made = made(**values)
    if isinstance(made, Exercise):
        return made
    if is_family:
        raise ExerciseError(
            said("{path}: exercise(...) returns {what}: end it with `return exercise`", path=path, what=_what(made))
        )
    if "exercise" not in vars(module):
        raise ExerciseError(
            said(
                '{path} defines no "exercise": write exercise = Exercise("name", ...), or a family def exercise(...)',
                path=path,
            )
        )
    raise ExerciseError(
        said('{path}: "exercise" is {what}: write exercise = Exercise("name", ...)', path=path, what=_what(made))
    )


def _what(value: Any) -> str:
    return "None" if value is None else said("a value of type {name}", name=type(value).__name__)


@contextmanager
def _registered(module: ModuleType) -> Iterator[None]:
    """Known to `sys.modules` while it runs, as dataclasses and type hints in it expect."""
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        sys.modules.pop(module.__name__, None)


def _said(error: BaseException) -> str:
    """SymPy's own words where they say nothing of what to do."""
    found = re.match(r"specify dummy variables for (.*)", str(error), re.DOTALL)
    if found:
        return said("Sum({found}) names no index to sum over: write Sum({found}, i)", found=_short(found[1]))
    if str(error).startswith("Sum requires values for lower and upper bounds"):
        return said("a Sum names no index to sum over: write Sum(x[i], i)")
    return f"{type(error).__name__}: {error}"


@contextmanager
def _placing_errors(path: Path) -> Iterator[None]:
    """Whatever goes wrong in the file is said with the file's name and line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, SyntaxError) and error.filename == str(path):
            raise _syntax_error(path, error) from None
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        says = error.says if isinstance(error, TutorError) else _said(error)
        raise ExerciseError(joined([_place(path, lines[-1] if lines else None), says], ": ")) from error
