"""How formulas are written: blackboard text, the answer sheet's index style, and LaTeX.

One walk, three alphabets. Terms and factors stand in the order in which their names appear in the exercise, not in
SymPy's; gradients come before what they are multiplied with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sympy import (
    Add,
    And,
    Basic,
    Expr,
    Float,
    Idx,
    Indexed,
    KroneckerDelta,
    Mod,
    Mul,
    Ne,
    Not,
    Number,
    Or,
    Piecewise,
    Pow,
    Product,
    S,
    Sum,
    Symbol,
    exp,
    factorint,
    floor,
    fraction,
    lcm,
    primefactors,
)
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.numbers import NumberSymbol
from sympy.core.relational import GreaterThan, LessThan, Relational

from tutor.exercise import Exercise
from tutor.symbolic.functions import FUNCTIONS
from tutor.symbolic.indices import (
    Tensor,
    bound_indices,
    bracket_condition,
    free_indices,
    name_of,
    over,
    quantities_in,
)
from tutor.symbolic.operations import MatrixEntry, MatrixFunction

ADD, PRODUCT, UNARY, POWER, ATOM = range(5)  # how tightly a piece of text holds together
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_RELATIONS = {">": ">", "<": "<", ">=": "≥", "<=": "≤", "!=": "≠", "==": "="}
GREEK = """
alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega
Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
""".split()
_ROWS = {row.sympy: row for row in FUNCTIONS.values()}


class _ByText:
    """The last resort of a sort: the shorter text first, written only when everything else ties."""

    def __init__(self, node: Basic):
        self.node = node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByText) and self.node == other.node

    def __lt__(self, other: _ByText) -> bool:
        mine, theirs = str(self.node), str(other.node)
        return (len(mine), mine) < (len(theirs), theirs)


def split_product(node: Expr, decimals: bool = True) -> tuple[Number, list[Expr], list[Expr]]:
    """Number, factors above and factors below the line; the numbers that SymPy multiplied into sums come out again."""
    coefficient = S.One
    above: list[Expr] = []
    below: list[Expr] = []
    top, bottom = fraction(node)
    for factors, side, power in ((Mul.make_args(top), above, 1), (Mul.make_args(bottom), below, -1)):
        for factor in factors:
            if factor.is_Rational:
                coefficient *= factor**power
            elif isinstance(factor, Add):
                content, rest = common_number(factor)
                coefficient *= content**power
                side.append(rest)
            elif isinstance(factor, exp) and side is below:
                above.append(exp(-factor.args[0]))  # SymPy's fraction makes 1/exp(a) of what was written exp(-a)
            else:
                side.append(factor)
    for side in (above, below):
        for place, factor in enumerate(side):
            turns = isinstance(factor, Add) and not factor.is_integer  # but -1/(N - 1) stays, of a size
            if coefficient < 0 and turns and any(a.is_number and a < 0 for a in factor.args):
                side[place], coefficient = -factor, -coefficient  # `-(t - 1)` is `1 - t`
    coefficient, above, below = _one_root(coefficient, above, below)
    if decimal(coefficient) is not None:
        number = decimal(abs(coefficient)) if decimals else abs(coefficient)
        return S.One if coefficient > 0 else S.NegativeOne, [number, *above], below
    return coefficient, above, below


def decimal(number: Number) -> Float | None:
    """0.044715, where 8943/200000 says nothing to a reader; None where the fraction is as good."""
    if number.q <= 1000 or number.p in (1, -1) or set(primefactors(number.q)) - {2, 5}:
        return None
    return Float(float(number))


def _one_root(number: Number, above: list[Expr], below: list[Expr]) -> tuple[Number, list[Expr], list[Expr]]:
    """The roots of numbers in a product as one: `sqrt(2)/(2*sqrt(pi))` is 1/sqrt(2*pi), `sqrt(2)/2` is 1/sqrt(2)."""

    def root(factor: Expr) -> bool:
        return isinstance(factor, Pow) and factor.exp == S.Half and (factor.base.is_Rational or factor.base is S.Pi)

    roots = [f for f in above if root(f)], [f for f in below if root(f)]
    if not any(roots):
        return number, above, below
    kept, number = (number, S.One) if decimal(number) is not None else (S.One, number)
    square = number**2 * Mul(*(f.base for f in roots[0])) / Mul(*(f.base for f in roots[1]))
    rational, rest = square.as_coeff_Mul()
    if rest not in (S.One, S.Pi, 1 / S.Pi):
        return kept * number, above, below
    (outer, inner), (under, inside) = _square_part(rational.p), _square_part(rational.q)
    up, down = [S(inner)] if inner != 1 else [], [S(inside)] if inside != 1 else []
    if rest != 1:
        (up if rest is S.Pi else down).append(S.Pi)
    above, below = ([f for f in side if not root(f)] for side in (above, below))
    over, line = (Mul(*factors, evaluate=False) for factors in (up, down))
    if up:
        above = [Pow(Mul(over, Pow(line, -1), evaluate=False) if down else over, S.Half, evaluate=False), *above]
    elif down:
        below = [Pow(line, S.Half, evaluate=False), *below]
    return kept * (1 if number > 0 else -1) * S(outer) / under, above, below


def _square_part(number: int) -> tuple[int, int]:
    """12 = 2**2 * 3 as (2, 3)."""
    outer = inner = 1
    for prime, power in factorint(number).items():
        outer *= prime ** (power // 2)
        inner *= prime ** (power % 2)
    return outer, inner


def common_number(node: Add) -> tuple[Number, Expr]:
    """`2*a - 2*b` as 2 and `a - b`; `x/2 + y/2` as 1/2 and `x + y`; but `v + 1/1000` stays."""
    content, rest = node.primitive()
    shared = {term.as_coeff_Mul()[0].q for term in node.args if term.as_coeff_Mul()[0].is_Rational}
    return (content, rest) if content.is_Integer or len(shared) == 1 else (S.One, node)


_SWAPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _of_indices(node: Basic) -> bool:
    """Whether a condition is about indices and sizes alone."""
    return bool(free_indices(node)) and not node.atoms(Indexed)


def placed(node: Relational) -> tuple[Expr, str, Expr]:
    """A relation with the number, or the size that an index stays below, on its right: (i - o, "<", K)."""
    left, right = node.args
    alone = bool(free_indices(left)) != bool(free_indices(right)) and not node.atoms(Indexed)
    if alone and node.rel_op in _SWAPPED:  # an index on one side: every size and every shift on the other
        gap = (left - right).expand()
        moving = Add(*(term for term in Add.make_args(gap) if free_indices(term)))
        fixed, sign = moving - gap, node.rel_op
        parts = lcm([fraction(term.as_coeff_Mul()[0])[1] for term in (moving, *Add.make_args(fixed))])
        moving, fixed = (moving * parts).expand(), (fixed * parts).expand()  # SymPy has m/2 < D
        if moving.could_extract_minus_sign():
            return -moving, _SWAPPED.get(sign, sign), -fixed
        return moving, sign, fixed
    if (left.is_number and not right.is_number) or (
        free_indices(right) and not left.is_number and not free_indices(left)
    ):
        return right, node.reversed.rel_op, left
    return left, node.rel_op, right


def restricted(node: ExprWithLimits) -> tuple[Expr, Basic] | None:
    """Body and condition of a sum or product over a part of an axis: `x[k]` and `k <= i`, `k != i`; else None."""
    if not isinstance(node, (Sum, Product)):
        return None
    body, bound = node.args[0], bound_indices(node)
    neutral = S.One if isinstance(node, Product) else S.Zero
    value, condition = None, None
    if isinstance(body, Piecewise) and len(body.args) == 2 and body.args[1] == (neutral, S.true):
        value, condition = body.args[0]
    elif isinstance(node, Sum) and isinstance(body, Mul):
        masks = [f for f in body.args if bracket_condition(f) is not None]
        if len(masks) == 1:
            value, condition = Mul(*(f for f in body.args if f is not masks[0])), bracket_condition(masks[0])
    if value is None or not isinstance(condition, (GreaterThan, LessThan, Ne)) or len(bound) != 1:
        return None
    if bound[0] not in condition.args or not all(isinstance(a, Idx) for a in condition.args) or value == 1:
        return None
    return value, condition if condition.args[0] == bound[0] else condition.reversed


class Writer:
    """Blackboard text: `-(Σk dp[i,k]·e[i,k]) / s[i]²`."""

    times = "·"
    minus = "-"
    decimals = True  # 0.044715 for 8943/200000

    def __init__(self, exercise: Exercise | None = None, gradients_first: bool = True):
        self.exercise, self.gradients_first = exercise, gradients_first
        self.order = exercise.order if exercise is not None else {}
        self.sizes = exercise.size_symbols if exercise is not None else {}
        self.last = len(self.order)
        self.loss = next((q.name for q in exercise.ends if q.kind == "loss"), "L") if exercise is not None else "L"

    def gradients_last(self) -> Writer:
        return type(self)(self.exercise, gradients_first=False)

    def is_name(self, text: object) -> bool:
        """Whether a word is a quantity's or a gradient's name."""
        return isinstance(text, str) and (text in self.order or self.gradient_of(text) is not None)

    def name(self, name: str) -> str:
        return name

    def write(self, node: Basic, tight: int = ADD) -> str:
        """The text of a node, in parentheses if it holds together less than `tight` asks."""
        text, holds = self._dispatch(node)
        return text if holds >= tight else self.parenthesize(text)

    def parenthesize(self, text: str) -> str:
        return f"({text})"

    def _dispatch(self, node: Basic) -> tuple[str, int]:
        for kind in type(node).__mro__:
            method = getattr(self, f"_{kind.__name__}", None)
            if method is not None:
                return method(node)
        if isinstance(node, Expr) and node.is_Function:
            return self.function(node)
        return str(node), ATOM

    # -- order ----------------------------------------------------------------------------------

    def rank(self, node: Basic) -> float:
        """Where a name first appears; gradients before everything, the latest quantity's first."""
        name = name_of(node)
        if isinstance(node, Idx) or name is None:
            ranks = [self.rank(a) for a in (node.args[:1] if isinstance(node, ExprWithLimits) else node.args)]
            return min(ranks, default=self.last + 1)
        if name in self.order:
            return self.order[name]
        of = self.gradient_of(name)
        if of is None:
            return self.last
        return -1 - self.order[of] if self.gradients_first else self.last + self.order[of]

    def gradient_of(self, name: str) -> str | None:
        """`W` for the gradient's name `dW`, else None."""
        return self.exercise.differentiated(name) if self.exercise is not None else None

    def terms(self, node: Add) -> list[Expr]:
        """Positive terms first, then by first appearance; a number leads when nothing positive would."""

        def key(term: Expr) -> tuple[Any, ...]:
            rest = term.as_coeff_Mul()[1]
            last = term.is_number and not leads
            return (self.negative(term), last, sorted(self.rank(f) for f in Mul.make_args(rest)), _ByText(rest))

        others = [t for t in node.args if not t.is_number]
        leads = all(self.negative(t) or t.is_Function for t in others)
        return sorted(node.args, key=key)

    def negative(self, term: Expr) -> bool:
        """Whether a term is written with a minus: `(1 - t)/p` is not, though SymPy holds it as `-(t - 1)/p`."""
        return bool(self.split(term)[0] < 0) if isinstance(term, Mul) else term.could_extract_minus_sign()

    def factors(self, factors: Sequence[Expr]) -> list[Expr]:
        """Numbers, sizes and names by first appearance, then what is compound, sums last."""

        def key(factor: Expr) -> tuple[Any, ...]:
            base = factor.as_base_exp()[0]
            if factor.is_number:
                kind = -1 if factor.is_Float else 0
            elif type(factor).__name__ == "Partial":
                kind = 3
            elif isinstance(factor, ExprWithLimits):
                kind = 4
            elif bracket_condition(factor) is not None:
                kind = 3
            else:
                kind = 1 if name_of(base) is not None else 2
            return (kind, self.rank(factor), _ByText(factor))

        return sorted(factors, key=key)

    def split(self, node: Expr) -> tuple[Number, list[Expr], list[Expr]]:
        """`split_product`, with `-sign(y - p)` turned to `sign(p - y)`: what is defined later comes first."""
        coefficient, above, below = split_product(node, self.decimals)
        for side in (above, below):
            for place, factor in enumerate(side):
                row = _ROWS.get(factor.func)
                if row is not None and row.parity and self.turned(factor.args[0]) != factor.args[0]:
                    side[place] = factor.func(self.turned(factor.args[0]), evaluate=False)
                    coefficient *= row.parity
        return coefficient, above, below

    def turned(self, node: Expr) -> Expr:
        """`node` or `-node`, whichever has a plus before the term that is defined last."""
        if not isinstance(node, Add):
            return node
        latest = max(node.args, key=self.rank)
        return -node if latest.could_extract_minus_sign() else node

    # -- sums and products ---------------------------------------------------------------------------

    def _Add(self, node: Add) -> tuple[str, int]:
        if common_number(node)[0] != 1:
            return self._Mul(node)
        text = ""
        for term in self.terms(node):
            negative = self.negative(term)
            piece = self.write(-term if negative else term, PRODUCT)
            if text:
                text += f" {self.minus} {piece}" if negative else f" + {piece}"
            else:
                text = f"{self.minus}{piece}" if negative else piece
        return text, ADD

    def _Mul(self, node: Mul) -> tuple[str, int]:
        if isinstance(node, Mul) and any(
            isinstance(f, Mul) for f in node.args
        ):  # a step's own list of factors, kept apart
            return self._kept(node)
        coefficient, above, below = self.split(node)
        front = self.minus if coefficient < 0 else ""
        above = [abs(coefficient.p), *above] if abs(coefficient.p) != 1 or not above else above
        below = [S(coefficient.q), *below] if coefficient.q != 1 else below
        above = [S(f) for f in above]
        if below:
            text, holds = self.quotient(above, below)
            return front + text, PRODUCT if front else holds
        return front + self.product(above), PRODUCT

    def _kept(self, node: Mul) -> tuple[str, int]:
        pieces = []
        for factor in node.args:
            plain = isinstance(factor, Mul) and fraction(factor)[1] == 1 and not factor.could_extract_minus_sign()
            pieces.append(self.write(factor, PRODUCT if plain else UNARY))
        return f" {self.times} ".join(pieces), PRODUCT

    def product(self, factors: Sequence[Expr]) -> str:
        if len(factors) == 1:
            return self.write(factors[0], PRODUCT)
        return self.times.join(self.write(f, UNARY) for f in self.factors(factors))

    def quotient(self, top: Sequence[Expr], bottom: Sequence[Expr]) -> tuple[str, int]:
        above = self.product(top) if len(top) > 1 else self.write(top[0], UNARY)
        below = self.write(bottom[0], UNARY) if len(bottom) == 1 else self.parenthesize(self.product(bottom))
        return f"{above}{self.slash}{below}", PRODUCT

    slash = " / "

    def _Pow(self, node: Pow) -> tuple[str, int]:
        base, exponent = node.args
        if exponent.could_extract_minus_sign() and exponent.is_number and exponent in (-1, -2, -3, -S.Half):
            return self.quotient([S.One], [base**-exponent])
        if exponent == S.Half:
            return self.root(base), ATOM
        return self.power(base, exponent), POWER

    def root(self, base: Expr) -> str:
        return f"√{self.write(base, ATOM)}" if base.is_Atom or isinstance(base, Indexed) else f"√({self.write(base)})"

    def power(self, base: Expr, exponent: Expr) -> str:
        if exponent.is_Integer:
            return self.write(base, ATOM) + str(exponent).translate(_SUPERSCRIPTS)
        return f"{self.write(base, ATOM)}^{self.write(exponent, ATOM)}"

    # -- leaves --------------------------------------------------------------------------------------

    def _Integer(self, node: Number) -> tuple[str, int]:
        return str(node), ATOM if node >= 0 else UNARY - 1

    def _Rational(self, node: Number) -> tuple[str, int]:
        if decimal(node) is not None:
            return self._Float(decimal(node))
        return str(node), PRODUCT

    def _Float(self, node: Number) -> tuple[str, int]:
        return repr(float(node)), ATOM if node >= 0 else UNARY - 1

    infinity = "∞"

    def _Infinity(self, node: Number) -> tuple[str, int]:
        return self.infinity, ATOM

    def _NegativeInfinity(self, node: Number) -> tuple[str, int]:
        return f"-{self.infinity}", UNARY - 1

    def _NumberSymbol(self, node: NumberSymbol) -> tuple[str, int]:
        return {"pi": "π", "E": "e"}.get(type(node).__name__.replace("Exp1", "E").replace("Pi", "pi"), str(node)), ATOM

    def _Symbol(self, node: Symbol) -> tuple[str, int]:
        return node.name, ATOM

    def _Idx(self, node: Idx) -> tuple[str, int]:
        return node.name, ATOM

    def _Indexed(self, node: Indexed) -> tuple[str, int]:
        return f"{node.base.name}[{','.join(self.index(i) for i in node.indices)}]", ATOM

    def index(self, node: Basic) -> str:
        return self.write(node).replace(" + ", "+").replace(" - ", "-")

    def _Tensor(self, node: Tensor) -> tuple[str, int]:
        return node.name, ATOM

    # -- reductions, deltas, cases ---------------------------------------------------------------------

    def _Sum(self, node: ExprWithLimits) -> tuple[str, int]:
        return self.reduction("Σ", node), PRODUCT

    def reduction(self, sign: str, node: ExprWithLimits) -> str:
        part = restricted(node)
        if part is not None:
            return f"{sign}{{{self.condition(part[1])}}} {self.summand(part[0])}"
        over = ",".join(i.name for i in bound_indices(node))
        return f"{sign}{over} {self.summand(node.args[0])}"

    def condition(self, node: Relational) -> str:
        """The index of a sum first, which `write` would put where its name tells."""
        return f"{self.write(node.args[0])} {self.relation(node.rel_op)} {self.write(node.args[1])}"

    def summand(self, body: Expr) -> str:
        """What is added up: a sign in front of it would look like one between the sum and the next term."""
        text = self.write(body, PRODUCT)
        return self.parenthesize(text) if text.startswith(self.minus) else text

    def _Product(self, node: ExprWithLimits) -> tuple[str, int]:
        return self.reduction("Π", node), PRODUCT

    def _Reduction(self, node: ExprWithLimits) -> tuple[str, int]:
        sign = {"MaxOver": "max", "MinOver": "min", "ArgMaxOver": "argmax", "ArgMinOver": "argmin",
                "AmaxOver": "amax", "AminOver": "amin"}  # fmt: skip
        return self.reduction(sign.get(type(node).__name__, type(node).__name__) + "_", node), PRODUCT

    def _KroneckerDelta(self, node: KroneckerDelta) -> tuple[str, int]:
        return f"δ({', '.join(self.index(a) for a in node.args)})", ATOM

    def _Partial(self, node: Expr) -> tuple[str, int]:
        return f"∂{self.write(node.args[0])}/∂{self.write(node.args[1])}", ATOM

    def _Total(self, node: Expr) -> tuple[str, int]:
        return f"d{self.write(node.args[1])}", ATOM

    def _Piecewise(self, node: Piecewise) -> tuple[str, int]:
        condition = bracket_condition(node)
        if condition is not None:
            return self.bracket(condition), ATOM
        return self.cases([(value, None if c == S.true else c) for value, c in node.args])

    def bracket(self, condition: Basic) -> str:
        return f"[{self.write(condition)}]"

    def cases(self, branches: Sequence[tuple[Expr, Basic | None]]) -> tuple[str, int]:
        pieces = [
            f"{self.write(value)} {'otherwise' if condition is None else 'if ' + self.write(condition)}"
            for value, condition in branches
        ]
        return "{" + "; ".join(pieces) + "}", ATOM

    def _Relational(self, node: Relational) -> tuple[str, int]:
        left, sign, right = self.placed(node)
        return f"{self.write(left)} {self.relation(sign)} {self.write(right)}", ADD

    def placed(self, node: Relational) -> tuple[Expr, str, Expr]:
        """Of two quantities the earlier one on the left: `x[i] > t[i]`, where SymPy has `t[i] < x[i]`."""
        left, sign, right = placed(node)
        alike = bool(free_indices(left)) == bool(free_indices(right))  # |r[i]| <= delta stays
        if alike and quantities_in(left) and quantities_in(right) and self.rank(left) > self.rank(right):
            return right, _SWAPPED.get(sign, sign), left
        return left, sign, right

    def relation(self, sign: str) -> str:
        return _RELATIONS.get(sign, sign)

    def _And(self, node: And) -> tuple[str, int]:
        return self.connected("and", node), ADD

    def ranges(self, node: And) -> tuple[list[tuple[Expr, Expr, Expr]], list[Basic]]:
        """`i - o >= 0` and `i - o < K` as one range (0, i - o, K); and the conditions that are no part of one."""
        low: dict[Expr, tuple[Basic, Expr]] = {}
        high: dict[Expr, tuple[Basic, Expr]] = {}
        for part in node.args:
            place, sign, end = placed(part)
            if sign in ("<=", ">") and _of_indices(part):  # `2*o - u <= 0` is `u - 2*o >= 0`
                place, sign, end = -place, _SWAPPED[sign], -end
            if sign == ">=":
                low.setdefault(place, (part, end))
            elif sign == "<":
                high.setdefault(place, (part, end))
        both = sorted((place for place in low if place in high), key=lambda place: str(self.write(place)))
        taken = [part for place in both for part in (low[place][0], high[place][0])]
        # `0 <= u - 1 < H`, as in the brackets
        starts = {p: low[p][1] if low[p][1].is_number and _of_indices(low[p][0]) else S.Zero for p in both}
        found = [(low[p][1] - starts[p], p - starts[p], high[p][1] - starts[p]) for p in both]
        return found, [p for p in node.args if p not in taken]

    def _Or(self, node: Or) -> tuple[str, int]:
        return self.connected("or", node), ADD

    def _Not(self, node: Not) -> tuple[str, int]:
        return f"not {self.write(node.args[0], ATOM)}", ADD

    def connected(self, word: str, node: Basic) -> str:
        ranges, rest = self.ranges(node) if isinstance(node, And) else ([], list(node.args))
        below, above = self.relation("<="), self.relation("<")
        texts = [f"{self.write(a)} {below} {self.index(x)} {above} {self.write(n)}" for a, x, n in ranges]
        return self.word(word).join([*texts, *sorted(self.write(a) for a in rest)])

    def word(self, word: str) -> str:
        return f" {word} "

    # -- functions ----------------------------------------------------------------------------------------

    def function(self, node: Expr) -> tuple[str, int]:
        row = _ROWS.get(node.func)
        name = row.name if row is not None else node.func.__name__
        if row is not None and row.parity == 1 and self.turned(node.args[0]) != node.args[0]:
            node = node.func(self.turned(node.args[0]), evaluate=False)
        if name == "Abs":
            return self.absolute(node.args[0]), ATOM
        return f"{self.function_name(name)}({', '.join(self.write(a) for a in self.arguments(node))})", ATOM

    def _clamp(self, node: Expr) -> tuple[str, int]:
        x, *bounds = node.args
        both = all(b.is_finite for b in bounds)
        given = [(f"{name}=" if not both else "") + self.write(b)
                 for name, b in zip(("min", "max"), bounds, strict=True) if b.is_finite]  # fmt: skip
        return f"clamp({', '.join([self.write(x), *given])})", ATOM

    def arguments(self, node: Expr) -> list[Expr]:
        return sorted(node.args, key=self.rank) if node.func.__name__ in ("Max", "Min") else list(node.args)

    def function_name(self, name: str) -> str:
        return {"Max": "max", "Min": "min"}.get(name, name)

    def absolute(self, argument: Expr) -> str:
        return f"|{self.write(argument)}|"

    def _floor(self, node: floor) -> tuple[str, int]:
        return f"⌊{self.write(node.args[0])}⌋", ATOM

    def _Mod(self, node: Mod) -> tuple[str, int]:
        return f"{self.write(node.args[0], UNARY)} mod {self.write(node.args[1], UNARY)}", ADD

    def _MatrixFunction(self, node: MatrixFunction) -> tuple[str, int]:
        return {"LogDet": "log|det {}|", "Det": "det({})", "Inverse": "inv({})"}[type(node).__name__].format(
            node.args[0].name
        ), ATOM

    def _MatrixEntry(self, node: MatrixEntry) -> tuple[str, int]:
        matrix, *indices = node.args
        return f"{self.write(matrix)}[{','.join(self.index(i) for i in indices)}]", ATOM


class SheetWriter(Writer):
    """The answer sheet's index style, ASCII: `-Sum(dp[i,k]*e[i,k], k)/s[i]**2`."""

    times = "*"
    slash = "/"

    def _kept(self, node: Mul) -> tuple[str, int]:
        return "*".join(self.write(f, UNARY) for f in node.args), PRODUCT

    def root(self, base: Expr) -> str:
        return f"sqrt({self.write(base)})"

    def power(self, base: Expr, exponent: Expr) -> str:
        return f"{self.write(base, ATOM)}**{self.write(exponent, ATOM)}"

    infinity = "inf"

    def _NumberSymbol(self, node: NumberSymbol) -> tuple[str, int]:
        return ("pi", ATOM) if node is S.Pi else ("exp(1)", ATOM)

    def reduction(self, sign: str, node: ExprWithLimits) -> str:
        over = ", ".join(i.name for i in bound_indices(node))
        name = {"AmaxOver": "MaxOver", "AminOver": "MinOver"}.get(type(node).__name__, type(node).__name__)
        return f"{name}({self.write(node.args[0])}, {over})"

    def _Sum(self, node: ExprWithLimits) -> tuple[str, int]:
        return self.reduction("Sum", node), ATOM

    _Product = _Reduction = _Sum

    def _KroneckerDelta(self, node: KroneckerDelta) -> tuple[str, int]:
        return f"KroneckerDelta({', '.join(self.write(a) for a in node.args)})", ATOM

    def bracket(self, condition: Basic) -> str:
        return f"where({self.write(condition)}, 1, 0)"

    def cases(self, branches: Sequence[tuple[Expr, Basic | None]]) -> tuple[str, int]:
        (value, condition), *rest = branches
        if condition is None:
            return self.write(value), ADD
        other = self.cases(rest)[0] if rest else "0"
        return f"where({self.write(condition)}, {self.write(value)}, {other})", ATOM

    def relation(self, sign: str) -> str:
        return sign

    def connected(self, word: str, node: Basic) -> str:
        return f" {'&' if word == 'and' else '|'} ".join(sorted(f"({self.write(a)})" for a in node.args))

    def absolute(self, argument: Expr) -> str:
        return f"abs({self.write(argument)})"

    def function_name(self, name: str) -> str:
        return name

    def _floor(self, node: floor) -> tuple[str, int]:
        top, bottom = over(node.args[0])
        return f"{self.write(top, UNARY)}//{self.write(bottom, UNARY)}", PRODUCT

    def _Mod(self, node: Mod) -> tuple[str, int]:
        return f"{self.write(node.args[0], UNARY)} % {self.write(node.args[1], UNARY)}", PRODUCT

    def _MatrixFunction(self, node: MatrixFunction) -> tuple[str, int]:
        return f"{type(node).__name__}({node.args[0].name})", ATOM


class LatexWriter(Writer):
    r"""LaTeX: `-\frac{1}{s_{i}^{2}} \sum_{k} ...`."""

    times = r" \, "

    def parenthesize(self, text: str) -> str:
        return rf"\left({text}\right)"

    def name(self, name: str) -> str:
        if name in GREEK:
            return rf"\{name}"
        found = re.fullmatch(r"([A-Za-z]|" + "|".join(GREEK) + r")(\d+)", name)
        if found:
            return rf"{self.name(found[1])}_{{{found[2]}}}" if name in self.sizes else self.layer(*found.groups())
        return name if len(name) == 1 else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"

    def layer(self, name: str, number: str) -> str:
        """A quantity's number stands above it: its indices are below."""
        return rf"{self.name(name)}^{{({number})}}"

    def gradient_name(self, name: str) -> str:
        """A gradient named in a sentence."""
        of = self.gradient_of(name)
        return self.name(name) if of is None else rf"\partial {self.name(self.loss)}/\partial {self.name(of)}"

    def _entry(self, name: str, indices: Sequence[Basic]) -> str:
        if not indices:
            return self.name(name)
        inside = [self.index(i) for i in indices]
        glue = "" if all(re.fullmatch(r"[a-zA-Z]|\\[a-z]+ ?", i) for i in inside) else ","
        return f"{self.name(name)}_{{{glue.join(inside)}}}"

    def _Symbol(self, node: Symbol) -> tuple[str, int]:
        return self._named(node.name, ())

    def _Indexed(self, node: Indexed) -> tuple[str, int]:
        return self._named(node.base.name, node.indices)

    def _named(self, name: str, indices: Sequence[Basic]) -> tuple[str, int]:
        of = self.gradient_of(name)
        if of is None:
            holds = ATOM if "^" not in self.name(name) else POWER
            return self._entry(name, indices), holds
        return rf"\frac{{\partial {self.name(self.loss)}}}{{\partial {self._entry(of, indices)}}}", POWER

    def _Idx(self, node: Idx) -> tuple[str, int]:
        found = re.fullmatch(r"([a-z]+)(\d+)", node.name)
        return (f"{found[1]}_{{{found[2]}}}" if found else self.name(node.name)), ATOM

    def _Tensor(self, node: Tensor) -> tuple[str, int]:
        return self.name(node.name), ATOM

    def _Rational(self, node: Number) -> tuple[str, int]:
        if decimal(node) is not None:
            return self._Float(decimal(node))
        sign = "-" if node < 0 else ""
        return rf"{sign}\frac{{{abs(node.p)}}}{{{node.q}}}", PRODUCT

    infinity = r"\infty"

    def _NumberSymbol(self, node: NumberSymbol) -> tuple[str, int]:
        return (r"\pi" if node is S.Pi else r"\exp(1)" if "e" in self.order else "e"), ATOM

    def quotient(self, top: Sequence[Expr], bottom: Sequence[Expr]) -> tuple[str, int]:
        sums = [f for f in top if isinstance(f, ExprWithLimits)]
        gradients = [
            f for f in top if self.gradient_of(name_of(f) or "")
        ]  # fractions of their own: in front, not inside
        above = [f for f in top if f not in sums and f not in gradients] or [S.One]
        front = rf"\frac{{{self._flat(above)}}}{{{self._flat(bottom)}}}"
        if gradients:
            front = f"{self.product(gradients)}{self.times}{front}"
        if sums:
            return f"{front} {self.product(sums)}", PRODUCT
        return front, PRODUCT if gradients else UNARY

    def _flat(self, factors: Sequence[Expr]) -> str:
        return self.product(factors) if len(factors) > 1 else self.write(factors[0])

    def root(self, base: Expr) -> str:
        return rf"\sqrt{{{self.write(base)}}}"

    def power(self, base: Expr, exponent: Expr) -> str:
        return f"{self.write(base, ATOM)}^{{{self.write(exponent)}}}"

    def reduction(self, sign: str, node: ExprWithLimits) -> str:
        part = restricted(node)
        if part is not None:
            return rf"{sign}_{{{self.condition(part[1])}}} {self.summand(part[0])}"
        over = ",".join(self.write(i) for i in bound_indices(node))
        return rf"{sign}_{{{over}}} {self.summand(node.args[0])}"

    def _Sum(self, node: ExprWithLimits) -> tuple[str, int]:
        return self.reduction(r"\sum", node), PRODUCT

    def _Product(self, node: ExprWithLimits) -> tuple[str, int]:
        return self.reduction(r"\prod", node), PRODUCT

    def _Reduction(self, node: ExprWithLimits) -> tuple[str, int]:
        sign = {"MaxOver": r"\max", "MinOver": r"\min", "ArgMaxOver": r"\arg\max", "ArgMinOver": r"\arg\min",
                "AmaxOver": r"\max", "AminOver": r"\min"}  # fmt: skip
        return self.reduction(sign.get(type(node).__name__, type(node).__name__), node), PRODUCT

    def _KroneckerDelta(self, node: KroneckerDelta) -> tuple[str, int]:
        return rf"\delta_{{{', '.join(self.index(a) for a in node.args)}}}", ATOM

    def _Partial(self, node: Expr) -> tuple[str, int]:
        return rf"\frac{{\partial {self.write(node.args[0])}}}{{\partial {self.write(node.args[1])}}}", POWER

    def _Total(self, node: Expr) -> tuple[str, int]:
        above, below = (rf"\mathrm{{d}} {self.write(a)}" for a in node.args)
        return rf"\frac{{{above}}}{{{below}}}", POWER

    def bracket(self, condition: Basic) -> str:
        return rf"\mathbb{{1}}[{self.write(condition)}]"

    def cases(self, branches: Sequence[tuple[Expr, Basic | None]]) -> tuple[str, int]:
        rows = [
            f"{self.write(v)} & " + (r"\text{otherwise}" if c is None else rf"\text{{if }} {self.write(c)}")
            for v, c in branches
        ]
        return r"\begin{cases}" + r" \\ ".join(rows) + r"\end{cases}", ATOM

    def relation(self, sign: str) -> str:
        return {">=": r"\ge", "<=": r"\le", "!=": r"\ne", "==": "="}.get(sign, sign)

    def word(self, word: str) -> str:
        return r" \wedge " if word == "and" else r" \vee "

    def absolute(self, argument: Expr) -> str:
        return rf"\left|{self.write(argument)}\right|"

    def function(self, node: Expr) -> tuple[str, int]:
        text, holds = super().function(node)
        tall = text.endswith(")") and any(sign in text for sign in (r"\frac", r"\sum"))
        if not tall:
            return text, holds
        name, inside = text[:-1].split("(", 1)
        return name + self.parenthesize(inside), holds

    def function_name(self, name: str) -> str:
        row = FUNCTIONS.get(name)
        if row is not None and row.latex:
            return row.latex
        return {"Max": r"\max", "Min": r"\min"}.get(name, rf"\operatorname{{{name}}}")

    def _clamp(self, node: Expr) -> tuple[str, int]:
        x, low, high = node.args
        text = self.write(x)
        if low.is_finite:
            text = rf"\max\left({text}, {self.write(low)}\right)"
        return (rf"\min\left({text}, {self.write(high)}\right)" if high.is_finite else text), ATOM

    def _floor(self, node: floor) -> tuple[str, int]:
        return rf"\lfloor {self.write(node.args[0])} \rfloor", ATOM

    def _Mod(self, node: Mod) -> tuple[str, int]:
        return rf"{self.write(node.args[0], UNARY)} \bmod {self.write(node.args[1], UNARY)}", ADD

    def _MatrixFunction(self, node: MatrixFunction) -> tuple[str, int]:
        name = self.name(node.args[0].name)
        forms = {"LogDet": r"\log\left|\det {}\right|", "Det": r"\det {}", "Inverse": "{}^{{-1}}"}
        return forms[type(node).__name__].format(name), POWER

    def _MatrixEntry(self, node: MatrixEntry) -> tuple[str, int]:
        matrix, *indices = node.args
        return rf"\left({self.write(matrix)}\right)_{{{','.join(self.index(i) for i in indices)}}}", ATOM


def plain_form(node: Basic, exercise: Exercise | None = None) -> str:
    return Writer(exercise).write(node)


def sheet_form(node: Basic, exercise: Exercise | None = None) -> str:
    return SheetWriter(exercise).write(node)


def latex_form(node: Basic, exercise: Exercise | None = None) -> str:
    return LatexWriter(exercise).write(node)


def shape_text(shape: Sequence[Expr], writer: Writer | None = None) -> str:
    """`(N, D)`, `(N,)` or `()`, as torch prints shapes."""
    sizes = [(writer or SheetWriter()).write(s) for s in shape]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
