"""Looking at trees of LaTeX, and at the expressions they become."""

from __future__ import annotations

from typing import Any

from lark import Token, Tree

from tutor.answers import language as lang
from tutor.answers.python import MAX_DEPTH


def start_of(node: Any) -> int:
    """The position of its first symbol."""
    while isinstance(node, Tree):
        node = node.children[0]
    return node.start_pos or 0


def end_of(node: Any) -> int:
    """The position after its last symbol."""
    while isinstance(node, Tree):
        node = node.children[-1]
    return node.end_pos or 0


def trees(tree: Tree) -> list[Tree]:
    return [child for child in tree.children if isinstance(child, Tree)]


def pairs(tree: Tree) -> list[tuple[Token, Tree]]:
    return list(zip([t for t in tree.children if isinstance(t, Token)], trees(tree)[1:], strict=False))


def leaf(tree: Any, kind: str) -> bool:
    return isinstance(tree, Tree) and tree.data == "leaf" and token_of(tree).type == kind


def token_of(tree: Tree) -> Token:
    """The symbol that a leaf is, or that an accent begins with."""
    found = tree.children[0]
    assert isinstance(found, Token)
    return found


def unit_of(part: Any, kind: str) -> bool:
    return isinstance(part, Tree) and part.data == "unit" and leaf(part.children[0], kind)


def loose(part: Any) -> bool:
    r"""A sum that only \underbrace holds together, which is no parenthesis."""
    if not isinstance(part, Tree) or part.data != "unit" or part.children[0].data != "brace":
        return False
    brace = part.children[0]
    return str(brace.children[0]) == "remarked" and only_term(trees(brace)[0]) is None


def big(part: Any) -> bool:
    r"""A sum or product sign, or `\max` with an index below."""
    if unit_of(part, "BIG"):
        return True
    return (
        unit_of(part, "FUNCTION")
        and str(part.children[0].children[0]) in ("max", "min", "argmax", "argmin")
        and any(s.data == "below" for s in part.children[1:])
    )


def only_term(tree: Tree) -> Tree | None:
    """The one unsigned term that a list, an alternative or a sum consists of."""
    while tree.data in ("list", "either", "relation", "sum"):
        if len(tree.children) != 1:
            return None
        tree = tree.children[0]
    return tree if tree.data == "term" else None


def only_unit(tree: Tree) -> Tree | None:
    """The one unit in a bracket."""
    inside = trees(tree)
    term = only_term(inside[0]) if len(inside) == 1 else None
    if term is None or len(term.children) != 1 or not isinstance(term.children[0], Tree):
        return None
    return term.children[0]


def as_unit(tree: Tree) -> Tree:
    return Tree("unit", [tree])


def parts(tree: Tree) -> list[Any]:
    """The factors of what stands in braces, empty where it is more than one term."""
    if tree.data != "brace":
        return [] if tree.data == "empty" else [as_unit(tree)]
    term = only_term(trees(tree)[0])
    return [] if term is None else list(term.children)


def innermost(tree: Tree) -> Tree:
    r"""`_{\{z > 0\}}` without the outer braces."""
    while tree.data in ("brace", "set", "group", "bracket"):
        unit = only_unit(tree)
        if unit is None or len(unit.children) != 1 or unit.children[0].data not in ("set", "group", "bracket", "brace"):
            break
        tree = unit.children[0]
    return tree


def is_relation(tree: Tree) -> bool:
    """Whether a comparison stands in a bracket."""
    if tree.data not in ("brace", "set", "group", "bracket", "condition"):
        return False
    unit = only_unit(tree) if tree.data == "condition" and isinstance(tree.children[0], Tree) else None
    if unit is not None and len(unit.children) == 1 and unit.children[0].data in ("group", "bracket"):
        return is_relation(unit.children[0])  # a case whose condition stands in parentheses
    tree = innermost(tree)
    lists = trees(tree)
    if len(lists) != 1 or len(lists[0].children) != 1:
        return False
    return any(len(relation.children) > 1 for relation in trees(lists[0].children[0]))


def has_number(item: Any) -> bool:
    return isinstance(item, list) and any(unit_of(unit, "NUMBER") for unit in item)


def digits(tree: Tree | None) -> str:
    """The digits that stand alone in a script."""
    if tree is None:
        return ""
    unit = only_unit(tree) if tree.data == "brace" else as_unit(tree)
    if unit is None or len(unit.children) != 1 or not leaf(unit.children[0], "NUMBER"):
        return ""
    text = str(unit.children[0].children[0])
    return text if text.isdigit() else ""


def letter(tree: Tree | None) -> str:
    """The letter or word that stands alone in a script."""
    unit = None if tree is None else only_unit(tree) if tree.data == "brace" else as_unit(tree)
    alone = unit is not None and len(unit.children) == 1
    if not alone or not (leaf(unit.children[0], "WORD") or leaf(unit.children[0], "ROMAN")):  # type: ignore[union-attr]
        return ""
    return str(unit.children[0].children[0])  # type: ignore[union-attr]


def transposes(above: Tree | list[Tree], bare: bool = True) -> bool:
    r"""`^\top`, and `^T` above something that has axes."""
    factors = above if isinstance(above, list) else parts(above)
    return len(factors) == 1 and _top(factors[0], bare)


def inverts_transposed(above: Tree | list[Tree], bare: bool = True) -> bool:
    r"""`^{-\top}`, `^{-T}`, `^{-1\top}`: the inverse, transposed."""
    power = None if isinstance(above, list) else only_sum(above)
    if power is None or len(power.children) != 2 or str(power.children[0]) != "-":
        return False
    factors = trees(power.children[1])
    if len(factors) == 2 and unit_of(factors[0], "NUMBER") and str(factors[0].children[0].children[0]) == "1":
        factors = factors[1:]
    return len(factors) == 1 and _top(factors[0], bare)


def _top(factor: Tree | Token, bare: bool) -> bool:
    if not isinstance(factor, Tree) or len(factor.children) != 1:
        return False
    atom = factor.children[0]
    if leaf(atom, "TOP"):
        return True
    return bare and (leaf(atom, "WORD") or leaf(atom, "ROMAN")) and str(atom.children[0]) == "T"


def only_sum(tree: Tree) -> Tree | None:
    for _ in range(4):
        inside = trees(tree)
        if len(inside) != 1:
            return None
        tree = inside[0]
        if tree.data == "sum":
            return tree
    return None


# -- looking at expressions ------------------------------------------------------------------------------------


def constant(node: lang.Expression) -> float | None:
    if isinstance(node, lang.Number):
        return node.value
    if isinstance(node, lang.Unary) and node.op == "-" and isinstance(node.operand, lang.Number):
        return -node.operand.value
    return None


def has_entries(node: lang.Expression) -> bool:
    return any(isinstance(part, lang.Subscript) for part in lang.walk(node))


def text(node: lang.Expression) -> str:
    """An index as text."""
    if isinstance(node, lang.Name):
        return node.name
    if isinstance(node, lang.Number):
        return node.text
    if isinstance(node, lang.Binary):
        return f"{text(node.left)}{node.op}{text(node.right)}"
    if isinstance(node, lang.Unary):
        return f"{node.op}{text(node.operand)}"
    if isinstance(node, lang.Subscript):
        return f"{text(node.value)}[{','.join(map(text, node.items))}]"
    return "..."


def depth(node: lang.Expression) -> int:
    """How many operations stand inside each other, without recursion."""
    level, count = [node], 0
    while level:
        count += 1
        level = [part for each in level for part in lang.parts(each)]
        if count > 2 * MAX_DEPTH:
            break
    return count
