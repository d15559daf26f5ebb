"""Wrong answers: one or two random edits to a right sheet's own text, blind to the judge's table of mistakes.

An edit is a mutant of one line's syntax tree. Whether it is wrong is not decided here: plain torch does that.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from exam_course import Course, Expr, parsed
from exam_plain import target_name
from exam_right import Sheet, updates
from exam_rules import call, clone, is_binder, is_op, method, negated, number_of, op, reduction, replaced, rewritable

# kind of edit -> ids of the mistake table that name it; the repair that undoes the edit counts as well
NAMED: dict[str, set[str]] = {
    kind: set(ids.split())
    for kind, ids in {
        "sign": "factor sign",
        "drop-factor": "extra-factor factor missing-local-derivative missing-upstream wrong-convention wrong-power",
        "extra-factor": "extra-factor factor wrong-convention wrong-power",
        "drop-term": "diagonal-only factor missing-gradient missing-local-derivative missing-path sign",
        "constant": "factor sign wrong-convention wrong-power",
        "perturb": "factor",
        "exponent": "extra-factor factor wrong-power",
        "axis": "missing-sum transposed wrong-axis wrong-shape",
        "no-sum": "missing-sum wrong-shape",
        "mean": "factor wrong-convention",
        "transpose": "transposed wrong-shape",
        "swap-name": "extra-gradient missing-gradient missing-local-derivative missing-upstream stale-value wrong-mask "
        "wrong-point",
        "index": "missing-sum transposed wrong-axis",
        "function": "missing-local-derivative wrong-point",
        "operator": "diagonal-only factor product-rule sign wrong-power",
        "update": "missing-path missing-scatter sign",
    }.items()
}

Edit = tuple[str, Expr]  # kind, what stands there instead


@dataclass
class Mutant:
    """A sheet with edited lines."""

    sheet: Sheet
    edited: list[int]  # positions of the edited statements
    kinds: list[str]
    originals: list[str]  # the edited statements as they were


def edits(where: Course, node: ast.AST, known: list[str], dice: random.Random) -> Iterator[Edit]:
    """Ways to spoil one node."""
    for kind, edit in _EDITS:
        if isinstance(node, kind):
            yield from edit(where, node, known, dice)
    if isinstance(node, ast.expr) and not isinstance(
        node, (ast.Constant, ast.Compare, ast.Tuple)
    ):  # a mask is no number
        yield "sign", negated(node)
        yield "perturb", op(1 + dice.choice([1e-6, -1e-6, 1e-5, 1e-4, -1e-3, 1e-2]), "*", node)
        yield "extra-factor", op(dice.choice(["2", "0.5", "-1", "3", *where.exercise.size_symbols]), "*", node)


def _binary(where: Course, n: ast.BinOp, known: list[str], dice: random.Random) -> Iterator[Edit]:
    a, b = n.left, n.right
    if is_op(n, ast.Add):
        yield "sign", op(a, "-", b)
        yield "drop-term", a
        yield "drop-term", b
        yield "operator", op(a, "*", b)
    if is_op(n, ast.Sub):
        yield "sign", op(a, "+", b)
        yield "sign", op(b, "-", a)
        yield "drop-term", a
        yield "drop-term", negated(b)
    if is_op(n, ast.Mult):
        yield "drop-factor", a
        yield "drop-factor", b
        yield "operator", op(a, "/", b)
        yield "operator", op(a, "+", b)
        yield "extra-factor", op(n, "*", dice.choice([a, b]))
    if is_op(n, ast.Div):
        yield "drop-factor", a
        yield "drop-factor", op(1, "/", b)
        yield "operator", op(a, "*", b)
        yield "exponent", op(a, "/", op(b, "**", 2))
    if is_op(n, ast.MatMult):
        yield "operator", op(a, "*", b)
        yield "transpose", op(b, "@", a)
        yield "transpose", op(ast.Attribute(a, "T"), "@", b)
        yield "transpose", op(a, "@", ast.Attribute(b, "T"))
        yield "drop-factor", b
    if is_op(n, ast.Pow):
        power = number_of(b)
        if power is not None:
            yield "exponent", op(a, "**", power + 1)
            yield "exponent", op(a, "**", power - 1)
            yield "exponent", op(a, "**", -power)
        yield "exponent", a


def _constant(where: Course, n: ast.Constant, known: list[str], dice: random.Random) -> Iterator[Edit]:
    value = number_of(n)
    if value is None:
        return
    for other in (value + 1, value - 1, 2 * value, value / 2, -value):
        yield "constant", parsed(repr(other))
    if value:
        yield "perturb", parsed(repr(value * (1 + dice.choice([1e-6, -1e-6, 1e-5, 1e-4, 1e-3, -1e-2]))))


def _name(where: Course, n: ast.Name, known: list[str], dice: random.Random) -> Iterator[Edit]:
    """Another name of the exercise, of the same shape more often than not."""
    if n.id in where.exercise.size_symbols:
        others = [o for o in where.exercise.size_symbols if o != n.id]
        for other in others[:3]:
            yield "swap-name", ast.Name(other, ast.Load())
        yield "constant", op(n, "-", 1)
        return
    others = [o for o in known if o != n.id]
    shapes = {**where.cases[0].truth, **where.cases[0].forward}
    alike = [o for o in others if n.id in shapes and shapes[o].shape == shapes[n.id].shape]
    if n.id not in shapes or not others:
        return
    for other in dice.sample(alike, min(3, len(alike))) + dice.sample(others, 1):
        yield "swap-name", ast.Name(other, ast.Load())


def _attribute(where: Course, n: ast.Attribute, known: list[str], dice: random.Random) -> Iterator[Edit]:
    if n.attr in ("T", "mT"):
        yield "transpose", n.value


def _subscript(where: Course, n: ast.Subscript, known: list[str], dice: random.Random) -> Iterator[Edit]:
    written = ast.unparse(n.slice)
    if written == ":, None":
        yield "axis", parsed(f"({ast.unparse(n.value)})[None, :]")
        yield "axis", n.value
    items = list(n.slice.elts) if isinstance(n.slice, ast.Tuple) else [n.slice]
    if len(items) == 2 and all(isinstance(item, ast.Name) for item in items):
        yield "index", ast.Subscript(n.value, ast.Tuple(items[::-1], ast.Load()), ast.Load())
    labels = list(where.exercise.index_symbols)
    for position, item in enumerate(items):
        if isinstance(item, ast.Name) and labels:
            other = copy.copy(items)
            other[position] = ast.Name(dice.choice(labels), ast.Load())
            yield (
                "index",
                ast.Subscript(n.value, ast.Tuple(other, ast.Load()) if len(other) > 1 else other[0], ast.Load()),
            )
    if isinstance(n.value, ast.Name) and n.value.id in {**where.cases[0].truth, **where.cases[0].forward}:
        for _, other_name in _name(where, n.value, known, dice):
            yield "swap-name", ast.Subscript(other_name, n.slice, ast.Load())


SWAPPED = {
    "sin": "cos", "cos": "sin", "exp": "log", "tanh": "sigmoid", "sigmoid": "tanh", "log": "exp", "sqrt": "square",
    "sinh": "cosh", "cosh": "sinh", "sign": "abs", "relu": "sign", "softmax": "sigmoid", "maximum": "minimum",
}  # fmt: skip


def _call(where: Course, n: ast.Call, known: list[str], dice: random.Random) -> Iterator[Edit]:
    name = n.func.attr if isinstance(n.func, ast.Attribute) else n.func.id if isinstance(n.func, ast.Name) else ""
    found = reduction(n)
    if found is not None:
        x, dim, keep = found
        kept = {"keepdim": True} if keep else {}
        if dim is not None:
            yield "axis", method(x, "sum", 1 - dim if dim in (0, 1) else 0, **kept)
            yield "mean", method(x, "mean", dim, **kept)
            yield "axis", method(x, "sum")
        else:
            yield "mean", method(x, "mean")
            yield "axis", method(x, "sum", 0)
        yield "no-sum", x
    if name in SWAPPED and (not isinstance(n.func, ast.Attribute) or isinstance(n.func.value, ast.Name)):
        other = clone(n)
        if isinstance(other.func, ast.Attribute):
            other.func.attr = SWAPPED[name]
        elif isinstance(other.func, ast.Name):
            other.func.id = SWAPPED[name]
        if not (isinstance(n.func, ast.Attribute) and SWAPPED[name] == "sigmoid" and n.func.value.id == "np"):
            yield "function", other
        if n.args and name not in ("softmax", "maximum"):
            yield "function", n.args[0]
    if is_binder(n) and name == "Sum":
        yield "no-sum", n.args[0]
        labels = [label for label in where.exercise.index_symbols if label != n.args[1].id]
        if labels:
            yield "index", call("Sum", n.args[0], dice.choice(labels))
    if name == "KroneckerDelta":
        yield "drop-factor", ast.Constant(1)
    if name == "mean" and isinstance(n.func, ast.Attribute) and not isinstance(n.func.value, ast.Name):
        yield "mean", ast.Call(ast.Attribute(n.func.value, "sum"), n.args, n.keywords)
    if name in ("einsum",) and len(n.args) == 3:
        yield "transpose", ast.Call(n.func, [n.args[0], n.args[2], n.args[1]], [])
    if name == "where" and len(n.args) == 3:
        yield "operator", ast.Call(n.func, [n.args[0], n.args[2], n.args[1]], [])


def _compare(where: Course, n: ast.Compare, known: list[str], dice: random.Random) -> Iterator[Edit]:
    other = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE, ast.Eq: ast.NotEq}.get(type(n.ops[0]))
    if other:
        yield "operator", ast.Compare(n.left, [other()], n.comparators)


def _unary(where: Course, n: ast.UnaryOp, known: list[str], dice: random.Random) -> Iterator[Edit]:
    if isinstance(n.op, ast.USub):
        yield "sign", n.operand


_EDITS: list[tuple[type, Callable[..., Iterator[Edit]]]] = [
    (ast.BinOp, _binary), (ast.Constant, _constant), (ast.Name, _name), (ast.Attribute, _attribute),
    (ast.Subscript, _subscript), (ast.Call, _call), (ast.Compare, _compare), (ast.UnaryOp, _unary),
]  # fmt: skip


# -- statements and sheets -------------------------------------------------------------------------------------


def known_at(where: Course, statements: list[ast.stmt], n: int) -> list[str]:
    """Names that have a value before statement n."""
    given = {target_name(s, where.names) for s in statements[:n]} & set(where.order)
    real = [name for name, x in where.cases[0].forward.items() if x.is_floating_point()]
    return sorted({*real, *given, *where.given})


def spoilt(where: Course, statements: list[ast.stmt], n: int, dice: random.Random) -> tuple[ast.stmt, str] | None:
    """Statement n with one random edit, and the kind of edit."""
    s = statements[n]
    known = known_at(where, statements, n)
    if isinstance(s, ast.AugAssign) and dice.random() < 0.3:
        changed = clone(s)
        if dice.random() < 0.5 and isinstance(s.op, (ast.Add, ast.Sub)):
            changed.op = ast.Sub() if isinstance(s.op, ast.Add) else ast.Add()
            return _restyled(changed, s), "sign"
        made = ast.Assign([clone(s.target)], clone(s.value))
        return _restyled(made, s), "update"
    root = s.body[0] if isinstance(s, ast.For) else s
    if isinstance(root, ast.Expr):
        return None
    value = root.value
    nodes = rewritable(value)
    offers = [
        (kind, node, made)
        for node in dice.sample(nodes, min(12, len(nodes)))
        for kind, made in edits(where, node, known, dice)
    ]
    if not offers:
        return None
    kind = dice.choice(sorted({kind for kind, _, _ in offers}))  # rare kinds as often as those that fit everywhere
    _, node, new = dice.choice([offer for offer in offers if offer[0] == kind])
    changed = clone(s)
    target = changed.body[0] if isinstance(changed, ast.For) else changed
    target.value = replaced(value, node, new)
    return _restyled(changed, s), kind


def _restyled(new: Any, old: ast.stmt) -> ast.stmt:
    made = ast.parse(ast.unparse(ast.fix_missing_locations(new))).body[0]
    made.style = getattr(old, "style", "torch")
    return made


def is_number(s: ast.stmt) -> bool:
    return isinstance(s, ast.Assign) and not any(isinstance(n, ast.Name) for n in ast.walk(s.value))


def mutant(sheet: Sheet, dice: random.Random, faults: int) -> Mutant | None:
    """The sheet with so many edits, on lines taken at random; None where no edit was found."""
    statements = list(sheet.statements)
    edited, kinds, originals = [], [], []
    for _ in range(faults):
        n = dice.randrange(len(statements))
        found = spoilt(sheet.where, statements, n, dice)
        if found is None or is_number(found[0]):  # a number alone may be the value of the worked instance
            return None
        if n not in edited:
            originals.append(ast.unparse(statements[n]))
        name, before = target_name(statements[n], sheet.where.names), statements[n]
        statements[n], kind = found
        if updates(sheet.where, before, name) and not updates(sheet.where, statements[n], name):
            kind = "update"
        edited.append(n)
        kinds.append(kind)
    return Mutant(Sheet(sheet.where, statements).shown(), sorted(set(edited)), kinds, originals)
