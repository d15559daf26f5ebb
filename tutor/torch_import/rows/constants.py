"""Constants and masks: known when the program is written, so no steps of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sympy import And, Eq, Expr, Ge, Gt, Le, Lt, Ne, Not, Or, S, sympify

from tutor.torch_import.arrays import Array, constant
from tutor.torch_import.builder import Builder
from tutor.torch_import.table import operation


def _kind(g: Builder) -> str:
    return g.node.kinds[0] if g.node is not None and g.node.kinds else "float"


def _filled(g: Builder, shape: Sequence[Any], value: Any) -> Array:
    kind = _kind(g)
    number = S(bool(value)) if kind == "bool" else g.scalar(value)
    return constant(number, [g.extent(n) for n in shape], kind)


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
    return constant(S.Zero, self.shape, _kind(g))


@operation("ones_like", torch="torch.ones_like")
def ones_like(g: Builder, self: Array) -> Array:
    """y = 1"""
    return constant(S.One, self.shape, _kind(g))


@operation("full_like", torch="torch.full_like")
def full_like(g: Builder, self: Array, fill_value: Any) -> Array:
    """y = a number"""
    return constant(g.scalar(fill_value), self.shape, _kind(g))


@operation("scalar_tensor", torch="torch.tensor")
def scalar_tensor(g: Builder, s: Any) -> Array:
    """y = a number"""
    return constant(g.scalar(s), (), _kind(g))


@operation("arange", torch="torch.arange")
def arange(g: Builder, end: Any, start: Any = 0, step: Any = 1) -> Array:
    """y[i] = start + step i"""
    if _kind(g) == "float" and any(sympify(g.scalar(n)).is_integer is False for n in (start, step)):
        return _real_range(g, end, g.scalar(start), g.scalar(step))
    first, by = g.number(start), g.number(step)
    if by == 1 and not sympify(start).is_number:
        extent = g.sizes.resolve(sympify(end) - start)
        return Array((extent,), lambda i: start + i, "int", below=sympify(end))
    count = max(-(-(g.number(end) - first) // by), 0)
    extent = g.extent(end) if (first, by) == (0, 1) else g.extent(count)
    below = extent if (first, by) == (0, 1) else sympify(g.number(end))
    return Array((extent,), lambda i: first + by * i, "int", below=below)


def _real_range(g: Builder, end: Any, first: Expr, by: Expr) -> Array:
    assert g.node is not None
    return Array((g.extent(g.node.shapes[0][0]),), lambda i: first + by * i)


# -- conditions ----------------------------------------------------------------------------------------------------

_RELATIONS = {"eq": Eq, "ne": Ne, "lt": Lt, "le": Le, "gt": Gt, "ge": Ge}


def _compared(relation: Any) -> Any:
    def row(g: Builder, self: Any, other: Any) -> Array:
        a, b = (x if isinstance(x, Array) else constant(g.scalar(x)) for x in (self, other))
        shape = g.broadcast(a, b)
        if a.kind == "bool" and b.dim == 0:
            wanted = bool(b[()])
            return Array(shape, lambda *ix: a[ix] if wanted == (relation is Eq) else Not(a[ix]), "bool")

        def at(*ix: Expr) -> Any:
            return _condition(relation, a.spread(ix, shape), b.spread(ix, shape))

        return Array(shape, at, "bool")

    return row


def _condition(relation: Any, a: Expr, b: Expr) -> Any:
    """A comparison; one of a constant mask with a number is the mask's own condition."""
    from sympy import Piecewise

    if isinstance(a, Piecewise) and b.is_number and all(value.is_number for value, _ in a.args):
        rest, made = S.true, S.false
        for value, condition in a.args:
            if relation(value, b) == S.true:
                made = Or(made, And(rest, condition))
            rest = And(rest, Not(condition))
        return made
    return relation(a, b)


for _name, _relation in _RELATIONS.items():
    _row = _compared(_relation)
    _row.__doc__ = f"a condition, entry by entry: a {_name} b"
    operation(_name, torch=f"torch.{_name}")(_row)


@operation("logical_not", "bitwise_not", torch="~mask")
def negated(g: Builder, self: Array) -> Array:
    """the condition does not hold"""
    return Array(self.shape, lambda *ix: Not(self[ix]), "bool")


@operation("logical_and", "bitwise_and", "__and__", torch="a & b")
def both(g: Builder, self: Array, other: Array) -> Array:
    """both conditions hold"""
    shape = g.broadcast(self, other)
    return Array(shape, lambda *ix: And(self.spread(ix, shape), other.spread(ix, shape)), "bool")


@operation("logical_or", "bitwise_or", "__or__", torch="a | b")
def either(g: Builder, self: Array, other: Array) -> Array:
    """one of the conditions holds"""
    shape = g.broadcast(self, other)
    return Array(shape, lambda *ix: Or(self.spread(ix, shape), other.spread(ix, shape)), "bool")


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
