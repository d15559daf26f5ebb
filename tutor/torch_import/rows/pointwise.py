"""Elementwise functions and arithmetic: one step each, over the shape that they broadcast to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
from sympy import Expr, Max, Min, Piecewise, Pow, Rational, S, exp, log, pi, sqrt, tanh

from tutor.symbolic.functions import clamp as clamped
from tutor.symbolic.functions import gelu as gelu_exact
from tutor.symbolic.functions import log1p, relu as relu_of, sigmoid as sigmoid_of, silu as silu_of
from tutor.symbolic.functions import expm1, softplus as softplus_of
from tutor.torch_import.arrays import Array, constant
from tutor.torch_import.builder import Builder
from tutor.torch_import.table import operation


def number(g: Builder, value: Any) -> Array:
    """A Python number, a size or an array as an array of numbers."""
    return value.numbers if isinstance(value, Array) else constant(g.scalar(value))


def elementwise(g: Builder, name: str, formula: Callable[..., Expr], *operands: Any) -> Array:
    """y = formula(a, b, ...) entry by entry, one step."""
    arrays = [number(g, x) for x in operands]
    shape = g.broadcast(*arrays)
    return g.step(shape, lambda *ix: formula(*(a.spread(ix, shape) for a in arrays)), name)


# -- functions of one argument -------------------------------------------------------------------------------

_FUNCTIONS: dict[str, tuple[str, Callable[[Expr], Expr]]] = {
    "exp": ("e", exp),
    "log": ("l", log),
    "log1p": ("l", log1p),
    "expm1": ("e", expm1),
    "sqrt": ("r", sqrt),
    "rsqrt": ("r", lambda x: 1 / sqrt(x)),
    "reciprocal": ("r", lambda x: 1 / x),
    "square": ("q", lambda x: x**2),
    "neg": ("m", lambda x: -x),
    "abs": ("m", sympy.Abs),
    "sign": ("m", sympy.sign),
    "sin": ("v", sympy.sin),
    "cos": ("v", sympy.cos),
    "tan": ("v", sympy.tan),
    "sinh": ("v", sympy.sinh),
    "cosh": ("v", sympy.cosh),
    "tanh": ("h", tanh),
    "atan": ("v", sympy.atan),
    "erf": ("v", sympy.erf),
    "erfc": ("v", sympy.erfc),
    "sigmoid": ("h", sigmoid_of),
    "relu": ("h", relu_of),
    "silu": ("h", silu_of),
    "log_sigmoid": ("l", lambda x: -softplus_of(-x)),
    "softsign": ("h", lambda x: x / (1 + sympy.Abs(x))),
    "relu6": ("h", lambda x: clamped(x, 0, 6)),
    "hardtanh_": ("h", lambda x: clamped(x, -1, 1)),
}


POSITIVE = ("log", "sqrt", "rsqrt", "log1p")  # of an input that they are taken of


def _enter(name: str, wish: str, function: Callable[[Expr], Expr]) -> None:
    def row(g: Builder, self: Array) -> Array:
        if name in POSITIVE:
            g.domain(self, "positive")
        return elementwise(g, wish, function, self)

    row.__doc__ = f"y = {function(sympy.Symbol('x', real=True))}"
    operation(name)(row)


for _name, (_wish, _function) in _FUNCTIONS.items():
    if not _name.endswith("_"):
        _enter(_name, _wish, _function)


@operation("gelu", torch="F.gelu")
def gelu(g: Builder, self: Array, approximate: str = "none") -> Array:
    """y = x Phi(x); with approximate="tanh": y = x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2"""
    if approximate == "none":
        return elementwise(g, "h", gelu_exact, self)
    x = self.numbers
    u = g.part("u", x.shape, lambda *ix: sqrt(2 / pi) * (x[ix] + Rational("0.044715") * x[ix] ** 3))
    return g.step(x.shape, lambda *ix: x[ix] * (1 + tanh(u[ix])) / 2, "h")


@operation("softplus", torch="F.softplus")
def softplus(g: Builder, self: Array, beta: Any = 1, threshold: Any = 20) -> Array:
    """y = log(1 + exp(beta x)) / beta; torch's jump to the identity above the threshold is below rounding"""
    b = g.scalar(beta)
    return elementwise(g, "h", lambda x: softplus_of(b * x) / b, self)


@operation("leaky_relu", torch="F.leaky_relu")
def leaky_relu(g: Builder, self: Array, negative_slope: Any = 0.01) -> Array:
    """y = x where x > 0, else slope x"""
    slope = g.scalar(negative_slope)
    return elementwise(g, "h", lambda x: Piecewise((x, x > 0), (slope * x, True)), self)


@operation("hardtanh", torch="F.hardtanh")
def hardtanh(g: Builder, self: Array, min_val: Any = -1, max_val: Any = 1) -> Array:
    """y = x within the bounds, else the bound"""
    low, high = g.scalar(min_val), g.scalar(max_val)
    return elementwise(g, "h", lambda x: clamped(x, low, high), self)


@operation("clamp", torch="torch.clamp")
def clamp(g: Builder, self: Array, min: Any = None, max: Any = None) -> Array:
    """y = x within the bounds, else the bound"""
    low = S.NegativeInfinity if min is None else g.scalar(min)
    high = S.Infinity if max is None else g.scalar(max)
    return elementwise(g, "h", lambda x: clamped(x, low, high), self)


# -- arithmetic ---------------------------------------------------------------------------------------------------


@operation("add", torch="a + b")
def add(g: Builder, self: Any, other: Any, alpha: Any = 1) -> Array:
    """y = a + alpha b"""
    scale = g.scalar(alpha)
    return elementwise(g, "s", lambda a, b: plus(a, scale * b), self, other)


def plus(a: Expr, b: Expr) -> Expr:
    """a + b; of a constant mask with minus infinity, minus infinity where it is."""
    if isinstance(a, Piecewise) and not isinstance(b, Piecewise):
        a, b = b, a
    if not (isinstance(b, Piecewise) and all(value.is_number for value, _ in b.args)):
        return a + b
    return Piecewise(*((value if value.is_infinite else a + value, condition) for value, condition in b.args))


@operation("sub", torch="a - b")
def sub(g: Builder, self: Any, other: Any, alpha: Any = 1) -> Array:
    """y = a - alpha b"""
    scale = g.scalar(alpha)
    return elementwise(g, "r", lambda a, b: a - scale * b, self, other)


@operation("rsub", torch="b - a")
def rsub(g: Builder, self: Any, other: Any, alpha: Any = 1) -> Array:
    """y = b - alpha a"""
    return sub(g, other, self, alpha)


@operation("mul", torch="a * b")
def mul(g: Builder, self: Any, other: Any) -> Array:
    """y = a b"""
    return elementwise(g, "m", lambda a, b: a * b, self, other)


@operation("div", "true_divide", torch="a / b")
def div(g: Builder, self: Any, other: Any) -> Array:
    """y = a / b"""
    return elementwise(g, "q", lambda a, b: a / b, self, other)


@operation("pow", torch="x ** n")
def power(g: Builder, self: Any, exponent: Any) -> Array:
    """y = x**n"""
    if isinstance(self, Array) and (isinstance(exponent, Array) or not g.scalar(exponent).is_integer):
        g.domain(self, "positive")
    return elementwise(g, "q", Pow, self, exponent)


@operation("maximum", torch="torch.maximum")
def maximum(g: Builder, self: Array, other: Array) -> Array:
    """y = max(a, b)"""
    return elementwise(g, "m", Max, self, other)


@operation("minimum", torch="torch.minimum")
def minimum(g: Builder, self: Array, other: Array) -> Array:
    """y = min(a, b)"""
    return elementwise(g, "m", Min, self, other)


@operation("addcmul", torch="torch.addcmul")
def addcmul(g: Builder, self: Array, tensor1: Array, tensor2: Array, value: Any = 1) -> Array:
    """y = a + value b c"""
    scale = g.scalar(value)
    return elementwise(g, "y", lambda a, b, c: a + scale * b * c, self, tensor1, tensor2)


@operation("lerp", torch="torch.lerp")
def lerp(g: Builder, self: Array, end: Array, weight: Any) -> Array:
    """y = a + w (b - a)"""
    return elementwise(g, "y", lambda a, b, w: a + w * (b - a), self, end, weight)


@operation("where", torch="torch.where")
def where(g: Builder, condition: Array, self: Any, other: Any) -> Array:
    """y = a where the condition holds, else b"""
    a, b = number(g, self), number(g, other)
    shape = g.broadcast(condition, a, b)

    def at(*ix: Expr) -> Expr:
        return Piecewise((a.spread(ix, shape), condition.spread(ix, shape)), (b.spread(ix, shape), True))

    return g.step(shape, at, "y")


@operation("masked_fill", torch="x.masked_fill")
def masked_fill(g: Builder, self: Array, mask: Array, value: Any) -> Array:
    """y = value where the mask holds, else x"""
    return where(g, mask, value, self)


@operation("dropout", torch="F.dropout")
def dropout(g: Builder, input: Array, p: Any, train: bool) -> Array:
    """y = x in eval; in training y = mask x / (1 - p), where the mask is given"""
    if not train or p == 0:
        return input
    mask = g.mask("mask", input.shape)
    keep = 1 - g.scalar(p)
    return g.step(input.shape, lambda *ix: mask[ix] * input[ix] / keep, "h")


@operation("native_dropout", torch="F.dropout")
def native_dropout(g: Builder, input: Array, p: Any, train: bool) -> list[Array]:
    """y = x in eval; in training y = mask x / (1 - p), where the mask is given"""
    return [dropout(g, input, p, bool(train))]
