r"""`\sigma(u) = \frac{1}{1 + e^{-u}}`: a function that a learner defines in LaTeX, and whether it is the known one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lark import Token
from sympy import Float, Symbol

from tutor.answers import language as lang
from tutor.answers.latex_names import CALLED
from tutor.symbolic.functions import FUNCTIONS

POINTS = (-2.3, -0.7, 0.4, 1.9)  # where a definition is compared with the function that is known under its name
_NAMES = ("WORD", "ROMAN", "GREEK", "FUNCTION")
_COMPARED = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}
_COMPUTED = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    **_COMPARED,
}


@dataclass(frozen=True)
class Defined:
    """The left side `f'(u)` of a definition."""

    name: str
    letter: str
    primes: int

    @property
    def known(self) -> str:
        """The function that is known under this name; empty where none is."""
        return "sigmoid" if self.name == "sigma" else CALLED.get(self.name.lower(), "")


def defined(left: list[Token]) -> Defined | None:
    r"""What `\sigma(u)` or `\mathrm{ReLU}'(u)` on the left defines; None for any other left side."""
    if len(left) < 4 or left[0].type not in _NAMES or [left[-3].type, left[-1].type] != ["LPAR", "RPAR"]:
        return None
    between = [token.type for token in left[1:-3]]
    primes = sum(kind in ("PRIME", "PRIMED") for kind in between)
    if left[-2].type not in ("WORD", "GREEK") or any(kind not in ("PRIME", "PRIMED", "SUP") for kind in between):
        return None
    return Defined(str(left[0]), str(left[-2]), primes)


def is_the_known(function: Defined, value: lang.Expression | None) -> bool | None:
    """Whether the formula has the values of the function that is known under its name; None where nobody can say."""
    if not function.known:
        return False
    if value is None or function.known not in FUNCTIONS or function.primes > 1:
        return None
    row, x = FUNCTIONS[function.known], Symbol("x", real=True)
    meant = row.slope(x, row.sympy(x)) if function.primes else row.sympy(x)
    try:
        pairs = [(_value(value, function.letter, at), float(meant.subs(x, Float(at)))) for at in POINTS]
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return all(math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) for one, other in pairs)


def _value(node: lang.Expression, letter: str, at: float) -> float:
    """The value of a formula of one letter; KeyError where it has more in it."""
    if isinstance(node, lang.Number):
        return node.value
    if isinstance(node, lang.Name):
        return {letter: at, "pi": math.pi}[node.name]
    if isinstance(node, lang.Unary):
        return {"-": -1, "+": 1}[node.op] * _value(node.operand, letter, at)
    if isinstance(node, lang.Binary):
        return _COMPUTED[node.op](_value(node.left, letter, at), _value(node.right, letter, at))
    if isinstance(node, lang.Call) and isinstance(node.function, lang.Name):
        return _of_call(node.function.name, node.arguments, letter, at)
    raise KeyError


def _of_call(name: str, arguments: tuple[lang.Expression, ...], letter: str, at: float) -> float:
    if name == "where":
        return _value(arguments[1 if _value(arguments[0], letter, at) else 2], letter, at)
    values = [_value(argument, letter, at) for argument in arguments]
    if name in ("Max", "Min"):
        return (max if name == "Max" else min)(values)
    [value] = values
    return float(FUNCTIONS[{"abs": "Abs"}.get(name, name)].sympy(Float(value)))
