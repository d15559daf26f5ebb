"""A float as the number that its author meant: 0.1 is 1/10, 0.35355339059327373 is 1/sqrt(8)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from sympy import Expr, Float, Integer, Rational, S, pi, sqrt

MOST_DIGITS = 9  # of a decimal that is taken as written
SIMPLE = 4096  # the largest denominator of a fraction that was computed


def exact(value: Any) -> Expr:
    """Equal to the float in float64, to the last bit or the one before it."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, (bool, int)):
        return Integer(int(value))
    value = float(value)
    if math.isnan(value):
        return S.NaN
    if math.isinf(value):
        return S.Infinity if value > 0 else S.NegativeInfinity
    if len(repr(value).partition("e")[0].replace(".", "").strip("-0")) <= MOST_DIGITS:
        return Rational(repr(value))
    for squared, make in _FORMS:
        found = Fraction(squared(value)).limit_denominator(SIMPLE)
        if found and math.isclose(squared(value), float(found), rel_tol=4e-16 * 4):
            made = make(Rational(found.numerator, found.denominator))
            made = made if value > 0 or made < 0 else -made
            if math.isclose(float(made), value, rel_tol=4e-16):
                return made
    return Float(repr(value), 17)


_FORMS = (
    (lambda v: v, lambda r: r),
    (lambda v: v * v, lambda r: sqrt(r)),
    (lambda v: v / math.pi, lambda r: r * pi),
    (lambda v: v * v * math.pi, lambda r: sqrt(r / pi)),
    (lambda v: v * v / math.pi, lambda r: sqrt(r * pi)),
)
