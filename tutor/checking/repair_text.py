"""An edit as the learner reads it: the shortest piece of their own line that changes, and what to write there."""

from __future__ import annotations

from typing import Any

from tutor.answers import language as lang
from tutor.checking.report import Repair
from tutor.checking.rewriting import MOST_ADDED, Edit, Line, called, negative, tightness, with_part

MOST_OPERAND = 24  # characters of what stands after an operator that is shown with it


def as_repair(line: Line, edit: Edit) -> Repair | None:
    """The edit as text; None where it is not a small change of the learner's own words."""
    if edit.op:
        return _operator_repair(line, edit.op)
    old, new = _narrowed(line, edit.node, edit.new)
    old, new = _whole_entry(line, old, new)
    if old is line.value.node and _all_anew(old, new):
        return None
    if isinstance(new, lang.Unary) and new.operand is old:
        old = _first_factor(line, old)
        new = negative(old)
    if not line.own(old):
        return None
    if isinstance(new, lang.Binary) and isinstance(old, lang.Binary) and _same_operands(old, new):
        return _other_operator(line, old, new)
    if isinstance(old, lang.Binary) and (new is old.left or new is old.right):
        left_out = _without(line, old, new)
        if left_out is not None:
            return left_out
    before, after = line.text(old), line.write(new, 0 if line.enclosed(old) else _needed(line, old))
    column = old.column
    owner = _owner(old)
    if owner is not None and (owner is new or owner is _owner(new)):  # only the method is another one, or is left out
        at = before.rfind(f".{_method_name(old)}")
        after = "" if new is owner else after[after.rfind(f".{_method_name(new)}") :]
        column, before = column + at, before[at:]
    if before == after or len(after) - len(before) > MOST_ADDED:
        return None
    return Repair(column, before, after)


def _first_factor(line: Line, node: lang.Expression) -> lang.Expression:
    r"""Where minus a product is written: at its first factor, but not inside `\frac1N`."""
    while isinstance(node, lang.Binary) and tightness(node) in (4, 6) and not _is_wrapped(line, node.left):
        if node.left.column != node.column:
            break
        node = node.left
    return node


def _all_anew(old: lang.Expression, new: lang.Expression) -> bool:
    """Whether nothing of the learner's is left in a formula of several parts: that is the answer, and no repair."""
    if isinstance(new, (lang.Name, lang.Number, lang.Unary, lang.Subscript, lang.Attribute)):
        return False
    return not _leaves(old) & _leaves(new)


def _leaves(node: lang.Expression) -> set[object]:
    parts = list(lang.walk(node))
    names = {part.name for part in parts if isinstance(part, lang.Name)}
    return names | {part.value for part in parts if isinstance(part, lang.Number)}


def _narrowed(line: Line, old: lang.Expression, new: lang.Expression) -> tuple[lang.Expression, lang.Expression]:
    """The one part in which the two differ, as far down as there is one."""
    while type(old) is type(new):
        mine, other = list(lang.parts(old)), list(lang.parts(new))
        differ = [n for n, pair in enumerate(zip(mine, other, strict=False)) if pair[0] is not pair[1]]
        if len(mine) != len(other) or len(differ) != 1:
            break
        part, instead = mine[differ[0]], other[differ[0]]
        if line.role(part) != "value" or with_part(old, part, instead) != new:
            break
        old, new = part, instead
    return old, new


def _whole_entry(line: Line, old: lang.Expression, new: lang.Expression) -> tuple[lang.Expression, lang.Expression]:
    """In LaTeX the entry `e_{ik}`, of which neither name nor indices have a place of their own."""
    parent = line.places[id(old)].parent
    if line.latex and isinstance(parent, lang.Subscript):
        return parent, with_part(parent, old, new)
    return old, new


def _same_operands(old: lang.Binary, new: lang.Binary) -> bool:
    return new.left is old.left and new.right is old.right


def _other_operator(line: Line, old: lang.Binary, new: lang.Binary) -> Repair | None:
    """`- y` to `+ y`, at the operator itself where nothing has to be put in parentheses"""
    start = line.statement.start
    gap = line.statement.text[old.left.end - start : old.right.column - start]
    at = old.left.end + max(gap.find(old.op), 0)
    if tightness(old) != tightness(new) or not (line.own(old.left) and line.own(old.right)) or old.op not in gap:
        return Repair(old.column, line.text(old), line.write(new, 0 if line.enclosed(old) else _needed(line, old)))
    written = line.statement.text[at - start : old.end - start]
    written = written if len(written) <= MOST_OPERAND else old.op
    return Repair(at, written, new.op + written[len(old.op) :])


def _is_wrapped(line: Line, node: lang.Expression) -> bool:
    return not line.own(node) or line.enclosed(node)


def _needed(line: Line, node: lang.Expression) -> int:
    """How tightly what stands in place of a node must hold together."""
    parent = line.places[id(node)].parent
    if isinstance(parent, lang.Binary):
        right = node is parent.right
        return tightness(parent) + (not right if parent.op == "**" else right)
    if isinstance(parent, lang.Unary):
        return 4 if parent.op == "-" else 5
    if isinstance(parent, lang.Attribute) or (isinstance(parent, lang.Subscript) and node is parent.value):
        return 7
    return 0


def _owner(node: lang.Expression) -> lang.Expression | None:
    """What a method is called on, or `.T` taken of."""
    if isinstance(node, lang.Call):
        node = node.function
    return node.value if isinstance(node, lang.Attribute) and not lang.is_module(node.value) else None


def _method_name(node: Any) -> str:
    return called(node) if isinstance(node, lang.Call) else node.name


def _without(line: Line, old: lang.Binary, new: lang.Expression) -> Repair | None:
    """`*b` rather than `a*b -> a`; what is left keeps its own parentheses"""
    if not (line.own(old.left) and line.own(old.right)):
        return None
    text, start = line.statement.text, line.statement.start
    at = text.find(old.op, old.left.end - start, old.right.column - start)
    if at < 0:
        return None
    if new is old.left:
        return Repair(at + start, text[at : old.end - start], "")
    at += len(old.op)
    at += len(text[at:]) - len(text[at:].lstrip())
    return Repair(old.column, text[old.column - start : at].rstrip(), "")


def _operator_repair(line: Line, op: str) -> Repair | None:
    statement = line.statement
    assert isinstance(statement, (lang.Assign, lang.Update))
    target = statement.targets[0] if isinstance(statement, lang.Assign) else statement.target
    written = "=" if isinstance(statement, lang.Assign) else f"{statement.op}="
    at = statement.text.find(written, max(target.end - statement.start, 0))
    if at < 0 or not target.end:
        return None
    return Repair(statement.start + at, written, "=" if op == "=" else f"{op}=")
