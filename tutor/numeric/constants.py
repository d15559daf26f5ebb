"""What depends on sizes alone: `N`, `1/N`, `L - K + 1`, `N > 2`, exact where it is whole."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from sympy import (
    Add,
    And,
    Basic,
    Float,
    Idx,
    Integer,
    Max,
    Min,
    Mod,
    Mul,
    Not,
    Or,
    Pow,
    Rational,
    S,
    Symbol,
    ceiling,
    floor,
)
from sympy.core.relational import Eq, Ge, Gt, Le, Lt, Ne, Relational

from tutor.errors import UsageError
from tutor.language import said


def is_size(node: Basic) -> bool:
    """Sizes are the positive integer symbols; scalar quantities are real, or non-negative integers."""
    return isinstance(node, Symbol) and not isinstance(node, Idx) and bool(node.is_integer and node.is_positive)


def number(expr: Basic, sizes: Mapping[str, int]) -> Any:
    """The value of a constant: an `int` where it is one, else a `float` (a `bool` for a relation)."""
    value = _exact(expr, sizes)
    if isinstance(value, Fraction):
        value = value.numerator if value.denominator == 1 else float(value)
    return float(value) if isinstance(value, int) and abs(value) > 2**62 else value


def _exact(expr: Basic, sizes: Mapping[str, int]) -> Any:
    if isinstance(expr, Rational):
        return Fraction(int(expr.p), int(expr.q))
    if isinstance(expr, Float):
        return float(expr)
    if isinstance(expr, Symbol):
        try:
            return Fraction(sizes[expr.name])
        except KeyError:
            raise UsageError(said("no size is given for {name}: give sizes for {name}", name=expr.name)) from None
    if isinstance(expr, Relational):
        return bool(COMPARE[type(expr)](_exact(expr.lhs, sizes), _exact(expr.rhs, sizes)))
    rule = _ARITHMETIC.get(type(expr))
    if rule is not None:
        return rule([_exact(a, sizes) for a in expr.args])
    if expr in (S.Infinity, S.NegativeInfinity):
        return math.inf if expr is S.Infinity else -math.inf
    if expr in (S.NaN, S.ComplexInfinity):
        return math.nan
    values = {s: Integer(sizes[s.name]) for s in expr.free_symbols}
    value = expr.xreplace(values).evalf(17)
    return float(value) if value.is_real else math.nan


def _power(parts: list[Any]) -> Any:
    base, exponent = parts
    if base == 0 and exponent < 0:
        return math.nan
    if isinstance(exponent, Fraction) and exponent.denominator == 1 and abs(exponent) < 256:
        return base ** int(exponent)
    try:
        value = float(base) ** float(exponent)
    except OverflowError:
        return math.inf
    return value if isinstance(value, float) else math.nan


_ARITHMETIC: dict[type, Callable[[list[Any]], Any]] = {
    Add: sum,
    Mul: math.prod,
    Pow: _power,
    floor: lambda parts: Fraction(math.floor(parts[0])),
    ceiling: lambda parts: Fraction(math.ceil(parts[0])),
    Mod: lambda parts: parts[0] % parts[1],
    Max: max,
    Min: min,
    And: all,
    Or: any,
    Not: lambda parts: not parts[0],
    type(S.true): lambda parts: True,
    type(S.false): lambda parts: False,
}
COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    Gt: operator.gt,
    Ge: operator.ge,
    Lt: operator.lt,
    Le: operator.le,
    Eq: operator.eq,
    Ne: operator.ne,
}
