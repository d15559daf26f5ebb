"""The function table: one row per function, with all that is known of it.

A row's `slope` takes the argument `x` and the output `y`, so a derivative can be said in the cheaper of the two:
`tanh` has slope `1 - y**2`. torch names are strings: nothing here imports torch.
`sympy.diff` stays out: it is the judge in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr, Function, S, exp, log, pi, sqrt
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.function import ArgumentIndexError, UndefinedFunction

from tutor.errors import ExerciseError
from tutor.language import N_, said
from tutor.symbolic.indices import bracket


class Elementwise(Function):
    """A function SymPy lacks; it differentiates itself for `sympy.diff` through its definition."""

    nargs = 1
    is_extended_real = True
    is_commutative = True

    @classmethod
    def eval(cls, x):
        return None

    @staticmethod
    def definition(x: Expr) -> Expr:
        raise NotImplementedError

    def fdiff(self, argindex: int = 1) -> Expr:
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        x = sympy.Dummy("x", real=True)
        return sympy.diff(self.definition(x), x).subs(x, self.args[0])

    def _eval_rewrite(self, rule, args, **hints):
        return self.definition(self.args[0])

    def _eval_evalf(self, prec):
        value = self.definition(self.args[0])
        return value._eval_evalf(prec)


class sigmoid(Elementwise):
    """1 / (1 + exp(-x))"""

    is_positive = True

    @staticmethod
    def definition(x):
        return 1 / (1 + exp(-x))


class softplus(Elementwise):
    """log(1 + exp(x))"""

    is_positive = True

    @staticmethod
    def definition(x):
        return log(1 + exp(x))


class relu(Elementwise):
    """max(x, 0)"""

    is_nonnegative = True

    @staticmethod
    def definition(x):
        return sympy.Piecewise((x, x > 0), (0, True))


class silu(Elementwise):
    """x / (1 + exp(-x))"""

    @staticmethod
    def definition(x):
        return x / (1 + exp(-x))


class gelu(Elementwise):
    """x * (1 + erf(x / sqrt(2))) / 2"""

    @staticmethod
    def definition(x):
        return x * (1 + sympy.erf(x / sqrt(2))) / 2


class clamp(Function):
    """x between `low` and `high`, two numbers, torch's clamp: `clamp(x, 0)`, `clamp(x, 0, 1)`."""

    nargs = 3
    is_extended_real = True
    is_commutative = True

    def __new__(cls, x, low=-sympy.oo, high=sympy.oo, **options):
        low, high = sympy.sympify(low), sympy.sympify(high)
        if not (low.is_number and high.is_number and low < high):
            written = f"clamp({x}, {low}, {high})"
            raise ExerciseError(said("{written} needs two numbers, the lower one first", written=written))
        return super().__new__(cls, x, low, high, **options)

    @classmethod
    def eval(cls, x, low, high):
        return sympy.Min(sympy.Max(x, low), high) if x.is_number else None

    def fdiff(self, argindex: int = 1) -> Expr:
        return clamp_slope(*self.args)


def clamp_slope(x: Expr, low: Expr, high: Expr) -> Expr:
    """1 within the bounds, the bounds included, as in torch; else 0."""
    return bracket(sympy.And(*(c for c in (x >= low, x <= high) if c != S.true)))


@dataclass(frozen=True)
class FunctionRow:
    """All that is known of one function of one argument (`Max` and `Min` take several).

    Its value to many digits stands in `checking/digits.py`, by torch name: there it needs bounds of its own.
    """

    name: str
    sympy: Any
    slope: Callable[[Expr, Expr], Expr]
    says: str
    torch: str
    spellings: tuple[str, ...] = ()
    kinks: Callable[[Expr], tuple[Expr, ...]] = lambda x: ()
    domain: Callable[[Expr], Any] = lambda x: S.true
    latex: str = ""
    parity: int = 0  # 1: f(-x) = f(x); -1: f(-x) = -f(x); printers use it to write y_pred - y rather than y - y_pred
    tame: bool = False  # finite wherever its argument is: a mask may multiply it instead of selecting
    overflows: bool = False  # in floats, at finite arguments
    underflows: bool = False  # to 0, which it never is


def row(name: str, sympy: Any, slope: Callable[[Expr, Expr], Expr], says: str, **more: Any) -> FunctionRow:
    torch = more.pop("torch", f"torch.{name}")
    return FunctionRow(name, sympy, slope, says, torch=torch, **more)


def at_zero(x: Expr) -> tuple[Expr, ...]:
    return (x,)


FUNCTIONS: dict[str, FunctionRow] = {
    entry.name: entry
    for entry in (
        row("exp", exp, lambda x, y: y, N_("exp is its own derivative"), latex=r"\exp",
            overflows=True, underflows=True),
        row("log", log, lambda x, y: 1 / x, N_("log: one over the argument"), domain=lambda x: x > 0, latex=r"\log",
            spellings=("ln",)),
        row("log1p", log1p, lambda x, y: 1 / (1 + x), N_("log(1 + x): one over 1 + x"), domain=lambda x: x > -1),
        row("expm1", expm1, lambda x, y: exp(x), N_("exp(x) - 1: the constant drops, exp stays"), overflows=True),
        # sqrt is a power in SymPy; the row serves the answer language
        row("sqrt", sqrt, lambda x, y: 1 / (2 * y), N_("square root: one over twice the root"), domain=lambda x: x > 0),
        row("sin", sympy.sin, lambda x, y: sympy.cos(x), N_("sin becomes cos"), latex=r"\sin", parity=-1, tame=True),
        row("cos", sympy.cos, lambda x, y: -sympy.sin(x), N_("cos becomes minus sin"), latex=r"\cos", parity=1,
            tame=True),
        row("tan", sympy.tan, lambda x, y: 1 + y**2, N_("tan: one plus the output squared"), latex=r"\tan", parity=-1),
        row("sinh", sympy.sinh, lambda x, y: sympy.cosh(x), N_("sinh becomes cosh"), latex=r"\sinh", parity=-1,
            overflows=True),
        row("cosh", sympy.cosh, lambda x, y: sympy.sinh(x), N_("cosh becomes sinh, no sign"), latex=r"\cosh", parity=1,
            overflows=True),
        row("tanh", sympy.tanh, lambda x, y: 1 - y**2, N_("tanh: one minus the output squared"),
            latex=r"\tanh", parity=-1, tame=True),
        row("sigmoid", sigmoid, lambda x, y: y * (1 - y), N_("sigmoid: the output times one minus the output"),
            latex=r"\sigma", tame=True, underflows=True),
        row("softplus", softplus, lambda x, y: sigmoid(x), N_("softplus becomes sigmoid"),
            torch="torch.nn.functional.softplus", tame=True, overflows=True),
        row("relu", relu, lambda x, y: bracket(x > 0), N_("relu: 1 where the argument is positive, else 0"),
            kinks=at_zero, tame=True),
        row("silu", silu, lambda x, y: sigmoid(x) + y * (1 - sigmoid(x)),
            N_("silu: product rule on x times sigmoid(x)"),
            torch="torch.nn.functional.silu", spellings=("swish",), tame=True),
        row("gelu", gelu, lambda x, y: (1 + sympy.erf(x / sqrt(2))) / 2 + x * exp(-(x**2) / 2) / sqrt(2 * pi),
            N_("gelu: product rule on x times the normal distribution function"),
            torch="torch.nn.functional.gelu", tame=True),
        row("erf", sympy.erf, lambda x, y: 2 * exp(-(x**2)) / sqrt(pi), N_("erf: two over root pi, times exp(-x^2)"),
            parity=-1, tame=True),
        row("erfc", sympy.erfc, lambda x, y: -2 * exp(-(x**2)) / sqrt(pi), N_("erfc: the negative of erf's derivative"),
            tame=True),
        row("atan", sympy.atan, lambda x, y: 1 / (1 + x**2), N_("arctangent: one over 1 + x^2"),
            spellings=("arctan",), latex=r"\arctan", parity=-1, tame=True),
        row("Abs", sympy.Abs, lambda x, y: sympy.sign(x), N_("absolute value: the sign"), torch="torch.abs",
            spellings=("abs", "absolute", "fabs"), kinks=at_zero, parity=1, tame=True),
        row("sign", sympy.sign, lambda x, y: S.Zero, N_("sign is constant on both sides of 0"), spellings=("sgn",),
            kinks=at_zero, latex=r"\operatorname{sign}", parity=-1, tame=True),
        row("Heaviside", sympy.Heaviside, lambda x, y: S.Zero, N_("a step is constant on both sides of 0"),
            torch="torch.heaviside", spellings=("heaviside",), kinks=at_zero, tame=True),
    )
}  # fmt: skip

# f(x)/g(x) has a name of its own
RATIOS = {(sympy.sinh, sympy.cosh): sympy.tanh, (sympy.sin, sympy.cos): sympy.tan}

_BY_CLASS = {entry.sympy: entry for entry in FUNCTIONS.values()}


def extremum_slope(winner: Expr, others: Expr, largest: bool, strict: bool = False) -> Expr:
    """d Max(a, b) / da = 1 where a wins. A tie is shared, as in torch, where that is asked (`strict`)."""
    wins = winner > others if largest else winner < others
    if not strict:
        return bracket(wins)
    return sympy.Piecewise((S.One, wins), (S.Half, sympy.Eq(winner, others)), (S.Zero, True))


def function_row(function: Expr) -> FunctionRow:
    """The table's row for a function application, or one made from its `fdiff`."""
    kind = function.func
    if kind in _BY_CLASS:
        return _BY_CLASS[kind]
    name = kind.__name__
    if isinstance(kind, UndefinedFunction) or not hasattr(function, "fdiff") or len(function.args) != 1:
        known = ", ".join(FUNCTIONS)
        raise ExerciseError(
            said(
                "no derivative is known for {name}: use one of {known}, or write it out with these",
                name=name,
                known=known,
            )
        )
    try:
        known_slope = not function.fdiff().has(sympy.Derivative)
    except ArgumentIndexError:
        known_slope = False
    if not known_slope:
        raise ExerciseError(
            said("SymPy has no derivative for {name}: write it out with functions that have one", name=name)
        ) from None
    torch = _TORCH_SPELLINGS.get(name, name)
    return row(
        name, kind, lambda x, y: kind(x).fdiff(), said("the derivative of {name}", name=name), torch=f"torch.{torch}"
    )


# names of SymPy functions without a row, where torch spells them otherwise
_TORCH_SPELLINGS = {"loggamma": "lgamma", "erfinv": "erfinv", "ceiling": "ceil"}
