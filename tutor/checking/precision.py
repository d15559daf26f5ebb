"""Where floats do not decide: how far rounding moves a line, and a line of scalars once more at 50 and 200 digits.

Overflow and cancellation are not mistakes of the learner. A line is in doubt where its distance from the truth is no
more than what a relative 1e-15 in every intermediate result makes of it, or where a finite step of it left the floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library
from tutor.checking.interpret import Run
from tutor.checking.outline import Outline, Unit
from tutor.checking.truth import Point, program
from tutor.exercise import Exercise
from tutor.symbolic.functions import FUNCTIONS

NOISE = 1e-15  # relative; a float64 operation rounds by 1e-16
MARGIN = 3.0  # times the spread that the noise makes
SEEDS = 6  # the noise is a few units in the last place: two such may cancel by chance
RUNS = SEEDS + 1  # and one without noise
FEW = 8  # entries
DIGITS = (50, 200)
SAME = 1e-9
MOST_NODES = 2_000  # operations of a sheet that is computed with many digits
MOST = 1e5  # arguments of functions: beyond it the digits of the result alone fill the memory

_ARITHMETIC = ("+", "-", "*", "/", "**", "@")
_SUMS = ("sum", "mean", "matmul", "mm", "dot", "einsum", "var", "std", "norm", "logsumexp", "softmax", "log_softmax",
         "prod", "pow", "cumsum", "add", "sub", "mul", "multiply", "div", "divide", "Sum", "Mean")  # fmt: skip
_GROWING = ("exp", "exp2", "expm1", "sinh", "cosh", "square", "softplus", "sum", "prod", "matmul", "dot", "einsum")
_STEPS = ("sign", "sgn", "Heaviside", "heaviside", "floor", "ceil")  # of their value a little noise makes another


class NoisyRun(Run):
    """A run in which every computed value is off by a little; it keeps what was decided, and where floats ended."""

    def __init__(self, outline: Outline, draw: Any, replace: Mapping[tuple[str, int], Tensor], seed: int):
        super().__init__(outline, draw, replace)
        self.generator = torch.Generator().manual_seed(seed) if seed else None
        self.decisions: list[Tensor] = []
        self.left: list[int] = []  # units in which a finite step overflowed, or came out as 0
        self._position = 0
        self._finite, self._nonzero = [True], [True]  # of the operands of each open operation

    def unit(self, unit: Unit) -> None:
        self._position = unit.position
        super().unit(unit)

    def evaluate(self, node: lang.Expression) -> Any:
        self._finite.append(True)
        self._nonzero.append(True)
        try:
            value = super().evaluate(node)
        finally:
            finite, nonzero = self._finite.pop(), self._nonzero.pop()
        if isinstance(value, Tensor):
            self._watch(node, value, finite, nonzero)
        elif isinstance(value, (int, float)):
            self._nonzero[-1] &= value != 0
        return self.computed(node, value)

    def _watch(self, node: lang.Expression, value: Tensor, finite: bool, nonzero: bool) -> None:
        """Note where finite operands gave no finite value, or 0, though nothing was divided by 0."""
        is_finite, is_nonzero = bool(torch.isfinite(value).all()), bool(value.all())
        op = node.op if isinstance(node, lang.Binary) else ""
        grows = op in ("+", "-", "*", "@") or op in ("/", "**") and nonzero or _name(node) in _GROWING
        vanishes = op in ("*", "/", "**") and nonzero or _name(node) in ("exp", "sigmoid")
        overflows = grows and not is_finite and not bool(value.isnan().any())  # a root of -1 is none
        if finite and (overflows or vanishes and not is_nonzero):
            self.left.append(self._position)
        self._finite[-1] &= is_finite
        self._nonzero[-1] &= is_nonzero

    def computed(self, node: lang.Expression, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if not value.is_floating_point() or _name(node) in _STEPS:
            self.decisions.append(value.detach().clone())
            return value
        if self.generator is None or not _computes(node):
            return value
        noise = torch.rand(value.shape, generator=self.generator, dtype=torch.float64)
        return value * (1 + NOISE * (2 * noise - 1))


def _name(node: lang.Expression) -> str:
    function = node.function if isinstance(node, lang.Call) else None
    return function.name if isinstance(function, (lang.Name, lang.Attribute)) else ""


def _computes(node: lang.Expression) -> bool:
    """Arithmetic: what gives a tensor of its own, not another view of one."""
    if isinstance(node, lang.Binary):
        return node.op in _ARITHMETIC
    entry = library.FUNCTION.get(_name(node))
    return _name(node) in _SUMS or (entry is not None and entry.elementwise)


class Doubt:
    """Whether rounding explains the values of a sheet; its noisy runs are made when first asked for."""

    def __init__(self, outline: Outline, replace: Callable[[Point], Mapping[tuple[str, int], Tensor]]):
        self.outline, self.replace = outline, replace
        self._runs: dict[tuple[int, int], NoisyRun] = {}

    def run(self, point: Point, seed: int) -> NoisyRun:
        key = (id(point), seed)
        if key not in self._runs:
            run = NoisyRun(self.outline, point, self.replace(point), seed)
            self._runs[key] = run
            run.execute()
        return self._runs[key]

    def explains(self, key: tuple[str, int], given: Tensor, true: Tensor, point: Point) -> bool:
        """Whether the line that ends at `key`, (name, unit), may be the true one at this draw, for all floats say."""
        if given.shape != true.shape or not bool(torch.isfinite(true).all()):
            return False
        if not bool(torch.isfinite(given).all()):
            return any(unit <= key[1] for unit in self.run(point, 0).left)
        gap, spread = (given - true).abs(), torch.zeros_like(given)
        close = gap <= SAME * torch.maximum(given.abs(), true.abs())
        for seed in range(1, SEEDS + 1):
            value = self.run(point, seed).values.get(key)
            if not isinstance(value, Tensor) or value.shape != given.shape:
                return False
            spread = torch.maximum(spread, (library.real(value) - given).abs().nan_to_num(0.0, 0.0))
            if seed == 1 and gap.numel() > FEW and float((close | (gap <= 100 * spread)).double().mean()) < 0.5:
                return False  # by far not: most wrong lines
        return bool((close | (gap <= MARGIN * spread)).all()) and self._same_decisions(point)

    def _same_decisions(self, point: Point) -> bool:
        """No mask and no winner is another one under the noise: what jumps explains nothing."""
        plain = self.run(point, 0).decisions
        return all(
            len(plain) == len(noisy) and all(map(torch.equal, plain, noisy))
            for noisy in (self.run(point, seed).decisions for seed in range(1, SEEDS + 1))
        )


# -- scalars with many digits -----------------------------------------------------------------------------------


class _Beyond(Exception):
    """Not computed here."""


def same_at_more_digits(exercise: Exercise, outline: Outline, key: tuple[str, int], draws: list[Point]) -> bool | None:
    """Whether a line of scalars is the true one at 50 and at 200 digits; None where that cannot be computed."""
    if not outline.elementwise or outline.mutates or sum(outline.weight.values()) > MOST_NODES:
        return None
    import mpmath  # type: ignore[import-untyped]

    try:
        for point in draws:
            for digits in DIGITS:
                with mpmath.workdps(digits):
                    if not _same(exercise, outline, key, point, digits):
                        return False
    except (_Beyond, ArithmeticError, ValueError, TypeError, AttributeError):
        return None
    return True


def _same(exercise: Exercise, outline: Outline, key: tuple[str, int], point: Point, digits: int) -> bool:
    import mpmath

    known = _truths(exercise, point, digits)
    true = known[key[0]]
    given = _Digits(outline, known, point.sizes).value(key)
    if not (mpmath.isfinite(given) and mpmath.isfinite(true)):
        raise _Beyond
    size = max(abs(given), abs(true))
    return abs(given - true) <= SAME * size or size <= mpmath.mpf(10) ** (-digits // 2)


def _truths(exercise: Exercise, point: Point, digits: int) -> dict[str, Any]:
    """Every quantity and gradient by name, computed from the leaves."""
    import mpmath
    import sympy

    known: dict[str, Any] = {}
    given = [name for name in point.values if name not in exercise.quantities or exercise[name].is_leaf]
    for name in given:
        known[name] = mpmath.mpf(float(point.values[name]))
    steps = [(q.name, q.indices, q.expr) for q in exercise.forward if q.expr is not None]
    for name, _, expr in [*steps, *program(exercise)]:
        places = {s: sympy.Float(known[s.name], digits) for s in expr.free_symbols if s.name in known}
        value = expr.xreplace(places).evalf(digits)
        if not value.is_Float and not value.is_Integer and not value.is_Rational:
            raise _Beyond
        known[name] = mpmath.mpf(value._to_mpmath(mpmath.mp.prec))
    return known


class _Digits:
    """A sheet of scalars in mpmath."""

    def __init__(self, outline: Outline, known: Mapping[str, Any], sizes: Mapping[str, int]):
        self.outline, self.names, self.known, self.sizes = outline, outline.names, known, sizes
        self.held: dict[str, Any] = {}

    def value(self, key: tuple[str, int]) -> Any:
        """What the name has after its unit."""
        for unit in self.outline.units[: key[1] + 1]:
            statement = unit.statement
            if not isinstance(statement, lang.Assign):
                raise _Beyond
            made = self.evaluate(statement.value)
            for target in statement.targets:
                name = self.names.read(target)
                if name is None:
                    raise _Beyond
                self.held[name] = made
        return self.held[key[0]]

    def evaluate(self, node: lang.Expression) -> Any:
        import mpmath

        if isinstance(node, lang.Number):
            return mpmath.mpf(node.text.replace("_", ""))
        if isinstance(node, (lang.Name, lang.Attribute)):
            return self._named(node)
        if isinstance(node, lang.Unary) and node.op in "+-":
            value = self.evaluate(node.operand)
            return -value if node.op == "-" else value
        if isinstance(node, lang.Binary):
            return self._binary(node.op, self.evaluate(node.left), self.evaluate(node.right))
        if isinstance(node, lang.Call) and not node.named:
            return self._call(_name(node), [self.evaluate(argument) for argument in node.arguments])
        raise _Beyond

    def _named(self, node: lang.Expression) -> Any:
        import mpmath

        name = self.names.read(node) or ""
        meaning = self.names.meaning(name)
        if name in self.held:
            return self.held[name]
        if meaning.kind == "forward":
            return self.known[meaning.name]
        if meaning.kind == "gradient" and meaning.of in self.names.losses:
            return mpmath.mpf(1)
        if name in self.sizes:
            return mpmath.mpf(self.sizes[name])
        if isinstance(node, (lang.Name, lang.Attribute)) and node.name == "pi":
            return +mpmath.pi
        raise _Beyond

    def _binary(self, op: str, a: Any, b: Any) -> Any:
        if op == "**":
            if a and abs(b * math.log(abs(a))) > MOST:
                raise _Beyond
            return a**b
        if op not in _BINARY:
            raise _Beyond
        return _BINARY[op](a, b)

    def _call(self, name: str, given: list[Any]) -> Any:
        if any(abs(value) > MOST for value in given if not isinstance(value, bool)):
            raise _Beyond
        if name == "where" and len(given) == 3:
            return given[1] if given[0] else given[2]
        if name in ("Max", "maximum") and given:
            return max(given)
        if name in ("Min", "minimum") and given:
            return min(given)
        if len(given) != 1 or name not in _ROWS:
            raise _Beyond
        return _function(_ROWS[name], given[0])


def _function(row: Any, x: Any) -> Any:
    import mpmath
    import sympy

    if row.mpmath:
        return getattr(mpmath, row.mpmath)(x)
    digits = mpmath.mp.dps
    value = row.sympy(sympy.Float(x, digits)).evalf(digits)
    if not value.is_number:
        raise _Beyond
    return mpmath.mpf(value._to_mpmath(mpmath.mp.prec))


_BINARY: dict[str, Callable[[Any, Any], Any]] = {op: library.OPERATOR[op] for op in ("+", "-", "*", "/", "<", "<=",
                                                                                    ">", ">=", "==", "!=")}  # fmt: skip
_ROWS = {name: row for row in FUNCTIONS.values() for name in (row.name, row.torch.rpartition(".")[2], *row.spellings)}
