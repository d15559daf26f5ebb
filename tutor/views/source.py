"""An exercise as the file that makes it, for editing and keeping: `tutor.load` of the text gives the same exercise.

The formulas are `symbolic/source_form`'s, the lines `views/layout`'s.
"""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any

from sympy import Basic, Idx, S, Sum, Symbol, sympify
from sympy.concrete.expr_with_limits import ExprWithLimits

from tutor import functions, operations
from tutor.errors import UsageError
from tutor.exercise import SUMS_TO_ONE, Exercise, Fact, Quantity
from tutor.language import said
from tutor.saving import explained, replaced
from tutor.symbolic.functions import FUNCTIONS
from tutor.symbolic.indices import bound_indices, quantities_in, rename_bound, size
from tutor.symbolic.source_form import source_form
from tutor.views.layout import WIDTH, laid_out, quoted, width
from tutor.views.reference import reference_body

OWN = {"exercise", "Exercise", "forward", "torch", "tutor", "float", "Sum", "Product", "Piecewise", "Max", "Min"}
RESERVED = OWN | set(FUNCTIONS) | set(functions.__all__) | set(operations.__all__)
AMBIGUOUS = {"l", "O", "I"}  # ruff's E741
DEFAULTS: dict[str, Any] = {
    "level": 1, "tags": (), "source": "", "requires": (), "hints": (), "strict_kinks": False,
}  # fmt: skip


def source(exercise: Exercise) -> str:
    """The text of an exercise file."""
    imports: dict[str, Any] = {}
    apart = {name: f"apart{n}_" for n, name in enumerate(_names(exercise))}
    _File(exercise, apart, imports).program()  # what it imports decides which names are free
    variables = _variables(exercise, RESERVED | set(imports))
    imports.clear()
    program = _File(exercise, variables, imports).program()
    head = _docstring(exercise) + "\n" + _imports(imports) + "\n"
    return head + "".join(program) + _reference(exercise)


# -- the head -------------------------------------------------------------------------------------


def _docstring(exercise: Exercise) -> str:
    text = exercise.statement if _fits_docstring(exercise.statement) else _first_line(exercise)
    raw = "\\" in text and '"""' not in text
    if not raw:
        text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    text = (" " if text.startswith('"') else "") + text
    ends = "\n" if "\n" in text or text.endswith(('"', "\\")) else ""
    long = any(width(line) > WIDTH - 3 for line in text.split("\n"))
    return f'{"r" if raw else ""}"""{text}{ends}"""' + ("  # noqa: E501" if long else "") + "\n"


def _fits_docstring(statement: str) -> bool:
    """Whether Python, and a formatter, leave a text in a docstring as it is."""
    lines = statement.split("\n")
    return (
        bool(statement)
        and all(line.isprintable() and line == line.rstrip() for line in lines)
        and cleandoc(statement) == statement == statement.strip()
        and (len(lines) > 1 or not statement.endswith(('"', "\\")))
    )


def _first_line(exercise: Exercise) -> str:
    title = " ".join("".join(c if c.isprintable() else " " for c in exercise.title).split())
    title = title.replace("\\", "/").replace('"', "'") or "An exercise"
    return title if title.endswith((".", "?", "!", "。", "？", "！")) else f"{title}."


def _imports(imports: Iterable[str]) -> str:
    made = ""
    by_module: dict[str, list[str]] = {
        "sympy": [],
        "tutor": ["Exercise"],
        "tutor.functions": [],
        "tutor.operations": [],
    }
    for name in imports:
        home = "tutor.functions" if name in functions.__all__ else "sympy"
        by_module["tutor.operations" if name in operations.__all__ else home].append(name)
    for module, names in by_module.items():
        if names:
            made += _import(module, sorted(names, key=lambda name: (name[0].islower(), name)))
            made += "\n" if module == "sympy" else ""
    return made


def _import(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}\n"
    if width(line) - 1 <= WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")\n"


def _reference(exercise: Exercise) -> str:
    body = reference_body(exercise)
    return f"\n\n@exercise.reference\ndef forward(t):\n{textwrap.indent(body, '    ')}\n" if body else ""


# -- names -------------------------------------------------------------------------------------------


def _variables(exercise: Exercise, reserved: set[str]) -> dict[str, str]:
    """What each of the exercise's names is called in the file: by itself, unless that is taken there."""
    made: dict[str, str] = {}
    taken = set(reserved)
    free = [name for name in _names(exercise) if name not in reserved and _plain(name) == name]
    taken |= set(free)
    for name in _names(exercise):
        variable = _plain(name)
        if name not in free:
            while variable in taken:
                variable += "_"
        made[name] = variable
        taken.add(variable)
    return made


def _names(exercise: Exercise) -> list[str]:
    gradients = [f"d{name}" for name in exercise.quantities]
    return [*exercise.size_symbols, *_all_indices(exercise), *exercise.quantities, *gradients]


def _plain(name: str) -> str:
    """A name as Python reads it."""
    name = unicodedata.normalize("NFKC", name)
    return (name.strip("_") or "v") + "_" if name.startswith("__") else name


def _all_indices(exercise: Exercise) -> dict[str, Idx]:
    return {**exercise.index_symbols, **{i.name: i for i in _bound(exercise).values()}}


def _bound(exercise: Exercise) -> dict[Idx, Idx]:
    """Bound indices that are not the exercise's own, each as the file declares it: by its name, where it is free."""
    return exercise.cached("bound indices of the file", lambda: _find_bound(exercise))


def _find_bound(exercise: Exercise) -> dict[Idx, Idx]:
    formulas = [q.expr for q in exercise if q.expr is not None]
    formulas += [side for fact in exercise.facts for side in (fact.left, fact.right)]
    own = exercise.index_symbols
    taken = set(exercise.size_symbols) | set(own) | set(exercise.quantities)
    taken |= {prefix + name for name in exercise.quantities for prefix in ("d", "grad_", "dL_d")}
    made: dict[Idx, Idx] = {}
    for index in (i for formula in formulas for i in _binds(formula)):
        if own.get(index.name) != index and index not in made:
            name = stem = index.name.split("~")[0]
            number = 0
            while name in taken:
                number += 1
                name = f"{stem}{number}"
            taken.add(name)
            made[index] = Idx(Symbol(name, integer=True), size(index))
    return made


def _binds(node: Basic) -> Iterator[Idx]:
    """Bound indices, outer ones first."""
    if isinstance(node, ExprWithLimits):
        yield from bound_indices(node)
    for part in node.args:
        yield from _binds(part)


# -- the program -----------------------------------------------------------------------------------------


class _File:
    """The statements of one file, in order; names and imports are shared by all of them."""

    def __init__(self, exercise: Exercise, variables: Mapping[str, str], imports: dict[str, Any]):
        self.exercise, self.variables, self.imports = exercise, variables, imports
        indices = _all_indices(exercise)
        self.known: dict[str, Any] = {**exercise.size_symbols, **indices}
        self.used = frozenset().union(*(q.reads for q in exercise), *(_read_by(fact) for fact in exercise.facts))

    def program(self) -> list[str]:
        return [*self.declared(), "\n", *self.quantities(), *self.settings()]

    def formula(self, node: Any) -> str:
        bound = _bound(self.exercise)
        node = rename_bound(sympify(node), lambda index, taken: bound.get(index, index))
        return source_form(node, self.exercise, self.known, self.variables, self.imports)

    def statement(self, call: str, *targets: str) -> str:
        """One statement that gives its value to these names of the exercise."""
        called = [self.variables.get(name, name) for name in targets]
        front = f"{', '.join(called)} = " if called else ""
        return laid_out(front + call, "noqa: E741" if AMBIGUOUS & set(called) else "")

    # -- what the exercise is, its sizes and indices ------------------------------------------------

    def declared(self) -> Iterator[str]:
        exercise = self.exercise
        given = [quoted(exercise.name)]
        if exercise.title != exercise.name:
            given.append(f"title={quoted(exercise.title)}")
        for name, default in DEFAULTS.items():
            value = getattr(exercise, name)
            if value != default:
                given.append(f"{name}={_literal(value)}")
        if exercise.statement and not _fits_docstring(exercise.statement):
            given.append(f"statement={quoted(exercise.statement)}")
        yield laid_out(f"exercise = Exercise({', '.join(given)})")
        sizes = list(exercise.size_symbols)
        for names in self.shared(sizes, lambda some: f'exercise.sizes("{" ".join(some)}")'):
            yield self.statement(f"exercise.sizes({quoted(' '.join(names))})", *names)
        ranges = {name: _argument(name, self.formula(size(i))) for name, i in _all_indices(exercise).items()}
        for names in self.shared(list(ranges), lambda some: f"exercise.indices({', '.join(ranges[n] for n in some)})"):
            yield self.statement(f"exercise.indices({', '.join(ranges[n] for n in names)})", *names)

    def shared(self, names: list[str], call: Any) -> Iterator[list[str]]:
        """Names in groups that fit on a line each."""
        group: list[str] = []
        for name in names:
            wider = [*group, name]
            line = f"{', '.join(self.variables.get(n, n) for n in wider)} = {call(wider)}"
            if group and width(line) > WIDTH:
                yield group
                wider = [name]
            group = wider
        if group:
            yield group

    # -- quantities and facts ----------------------------------------------------------------------------

    def quantities(self) -> Iterator[str]:
        pending = list(self.exercise.facts)
        for q in self.exercise:
            yield from self.gradients(q)
            yield self.quantity(q)
            self.known[q.name] = q.symbol
            yield from self.facts(q, pending)

    def facts(self, q: Quantity, pending: list[Fact]) -> Iterator[str]:
        """Those that can be said now that q is there, without the one that its domain brings."""
        brought = [(Sum(q.entry, q.indices[-1]), S.One)] if q.domain in SUMS_TO_ONE else []
        while pending and _read_by(pending[0]) <= set(self.known):
            fact = pending.pop(0)
            if (fact.left, fact.right) in brought:
                brought.clear()
            else:
                yield self.fact(fact)

    def quantity(self, q: Quantity) -> str:
        names = [self.variables.get(i.name, i.name) for i in q.indices]
        given = [quoted(q.name)]
        if q.is_leaf:
            given += names
            if q.domain != "real":
                given.append(f"domain={quoted(q.domain)}")
            if q.below is not None:
                given.append(f"below={self.formula(q.below)}")
        else:
            given += [] if q.kind == "loss" else [f"[{', '.join(names)}]"]
            given.append(self.formula(q.expr))
        bound = [q.name] if q.kind in ("input", "parameter", "step", "loss") or q.name in self.used else []
        return self.statement(f"exercise.{q.kind}({', '.join(given)})", *bound)

    def gradients(self, q: Quantity) -> Iterator[str]:
        """`dw = exercise.gradient("w")`, before the first value that uses it."""
        for base in self.exercise.quantities if q.kind == "value" else ():
            if f"d{base}" in q.reads and f"d{base}" not in self.known:
                self.known[f"d{base}"] = self.exercise.gradient(base)
                yield self.statement(f"exercise.gradient({quoted(base)})", f"d{base}")

    def fact(self, fact: Fact) -> str:
        given = [self.formula(fact.left), self.formula(fact.right)]
        given += [quoted(fact.reason)] if fact.reason != "declared" else []
        return laid_out(f"exercise.fact({', '.join(given)})")

    # -- what is asked, and examples -------------------------------------------------------------------------

    def settings(self) -> Iterator[str]:
        exercise = self.exercise
        calls = []
        asked = list(exercise.asked)
        if asked != [q.name for q in exercise if q.kind == "parameter"]:
            calls.append(f"ask({', '.join(map(quoted, asked))})")
        worth = {name: int(w) if w == int(w) else w for name, w in exercise.asked.items() if w != 1}
        calls += _with_values("points", [worth])
        calls += _with_values("example", [exercise.example_sizes])
        calls += _with_values("full_size", exercise.full_sizes)
        calls += _with_values("instance", exercise.instances)
        calls += _with_values("fails_at", exercise.failures)
        if calls:
            yield "\n"
        for call in calls:
            yield laid_out(f"exercise.{call}")


def _with_values(method: str, given: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for values in given:
        if values:
            yield f"{method}({', '.join(_argument(name, _literal(value)) for name, value in values.items())})"


def _argument(name: str, text: str) -> str:
    """`i=N`; Python would fold a name of other letters than its own."""
    return f"{name}={text}" if unicodedata.normalize("NFKC", name) == name else f"**{{{quoted(name)}: {text}}}"


def _literal(value: Any) -> str:
    """A number, a text or a list of them."""
    if hasattr(value, "tolist"):  # an array or a tensor
        value = value.tolist()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, int) or getattr(value, "is_Integer", False):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UsageError(
            said("{value} is no number and no list of numbers: an exercise file cannot hold it", value=value)
        ) from None
    return repr(number) if math.isfinite(number) else f'float("{number}")'


def _read_by(fact: Fact) -> frozenset[str]:
    return quantities_in(fact.left) | quantities_in(fact.right)


# -- on the disk ----------------------------------------------------------------------------------------------


def save(exercise: Exercise, path: str | Path, overwrite: bool = False) -> Path:
    """Write the file whole or not at all; one that is there is left alone unless it may be overwritten."""
    path = Path(path).expanduser()
    if path.suffix != ".py" or path.name == ".py":
        stem = "" if path.name == ".py" else path.stem.rstrip(".")
        wanted = path.with_name(f"{stem or exercise.name.replace('-', '_')}.py")
        raise UsageError(
            said('cannot save to {path}: exercise files end in .py; write save("{wanted}")', path=path, wanted=wanted)
        )
    exercise.validate()
    text = source(exercise)
    if path.exists() and not overwrite:
        raise UsageError(
            said(
                '{path} is there already: give another path, or write save("{path}", overwrite=True) to replace it',
                path=path,
            )
        )
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as file:
            file.write(text.encode())
    return path
