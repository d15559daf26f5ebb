"""What an answer can say, whatever it was written in: expressions, statements, sheets.

Plain data. A reader (`python.py`, later others) makes it, `checking/interpret.py` gives it values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

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


def parts(node: Expression) -> Iterator[Expression]:
    """The expressions directly inside one."""
    if isinstance(node, Binary):
        yield node.left
        yield node.right
    elif isinstance(node, Unary):
        yield node.operand
    elif isinstance(node, Call):
        yield node.function
        yield from node.arguments
        for _, value in node.named:
            yield value
    elif isinstance(node, Attribute):
        yield node.value
    elif isinstance(node, Subscript):
        yield node.value
        yield from node.items
    elif isinstance(node, Sequence):
        yield from node.items
    elif isinstance(node, Slice):
        yield from (part for part in (node.start, node.stop, node.step) if part is not None)


def walk(node: Expression) -> Iterator[Expression]:
    """The expression and everything inside it, outermost first, left to right."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(parts(node))))


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
class Unreadable(Statement):
    """A line that is not in the language: why, and the name it would have given a value."""

    reason: str
    target: str | None = None


@dataclass
class Sheet:
    """One exercise's part of a file; `exercise` and `sizes` come from its header.

    In a notebook lines are numbered through all cells; `cells` says how many lines come before which cell.
    """

    statements: list[Statement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    exercise: str | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    line: int = 1
    sizes_line: int = 0
    cells: list[tuple[int, int]] = field(default_factory=list)


def root(node: Expression) -> Expression:
    """What an assignment's target is a part of: `dC` for `dC[ix]`; `W.grad` is a root itself."""
    while isinstance(node, Subscript) or (isinstance(node, Attribute) and node.name != "grad"):
        node = node.value
    return node
