"""A Python statement as `ruff format` lays it out: calls, lists, formulas and texts, which is all our files hold.

One line where it fits; else a bracket opens onto lines of its own, and a sum or product breaks before its operators.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Sequence

WIDTH = 120
STEP = 4
COMPARE, BIT_OR, BIT_AND, ADD, TIMES, SIGN, POWER, ATOM = range(1, 9)  # how tightly Python binds
_OPERATORS: dict[type, tuple[str, int]] = {
    ast.BitOr: ("|", BIT_OR), ast.BitAnd: ("&", BIT_AND), ast.Add: ("+", ADD), ast.Sub: ("-", ADD),
    ast.Mult: ("*", TIMES), ast.Div: ("/", TIMES), ast.Pow: ("**", POWER),
    ast.Lt: ("<", COMPARE), ast.Gt: (">", COMPARE), ast.LtE: ("<=", COMPARE), ast.GtE: (">=", COMPARE),
}  # fmt: skip


def laid_out(statement: str, comment: str = "") -> str:
    """One call, or a name given to it, over as many lines as it needs; a comment stands on the first."""
    made = ast.parse(statement).body[0]
    if isinstance(made, ast.Assign):
        lines = _lines(made.value, 0, f"{_targets(made.targets[0])} = ")
    else:
        assert isinstance(made, ast.Expr)
        lines = _lines(made.value, 0)
    if comment:
        lines[0] += f"  # {comment}"
    return "\n".join(lines) + "\n"


def width(text: str) -> int:
    """Columns, of which a Chinese character takes two."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def quoted(text: str) -> str:
    """A string literal, in double quotes unless the text holds more of these than of the others."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    plain = (c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)
    return quote + "".join(plain).replace(quote, f"\\{quote}") + quote


# -- on one line -----------------------------------------------------------------------------------------------


def flat(node: ast.AST) -> str:
    """The text of an expression on one line."""
    match node:
        case ast.Constant(value=str(text)):
            return quoted(text)
        case ast.Constant():
            return repr(node.value).replace("e+", "e")
        case ast.Name():
            return node.id
        case ast.Attribute():
            return f"{flat(node.value)}.{node.attr}"
        case ast.keyword():
            return f"{node.arg}={flat(node.value)}" if node.arg else f"**{flat(node.value)}"
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            return "{" + ", ".join(f"{flat(k)}: {flat(v)}" for k, v in pairs if k is not None) + "}"
        case ast.UnaryOp():
            return _sign(node) + _operand(node.operand, ATOM)  # `-(x**2)`
        case ast.BinOp(op=ast.Pow()):
            left, right = _operand(node.left, ATOM), _operand(node.right, SIGN)
            return f"{left}**{right}" if _simple(node.left) and _simple(node.right) else f"{left} ** {right}"
        case ast.BinOp() | ast.Compare():
            first, *rest = _chain(node)
            return _operand(*first[1:]) + "".join(f" {sign} {_operand(part, tight)}" for sign, part, tight in rest)
    opening, parts, closing = _bracket(node)
    inside = ", ".join(map(flat, parts))
    return opening + inside + ("," if isinstance(node, ast.Tuple) and len(parts) == 1 else "") + closing


def _targets(node: ast.expr) -> str:
    return ", ".join(map(flat, node.elts)) if isinstance(node, ast.Tuple) else flat(node)


def _sign(node: ast.UnaryOp) -> str:
    return "-" if isinstance(node.op, ast.USub) else "~"


def _simple(node: ast.AST) -> bool:
    """What `**` stands close to."""
    if isinstance(node, ast.UnaryOp):
        return _simple(node.operand)
    if isinstance(node, ast.Attribute):
        return _simple(node.value)
    return isinstance(node, ast.Name) or isinstance(node, ast.Constant) and not isinstance(node.value, str)


def _holds(node: ast.AST) -> int:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)][1]
    return COMPARE if isinstance(node, ast.Compare) else SIGN if isinstance(node, ast.UnaryOp) else ATOM


def _operand(node: ast.AST, tight: int) -> str:
    return flat(node) if _holds(node) >= tight else f"({flat(node)})"


def _chain(node: ast.BinOp | ast.Compare) -> list[tuple[str, ast.AST, int]]:
    """Operator, operand and how tightly it must hold, for all of one rank: `a - b + c`."""
    if isinstance(node, ast.Compare):
        parts = zip(node.ops, node.comparators, strict=True)
        return [("", node.left, BIT_OR), *((_OPERATORS[type(op)][0], part, BIT_OR) for op, part in parts)]
    sign, rank = _OPERATORS[type(node.op)]
    if rank == POWER:
        return [("", node.left, ATOM), (sign, node.right, SIGN)]
    left = node.left
    before = _chain(left) if isinstance(left, ast.BinOp) and _holds(left) == rank else [("", left, rank)]
    return [*before, (sign, node.right, rank + 1)]


def _bracket(node: ast.AST) -> tuple[str, Sequence[ast.AST], str]:
    match node:
        case ast.Call():
            return f"{flat(node.func)}(", [*node.args, *node.keywords], ")"
        case ast.Subscript():
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return f"{flat(node.value)}[", parts, "]"
        case ast.List():
            return "[", node.elts, "]"
        case ast.Tuple():
            return "(", node.elts, ")"
    raise AssertionError(f"no layout for {ast.dump(node)}")


# -- over several -----------------------------------------------------------------------------------------------


def _lines(node: ast.AST, indent: int, head: str = "", tail: str = "") -> list[str]:
    """The lines of an expression after `head` and before `tail`."""
    margin = " " * indent
    line = f"{margin}{head}{flat(node)}{tail}"
    if width(line) <= WIDTH:
        return [line]
    match node:
        case ast.keyword(arg=str(name)):
            return _lines(node.value, indent, f"{head}{name}=", tail)
        case ast.Constant(value=str(text)):
            return _pieces(text, margin, head, tail)
        case ast.UnaryOp():
            return _inner(node.operand, ATOM, indent, head + _sign(node), tail)
        case ast.BinOp() | ast.Compare():
            chain = _chain(node)
            made = []
            for place, (sign, part, tight) in enumerate(chain):
                front, end = f"{sign} " if place else head, tail if place == len(chain) - 1 else ""
                made += _inner(part, tight, indent, front, end)
            return made
        case ast.Constant() | ast.Name() | ast.Attribute() | ast.keyword() | ast.Dict():
            return [line]
    opening, parts, closing = _bracket(node)
    each = isinstance(node, (ast.List, ast.Tuple))  # these have a line for each part
    return [f"{margin}{head}{opening}", *_inside(parts, indent + STEP, each), f"{margin}{closing}{tail}"]


def _inner(node: ast.AST, tight: int, indent: int, head: str, tail: str) -> list[str]:
    """An operand, in parentheses of its own lines where it needs both."""
    if _holds(node) >= tight:
        return _lines(node, indent, head, tail)
    margin = " " * indent
    line = f"{margin}{head}({flat(node)}){tail}"
    if width(line) <= WIDTH:
        return [line]
    return [f"{margin}{head}(", *_lines(node, indent + STEP), f"{margin}){tail}"]


def _inside(parts: Sequence[ast.AST], indent: int, each: bool) -> list[str]:
    if len(parts) == 1:
        return _lines(parts[0], indent)
    line = " " * indent + ", ".join(map(flat, parts))
    if width(line) <= WIDTH and not each:
        return [line]
    return [made for part in parts for made in _lines(part, indent, tail=",")]


def _pieces(text: str, margin: str, head: str, tail: str) -> list[str]:
    """A long text as string literals under each other, broken after spaces."""
    made: list[str] = []
    piece = ""

    def fits(piece: str) -> bool:
        return width(margin + ("" if made else head) + quoted(piece) + tail) <= WIDTH

    for word in re.findall(r"\S*\s+|\S+", text):
        for part in [word] if fits(word) else list(word):
            if piece and not fits(piece + part):
                made.append(piece)
                piece = ""
            piece += part
    first, *rest = map(quoted, [*made, piece])
    lines = [f"{margin}{head}{first}", *(margin + line for line in rest)]
    lines[-1] += tail
    return lines
