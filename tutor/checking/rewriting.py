"""A learner's statement as a tree whose parts can be exchanged, and written again in the learner's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from tutor.answers import language as lang
from tutor.checking.library import INDEX, traits
from tutor.exercise import Exercise
from tutor.symbolic.notation import LatexWriter

MOST_ADDED = 60  # characters


@dataclass(frozen=True)
class Place:
    """A node, what it is a part of, and as what: value, size, index, dim, target, or name or method of a function."""

    node: lang.Expression
    parent: lang.Expression | None
    role: str
    depth: int
    bound: tuple[str, ...] = ()  # indices of the sums around it


@dataclass(frozen=True)
class Edit:
    """What stands in place of a node, or of the statement's own `=`."""

    node: lang.Expression
    new: lang.Expression
    op: str = ""  # for the statement: "=", "+", "-"


class Line:
    """One statement: its nodes with their places, and how parts of it are written."""

    def __init__(self, exercise: Exercise, statement: lang.Statement, indexed: bool):
        self.exercise, self.statement, self.indexed = exercise, statement, indexed
        self.latex: bool = getattr(statement, "latex", False)
        self.roots = _roots(statement)
        # the learner's own habits
        self.spaced = " * " in statement.text or " / " in statement.text
        self.comma = ", " if ", " in statement.text or "," not in statement.text else ","
        self.places: dict[int, Place] = {}
        for number, (root, role) in enumerate(self.roots):
            self._visit(root, None, role, 0, ())
            if not number:
                self.value = self.places[id(root)]
        self.order = list(self.places.values())

    def _visit(
        self, node: lang.Expression, parent: lang.Expression | None, role: str, depth: int, bound: tuple[str, ...]
    ) -> None:
        self.places[id(node)] = Place(node, parent, role, depth, bound)
        for part, part_role, inner in _parts(node, role):
            self._visit(part, node, part_role, depth + 1, bound + inner)

    def values(self) -> Iterator[Place]:
        return (p for p in self.order if p.role == "value")

    def role(self, node: lang.Expression) -> str:
        place = self.places.get(id(node))
        return "" if place is None else place.role

    def ancestors(self, node: lang.Expression) -> list[lang.Expression]:
        """The node and what it is a part of, innermost first."""
        found = [node]
        while (parent := self.places[id(found[-1])].parent) is not None:
            found.append(parent)
        return found

    def takes(self, edit: Edit) -> bool:
        """A call on a line of its own, `dw[ix].add_(g)`, stays one and changes what it did; its arguments may move."""
        if not isinstance(self.statement, lang.Effect):
            return True
        call = self.statement.call
        if edit.node is call:
            return isinstance(edit.new, lang.Call) and edit.new.function is call.function
        node = call.function
        while node is not edit.node and isinstance(node, (lang.Attribute, lang.Subscript)):
            node = node.value
        return node is not edit.node

    def edited(self, edit: Edit) -> lang.Statement:
        """The statement with one node replaced."""
        statement = self.statement
        if edit.op:
            return _with_operator(statement, edit.op)
        old, new = edit.node, edit.new
        while (parent := self.places[id(old)].parent) is not None:
            old, new = parent, with_part(parent, old, new)
        return _with_root(statement, old, new)

    # -- text --

    @property
    def writer(self) -> LatexWriter:
        """How the exercise's names are written in LaTeX."""
        return self.exercise.cached("latex writer", lambda: LatexWriter(self.exercise))

    def own(self, node: lang.Expression) -> bool:
        """Whether the learner wrote this very node on the statement's first line."""
        return id(node) in self.places and node.line == self.statement.line and node.end > node.column

    def text(self, node: lang.Expression) -> str:
        return lang.written(self.statement, node)

    def enclosed(self, node: lang.Expression) -> bool:
        """Whether it stands in parentheses of its own."""
        text, start = self.statement.text, self.statement.start
        before, after = text[: node.column - start].rstrip(), text[node.end - start :].lstrip()
        return before.endswith(("(", "（")) and after.startswith((")", "）"))

    def write(self, node: lang.Expression, tight: int = 0) -> str:
        """As the learner would write it, in their own words where they are theirs."""
        table = _WRITE_LATEX if self.latex and type(node) in _WRITE_LATEX else _WRITE
        made = self.text(node) if self.own(node) else table[type(node)](self, node)
        return f"({made})" if tightness(node) < tight else made


def _roots(statement: lang.Statement) -> list[tuple[lang.Expression, str]]:
    """The right side first, then what stands in brackets on the left."""
    if isinstance(statement, lang.Effect):
        return [(statement.call, "value")]
    assert isinstance(statement, (lang.Assign, lang.Update))
    targets = statement.targets if isinstance(statement, lang.Assign) else (statement.target,)
    return [(statement.value, "value"), *((t, "target") for t in targets if isinstance(t, lang.Subscript))]


def _parts(node: lang.Expression, role: str) -> Iterator[tuple[lang.Expression, str, tuple[str, ...]]]:
    """The parts of a node, what they are there, and the indices that are bound inside them."""
    if isinstance(node, lang.Call):
        yield from _parts_of_call(node, role)
    elif isinstance(node, lang.Subscript):
        yield node.value, role, ()
        yield from ((item, "index", ()) for item in node.items)
    elif isinstance(node, lang.Attribute):
        inner = "value" if role == "method" else role
        yield node.value, "size" if node.name in ("shape", "ndim") else inner, ()
    else:
        yield from ((part, role, ()) for part in lang.parts(node))


def _parts_of_call(node: lang.Call, role: str) -> Iterator[tuple[lang.Expression, str, tuple[str, ...]]]:
    name = called(node)
    function = node.function
    method = isinstance(function, lang.Attribute) and not lang.is_module(function.value)
    yield function, "method" if method else "name", ()
    if name in INDEX:
        bound = tuple(index.name for index in lang.bound(node))
        for n, argument in enumerate(node.arguments):
            index = name in ("KroneckerDelta", "delta") or (n > 0 and name != "Piecewise")
            yield argument, "index" if index else role, () if index else bound
        return
    known = traits(name)
    for n, argument in enumerate(node.arguments):
        shaped = known.sized or (known.along and is_dim(argument))
        dim = known.makes or name == "range" or (shaped and (method or n > 0))
        yield argument, "dim" if dim else role, ()
    yield from ((value, "dim", ()) for _, value in node.named)


def called(node: lang.Call) -> str:
    return node.function.name if isinstance(node.function, (lang.Name, lang.Attribute)) else ""


def is_dim(node: lang.Expression) -> bool:
    if isinstance(node, lang.Unary):
        node = node.operand
    return isinstance(node, (lang.Number, lang.Constant, lang.Sequence))


def with_part(node: lang.Expression, old: lang.Expression, new: lang.Expression) -> lang.Expression:
    """The same node with one part replaced; it is no longer the learner's own text."""
    if isinstance(node, lang.Binary):
        left = node.left is old
        return lang.Binary(0, 0, 0, node.op, new if left else node.left, node.right if left else new)
    changed: dict[str, Any] = {"line": 0, "column": 0, "end": 0}
    for slot in fields(node):
        value = getattr(node, slot.name)
        if value is old:
            changed[slot.name] = new
        elif isinstance(value, tuple):
            changed[slot.name] = tuple(_exchanged(item, old, new) for item in value)
    return replace(node, **changed)


def _exchanged(item: Any, old: lang.Expression, new: lang.Expression) -> Any:
    if item is old:
        return new
    if isinstance(item, tuple):  # (name, value) of a named argument
        return tuple(new if part is old else part for part in item)
    return item


def _with_root(statement: lang.Statement, old: lang.Expression, new: lang.Expression) -> lang.Statement:
    if isinstance(statement, lang.Effect):
        assert isinstance(new, lang.Call)
        return replace(statement, call=new)
    if isinstance(statement, lang.Update):
        return replace(statement, value=new) if old is statement.value else replace(statement, target=new)
    assert isinstance(statement, lang.Assign)
    if old is statement.value:
        return replace(statement, value=new)
    return replace(statement, targets=tuple(new if target is old else target for target in statement.targets))


def _with_operator(statement: lang.Statement, op: str) -> lang.Statement:
    assert isinstance(statement, (lang.Assign, lang.Update))
    target = statement.targets[0] if isinstance(statement, lang.Assign) else statement.target
    place = (statement.line, statement.column, statement.text, statement.start)
    if op == "=":
        return lang.Assign(*place, (target,), statement.value)
    return lang.Update(*place, op, target, statement.value)


# -- writing ------------------------------------------------------------------------------------------------------

_TIGHT = {"|": 1, "&": 2, "+": 3, "-": 3, "**": 6}


def tightness(node: lang.Expression) -> int:
    """How tightly an expression holds together: 0 for a comparison, up to 7 for what never needs parentheses."""
    if isinstance(node, lang.Binary):
        return 0 if node.op in ("<", "<=", ">", ">=", "==", "!=") else _TIGHT.get(node.op, 4)
    if isinstance(node, lang.Unary) or (isinstance(node, lang.Number) and node.value < 0):
        return 5
    return 7


_ALONG = {"*": "*/", "+": "+-"}  # a*(b/c) is a*b/c


def _write_binary(line: Line, node: lang.Binary) -> str:
    tight = tightness(node)
    left = line.write(node.left, tight + (node.op == "**"))
    along = isinstance(node.right, lang.Binary) and node.right.op in _ALONG.get(node.op, "")
    right = line.write(node.right, 5 if node.op == "**" else tight + (not along))
    tightly = node.op == "**" or (node.op in "*/" and not line.spaced)
    return f"{left}{node.op}{right}" if tightly else f"{left} {node.op} {right}"


def _write_call(line: Line, node: lang.Call) -> str:
    given = [line.write(a) for a in node.arguments] + [f"{name}={line.write(value)}" for name, value in node.named]
    return f"{line.write(node.function, 7)}({', '.join(given)})"


def _write_sequence(line: Line, node: lang.Sequence) -> str:
    return f"({', '.join(map(line.write, node.items))}{',' if len(node.items) == 1 else ''})"


def _write_slice(line: Line, node: lang.Slice) -> str:
    start, stop = ("" if end is None else line.write(end) for end in (node.start, node.stop))
    return f"{start}:{stop}" + (f":{line.write(node.step)}" if node.step is not None else "")


_WRITE: dict[type, Callable[[Line, Any], str]] = {
    lang.Number: lambda line, node: node.text,
    lang.Text: lambda line, node: repr(node.value),
    lang.Constant: lambda line, node: "..." if node.value is Ellipsis else str(node.value),
    lang.Name: lambda line, node: node.name,
    lang.Unary: lambda line, node: node.op + line.write(node.operand, 4 if node.op == "-" else 5),
    lang.Binary: _write_binary,
    lang.Call: _write_call,
    lang.Attribute: lambda line, node: f"{line.write(node.value, 7)}.{node.name}",
    lang.Subscript: lambda line, node: f"{line.write(node.value, 7)}[{line.comma.join(map(line.write, node.items))}]",
    lang.Slice: _write_slice,
    lang.Sequence: _write_sequence,
}


def _latex_name(line: Line, node: lang.Name) -> str:
    return _latex_entry(line, node.name, "")


def _latex_subscript(line: Line, node: lang.Subscript) -> str:
    # in the text all indices of an entry share one place
    inside = [item.name if isinstance(item, lang.Name) else line.write(item) for item in node.items]
    glue = "" if all(len(item) == 1 for item in inside) else ","
    below = f"_{{{glue.join(inside)}}}"
    if isinstance(node.value, lang.Name):
        return _latex_entry(line, node.value.name, below)
    return line.write(node.value, 7) + below


def _latex_entry(line: Line, name: str, below: str) -> str:
    r"""`\gamma_{j}`, `dz_{ik}`; a gradient as a quotient where the line has such."""
    of = line.writer.gradient_of(name)
    if of is None:
        return _latex_letters(line, name) + below
    entry = _latex_letters(line, of) + below
    quotient = _QUOTIENT.search(line.statement.text)
    return f"d{entry}" if quotient is None else rf"\frac{{{quotient[1]}}}{{\partial {entry}}}"


def _latex_letters(line: Line, name: str) -> str:
    r"""`\gamma`, `h^{(3)}`, `\hat{x}`, `\mathrm{logp}`"""
    accented = _ACCENTED.fullmatch(name)
    return rf"\{accented[2]}{{{accented[1]}}}" if accented else line.writer.name(name)


def _latex_binary(line: Line, node: lang.Binary) -> str:
    tight = tightness(node)
    if node.op == "**":
        return f"{line.write(node.left, 7)}^{{{line.write(node.right)}}}"
    sign = {"*": " " if line.indexed else r" \odot ", "/": "/", "@": " "}.get(node.op, f" {node.op} ")
    along = isinstance(node.right, lang.Binary) and node.right.op in _ALONG.get(node.op, "")
    return f"{line.write(node.left, tight)}{sign}{line.write(node.right, tight + (not along))}"


def _latex_call(line: Line, node: lang.Call) -> str:
    if called(node) == "Sum" and len(node.arguments) > 1:
        body, *over = node.arguments
        sums = "".join(rf"\sum_{{{line.write(index)}}} " for index in over)
        return sums + line.write(body, 4)
    return _write_call(line, node)


def _latex_attribute(line: Line, node: lang.Attribute) -> str:
    if node.name not in ("T", "mT"):
        return f"{line.write(node.value, 7)}.{node.name}"
    return rf"{line.write(node.value, 7)}^\top"


_QUOTIENT = re.compile(r"\\frac\s*\{(\\partial\s*\\?[A-Za-z]+)\}\s*\{\s*\\partial")
_ACCENTED = re.compile("([A-Za-z])(hat|bar|tilde|dot)")
_WRITE_LATEX: dict[type, Callable[[Line, Any], str]] = {
    lang.Name: _latex_name,
    lang.Subscript: _latex_subscript,
    lang.Binary: _latex_binary,
    lang.Call: _latex_call,
    lang.Attribute: _latex_attribute,
}


# -- new parts ---------------------------------------------------------------------------------------------------------


def named(name: str) -> lang.Name:
    return lang.Name(0, 0, 0, name)


def number(value: float) -> lang.Expression:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return lang.Number(0, 0, 0, value, repr(value))


def negative(node: lang.Expression) -> lang.Expression:
    return lang.Unary(0, 0, 0, "-", node)


def binary(left: lang.Expression, op: str, right: lang.Expression) -> lang.Binary:
    return lang.Binary(0, 0, 0, op, left, right)


def method(owner: lang.Expression, name: str, *arguments: lang.Expression, **named_: lang.Expression) -> lang.Call:
    return lang.Call(0, 0, 0, lang.Attribute(0, 0, 0, owner, name), arguments, tuple(named_.items()))


def attribute(owner: lang.Expression, name: str) -> lang.Attribute:
    return lang.Attribute(0, 0, 0, owner, name)


def picked(owner: lang.Expression, *items: lang.Expression) -> lang.Subscript:
    return lang.Subscript(0, 0, 0, owner, items)


def all_of() -> lang.Slice:
    return lang.Slice(0, 0, 0, None, None, None)


def constant(value: Any) -> lang.Constant:
    return lang.Constant(0, 0, 0, value)


def like(node: lang.Expression, **changed: Any) -> Any:
    """The same node, no longer the learner's own text, with some fields changed."""
    return replace(node, line=0, column=0, end=0, **changed)


def foreign(node: lang.Expression) -> lang.Expression:
    """The same tree without places."""

    def again(value: Any) -> Any:
        if isinstance(value, lang.Expression):
            return foreign(value)
        return tuple(map(again, value)) if isinstance(value, tuple) else value

    given = {f.name: again(getattr(node, f.name)) for f in fields(node)}
    return type(node)(**{**given, "line": 0, "column": 0, "end": 0})


def alike(one: Any, other: Any) -> bool:
    """Whether two expressions are the same, wherever they stand."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if not isinstance(one, lang.Expression):
        return bool(one == other)
    names = (field.name for field in fields(one) if field.name not in ("line", "column", "end", "text"))
    return type(one) is type(other) and all(alike(getattr(one, name), getattr(other, name)) for name in names)


def everywhere(node: lang.Expression, name: str, other: lang.Expression) -> lang.Expression:
    """The node with another expression wherever a name stands."""
    if isinstance(node, lang.Name) and node.name == name:
        return other
    for part in tuple(lang.parts(node)):
        made = everywhere(part, name, other)
        if made is not part:
            node = with_part(node, part, made)
    return node
