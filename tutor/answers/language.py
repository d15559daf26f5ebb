"""What an answer can say, whatever it was written in: expressions, statements, sheets.

Plain data. A reader (`python.py`, later others) makes it, `checking/interpret.py` gives it values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tutor.answers.file_names import FileNames

MODULES = ("torch", "np", "numpy", "F", "math", "sympy", "sp", "nn")
COMMON_LENGTH = "common length"  # a function that a learner cannot call: how far zip goes

# -- expressions --------------------------------------------------------------------------------


@dataclass(slots=True)
class Expression:
    """Where it stands: 1-based line and column, and the column after its end (0: on another line)."""

    line: int
    column: int
    end: int


@dataclass(slots=True)
class Number(Expression):
    value: int | float
    text: str


@dataclass(slots=True)
class Text(Expression):
    """A string: only functions that say so take one (`einsum`)."""

    value: str


@dataclass(slots=True)
class Constant(Expression):
    """True, False, None or `...`"""

    value: Any


@dataclass(slots=True)
class Name(Expression):
    name: str


@dataclass(slots=True)
class Unary(Expression):
    """- + ~"""

    op: str
    operand: Expression


@dataclass(slots=True)
class Binary(Expression):
    """+ - * / // % ** @ & | and the comparisons"""

    op: str
    left: Expression
    right: Expression


@dataclass(slots=True)
class Call(Expression):
    function: Expression
    arguments: tuple[Expression, ...]
    named: tuple[tuple[str, Expression], ...]


@dataclass(slots=True)
class Attribute(Expression):
    value: Expression
    name: str


@dataclass(slots=True)
class Subscript(Expression):
    value: Expression
    items: tuple[Expression, ...]


@dataclass(slots=True)
class Slice(Expression):
    start: Expression | None
    stop: Expression | None
    step: Expression | None


@dataclass(slots=True)
class Sequence(Expression):
    """A tuple or a list."""

    items: tuple[Expression, ...]


def parts(node: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside one."""
    inside = _PARTS.get(type(node))
    return () if inside is None else inside(node)


_PARTS: dict[type, Callable[[Any], tuple[Expression, ...]]] = {
    Binary: lambda node: (node.left, node.right),
    Unary: lambda node: (node.operand,),
    Call: lambda node: (node.function, *node.arguments, *(value for _, value in node.named)),
    Attribute: lambda node: (node.value,),
    Subscript: lambda node: (node.value, *node.items),
    Sequence: lambda node: node.items,
    Slice: lambda node: tuple(part for part in (node.start, node.stop, node.step) if part is not None),
}


def walk(node: Expression) -> list[Expression]:
    """The expression and everything inside it, outermost first, left to right."""
    made, stack = [], [node]
    while stack:
        node = stack.pop()
        made.append(node)
        inside = _PARTS.get(type(node))
        if inside is not None:
            stack += inside(node)[::-1]
    return made


def bound(call: Call) -> Iterator[Name]:
    """The indices that a sum binds: i and k in `Sum(f, i, (k, 0, K - 1))`."""
    for argument in call.arguments[1:]:
        first = argument.items[0] if isinstance(argument, Sequence) and argument.items else argument
        if isinstance(first, Name):
            yield first


def is_module(node: Expression) -> bool:
    """Whether `torch.nn.functional` or the like is called on, and not a value."""
    while isinstance(node, Attribute):
        node = node.value
    return isinstance(node, Name) and node.name in MODULES


def variable(node: Expression) -> str | None:
    """The variable that an expression names: `dW` for `W.grad`, `W` for `W.data`; None for anything else."""
    if isinstance(node, Attribute) and isinstance(node.value, Name) and node.name in ("grad", "data"):
        return gradient_name(f"{node.value.name}.grad") if node.name == "grad" else node.value.name
    return node.name if isinstance(node, Name) else None


def gradient_name(written: str) -> str:
    """`dW` for `W.grad`; any other name as it is."""
    return "d" + written.removesuffix(".grad") if written.endswith(".grad") else written


# -- statements ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Statement:
    """Where it stands, and the learner's own text, which begins at column `start`."""

    line: int
    column: int
    text: str
    start: int


@dataclass(slots=True)
class Assign(Statement):
    """`a = value`, also `a = b = value`; `latex` if its text is LaTeX."""

    targets: tuple[Expression, ...]
    value: Expression
    latex: bool = False


@dataclass(slots=True)
class Update(Statement):
    """`a += value`"""

    op: str
    target: Expression
    value: Expression


@dataclass(slots=True)
class Effect(Statement):
    """An in-place call on its own line: `dw.zero_()`"""

    call: Call


@dataclass(slots=True)
class Loop(Statement):
    """`for i in range(n):`"""

    variable: str
    over: Expression
    body: list[Statement]


@dataclass(slots=True)
class If(Loop):
    """`if a < b:` is its lines once, or its `other` lines: a loop that binds nothing, over a condition."""

    other: list[Statement] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Touched:
    """A name that a refused line would give a value anew (`given`), or change.

    `labels` are the indices of a left side `dz[i, k]`; what a def assigns may be its own (`inside`).
    """

    name: str
    given: bool = False
    inside: bool = False
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class Unreadable(Statement):
    """A line or a block that is not in the language: why, the name it gives a value, and all that it touches."""

    reason: str
    target: str | None = None
    touched: tuple[Touched, ...] = ()


@dataclass
class Sheet:
    """One exercise's part of a file; `exercise` and `sizes` come from its header.

    In a notebook lines are numbered through all cells; `cells` says how many lines come before which cell.
    """

    statements: list[Statement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    exercise: str | None = None
    exercise_line: int = 0  # where it is named
    sizes: dict[str, int] = field(default_factory=dict)
    line: int = 1
    sizes_line: int = 0
    cells: list[tuple[int, int]] = field(default_factory=list)
    file_names: FileNames | None = None  # what names stand for in the whole file


def written(statement: Statement, node: Expression) -> str:
    """The learner's own text of a part; empty where it stands on another line. A statement's text is its whole line."""
    if node.line != statement.line or not statement.start <= node.column < node.end:
        return ""
    return statement.text[node.column - statement.start : node.end - statement.start]


def root(node: Expression) -> Expression:
    """What an assignment's target is a part of: `dC` for `dC[ix]`; `W.grad` is a root itself."""
    while isinstance(node, Subscript) or (isinstance(node, Attribute) and node.name != "grad"):
        node = node.value
    return node


def targets(statement: Statement) -> Iterator[Expression]:
    """What a statement assigns to, `a` and `b` of `a, b = ...` one by one: `dW`, `W.grad`, `dC[ix]`."""
    if isinstance(statement, Assign):
        for target in statement.targets:
            yield from target.items if isinstance(target, Sequence) else (target,)
    elif isinstance(statement, Update):
        yield statement.target


def pairs(statement: Assign) -> Iterator[tuple[Expression, Expression | None]]:
    """Each target with its value, in `a, b = 1, 2` one by one; None where a value is not written out for each."""
    for target in statement.targets:
        if not isinstance(target, Sequence):
            yield target, statement.value
            continue
        values = statement.value.items if isinstance(statement.value, Sequence) else ()
        fits = len(values) == len(target.items)
        yield from zip(target.items, values if fits else [None] * len(target.items), strict=True)


def inside(statement: Loop) -> list[Statement]:
    """The lines of a loop, or of all branches of an `if`."""
    return [*statement.body, *statement.other] if isinstance(statement, If) else statement.body


def with_line(statements: Iterable[Statement], old: Statement, new: list[Statement]) -> list[Statement]:
    """The statements with others in place of one, wherever it stands."""
    made: list[Statement] = []
    for each in statements:
        if each is old:
            made += new
        elif isinstance(each, Loop) and any(inner is old for inner in flat([each])):
            each = replace(each, body=with_line(each.body, old, new))
            if isinstance(each, If):
                each = replace(each, other=with_line(each.other, old, new))
            made.append(each)
        else:
            made.append(each)
    return made


def flat(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Every statement in its order, those inside loops after their loop."""
    for statement in statements:
        yield statement
        if isinstance(statement, Loop):
            yield from flat(inside(statement))
