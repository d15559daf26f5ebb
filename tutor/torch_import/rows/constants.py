"""Constants and masks: known when the program is written, so no steps of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import And, Eq, Expr, Ge, Gt, Integer, Le, Lt, Ne, Not, Or, Piecewise, S, sympify
from sympy.logic.boolalg import Boolean

from tutor.language import N_
from tutor.torch_import.arrays import Array, constant
from tutor.torch_import.builder import Builder
from tutor.torch_import.table import operation


def _kind(g: Builder) -> str:
    return g.node.kinds[0] if g.node is not None and g.node.kinds else "float"


def _filled(g: Builder, shape: Sequence[Any], value: Any) -> Array:
    return constant(as_kind(g, value, _kind(g)), [g.extent(n) for n in shape], _kind(g))


def as_kind(g: Builder, value: Any, kind: str) -> Any:
    """A number as torch keeps it there: of whole numbers cut off, of conditions whether it is not 0."""
    number = g.scalar(value)
    if kind == "bool":
        return S(bool(number != 0))
    return Integer(int(number)) if kind == "int" and number.is_number else number


@operation("zeros", "empty", "empty_permuted", torch="torch.zeros")
def zeros(g: Builder, size: Sequence[Any]) -> Array:
    """y = 0"""
    return _filled(g, size, 0)


@operation("new_zeros", "new_empty", torch="x.new_zeros")
def new_zeros(g: Builder, self: Array, size: Sequence[Any]) -> Array:
    """y = 0"""
    return _filled(g, size, 0)


@operation("ones", torch="torch.ones")
def ones(g: Builder, size: Sequence[Any]) -> Array:
    """y = 1"""
    return _filled(g, size, 1)


@operation("new_ones", torch="x.new_ones")
def new_ones(g: Builder, self: Array, size: Sequence[Any]) -> Array:
    """y = 1"""
    return _filled(g, size, 1)


@operation("new_full", torch="x.new_full")
def new_full(g: Builder, self: Array, size: Sequence[Any], fill_value: Any) -> Array:
    """y = a number"""
    return _filled(g, size, fill_value)


@operation("full", torch="torch.full")
def full(g: Builder, size: Sequence[Any], fill_value: Any) -> Array:
    """y = a number"""
    return _filled(g, size, fill_value)


@operation("zeros_like", "empty_like", torch="torch.zeros_like")
def zeros_like(g: Builder, self: Array) -> Array:
    """y = 0"""
    return constant(as_kind(g, 0, _kind(g)), self.shape, _kind(g))


@operation("ones_like", torch="torch.ones_like")
def ones_like(g: Builder, self: Array) -> Array:
    """y = 1"""
    return constant(as_kind(g, 1, _kind(g)), self.shape, _kind(g))


@operation("full_like", torch="torch.full_like")
def full_like(g: Builder, self: Array, fill_value: Any) -> Array:
    """y = a number"""
    return constant(as_kind(g, fill_value, _kind(g)), self.shape, _kind(g))


@operation("scalar_tensor", torch="torch.tensor")
def scalar_tensor(g: Builder, s: Any) -> Array:
    """y = a number"""
    return constant(as_kind(g, s, _kind(g)), (), _kind(g))


@operation("arange", torch="torch.arange")
def arange(g: Builder, end: Any, start: Any = 0, step: Any = 1) -> Array:
    """y[i] = start + step i"""
    assert g.node is not None
    kind, count = _kind(g), g.node.shapes[0][0]
    if (start, step) == (0, 1) and g.scalar(end).is_integer:
        extent = g.extent(end)
        return Array((extent,), lambda i: i, kind, below=extent if kind == "int" else None)
    if step == 1 and not sympify(start).is_number and kind == "int":  # arange(n, 2*n)
        extent = g.sizes.resolve(sympify(end) - start)
        return Array((extent,), lambda i: start + i, kind, below=sympify(end))
    first, last, by = (_pinned(g, value) for value in (start, end, step))
    if kind == "int" and not (first.is_integer and by.is_integer):
        raise g.refusal(N_("its whole numbers come of real ones that are cut off"))
    ends = sorted((first, first + by * max(count - 1, 0)))
    below = ends[1] + 1 if kind == "int" and ends[0] >= 0 else None
    return Array((Integer(count),), lambda i: first + by * i, kind, below=below)


def _pinned(g: Builder, value: Any) -> Expr:
    """How many entries there are depends on it: a size in it is a number."""
    number = g.scalar(value)
    if number.free_symbols:
        g.sizes.pin(number)
    return g.sizes.resolve(number)


# -- conditions ----------------------------------------------------------------------------------------------------

_RELATIONS = {"eq": Eq, "ne": Ne, "lt": Lt, "le": Le, "gt": Gt, "ge": Ge}


def _compared(relation: Any) -> Any:
    def row(g: Builder, self: Any, other: Any) -> Array:
        a, b = (x if isinstance(x, Array) else constant(g.scalar(x)) for x in (self, other))
        shape = g.broadcast(a, b)

        def at(*ix: Expr) -> Any:
            return _condition(relation, a.spread(ix, shape), b.spread(ix, shape))

        return Array(shape, at, "bool")

    return row


def _condition(relation: Any, a: Expr, b: Expr) -> Any:
    """A comparison; one of a constant mask with a number is the mask's own condition, a condition is 1 or 0."""
    if isinstance(a, Boolean):
        return _cases(a, *(_condition(relation, number, b) for number in (S.One, S.Zero)))
    if isinstance(b, Boolean):
        return _cases(b, *(_condition(relation, a, number) for number in (S.One, S.Zero)))
    if isinstance(a, Piecewise) and b.is_number and all(value.is_number for value, _ in a.args):
        rest, made = S.true, S.false
        for value, condition in a.args:
            if relation(value, b) == S.true:
                made = Or(made, And(rest, condition))
            rest = And(rest, Not(condition))
        return made
    return relation(a, b)


def _cases(condition: Any, if_true: Any, if_false: Any) -> Any:
    """One of two conditions."""
    if if_true == if_false:
        return if_true
    return Or(And(condition, if_true), And(Not(condition), if_false))


def conditions(g: Builder, *values: Any) -> list[Array]:
    """What an operation takes for true or false: of a number whether it is not 0."""
    if g.node is None or g.node.kinds != ["bool"]:
        raise g.refusal(N_("it computes with the bits of whole numbers, and formulas have none"))
    arrays = [x if isinstance(x, Array) else constant(g.scalar(x)) for x in values]
    return [x if x.kind == "bool" else Array(x.shape, lambda *ix, x=x: _condition(Ne, x[ix], S.Zero), "bool")
            for x in arrays]  # fmt: skip


def chosen(g: Builder, condition: Array, yes: Any, no: Any) -> Array:
    """One of two conditions where a third holds, else the other."""
    c, a, b = conditions(g, condition, yes, no)
    shape = g.broadcast(c, a, b)
    return Array(shape, lambda *ix: _cases(*(x.spread(ix, shape) for x in (c, a, b))), "bool")


for _name, _relation in _RELATIONS.items():
    _row = _compared(_relation)
    _row.__doc__ = f"a condition, entry by entry: a {_name} b"
    operation(_name, torch=f"torch.{_name}")(_row)


@operation("logical_not", "bitwise_not", torch="~mask")
def negated(g: Builder, self: Array) -> Array:
    """the condition does not hold"""
    (x,) = conditions(g, self)
    return Array(x.shape, lambda *ix: Not(x[ix]), "bool")


@operation("logical_and", "bitwise_and", "__and__", torch="a & b")
def both(g: Builder, self: Any, other: Any) -> Array:
    """both conditions hold"""
    a, b = conditions(g, self, other)
    shape = g.broadcast(a, b)
    return Array(shape, lambda *ix: And(a.spread(ix, shape), b.spread(ix, shape)), "bool")


@operation("logical_or", "bitwise_or", "__or__", torch="a | b")
def either(g: Builder, self: Any, other: Any) -> Array:
    """one of the conditions holds"""
    a, b = conditions(g, self, other)
    shape = g.broadcast(a, b)
    return Array(shape, lambda *ix: Or(a.spread(ix, shape), b.spread(ix, shape)), "bool")


@operation("tril", torch="torch.tril")
def tril(g: Builder, self: Array, diagonal: int = 0) -> Array:
    """x on and below the diagonal, else 0"""
    return _triangle(self, lambda i, j: j <= i + diagonal)


@operation("triu", torch="torch.triu")
def triu(g: Builder, self: Array, diagonal: int = 0) -> Array:
    """x on and above the diagonal, else 0"""
    return _triangle(self, lambda i, j: j >= i + diagonal)


def _triangle(x: Array, condition: Any) -> Array:
    from tutor.symbolic.indices import bracket

    if x.kind == "bool":
        return x.seen(x.shape, lambda *ix: And(x[ix], condition(ix[-2], ix[-1])))
    return x.seen(x.shape, lambda *ix: x[ix] * bracket(condition(ix[-2], ix[-1])))
