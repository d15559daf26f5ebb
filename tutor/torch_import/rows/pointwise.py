"""Elementwise functions and arithmetic: one step each, over the shape that they broadcast to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
from sympy import Abs, Eq, Expr, Max, Min, Piecewise, Pow, Rational, S, exp, log, pi, sqrt, tanh

from tutor.language import N_, said
from tutor.symbolic.functions import clamp as clamped
from tutor.symbolic.functions import expm1, log1p
from tutor.symbolic.functions import gelu as gelu_exact
from tutor.symbolic.functions import relu as relu_of
from tutor.symbolic.functions import sigmoid as sigmoid_of
from tutor.symbolic.functions import silu as silu_of
from tutor.symbolic.functions import softplus as softplus_of
from tutor.torch_import.arrays import Array, constant
from tutor.torch_import.builder import Builder
from tutor.torch_import.rows.constants import both, chosen, either
from tutor.torch_import.table import operation, refused


def number(g: Builder, value: Any) -> Array:
    """A Python number, a size or an array as an array of numbers."""
    return value.numbers if isinstance(value, Array) else constant(g.scalar(value))


def elementwise(g: Builder, name: str, formula: Callable[..., Expr], *operands: Any) -> Array:
    """y = formula(a, b, ...) entry by entry, one step."""
    if _of_conditions(g):
        raise g.refusal(N_("it computes with conditions; write it with & | ~"))
    arrays = [number(g, x) for x in operands]
    shape = g.broadcast(*arrays)
    return g.step(shape, lambda *ix: formula(*(a.spread(ix, shape) for a in arrays)), name)


def _of_conditions(g: Builder) -> bool:
    """Whether torch computes with True and False, where 1 + 1 is 1."""
    return g.node is not None and g.node.kinds == ["bool"]


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
    "log2": ("l", lambda x: log(x) / log(2)),
    "log10": ("l", lambda x: log(x) / log(10)),
    "exp2": ("e", lambda x: 2**x),
    "asin": ("v", sympy.asin),
    "acos": ("v", sympy.acos),
    "asinh": ("v", sympy.asinh),
    "acosh": ("v", sympy.acosh),
    "atanh": ("v", sympy.atanh),
    "erf": ("v", sympy.erf),
    "erfc": ("v", sympy.erfc),
    "sigmoid": ("h", sigmoid_of),
    "special_expit": ("h", sigmoid_of),
    "positive": ("y", lambda x: x),
    "hardswish": ("h", lambda x: x * clamped(x + 3, 0, 6) / 6),
    "relu": ("h", relu_of),
    "silu": ("h", silu_of),
    "log_sigmoid": ("l", lambda x: -softplus_of(-x)),
    "softsign": ("h", lambda x: x / (1 + sympy.Abs(x))),
    "relu6": ("h", lambda x: clamped(x, 0, 6)),
}


# where an input must lie that is their argument
_DOMAINS = {
    **dict.fromkeys(("log", "log1p", "log2", "log10", "sqrt", "rsqrt"), "positive"),
    **dict.fromkeys(("asin", "acos", "atanh"), "fraction"),
}


def _enter(name: str, wish: str, function: Callable[[Expr], Expr]) -> None:
    def row(g: Builder, self: Array) -> Array:
        if name in _DOMAINS:
            g.domain(self, _DOMAINS[name])
        return elementwise(g, wish, function, self)

    row.__doc__ = f"y = {function(sympy.Symbol('x', real=True))}"
    operation(name)(row)


for _name, (_wish, _function) in _FUNCTIONS.items():
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
    """y = log(1 + exp(beta x)) / beta, also where torch has x for it above the usual threshold of 20 (they differ by
    2e-9); below another threshold: y = x where beta x is above it"""
    b, limit = g.scalar(beta), g.scalar(threshold)
    if limit == 20:
        return elementwise(g, "h", lambda x: softplus_of(b * x) / b, self)
    return elementwise(g, "h", lambda x: Piecewise((x, b * x > limit), (softplus_of(b * x) / b, True)), self)


@operation("leaky_relu", torch="F.leaky_relu")
def leaky_relu(g: Builder, self: Array, negative_slope: Any = 0.01) -> Array:
    """y = x where x > 0, else slope x"""
    slope = g.scalar(negative_slope)
    return elementwise(g, "h", lambda x: Piecewise((x, x > 0), (slope * x, True)), self)


@operation("elu", torch="F.elu")
def elu(g: Builder, self: Array, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Array:
    """y = x where x > 0, else alpha (exp(x) - 1); selu multiplies by a scale"""
    a, s, inner = g.scalar(alpha), g.scalar(scale), g.scalar(input_scale)
    return _elu(g, self, a, s, inner)


@operation("hardsigmoid", torch="F.hardsigmoid")
def hardsigmoid(g: Builder, self: Array) -> Array:
    """y = (x + 3 kept between 0 and 6) / 6"""
    return elementwise(g, "h", lambda x: clamped(x + 3, 0, 6) / 6, self)


@operation("celu", torch="F.celu")
def celu(g: Builder, self: Array, alpha: Any = 1) -> Array:
    """y = x where x > 0, else alpha (exp(x / alpha) - 1)"""
    a = g.scalar(alpha)
    return _elu(g, self, a, S.One, 1 / a)


@operation("selu", torch="F.selu")
def selu(g: Builder, self: Array) -> Array:
    """y = s x where x > 0, else s alpha (exp(x) - 1), with s = 1.0507..., alpha = 1.6732..."""
    return _elu(g, self, g.scalar(1.6732632423543772848), g.scalar(1.0507009873554804934), S.One)


def _elu(g: Builder, x: Array, alpha: Expr, scale: Expr, inner: Expr) -> Array:
    def at(x: Expr) -> Expr:
        return Piecewise((scale * x, x > 0), (scale * alpha * (exp(inner * x) - 1), True))

    return elementwise(g, "h", at, x)


@operation("mish", torch="F.mish")
def mish(g: Builder, self: Array) -> Array:
    """u = log(1 + exp(x)), y = x tanh(u)"""
    x = self.numbers
    u = g.part("u", x.shape, lambda *ix: softplus_of(x[ix]))
    return g.step(x.shape, lambda *ix: x[ix] * tanh(u[ix]), "h")


@operation("hardshrink", torch="F.hardshrink")
def hardshrink(g: Builder, self: Array, lambd: Any = 0.5) -> Array:
    """y = x where |x| > lambda, else 0"""
    width = g.scalar(lambd)
    return elementwise(g, "h", lambda x: Piecewise((x, Abs(x) > width), (0, True)), self)


@operation("softshrink", torch="F.softshrink")
def softshrink(g: Builder, self: Array, lambd: Any = 0.5) -> Array:
    """y = x - lambda above lambda, x + lambda below -lambda, else 0"""
    width = g.scalar(lambd)
    return elementwise(g, "h", lambda x: Piecewise((x - width, x > width), (x + width, x < -width), (0, True)), self)


@operation("threshold", torch="F.threshold")
def threshold(g: Builder, self: Array, threshold: Any, value: Any) -> Array:
    """y = x where x > threshold, else the value"""
    limit, filler = g.scalar(threshold), g.scalar(value)
    return elementwise(g, "h", lambda x: Piecewise((x, x > limit), (filler, True)), self)


@operation("prelu", torch="F.prelu")
def prelu(g: Builder, self: Array, weight: Array) -> Array:
    """y = x where x > 0, else w[c] x; one slope, or one for each channel"""
    x = self.numbers
    several = weight.dim > 0 and g.number(weight.shape[0]) > 1
    channels = 1 if x.dim > 1 else 0
    if several:
        g.same(x.shape[channels], weight.shape[0])
        g.wish(weight.shape[0], "C")

    def at(*ix: Expr) -> Expr:
        slope = weight[ix[channels]] if several else weight[(S.Zero,) * weight.dim]
        return Piecewise((x[ix], x[ix] > 0), (slope * x[ix], True))

    return g.step(x.shape, at, "h")


@operation("rrelu", torch="F.rrelu")
def rrelu(g: Builder, self: Array, lower: Any = 1 / 8, upper: Any = 1 / 3, training: bool = False) -> Array:
    """in eval: y = x where x > 0, else (lower + upper) / 2 x"""
    if training:
        raise g.refusal(said("in training its slopes are drawn by chance; use eval()"))
    return leaky_relu(g, self, (lower + upper) / 2)


@operation("glu", torch="F.glu")
def glu(g: Builder, self: Array, dim: int = -1) -> Array:
    """x = (a, b) along the axis; s = sigmoid(b), y = a s"""
    from tutor.torch_import.rows.views import halves

    a, b = halves(g, self, dim)
    s = g.part("s", b.shape, lambda *ix: sigmoid_of(b[ix]))
    return g.step(a.shape, lambda *ix: a[ix] * s[ix], "h")


@operation("logit", torch="torch.logit")
def logit(g: Builder, self: Array, eps: Any = None) -> Array:
    """y = log(x / (1 - x)); with eps, x is kept between eps and 1 - eps first"""
    g.domain(self, "fraction")
    if eps is None:
        return elementwise(g, "z", lambda x: log(x / (1 - x)), self)
    low = g.scalar(eps)
    c = g.part("c", self.shape, lambda *ix: clamped(self[ix], low, 1 - low))
    return g.step(self.shape, lambda *ix: log(c[ix] / (1 - c[ix])), "z")


@operation("xlogy", "special_xlogy", torch="torch.xlogy")
def xlogy(g: Builder, self: Any, other: Any) -> Array:
    """y = a log(b), and 0 where a is 0"""
    if isinstance(other, Array):
        g.domain(other, "positive")
    return elementwise(g, "y", lambda a, b: Piecewise((S.Zero, Eq(a, 0)), (a * log(b), True)), self, other)


@operation("special_entr", torch="torch.special.entr")
def entropy(g: Builder, self: Array) -> Array:
    """y = -x log(x), and 0 where x is 0"""
    g.domain(self, "positive")
    return elementwise(g, "y", lambda x: Piecewise((-x * log(x), x > 0), (S.Zero, True)), self)


@operation("logaddexp", torch="torch.logaddexp")
def logaddexp(g: Builder, self: Array, other: Array) -> Array:
    """s = exp(a) + exp(b), y = log(s)"""
    shape = g.broadcast(self, other)
    s = g.part("s", shape, lambda *ix: exp(self.spread(ix, shape)) + exp(other.spread(ix, shape)))
    return g.step(shape, lambda *ix: log(s[ix]), "y")


@operation("logaddexp2", torch="torch.logaddexp2")
def logaddexp2(g: Builder, self: Array, other: Array) -> Array:
    """s = 2**a + 2**b, y = log(s) / log(2)"""
    shape = g.broadcast(self, other)
    s = g.part("s", shape, lambda *ix: 2 ** self.spread(ix, shape) + 2 ** other.spread(ix, shape))
    return g.step(shape, lambda *ix: log(s[ix]) / log(2), "y")


@operation("hypot", torch="torch.hypot")
def hypot(g: Builder, self: Array, other: Array) -> Array:
    """y = sqrt(a**2 + b**2)"""
    return elementwise(g, "r", lambda a, b: sqrt(a**2 + b**2), self, other)


@operation("hardtanh", torch="F.hardtanh")
def hardtanh(g: Builder, self: Array, min_val: Any = -1, max_val: Any = 1) -> Array:
    """y = x within the bounds, else the bound"""
    low, high = g.scalar(min_val), g.scalar(max_val)
    return elementwise(g, "h", lambda x: clamped(x, low, high), self)


@operation("clamp", torch="torch.clamp")
def clamp(g: Builder, self: Array, min: Any = None, max: Any = None) -> Array:
    """y = x within the bounds, else the bound"""
    if isinstance(min, Array) or isinstance(max, Array):
        return _between(g, self, min, max)
    low = S.NegativeInfinity if min is None else g.scalar(min)
    high = S.Infinity if max is None else g.scalar(max)
    return elementwise(g, "h", lambda x: clamped(x, low, high), self)


def _between(g: Builder, x: Array, low: Array | None, high: Array | None) -> Array:
    """min(max(x, low), high)"""
    bounds = [number(g, b) for b in (low, high) if b is not None]

    def at(x: Expr, *rest: Expr) -> Expr:
        left = list(rest)
        raised = Max(x, left.pop(0)) if low is not None else x
        return Min(raised, left.pop(0)) if high is not None else raised

    return elementwise(g, "h", at, x, *bounds)


@operation("clamp_min", torch="x.clamp_min")
def clamp_min(g: Builder, self: Array, min: Any) -> Array:
    """y = max(x, the bound)"""
    return clamp(g, self, min, None)


@operation("clamp_max", torch="x.clamp_max")
def clamp_max(g: Builder, self: Array, max: Any) -> Array:
    """y = min(x, the bound)"""
    return clamp(g, self, None, max)


# -- arithmetic ---------------------------------------------------------------------------------------------------


@operation("add", torch="a + b")
def add(g: Builder, self: Any, other: Any, alpha: Any = 1) -> Array:
    """y = a + alpha b"""
    scale = g.scalar(alpha)
    if _of_conditions(g) and scale == 1:
        return either(g, self, other)
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
    if _of_conditions(g):
        return both(g, self, other)
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
    if _of_conditions(g):
        return either(g, self, other)
    return elementwise(g, "m", Max, self, other)


@operation("minimum", torch="torch.minimum")
def minimum(g: Builder, self: Array, other: Array) -> Array:
    """y = min(a, b)"""
    if _of_conditions(g):
        return both(g, self, other)
    return elementwise(g, "m", Min, self, other)


@operation("addcmul", torch="torch.addcmul")
def addcmul(g: Builder, self: Array, tensor1: Array, tensor2: Array, value: Any = 1) -> Array:
    """y = a + value b c"""
    scale = g.scalar(value)
    return elementwise(g, "y", lambda a, b, c: a + scale * b * c, self, tensor1, tensor2)


@operation("addcdiv", torch="torch.addcdiv")
def addcdiv(g: Builder, self: Array, tensor1: Array, tensor2: Array, value: Any = 1) -> Array:
    """y = a + value b / c"""
    scale = g.scalar(value)
    return elementwise(g, "y", lambda a, b, c: a + scale * b / c, self, tensor1, tensor2)


@operation("lerp", torch="torch.lerp")
def lerp(g: Builder, self: Array, end: Array, weight: Any) -> Array:
    """y = a + w (b - a)"""
    return elementwise(g, "y", lambda a, b, w: a + w * (b - a), self, end, weight)


@operation("where", torch="torch.where")
def where(g: Builder, condition: Array, self: Any, other: Any) -> Array:
    """y = a where the condition holds, else b"""
    if _of_conditions(g):
        return chosen(g, condition, self, other)
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
    if p == 1:
        return constant(S.Zero, input.shape)
    mask = g.mask("mask", input.shape)
    keep = 1 - g.scalar(p)
    return g.step(input.shape, lambda *ix: mask[ix] * input[ix] / keep, "h")


@operation("native_dropout", torch="F.dropout")
def native_dropout(g: Builder, input: Array, p: Any, train: bool) -> list[Array]:
    """y = x in eval; in training y = mask x / (1 - p), where the mask is given"""
    return [dropout(g, input, p, bool(train))]


@operation("feature_dropout", torch="F.dropout2d")
def feature_dropout(g: Builder, input: Array, p: Any, train: bool) -> Array:
    """y = x in eval; in training whole channels are dropped: y[n,c] = mask[n,c] x[n,c] / (1 - p), the mask is given"""
    if not train or p == 0:
        return input
    if p == 1:
        return constant(S.Zero, input.shape)
    mask = g.mask("mask", input.shape[:2])
    keep = 1 - g.scalar(p)
    return g.step(input.shape, lambda *ix: mask[ix[:2]] * input[ix] / keep, "h")


@operation("alpha_dropout", "feature_alpha_dropout", torch="F.alpha_dropout")
def alpha_dropout(g: Builder, input: Array, p: Any, train: bool) -> Array:
    """y = x in eval"""
    if train and p != 0:
        raise g.refusal(said("in training it draws a mask by chance, and this one cannot be given; use eval()"))
    return input


refused("remainder", "fmod", "trunc", "floor", "ceil", "round", "fix",
        reason=N_("it jumps, and has slope 0 or 1 between the jumps: there is nothing to derive"))  # fmt: skip
refused("nan_to_num", "isnan", "isfinite", "isinf",
        reason=N_("it is about numbers that are not finite, and formulas have none"))  # fmt: skip
refused("atan2", "erfinv", "erf_inv", "lgamma", "digamma", "polygamma",
        reason=N_("its derivative is no formula of the functions that an answer sheet has"))  # fmt: skip
