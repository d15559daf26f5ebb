r"""`\mathbf{1}`, `\mathbf{1}_N`, one-hot vectors `\mathbf{1}_y` and identities `I`, `I_N`: known by their form.

With a size below they are ordinary tensors. Without one they take it from what stands beside them, or on the left;
where that does not say it, they are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lark import Token, Tree

from tutor.answers import language as lang
from tutor.answers import latex_trees as look
from tutor.answers.latex_names import IDENTITY, ONES_VECTOR, Shape, Value
from tutor.errors import ReadingError
from tutor.language import joined, said

if TYPE_CHECKING:
    from tutor.answers.latex_meaning import Meaning

At = tuple[int, int, int]
_OF_I = (said("the identity matrix"), said("an indicator"), said("a name of your own"))

# -- as they are written --------------------------------------------------------------------------------------


def ones(m: Meaning, part: Tree, below: Tree | None) -> Value:
    r"""`\mathbf{1}`, `\mathbf{1}_N`, `\mathbf{1}_{N \times K}`; `\mathbf{1}_y` of an index quantity is one-hot."""
    if below is None:
        return Value(m.number(part, 1), None, unsized=ONES_VECTOR)
    sizes = _sizes(m, below)
    if sizes is not None:
        return Value(m.call(part, "ones", *sizes), tuple(map(look.text, sizes)))
    node = _labels(m, below)
    if node is not None:
        return one_hot(m, part, node)
    readings = (said("the length of a vector of ones"), said("the place of the one in a one-hot vector"))
    raise m.two_ways(
        below,
        said(r"what stands below \mathbf{1}"),
        readings,
        said(r"write \mathbf{1}_N with a size of the exercise, \mathbf{1}_y with its classes, or \delta_{ik}"),
    )


def one_hot(m: Meaning, part: Any, node: lang.Expression) -> Value:
    """Rows that are one at the classes that an index quantity holds."""
    quantity = m.names.exercise.quantities.get(node.name) if isinstance(node, lang.Name) else None
    if quantity is None or quantity.below is None:
        shown = look.text(node)
        raise m.refuse(
            part,
            said(
                r"a one-hot vector is of a whole quantity that holds classes; of one entry write "
                r"\mathbb{{1}}[{letter} = {shown}]",
                letter="j" if shown == "k" else "k",
                shown=shown,
            ),
        )
    classes = str(quantity.below)
    shape = (*map(str, quantity.shape), classes)
    return Value(m.call(part, "one_hot", node, placed(classes, m.at(part))), shape)


def identity(m: Meaning, part: Tree, below: Tree | None) -> Value:
    """`I`, `I_N`: where nothing of that name is known."""
    if below is None:
        return Value(m.number(part, 1), None, unsized=IDENTITY)
    sizes = _sizes(m, below)
    if sizes is not None and len({look.text(each) for each in sizes}) == 1:
        return Value(m.call(part, "eye", sizes[0]), (look.text(sizes[0]),) * 2)
    raise m.two_ways(
        part, said("I with a subscript"), _OF_I, said(r"write I_N with a size of the exercise, or \delta_{ij}")
    )


def _sizes(m: Meaning, below: Tree) -> list[lang.Expression] | None:
    r"""The sizes below: `N`, `K-1`, `N \times K`; None where something else stands there."""
    made = [_index(m, parts) for parts in _around_times(below)]
    return made if all(_is_size(m, node) for node in made) else None  # type: ignore[return-value]


def _around_times(below: Tree) -> list[Any]:
    r"""What stands between the \times; the whole where there is none."""
    parts = look.parts(below)
    if not any(isinstance(part, Token) and str(part) == "times" for part in parts):
        return [below]
    made: list[list[Any]] = [[]]
    for part in parts:
        if isinstance(part, Token) and str(part) == "times":
            made.append([])
        else:
            made[-1].append(part)
    return made


def _index(m: Meaning, below: Tree | list[Any]) -> lang.Expression | None:
    """What stands below as an index would be read; None where it cannot be."""
    depth = m.depth
    m.indexing += 1
    try:
        return m.inner(below).node if isinstance(below, Tree) else m._index_expression(below)
    except ReadingError:
        return None
    finally:
        m.indexing -= 1
        m.depth = depth


def _is_size(m: Meaning, node: lang.Expression | None) -> bool:
    """A size of the exercise, or a sum of such and of numbers; side by side they could be two sizes."""
    if isinstance(node, lang.Name):
        return node.name in m.names.exercise.size_symbols
    if isinstance(node, lang.Binary) and node.op in ("+", "-"):
        return all(isinstance(side, lang.Number) or _is_size(m, side) for side in (node.left, node.right))
    return False


def _labels(m: Meaning, below: Tree) -> lang.Expression | None:
    """The index quantity that stands below, or an entry of one."""
    node = _index(m, below)
    base = None if node is None else lang.root(node)
    quantity = m.names.exercise.quantities.get(base.name) if isinstance(base, lang.Name) else None
    return node if quantity is not None and quantity.below is not None else None


def placed(text: str, at: At, argument: lang.Expression | None = None) -> lang.Expression:
    """A formula of ours, all at one place, with the argument for x_."""
    from tutor.answers import python

    [sheet] = python.read(f"y = {text}")
    [statement] = sheet.statements
    assert isinstance(statement, lang.Assign)
    return _put(statement.value, argument, at)


def _put(node: lang.Expression, argument: lang.Expression | None, at: At) -> lang.Expression:
    if isinstance(node, lang.Name):
        return argument if node.name == "x_" and argument is not None else lang.Name(*at, node.name)
    if isinstance(node, lang.Binary):
        return lang.Binary(*at, node.op, _put(node.left, argument, at), _put(node.right, argument, at))
    if isinstance(node, lang.Unary):
        return lang.Unary(*at, node.op, _put(node.operand, argument, at))
    if isinstance(node, lang.Call):
        arguments = tuple(_put(given, argument, at) for given in node.arguments)
        return lang.Call(*at, _put(node.function, argument, at), arguments, ())
    assert isinstance(node, lang.Number)
    return lang.Number(*at, node.value, node.text)


# -- beside something, from which they have their size ----------------------------------------------------------


def entrywise(m: Meaning, tree: Any, op: str, left: Value, right: Value) -> Value:
    r"""`p - \mathbf{1}`, `\mathbf{1}/s`, `P - I`; divided by a number they stay what they are."""
    constant, other = (left, right) if left.unsized else (right, left)
    at = m.at(tree)
    if other.shape == () and (op == "*" or (op == "/" and left is constant)):
        return Value(lang.Binary(*at, op, left.node, right.node), None, constant.row, constant.unsized)
    if constant.unsized == ONES_VECTOR and op in ("+", "-", "*", "/") and other.shape and not other.unsized:
        return Value(lang.Binary(*at, op, left.node, right.node), other.shape, other.row)
    if constant.unsized == IDENTITY and op in ("+", "-", "*") and _square(other):
        assert other.shape is not None
        made = Value(_eye(m, constant, other.shape[0], at), other.shape)
        left, right = (made, right) if constant is left else (left, made)
        return Value(lang.Binary(*at, op, left.node, right.node), other.shape)
    raise refused(m, tree, constant)


def _square(value: Value) -> bool:
    shape = value.shape
    return shape is not None and len(shape) == 2 and shape[0] == shape[1] and not shape[0].startswith("?")


def _eye(m: Meaning, constant: Value, extent: str, at: At) -> lang.Expression:
    return _times_factor(constant, lang.Call(*at, lang.Name(*at, "eye"), (placed(extent, at),), ()), at)


def _times_factor(constant: Value, node: lang.Expression, at: At) -> lang.Expression:
    plain = isinstance(constant.node, lang.Number) and constant.node.value == 1
    return node if plain else lang.Binary(*at, "*", constant.node, node)


def product(m: Meaning, tree: Any, left: Value, right: Value) -> Value:
    r"""`\mathbf{1}^\top A` adds up the rows of A, `A \mathbf{1}` its columns; `I A` is A."""
    constant, other = (left, right) if left.unsized else (right, left)
    axes = None if other.shape is None else len(other.shape)
    if constant.unsized == IDENTITY:
        if other.unsized or axes not in (1, 2) or (axes == 1 and other.row != (constant is right)):
            raise refused(m, tree, constant)
        return Value(_times_factor(constant, other.node, m.at(tree)), other.shape, other.row)
    if axes in (1, 2) and not other.unsized and left.unsized and left.row and not right.row:
        return _summed(m, tree, constant, other, 0, other.shape[1:])  # type: ignore[index]
    if axes == 2 and right.unsized and not right.row:
        return _summed(m, tree, constant, other, 1, other.shape[:1])  # type: ignore[index]
    if axes == 1 and right.unsized and not right.row and left.row:
        return _summed(m, tree, constant, other, 0, ())
    raise refused(m, tree, constant)


def _summed(m: Meaning, tree: Any, ones: Value, other: Value, axis: int, shape: Shape) -> Value:
    at = m.at(tree)
    total = lang.Call(*at, lang.Attribute(*at, other.node, "sum"), (m.number(tree, axis),), ())
    return Value(_times_factor(ones, total, at), shape, row=axis == 0 and len(shape) == 1)


def whole(m: Meaning, tree: Any, value: Value, shape: Shape | None) -> Value:
    """A whole right side: of the shape that the left side has."""
    at = m.at(tree)
    if value.unsized == ONES_VECTOR and shape is not None and len(shape) == 1 and not shape[0].startswith("?"):
        made = lang.Call(*at, lang.Name(*at, "ones"), (placed(shape[0], at),), ())
        return Value(_times_factor(value, made, at), shape)
    if value.unsized == IDENTITY and shape is not None and _square(Value(value.node, shape)):
        return Value(_eye(m, value, shape[0], at), shape)
    raise refused(m, tree, value)


def refused(m: Meaning, tree: Any, value: Value) -> ReadingError:
    """What a constant without a size is, where nothing says its size."""
    if value.unsized == ONES_VECTOR:
        sizes = [rf"\mathbf{{1}}_{{{size}}}" for size in m.names.exercise.size_symbols]
        write = (
            said("write its length, {ones}", ones=joined(sizes, said(" or "))) if sizes else said("write the indices")
        )
        says = said("how long this vector of ones is does not follow from what stands beside it: {write}", write=write)
        return m.refuse(tree, says)
    return m.two_ways(
        tree, "I", _OF_I, said(r"no square matrix stands beside it; write I_N for the identity, \mathbb{1}[...]")
    )
