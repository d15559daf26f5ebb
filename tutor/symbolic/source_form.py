"""Formulas as an exercise file writes them: `Sum(x[i, j]*W[j, k], j) + b[k]`, in names that the file imports.

What is written must be read back as the same SymPy object. Where the author's order and signs would not be, the formula
is written as SymPy holds it; and one that SymPy itself would evaluate further is read back evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy
from sympy import (
    Add,
    Basic,
    Expr,
    Float,
    Idx,
    Indexed,
    Mul,
    Not,
    Number,
    Pow,
    S,
    Symbol,
    fraction,
    sympify,
)
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.numbers import NumberSymbol
from sympy.core.relational import Relational

from tutor import functions, operations
from tutor.errors import UsageError
from tutor.exercise import Exercise
from tutor.language import said
from tutor.symbolic.indices import Tensor, bound_indices, quantities_in
from tutor.symbolic.notation import ADD, ATOM, PRODUCT, UNARY, SheetWriter, decimal
from tutor.symbolic.operations import MatrixFunction

MODULES = {"tutor.functions": functions, "tutor.operations": operations, "sympy": sympy}
_RELATIONS = {">": "Gt", "<": "Lt", ">=": "Ge", "<=": "Le", "!=": "Ne", "==": "Eq"}


class SourceWriter(SheetWriter):
    """An author's Python; `imports` gathers what it uses, and `variables` says what a name is called in the file."""

    decimals = False

    def __init__(self, exercise: Exercise, variables: Mapping[str, str] | None = None):
        super().__init__(exercise, gradients_first=False)
        self.variables = variables or {}
        self.imports: dict[str, Any] = {}  # name -> what it is

    def needs(self, name: str, made: Any = None) -> str:
        """The name itself, of something that a file can import."""
        found = [getattr(module, name) for module in MODULES.values() if hasattr(module, name)]
        if not found or (made is not None and found[0] is not made):
            raise UsageError(
                said("{name} cannot be imported by an exercise file: write it out with other functions", name=name)
            )
        self.imports[name] = found[0]
        return name

    def name(self, name: str) -> str:
        return self.variables.get(name, name)

    def call(self, name: str, parts: Sequence[Basic], made: Any = None) -> tuple[str, int]:
        return f"{self.needs(name, made)}({', '.join(self.write(part) for part in parts)})", ATOM

    # -- leaves ---------------------------------------------------------------------------------

    def _Symbol(self, node: Symbol) -> tuple[str, int]:
        return self.name(node.name), ATOM

    _Idx = _Symbol

    def _Tensor(self, node: Tensor) -> tuple[str, int]:
        return self.name(node.name), ATOM

    def _Indexed(self, node: Indexed) -> tuple[str, int]:
        return f"{self.name(node.base.name)}[{', '.join(self.write(i) for i in node.indices)}]", ATOM

    def _Rational(self, node: Number) -> tuple[str, int]:
        return f"{self.needs('Rational')}({node.p}, {node.q})", ATOM

    def _Float(self, node: Number) -> tuple[str, int]:
        near = Float(float(node))
        if near == node and near._prec == node._prec:
            return super()._Float(node)
        digits = int(node._prec * 0.302) + 3  # so many tell two of its numbers apart
        return f'{self.needs("Float")}("{node.n(digits)}", precision={node._prec})', ATOM

    def _Infinity(self, node: Number) -> tuple[str, int]:
        return f"{self.needs('S')}.Infinity", ATOM

    def _NegativeInfinity(self, node: Number) -> tuple[str, int]:
        return f"-{self.needs('S')}.Infinity", UNARY - 1

    def _NumberSymbol(self, node: NumberSymbol) -> tuple[str, int]:
        if node is S.Pi:
            return self.needs("pi"), ATOM
        return (self.needs("exp") + "(1)" if node is S.Exp1 else f"{self.needs('S')}.{type(node).__name__}"), ATOM

    # -- sums, products and powers -----------------------------------------------------------------

    def split(self, node: Expr) -> tuple[Number, list[Expr], list[Expr]]:
        coefficient, above, below = super().split(node)
        if decimal(coefficient) is not None:  # a number of its own, as its author wrote it
            return S.One if coefficient > 0 else S.NegativeOne, [abs(coefficient), *above], below
        return coefficient, above, below

    def root(self, base: Expr) -> str:
        return self.call("sqrt", [base])[0]

    def reduction(self, sign: str, node: ExprWithLimits) -> str:
        return self.call(type(node).__name__, [node.args[0], *bound_indices(node)])[0]

    # -- functions, conditions, cases ----------------------------------------------------------------

    def function(self, node: Expr) -> tuple[str, int]:
        return self.call(node.func.__name__, self.arguments(node), node.func)

    def _floor(self, node: Expr) -> tuple[str, int]:
        return self.call("floor", node.args)

    def _Mod(self, node: Expr) -> tuple[str, int]:
        return self.call("Mod", node.args)

    def _KroneckerDelta(self, node: Expr) -> tuple[str, int]:
        return self.call("KroneckerDelta", node.args)

    def _MatrixFunction(self, node: MatrixFunction) -> tuple[str, int]:
        return self.call(type(node).__name__, node.args)

    def _clamp(self, node: Expr) -> tuple[str, int]:
        return self.call("clamp", node.args[:2] if node.args[2] == S.Infinity else node.args)

    def bracket(self, condition: Basic) -> str:
        return self.cases([(S.One, condition), (S.Zero, None)])[0]

    def cases(self, branches: Sequence[tuple[Expr, Basic | None]]) -> tuple[str, int]:
        pairs = [f"({self.write(value)}, {'True' if c is None else self.write(c)})" for value, c in branches]
        return f"{self.needs('Piecewise')}({', '.join(pairs)})", ATOM

    def _Relational(self, node: Relational) -> tuple[str, int]:
        if node.rel_op in ("==", "!="):
            return self.call(_RELATIONS[node.rel_op], node.args)
        left, sign, right = self.placed(node)
        return f"{self.write(left)} {sign} {self.write(right)}", ADD

    def _Not(self, node: Not) -> tuple[str, int]:
        return self.call("Not", node.args)


class PlacedWriter(SourceWriter):
    """The same with both sides of a relation where SymPy holds them."""

    def placed(self, node: Relational) -> tuple[Expr, str, Expr]:
        return node.args[0], node.rel_op, node.args[1]


class LiteralWriter(SourceWriter):
    """The same as SymPy holds it: no number taken out of a sum, no sign moved."""

    def _Add(self, node: Add) -> tuple[str, int]:
        text = ""
        for term in self.terms(node):
            negative = self.negative(term)
            piece = self.write(-term if negative else term, PRODUCT)
            text += f" {'-' if negative else '+'} {piece}" if text else ("-" if negative else "") + piece
        return text, ADD

    def negative(self, term: Expr) -> bool:
        return bool(term.as_coeff_Mul()[0] < 0)

    def split(self, node: Expr) -> tuple[Number, list[Expr], list[Expr]]:
        coefficient, rest = node.as_coeff_Mul()
        above: list[Expr] = []
        below: list[Expr] = []
        for factor in Mul.make_args(rest):
            under = isinstance(factor, Pow) and factor.exp.is_Rational and factor.exp < 0
            (below if under else above).append(1 / factor if under else factor)
        if not coefficient.is_Rational:
            return S.One, [coefficient, *above], below
        return coefficient, [f for f in above if f != 1], below

    def _Pow(self, node: Pow) -> tuple[str, int]:
        if fraction(node)[1] != 1:
            return super()._Pow(node)
        return (self.root(node.base), ATOM) if node.exp == S.Half else (self.power(*node.args), ATOM - 1)

    def _Relational(self, node: Relational) -> tuple[str, int]:
        return self.call(_RELATIONS[node.rel_op], node.args)

    def arguments(self, node: Expr) -> list[Expr]:
        return list(node.args)


def source_form(
    node: Basic, exercise: Exercise, known: Mapping[str, Any], variables: Mapping[str, str], imports: dict[str, Any]
) -> str:
    """The text of a formula; `known` gives the object of every name, and `imports` is added to."""
    used = quantities_in(node) | {index.name for index in node.atoms(Idx)}
    objects = {variables.get(name, name): known[name] for name in used if name in known}
    for evaluate in (False, True):
        wanted = _evaluated(node) if evaluate else node
        for kind in (SourceWriter, PlacedWriter, LiteralWriter):
            writer = kind(exercise, variables)
            text = writer.write(node)
            if _same(_read_back(text, objects | writer.imports), wanted):
                imports |= writer.imports
                return text
    raise UsageError(
        said(
            "exercise {name}: SymPy would read {text} as another formula; name a part of it with exercise.step",
            name=exercise.name,
            text=text,
        )
    )


def _read_back(text: str, names: Mapping[str, Any]) -> Any:
    """What our own text is to the file that holds it."""
    try:
        return sympify(eval(compile(text, "<formula>", "eval"), {"__builtins__": {}}, dict(names)))
    except (TypeError, ValueError, AttributeError, NameError, sympy.SympifyError):
        return None


def _evaluated(node: Basic) -> Basic:
    """What SymPy makes of a formula that was put together without its constructors, as `Sum(Sum(x, i), j)` can be."""
    if not node.args or isinstance(node, (Idx, Tensor)):
        return node
    if isinstance(node, ExprWithLimits):
        return node.func(_evaluated(node.args[0]), *bound_indices(node))
    return node.func(*map(_evaluated, node.args))


def _same(read: Any, node: Basic) -> bool:
    """Equal, its numbers of the same kinds: 1.0 is not 1."""
    return read == node and hash(read) == hash(node)
