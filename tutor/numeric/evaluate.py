"""Index expressions -> torch tensors: parse, plan, apply.

`compile_program` turns named formulas into a straight-line list of torch calls once, for all sizes, dtypes and
devices; `Plan.run` applies it. While a formula is read, a subexpression is a *register* (a slot and the index that
each of its axes carries) times a constant that is not multiplied in before it has to be. Equal calls share a slot,
so what two formulas have in common is computed once, whatever their bound indices are called.

What an expression means where it is easy to get wrong:

* a condition guards: what stands beside a false one is never seen, finite or not, inside an axis or not;
* arithmetic that leaves its axis without such a guard is an `ExerciseError`, not a wrong value;
* `Sum(f[n]*KroneckerDelta(t[n], v), n)` adds rows into place, a delta with a summed side is a gather: one-hots
  are made only where nothing is summed over them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, reduce
from itertools import combinations, groupby
from typing import Any

import sympy
import torch
from sympy import (
    Add,
    And,
    Basic,
    Expr,
    Float,
    Function,
    Idx,
    Indexed,
    Integer,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Mul,
    Not,
    Or,
    Piecewise,
    Pow,
    Product,
    Rational,
    S,
    Sum,
    Symbol,
    ceiling,
    floor,
)
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.relational import Eq, Ge, Gt, Le, Lt, Ne, Relational
from sympy.functions.special.gamma_functions import polygamma

from tutor.errors import ExerciseError, UsageError
from tutor.symbolic.functions import function_row
from tutor.symbolic.indices import (
    Tensor,
    bound_indices,
    free_indices,
    freshen,
    reduce_over,
    size,
    substitute,
    within,
)
from tutor.symbolic.operations import (
    ArgMaxOver,
    ArgMinOver,
    Det,
    Inverse,
    LogDet,
    MatrixEntry,
    MaxOver,
    MinOver,
    RunnerUpGap,
)

Definition = tuple[str, tuple[Idx, ...], Expr]
DTYPE, DEVICE = 0, 1  # the two slots every plan has: what new tensors are made as


# -- numbers: whatever depends on sizes alone ------------------------------------------------------


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
            raise UsageError(f"no size is given for {expr.name}: give sizes for {expr.name}") from None
    if isinstance(expr, Relational):
        return bool(_COMPARE[type(expr)](_exact(expr.lhs, sizes), _exact(expr.rhs, sizes)))
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
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    Gt: operator.gt,
    Ge: operator.ge,
    Lt: operator.lt,
    Le: operator.le,
    Eq: operator.eq,
    Ne: operator.ne,
}


# -- registers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Register:
    """A slot, the index along each of its axes, and float, int or bool; `number` is a Python scalar."""

    slot: int
    axes: tuple[Idx, ...] = ()
    kind: str = "float"


@dataclass(frozen=True)
class Term:
    """`constant * register`; a constant alone has no register."""

    constant: Expr
    register: Register | None = None


@dataclass(frozen=True)
class Factor:
    """A register in a product, or below the fraction line."""

    register: Register
    below: bool = False

    @property
    def axes(self) -> tuple[Idx, ...]:
        return self.register.axes


@dataclass
class Parts:
    """The parts of a product: constant * factors, and the conditions and deltas that guard it."""

    constant: Expr = S.One
    above: list[Expr] = field(default_factory=list)
    below: list[Expr] = field(default_factory=list)
    conditions: list[Basic] = field(default_factory=list)
    deltas: list[KroneckerDelta] = field(default_factory=list)

    @property
    def tame(self) -> bool:
        """Whether every factor is finite even where a condition does not hold."""
        return not self.below and all(map(_tame, self.above))

    def absorb(self, other: Parts) -> None:
        self.constant *= other.constant
        self.above += other.above
        self.below += other.below
        self.conditions += other.conditions
        self.deltas += other.deltas


# -- the torch calls: name -> (parameters -> function of tensors) -----------------------------------------


def _unsqueeze(*holes: int) -> Callable[..., Any]:
    if len(holes) == 1:
        return lambda x: x.unsqueeze(holes[0])

    def insert(x: torch.Tensor) -> torch.Tensor:
        for hole in holes:
            x = x.unsqueeze(hole)
        return x

    return insert


def _permute(*order: int) -> Callable[..., Any]:
    return (lambda x: x.t()) if order == (1, 0) else (lambda x: x.permute(order))


def _total(*dims: int) -> Callable[..., Any]:
    return lambda x: x.sum(dims)


def _product(*dims: int) -> Callable[..., Any]:
    return lambda x: reduce(lambda y, dim: y.prod(dim), sorted(dims, reverse=True), x)


def _gap(*dims: int) -> Callable[..., Any]:
    """Largest minus second largest over some axes; one entry has no rival."""

    def gap(x: torch.Tensor) -> torch.Tensor:
        rest = [d for d in range(x.dim()) if d not in dims]
        flat = x.permute(*rest, *dims).flatten(len(rest))
        if flat.shape[-1] < 2:
            return flat.squeeze(-1).abs() * 0 + math.inf
        best = flat.topk(2, -1).values
        return best[..., 0] - best[..., 1]

    return gap


def _inside(entry: str, axis: int) -> Callable[..., Any]:
    """Index values checked against their axis; outside it, only where the guard is false."""

    def check(index: torch.Tensor, extent: int, *guard: torch.Tensor) -> torch.Tensor:
        if index.numel() == 0:
            return index
        low, high = (int(v) for v in torch.aminmax(index))
        if low >= 0 and high < extent:
            return index
        if not guard or bool((((index < 0) | (index >= extent)) & guard[0]).any()):
            raise ExerciseError(
                f"{entry} leaves axis {axis + 1}, which ends at {extent - 1}: its index runs from {low} to {high}; "
                "guard it with Piecewise((..., condition), (0, True))"
            )
        return index

    return check


def _select(entry: str, axis: int, dim: int) -> Callable[..., Any]:
    def select(x: torch.Tensor, at: int, extent: int, *guard: torch.Tensor) -> torch.Tensor:
        if not 0 <= at < extent:
            if not guard or bool(guard[0].any()):
                raise ExerciseError(f"{entry} leaves axis {axis + 1}, which ends at {extent - 1}: the index is {at}")
            at = min(max(at, 0), extent - 1)
        return x.select(dim, at)

    return select


def _strided(entry: str, axis: int, dim: int) -> Callable[..., Any]:
    def strided(x: torch.Tensor, start: int, step: int, count: int, extent: int) -> torch.Tensor:
        last = start + step * (count - 1)
        if start < 0 or last >= extent:
            raise ExerciseError(
                f"{entry} leaves axis {axis + 1}, which ends at {extent - 1}: its index runs from {start} to {last}; "
                "guard it with Piecewise((..., condition), (0, True))"
            )
        if step == 1:
            return x.narrow(dim, start, count)
        return x[(slice(None),) * dim + (slice(start, last + 1, step),)]

    return strided


def _take(dim: int) -> Callable[..., Any]:
    def take(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        if index.dim() == 1:
            return x.index_select(dim, index)
        if index.dim() == 0:
            return x.index_select(dim, index.reshape(1)).squeeze(dim)
        return x.index_select(dim, index.reshape(-1)).unflatten(dim, index.shape)

    return take


def _lookup(count: int) -> Callable[..., Any]:
    return lambda x, *indices: x[indices]


def _scatter(count: int) -> Callable[..., Any]:
    """zeros.index_add_ over the joint place of `count` indices; places outside go to a row that is cut off."""

    def scatter(source: torch.Tensor, *given: Any) -> torch.Tensor:
        indices, extents = given[:count], given[count:]
        places = torch.broadcast_shapes(*(i.shape for i in indices))
        rest = source.shape[len(places) :]
        flat: Any = 0
        valid: Any = None
        for index, extent in zip(indices, extents, strict=True):
            low, high = (int(v) for v in torch.aminmax(index)) if index.numel() else (0, 0)
            if low < 0 or high >= extent:
                inside = (index >= 0) & (index < extent)
                valid = inside if valid is None else valid & inside
            flat = flat * extent + index
        rows = math.prod(extents)
        if valid is not None:
            flat = torch.where(valid, flat, rows)
        source = source.expand(*places, *rest)
        out = source.new_zeros((rows + (valid is not None), *rest))
        out.index_add_(0, flat.expand(places).reshape(-1), source.reshape(-1, *rest))
        return (out.narrow(0, 0, rows) if valid is not None else out).view(*extents, *rest)

    return scatter


def _heaviside(x: torch.Tensor, at_zero: Any) -> torch.Tensor:
    tie = torch.as_tensor(at_zero, dtype=x.dtype, device=x.device)
    return torch.where(x == 0, tie, (x > 0).to(x.dtype))  # torch.heaviside refuses to be differentiated


def _log_abs_det(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.slogdet(x).logabsdet


def _softplus(x: torch.Tensor) -> torch.Tensor:
    # torch turns linear at 20, which is 1e-10 off
    return torch.nn.functional.softplus(x, 1, 40)


def _elementwise(path: str) -> Callable[..., Any]:
    """`"torch.nn.functional.silu"` -> the function."""
    if path == "torch.nn.functional.softplus":
        return _softplus
    found: Any = torch
    for part in path.split(".")[1:]:
        found = getattr(found, part, None)
    if found is None:
        name = path.rsplit(".", 1)[-1]
        raise ExerciseError(f"torch has no function {name}: write it out with functions that torch has")
    return found


OPS: dict[str, Callable[..., Callable[..., Any]]] = {
    # views
    "permute": _permute,
    "unsqueeze": _unsqueeze,
    "expand": lambda: lambda x, *extents: x.expand(extents),
    "alias": lambda serial: lambda x: x.view_as(x),
    "diagonal": lambda a, b: lambda x: x.diagonal(0, a, b),
    "select": _select,
    "strided": _strided,
    # new tensors
    "arange": lambda: lambda extent, device: torch.arange(extent, device=device),
    "full": lambda: lambda value, dtype, device: torch.full((), value, dtype=dtype, device=device),
    "truth": lambda: lambda value, device: torch.tensor(bool(value), device=device),
    "convert": lambda: lambda x, dtype: x.to(dtype),
    "whole": lambda: lambda x: x.round().long() if x.is_floating_point() else x.long(),
    # arithmetic
    "add": lambda: operator.add,
    "sub": lambda: operator.sub,
    "add_scaled": lambda: lambda x, y, by: torch.add(x, y, alpha=by),
    "mul": lambda: operator.mul,
    "div": lambda: operator.truediv,
    "neg": lambda: operator.neg,
    "reciprocal": lambda: torch.reciprocal,
    "square": lambda: torch.square,
    "sqrt": lambda: torch.sqrt,
    "rsqrt": lambda: torch.rsqrt,
    "pow": lambda: torch.pow,
    "maximum": lambda: torch.maximum,
    "minimum": lambda: torch.minimum,
    "clamp_min": lambda: lambda x, least: x.clamp(min=least),
    "clamp_max": lambda: lambda x, most: x.clamp(max=most),
    "floor_divide": lambda: lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "remainder": lambda: torch.remainder,
    "floor": lambda: torch.floor,
    "ceil": lambda: torch.ceil,
    "call": _elementwise,
    "heaviside": lambda: _heaviside,
    "polygamma": lambda order: lambda x: torch.special.polygamma(order, x),
    # conditions
    "compare": lambda name, whole: {c.__name__: f for c, f in _COMPARE.items()}[name],
    "and": lambda: operator.and_,
    "or": lambda: operator.or_,
    "not": lambda: operator.invert,
    "where": lambda: torch.where,
    "threshold": lambda: torch.ops.aten.threshold_backward,
    # reductions and contractions
    "sum": _total,
    "prod": _product,
    "amax": lambda *dims: lambda x: x.amax(dims),
    "amin": lambda *dims: lambda x: x.amin(dims),
    "argmax": lambda dim: lambda x: x.argmax(dim),
    "argmin": lambda dim: lambda x: x.argmin(dim),
    "gap": _gap,
    "mm": lambda: torch.mm,
    "mv": lambda: torch.mv,
    "dot": lambda: torch.dot,
    "matmul": lambda: torch.matmul,
    "einsum": lambda equation: lambda *xs: torch.einsum(equation, *xs),
    # gather, scatter, matrices
    "inside": _inside,
    "clamped": lambda: lambda index, extent, checked: index.clamp(0, extent - 1),
    "take": _take,
    "lookup": _lookup,
    "scatter": _scatter,
    "inv": lambda: torch.linalg.inv,
    "logdet": lambda: _log_abs_det,
    "det": lambda: torch.linalg.det,
}


@dataclass(frozen=True)
class Instruction:
    op: str
    params: tuple[Any, ...]
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True)
class Input:
    """A value from outside: where it goes, what it is, and the shape it must have."""

    name: str
    slot: int
    kind: str
    shape: tuple[int, ...]  # slots of the sizes


# -- reading formulas ------------------------------------------------------------------------------------

_ARITHMETIC_OPS = ("add", "sub", "mul", "div", "neg")  # Python's own operators: numbers will do
_TENSORS_ONLY = ("maximum", "minimum")
# functions that are finite wherever their argument is: what a mask may multiply instead of select
_TAME = frozenset(
    ("sin", "cos", "tanh", "sigmoid", "softplus", "relu", "silu", "gelu", "erf", "erfc", "atan", "Abs", "sign",
     "Heaviside", "floor", "ceiling")
)  # fmt: skip


class Builder:
    """Reads definitions one after the other and writes instructions; equal instructions share their slot."""

    def __init__(self, distinct: bool):
        self.distinct = distinct
        self.instructions: list[Instruction] = []
        self.inputs: dict[str, Input] = {}
        self.constants: dict[Expr, int] = {}
        self.results: dict[str, int] = {}
        self.slots = 2
        self.made: dict[tuple[Any, ...], int] = {}
        self.origin: dict[int, Instruction] = {}
        self.terms: dict[tuple[Expr, Register | None], Term] = {}
        self.want: dict[Idx, int] = {}

    # -- writing ---------------------------------------------------------------------------------------

    def slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    def emit(self, op: str, inputs: Sequence[int], *params: Any) -> int:
        key = (op, params, *inputs)
        if key not in self.made:
            made = Instruction(op, params, tuple(inputs), self.slot())
            self.instructions.append(made)
            self.made[key] = made.output
            self.origin[made.output] = made
        return self.made[key]

    def constant(self, expr: Expr) -> int:
        if expr not in self.constants:
            self.constants[expr] = self.slot()
        return self.constants[expr]

    def define(self, name: str, indices: tuple[Idx, ...], expr: Expr) -> None:
        self.want = {index: rank for rank, index in enumerate(indices)}
        register = self.tensor(self.term(expr))
        slot = self.spread(register, indices)
        if self.distinct:
            slot = self.emit("alias", (slot,), name)
        self.results[name] = slot

    # -- layout: axes are moved by views only --------------------------------------------------------------

    def ordered(self, axes: Iterable[Idx]) -> tuple[Idx, ...]:
        """Axes in the order of the definition being read; summed ones after them."""
        return tuple(sorted(dict.fromkeys(axes), key=lambda i: self.want.get(i, len(self.want))))

    def permuted(self, register: Register, axes: Sequence[Idx]) -> int:
        order = tuple(register.axes.index(a) for a in axes)
        return register.slot if order == tuple(range(len(order))) else self.emit("permute", (register.slot,), *order)

    def aligned(self, register: Register, axes: Sequence[Idx], leading: bool = False) -> int:
        """A view that broadcasts against `axes`; missing leading axes are left to torch unless asked for."""
        own = [a for a in axes if a in register.axes]
        slot = self.permuted(register, own)
        if not own and not leading:
            return slot
        start = 0 if leading else axes.index(own[0])
        holes = tuple(d for d, a in enumerate(axes[start:]) if a not in own)
        return self.emit("unsqueeze", (slot,), *holes) if holes else slot

    def spread(self, register: Register, axes: Sequence[Idx]) -> int:
        """The register over exactly these axes: expanded where its formula does not depend on one."""
        extra = set(register.axes) - set(axes)
        if extra:
            names = ", ".join(sorted(map(str, extra)))
            raise ExerciseError(f"{names} is free on the right but not on the left: sum over it")
        slot = self.aligned(register, axes)
        if len(register.axes) == len(axes):
            return slot
        return self.emit("expand", (slot, *(self.constant(size(a)) for a in axes)))

    # -- from terms to registers ------------------------------------------------------------------------

    def float(self, register: Register) -> Register:
        if register.kind in ("float", "number"):
            return register
        return Register(self.emit("convert", (register.slot, DTYPE)), register.axes)

    def value(self, term: Term) -> Register:
        """The term multiplied out; a constant stays a Python number."""
        if term.register is None:
            return Register(self.constant(term.constant), (), "number")
        register = self.float(term.register)
        if term.constant == 1:
            return register
        if term.constant == -1:
            return replace(register, slot=self.emit("neg", (register.slot,)))
        return replace(register, slot=self.emit("mul", (register.slot, self.constant(term.constant))))

    def tensor(self, term: Term) -> Register:
        """As `value`, but a constant is made a tensor too."""
        return self.filled(self.value(term))

    def filled(self, register: Register) -> Register:
        """A Python number as a tensor."""
        if register.kind != "number":
            return register
        return Register(self.emit("full", (register.slot, DTYPE, DEVICE)))

    def apply(self, op: str, parts: Sequence[Register], *params: Any, kind: str = "float") -> Register:
        """An elementwise call over the union of the axes."""
        if op in _TENSORS_ONLY or (op not in _ARITHMETIC_OPS and all(part.kind == "number" for part in parts)):
            parts = [self.filled(part) for part in parts]
        axes = self.ordered(a for part in parts for a in part.axes)
        return Register(self.emit(op, [self.aligned(part, axes) for part in parts], *params), axes, kind)

    # -- formulas -------------------------------------------------------------------------------------

    def term(self, expr: Basic, guard: Register | None = None) -> Term:
        """Read one formula; `guard` holds where its value will be looked at."""
        key = (expr, guard)
        if key not in self.terms:
            self.terms[key] = self._term(expr, guard)
        return self.terms[key]

    def _term(self, expr: Basic, guard: Register | None) -> Term:
        if _is_constant(expr):
            return Term(expr)
        rule = _find(_READ, expr)
        if rule is not None:
            made = rule(self, expr, guard)
            return made if isinstance(made, Term) else Term(S.One, made)
        if isinstance(expr, Function):
            return Term(S.One, self.function(expr, guard))
        raise ExerciseError(f"{expr} ({type(expr).__name__}) cannot be evaluated: write it out with + * / ** and Sum")

    def read(self, expr: Basic, guard: Register | None) -> Register:
        return self.value(self.term(expr, guard))

    def symbol(self, expr: Symbol, guard: Register | None) -> Register:
        return self.entry(*self.named(expr.name, (), bool(expr.is_integer)), (), (), guard, expr)

    def indexed(self, expr: Indexed, guard: Register | None) -> Register:
        base = expr.base
        slot, kind = self.named(str(base.label), base.shape, bool(base.label.is_integer))
        return self.entry(slot, kind, base.shape, expr.indices, guard, expr)

    def named(self, name: str, shape: Sequence[Expr], whole: bool) -> tuple[int, str]:
        if name in self.results:
            return self.results[name], "float"
        if name not in self.inputs:
            kind = "int" if whole else "float"
            extents = tuple(self.constant(extent) for extent in shape)
            self.inputs[name] = Input(name, self.slot(), kind, extents)
        return self.inputs[name].slot, self.inputs[name].kind

    def arange(self, index: Idx, guard: Register | None = None) -> Register:
        return Register(self.emit("arange", (self.constant(size(index)), DEVICE)), (index,), "int")

    def add(self, terms: Iterable[Term]) -> Term:
        """Sums keep their constants for `alpha`; one that all terms share stays outside."""
        offset: Expr = S.Zero
        collected: dict[Register, Expr] = {}
        for term in terms:
            if term.register is None:
                offset += term.constant
            else:
                collected[term.register] = collected.get(term.register, S.Zero) + term.constant
        parts = [(c, self.float(r)) for r, c in collected.items() if c != 0]
        if not parts:
            return Term(offset)
        if len(parts) == 1 and offset == 0:
            return Term(*parts[0])
        first = parts[0][0]
        shared = S.One
        if offset == 0 and all(c in (first, -first) for c, _ in parts):
            shared = -first if first.could_extract_minus_sign() else first
            parts = [(S.One if c == shared else S.NegativeOne, r) for c, r in parts]
        parts.sort(key=lambda part: len(part[1].axes))
        base = next((p for p in parts if p[0] == 1), None)
        if base is not None:
            parts.remove(base)
            made = base[1] if offset == 0 else self.apply("add", (base[1], self.value(Term(offset))))
        elif offset != 0:
            made = self.value(Term(offset))
        else:
            made = self.value(Term(*parts.pop(0)))
        for constant, register in parts:
            made = self.plus(made, constant, register)
        return Term(shared, made)

    def plus(self, left: Register, constant: Expr, right: Register) -> Register:
        if constant in (1, -1):
            return self.apply("add" if constant == 1 else "sub", (left, right))
        if left.kind == "number":
            return self.apply("add", (self.value(Term(constant, right)), left))
        axes = self.ordered((*left.axes, *right.axes))
        slots = (self.aligned(left, axes), self.aligned(right, axes), self.constant(constant))
        return Register(self.emit("add_scaled", slots), axes)

    def power(self, expr: Pow, guard: Register | None) -> Term:
        base, exponent = expr.args
        if exponent.could_extract_minus_sign() and _is_constant(exponent) and exponent != Rational(-1, 2):
            under = self.safe(self.read(Pow(base, -exponent), guard), guard)
            return Term(S.One, self.apply("reciprocal", (under,)))
        x = self.read(base, guard)
        if exponent == 2:
            return Term(S.One, self.apply("square", (x,)))
        if exponent.is_Integer:
            return Term(S.One, self.apply("pow", (x, self.read(exponent, guard))))
        x = self.safe(x, guard)
        if abs(exponent) == Rational(1, 2):
            return Term(S.One, self.apply("sqrt" if exponent > 0 else "rsqrt", (x,)))
        return Term(S.One, self.apply("pow", (x, self.read(exponent, guard))))

    def safe(self, register: Register, guard: Register | None) -> Register:
        """Under autograd a masked division must not divide: 0 times its infinite slope would be nan."""
        if not self.distinct or guard is None or register.kind == "number":
            return register
        return self.apply("where", (guard, register, Register(self.constant(S.One), (), "number")))

    def function(self, expr: Function, guard: Register | None) -> Register:
        if isinstance(expr, polygamma):
            return self.apply("polygamma", (self.read(expr.args[1], guard),), int(expr.args[0]))
        if isinstance(expr, sympy.sinc):  # torch's has a pi inside
            x = expr.args[0]
            return self.read(Piecewise((sympy.sin(x) / x, Ne(x, 0)), (S.One, True)), guard)
        row = function_row(expr)
        argument = self.read(expr.args[0], guard)
        if row.name not in _TAME:
            argument = self.safe(argument, guard)
        _elementwise(row.torch)  # an unknown name is reported now, with the formula
        return self.apply("call", (argument,), row.torch)

    def heaviside(self, expr: Expr, guard: Register | None) -> Register:
        return self.apply("heaviside", [self.read(a, guard) for a in expr.args])

    def extremum(self, expr: Expr, guard: Register | None) -> Register:
        largest = isinstance(expr, Max)
        numbers = [a for a in expr.args if _is_constant(a)]
        parts = [self.read(a, guard) for a in expr.args if not _is_constant(a)]
        made = reduce(lambda a, b: self.apply("maximum" if largest else "minimum", (a, b)), parts)
        if numbers:
            limit = self.value(Term(expr.func(*numbers)))
            made = self.apply("clamp_min" if largest else "clamp_max", (made, limit))
        return made

    def floored(self, expr: Expr, guard: Register | None) -> Register:
        if _is_whole(expr):
            return self.whole(expr, guard)
        return self.apply("floor" if isinstance(expr, floor) else "ceil", (self.read(expr.args[0], guard),))

    def modulo(self, expr: Expr, guard: Register | None) -> Register:
        if _is_whole(expr):
            return self.whole(expr, guard)
        return self.apply("remainder", [self.read(a, guard) for a in expr.args])

    # -- conditions ------------------------------------------------------------------------------------

    def condition(self, expr: Basic, guard: Register | None) -> Register:
        """A register of truth values."""
        if _is_constant(expr):
            return Register(self.emit("truth", (self.constant(expr), DEVICE)), (), "bool")
        if isinstance(expr, Not):
            return self.apply("not", (self.condition(expr.args[0], guard),), kind="bool")
        if isinstance(expr, And):
            return reduce(self.both, self.guards(expr.args, guard)[0])
        if isinstance(expr, Or):  # looked at only where those before it fail
            opposite = And(*(sympy.Not(a, evaluate=False) for a in expr.args), evaluate=False)
            return self.apply("not", (self.condition(opposite, guard),), kind="bool")
        if not isinstance(expr, Relational) or type(expr) not in _COMPARE:
            raise ExerciseError(f"the condition {expr} cannot be evaluated: use < <= > >= Eq Ne, joined by & | ~")
        whole = _is_whole(expr.lhs) and _is_whole(expr.rhs)
        sides = [(self.whole if whole else self.read)(side, guard) for side in (expr.lhs, expr.rhs)]
        return self.apply("compare", sides, type(expr).__name__, whole, kind="bool")

    def guards(self, conditions: Iterable[Basic], guard: Register | None) -> tuple[list[Register], Register | None]:
        """The conditions, each looked at only where those of simpler indices hold; and the guard of all."""
        made = []
        for _, level in groupby(sorted(conditions, key=lambda c: (_reach(c), str(c))), key=_reach):
            here = [self.condition(c, guard) for c in level]
            made += here
            guard = reduce(self.both, here, guard)
        return made, guard

    def both(self, a: Register | None, b: Register) -> Register:
        return b if a is None else self.apply("and", (a, b), kind="bool")

    def piecewise(self, expr: Piecewise, guard: Register | None) -> Term:
        if _mask_of(expr) is not None:
            return self.product(expr, guard)
        conditions, branches, earlier = [], [], None
        for body, when in expr.args:
            here = None if when == S.true else self.condition(when, guard)
            inside = guard
            if earlier is not None:
                inside = self.both(guard, self.apply("not", (earlier,), kind="bool"))
            inside = inside if here is None else self.both(inside, here)
            branches.append(self.term(body, inside))
            conditions.append(here)
            if here is not None:
                earlier = here if earlier is None else self.apply("or", (earlier, here), kind="bool")
        if conditions[-1] is None:
            conditions.pop()
            made = self.value(branches.pop())
        else:
            made = self.value(Term(S.NaN))
        for here, branch in zip(reversed(conditions), reversed(branches), strict=True):
            assert here is not None
            made = self.choose(here, self.value(branch), made)
        return Term(S.One, made)

    def choose(self, condition: Register, yes: Register, no: Register) -> Register:
        if no.kind == "number":  # of two numbers torch would make its default dtype
            yes = self.filled(yes)
        return self.apply("where", (condition, yes, no))

    def delta(self, expr: KroneckerDelta, guard: Register | None) -> Register:
        return self.condition(Eq(*expr.args[:2], evaluate=False), guard)

    # -- index expressions: exact integers ------------------------------------------------------------------

    def whole(self, expr: Basic, guard: Register | None) -> Register:
        """An index expression as an integer register."""
        if _is_constant(expr):
            return Register(self.constant(expr), (), "number")
        if isinstance(expr, Idx):
            return self.arange(expr)
        if isinstance(expr, (Add, Mul)):
            op = "add" if isinstance(expr, Add) else "mul"
            if all(_is_whole(a) for a in expr.args):
                parts = sorted((self.whole(a, guard) for a in expr.args), key=lambda p: p.kind == "number")
                return reduce(lambda a, b: self.apply(op, (a, b), kind="int"), parts)
        if isinstance(expr, (floor, ceiling)) and _is_whole(expr):
            sign = 1 if isinstance(expr, floor) else -1
            above, below = (sign * expr.args[0]).as_numer_denom()
            made = self.apply("floor_divide", (self.whole(above, guard), self.whole(below, guard)), kind="int")
            return made if sign == 1 else self.apply("neg", (made,), kind="int")
        if isinstance(expr, Mod) and _is_whole(expr):
            return self.apply("remainder", [self.whole(a, guard) for a in expr.args], kind="int")
        term = self.term(expr, guard)
        if term.register is not None and term.constant == 1 and term.register.kind == "int":
            return term.register
        register = self.value(term)
        if register.kind == "number":
            return register
        return replace(register, slot=self.emit("whole", (register.slot,)), kind="int")

    # -- entries: views, slices, gathers ---------------------------------------------------------------------

    def entry(
        self, slot: int, kind: str, shape: Sequence[Expr], indices: Sequence[Expr], guard: Register | None, name: Any
    ) -> Register:
        """`x[i, E[n], 2*o + k]`: constants select, an index used once is an axis, the rest is gathered."""
        axes: list[Expr] = list(indices)
        places = list(range(len(axes)))  # positions in the formula, for messages
        extents = list(shape)
        for dim in reversed(range(len(axes))):
            at = axes[dim]
            if _is_constant(at):
                given = [slot, self.constant(at), self.constant(extents[dim])]
                slot = self.emit("select", [*given, *self._guards(guard)], str(name), places[dim], dim)
            elif guard is None and (line := _line(at)) and not _shared(line[0], dim, axes):
                index, step, start = line
                if index == at and _same(size(index), extents[dim]):
                    continue
                bounds = [self.constant(e) for e in (start, step, size(index), extents[dim])]
                slot = self.emit("strided", (slot, *bounds), str(name), places[dim], dim)
                axes[dim] = index
                extents[dim] = size(index)
                continue
            else:
                continue
            del axes[dim], places[dim], extents[dim]
        return self._gathered(slot, kind, axes, extents, places, guard, str(name))

    def _guards(self, guard: Register | None) -> list[int]:
        return [] if guard is None else [guard.slot]

    def _gathered(
        self,
        slot: int,
        kind: str,
        axes: list[Expr],
        extents: list[Expr],
        places: list[int],
        guard: Register | None,
        name: str,
    ) -> Register:
        plain = [isinstance(a, Idx) and _same(size(a), e) for a, e in zip(axes, extents, strict=True)]
        if all(plain) and len(set(axes)) == len(axes):
            return Register(slot, tuple(axes), kind)
        if all(plain) and len(set(axes)) == len(axes) - 1:
            twice = next(a for a in axes if axes.count(a) == 2)
            first, second = (d for d, a in enumerate(axes) if a == twice)
            rest = [a for a in axes if a != twice]
            return Register(self.emit("diagonal", (slot,), first, second), (*rest, twice), kind)
        reach: set[Idx] = set()
        for a, easy in zip(axes, plain, strict=True):
            if not easy:
                reach |= free_indices(a)
        dims = [d for d, a in enumerate(axes) if not plain[d] or a in reach or axes.count(a) > 1]
        found = []
        for d in dims:
            index = self.whole(axes[d], guard)
            found.append(index if plain[d] else self.inside(index, extents[d], places[d], guard, name))
        rest = [d for d in range(len(axes)) if d not in dims]
        joint = self.ordered(a for index in found for a in index.axes)
        if len(dims) == 1:
            (dim,) = dims
            taken = self.emit("take", (slot, self.permuted(found[0], joint)), dim)
            return Register(taken, (*axes[:dim], *joint, *axes[dim + 1 :]), kind)
        front = self.emit("permute", (slot,), *dims, *rest) if dims + rest != list(range(len(axes))) else slot
        taken = self.emit("lookup", (front, *(self.aligned(index, joint) for index in found)), len(dims))
        return Register(taken, (*joint, *(axes[d] for d in rest)), kind)

    def inside(self, index: Register, extent: Expr, place: int, guard: Register | None, name: str) -> Register:
        if guard is None:
            return replace(index, slot=self.emit("inside", (index.slot, self.constant(extent)), name, place))
        axes = self.ordered((*index.axes, *guard.axes))
        wide = self.aligned(index, axes)
        checked = self.emit("inside", (wide, self.constant(extent), self.aligned(guard, axes)), name, place)
        # clamped over the index's own axes; the check above is an input so that it cannot be skipped
        return replace(index, slot=self.emit("clamped", (index.slot, self.constant(extent), checked)))

    # -- products and sums -------------------------------------------------------------------------------

    def product(self, expr: Expr, guard: Register | None) -> Term:
        parts = split(expr)
        conditions = [*parts.conditions, *(Eq(*d.args[:2], evaluate=False) for d in parts.deltas)]
        constant, factors, masks = self.factors(parts, conditions, guard)
        return self.masked(constant, self.multiply(factors), masks, parts.tame)

    def factors(
        self, parts: Parts, conditions: Sequence[Basic], guard: Register | None
    ) -> tuple[Expr, list[Factor], list[Register]]:
        """The constant, the factors and the masks; factors are read where all masks hold."""
        constant = parts.constant
        masks, inside = self.guards(conditions, guard)
        factors: list[Factor] = []
        for below, exprs in ((False, parts.above), (True, parts.below)):
            for expr in exprs:
                term = self.term(expr, inside)
                constant = constant / term.constant if below else constant * term.constant
                if term.register is None:
                    continue
                register = self.safe(self.float(term.register), inside) if below else term.register
                if register.kind == "bool" and not below:
                    masks.append(register)
                else:
                    factors.append(Factor(self.float(register), below))
        return constant, factors, masks

    def masked(self, constant: Expr, factor: Factor | None, masks: Sequence[Register], tame: bool) -> Term:
        if not masks:
            return Term(constant) if factor is None else Term(constant, self.above(factor))
        mask = reduce(lambda a, b: self.apply("and", (a, b), kind="bool"), masks)
        if factor is None:
            return (
                Term(constant, mask)
                if constant.is_finite is not False
                else Term(S.One, self.choose(mask, self.value(Term(constant)), self.value(Term(S.Zero))))
            )
        return Term(constant, self.mask(mask, self.above(factor), tame and not factor.below))

    def mask(self, mask: Register, register: Register, tame: bool) -> Register:
        """`register` where the mask holds, else 0, and never nan there."""
        made = self.origin.get(mask.slot)
        if made and made.op == "compare" and made.params == ("StrictGreaterThan", False) and mask.axes == register.axes:
            x, limit = made.inputs
            if limit in self.constants.values():
                return replace(register, slot=self.emit("threshold", (register.slot, x, limit)))
        if tame:
            return self.apply("mul", (register, mask))
        return self.apply("where", (mask, register, Register(self.constant(S.Zero), (), "number")))

    def above(self, factor: Factor) -> Register:
        return self.apply("reciprocal", (factor.register,)) if factor.below else factor.register

    def times(self, f: Factor, g: Factor) -> Factor:
        """Two factors elementwise."""
        if f.below == g.below:
            if f.register.kind == g.register.kind == "bool":
                return Factor(self.apply("and", (f.register, g.register), kind="bool"))
            if "bool" in (f.register.kind, g.register.kind):
                mask, other = (f, g) if f.register.kind == "bool" else (g, f)
                return Factor(self.mask(mask.register, other.register, True))
            if f.register == g.register:
                return Factor(self.apply("square", (f.register,)), f.below)
            return Factor(self.apply("mul", (f.register, g.register)), f.below)
        if g.below:
            f, g = g, f
        return Factor(self.apply("div", (self.float(g.register), f.register)))

    def multiply(self, factors: Sequence[Factor]) -> Factor | None:
        """All factors elementwise: equal axes first, then each into the smallest that has its axes."""
        left = self.grouped(factors)
        while len(left) > 1:
            left.sort(key=lambda f: len(f.axes))
            small = left.pop(0)
            host = next((f for f in left if set(f.axes) >= set(small.axes)), left[0])
            left.remove(host)
            left.append(self.times(small, host))
        return left[0] if left else None

    def grouped(self, factors: Sequence[Factor]) -> list[Factor]:
        """Factors with the same axes become one: those above the line, those below, then their quotient."""
        groups: dict[frozenset[Idx], list[Factor]] = {}
        for factor in factors:
            groups.setdefault(frozenset(factor.axes), []).append(factor)
        made = []
        for group in groups.values():
            group.sort(key=lambda f: (f.below, f.register.kind == "bool"))
            sides = [[f for f in group if f.below is side] for side in (False, True)]
            made.append(reduce(self.times, [reduce(self.times, side) for side in sides if side]))
        return made

    def sum(self, expr: Sum, guard: Register | None) -> Term:
        return self.total(*_flattened(_opaque(expr, guard)), guard)

    def total(self, body: Expr, bound: list[Idx], guard: Register | None) -> Term:
        """Sum of a sum: term by term. Sum of a product: solve deltas, scatter, contract."""
        if isinstance(body, Add):
            return self.add([self.total(part, bound, guard) for part in body.args])
        parts = split(body)
        parts, bound = _opened(parts, bound)
        parts, bound = _solved(parts, bound)
        if parts.constant == 0:
            return Term(S.Zero)
        targets, parts = _targets(parts, bound, () if guard is None else guard.axes)
        conditions = [*parts.conditions, *(Eq(*d.args[:2], evaluate=False) for d in parts.deltas)]
        if targets:
            return self.scatter(targets, parts, conditions, bound, guard)
        return self.contraction(parts, conditions, bound, guard)

    def contraction(
        self, parts: Parts, conditions: Sequence[Basic], bound: Sequence[Idx], guard: Register | None
    ) -> Term:
        constant, factors, masks = self.factors(parts, conditions, guard)
        if masks and not parts.tame:
            # a mask multiplied in later would let the infinite through: select now
            product = self.multiply(factors)
            term = self.masked(constant, product, masks, False)
            if term.register is None:
                return self.contract(term.constant, [], bound)
            return self.contract(term.constant, [Factor(term.register)], bound)
        return self.contract(constant, [*factors, *map(Factor, masks)], bound)

    def contract(self, constant: Expr, factors: Sequence[Factor], bound: Sequence[Idx]) -> Term:
        """Sum a product over indices: each as soon as one or two factors are left that have it."""
        left = []
        for index in bound:
            if any(index in f.axes for f in factors):
                left.append(index)
            else:
                constant = constant * size(index)
        todo = self.grouped(factors)
        while left:
            lone = next((f for f in todo if _lonely(f, todo, left)), None)
            if lone is not None:
                over = _lonely(lone, todo, left)
                todo.remove(lone)
                todo.append(self.reduced(lone, over))
                left = [i for i in left if i not in over]
            else:
                f, g = min(_pairs(todo, left), key=lambda pair: _cost(pair, todo, left))
                todo.remove(f)
                todo.remove(g)
                others = {a for h in todo for a in h.axes}
                over = [i for i in left if i in f.axes and i in g.axes and i not in others]
                todo.append(self.contracted(f, g, over) if over else self.times(f, g))
                left = [i for i in left if i not in over]
            todo = self.grouped(todo)
        made = self.multiply(todo)
        if made is None:
            return Term(constant)
        return Term(constant, self.above(made))

    def reduced(self, factor: Factor, over: Sequence[Idx], op: str = "sum") -> Factor:
        register = self.float(self.above(factor))
        dims = tuple(d for d, a in enumerate(register.axes) if a in over)
        axes = tuple(a for a in register.axes if a not in over)
        return Factor(Register(self.emit(op, (register.slot,), *dims), axes))

    def contracted(self, f: Factor, g: Factor, over: Sequence[Idx]) -> Factor:
        """Two factors summed over what only they share: a matrix product where it is one."""
        a, b = self.float(self.above(f)), self.float(self.above(g))
        batch = self.ordered(i for i in a.axes if i in b.axes and i not in over)
        free = [self.ordered(i for i in r.axes if i not in over and i not in batch) for r in (a, b)]
        if not free[0] and not free[1]:
            if not batch and len(over) == 1:
                return Factor(Register(self.emit("dot", (a.slot, b.slot))))
            return self.reduced(self.times(Factor(a), Factor(b)), over)
        if not free[0] or (free[1] and self.ordered((free[0][0], free[1][0]))[0] != free[0][0]):
            a, b, free = b, a, free[::-1]
        over = self.ordered(over) if len(over) == 1 else tuple(i for i in a.axes if i in over)
        one = len(over) == 1
        if one and not batch and len(free[0]) == 1 and len(free[1]) <= 1:
            left = self.permuted(a, (*free[0], *over))
            right = self.permuted(b, (*over, *free[1]))
            op = "mm" if free[1] else "mv"
            return Factor(Register(self.emit(op, (left, right)), (*free[0], *free[1])))
        if one and len(free[1]) == 1 and (not batch or len(free[0]) == 1):
            left = self.permuted(a, (*batch, *free[0], *over))
            right = self.permuted(b, (*batch, *over, *free[1]))
            return Factor(Register(self.emit("matmul", (left, right)), (*batch, *free[0], *free[1])))
        out = self.ordered((*batch, *free[0], *free[1]))
        letter = {axis: chr(ord("a") + n) for n, axis in enumerate(dict.fromkeys((*a.axes, *b.axes)))}
        spelled = ["".join(letter[i] for i in axes) for axes in (a.axes, b.axes, out)]
        return Factor(Register(self.emit("einsum", (a.slot, b.slot), f"{spelled[0]},{spelled[1]}->{spelled[2]}"), out))

    def scatter(
        self,
        targets: Mapping[Idx, Expr],
        parts: Parts,
        conditions: Sequence[Basic],
        bound: Sequence[Idx],
        guard: Register | None,
    ) -> Term:
        """Sum(f * delta(t[n], v), n) = zeros.index_add_(0, t, f), jointly for several targets."""
        alone, inner = _apart(parts, conditions, targets, bound)
        # conditions on a target are among the inner ones, said of the place instead
        _, outside = self.guards([c for c in alone[1] if free_indices(c).isdisjoint(targets)], guard)
        _, inside = self.guards(inner[1], outside)
        places = [self.whole(value, inside) for value in targets.values()]
        walked = self.ordered(a for place in places for a in place.axes)
        kept = [a for a in walked if a not in bound]
        if kept:  # free indices of the place are targets of their own
            targets = {**{a: a for a in kept}, **targets}
            places = [*(self.arange(a) for a in kept), *places]
        source = self.contraction(inner[0], inner[1], [b for b in bound if b not in walked], outside)
        register = self.tensor(Term(S.One, source.register)) if source.register else self.tensor(Term(S.One))
        rest = self.ordered(a for a in register.axes if a not in walked)
        slot = self.aligned(register, (*walked, *rest), leading=True)
        given = [self.aligned(place, walked, leading=True) for place in places]
        extents = [self.constant(size(v)) for v in targets]
        made = Register(self.emit("scatter", (slot, *given, *extents), len(places)), (*targets, *rest))
        constant, factors, masks = self.factors(alone[0], alone[1], guard)
        product = self.multiply([*factors, Factor(made)])
        return self.masked(constant * source.constant, product, masks, False)

    # -- other reductions ------------------------------------------------------------------------------------

    def reduction(self, expr: Any, guard: Register | None) -> Register:
        """MaxOver, MinOver, Product, RunnerUpGap: one torch reduction over the bound axes."""
        expr = _opaque(expr, guard)
        bound = list(bound_indices(expr))
        register = self.tensor(self.term(expr.args[0], guard))
        missing = [b for b in bound if b not in register.axes]
        if missing:
            axes = (*register.axes, *missing)
            register = Register(self.spread(register, axes), axes)
        return self.reduced(Factor(register), bound, _REDUCE[type(expr)]).register

    def winner(self, expr: Any, guard: Register | None) -> Register:
        expr = _opaque(expr, guard)
        if len(expr.limits) != 1:
            raise ExerciseError(f"{expr} runs over {len(expr.limits)} indices: nest one inside the other")
        (index,) = bound_indices(expr)
        register = self.tensor(self.term(expr.args[0], guard))
        if index not in register.axes:
            axes = (*register.axes, index)
            register = Register(self.spread(register, axes), axes)
        dim = register.axes.index(index)
        axes = tuple(a for a in register.axes if a != index)
        return Register(self.emit(_REDUCE[type(expr)], (register.slot,), dim), axes, "int")

    def matrix(self, array: Tensor) -> int:
        slot, _ = self.named(str(array.label), array.shape, False)
        return slot

    def determinant(self, expr: Any, guard: Register | None) -> Register:
        return Register(self.emit("det" if isinstance(expr, Det) else "logdet", (self.matrix(expr.args[0]),)))

    def matrix_entry(self, expr: Any, guard: Register | None) -> Register:
        whole, *indices = expr.args
        if not isinstance(whole, Inverse):
            raise ExerciseError(f"{whole} has no entries to index")
        array = whole.args[0]
        slot = self.emit("inv", (self.matrix(array),))
        return self.entry(slot, "float", array.shape, indices, guard, expr)


_READ: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (Idx, Builder.arange),
    (Indexed, Builder.indexed),
    (Symbol, Builder.symbol),
    (Add, lambda self, expr, guard: self.add(self.term(a, guard) for a in expr.args)),
    (Mul, Builder.product),
    (Pow, Builder.power),
    (Piecewise, Builder.piecewise),
    (KroneckerDelta, Builder.delta),
    (Sum, Builder.sum),
    ((Product, MaxOver, MinOver, RunnerUpGap), Builder.reduction),
    ((ArgMaxOver, ArgMinOver), Builder.winner),
    (MatrixEntry, Builder.matrix_entry),
    ((Det, LogDet), Builder.determinant),
    ((Max, Min), Builder.extremum),
    ((floor, ceiling), Builder.floored),
    (Mod, Builder.modulo),
    (sympy.Heaviside, Builder.heaviside),
)
_REDUCE: dict[type, str] = {
    Product: "prod",
    MaxOver: "amax",
    MinOver: "amin",
    RunnerUpGap: "gap",
    ArgMaxOver: "argmax",
    ArgMinOver: "argmin",
}


def _find(table: Sequence[tuple[Any, Callable[..., Any]]], node: Basic) -> Callable[..., Any] | None:
    return next((rule for kinds, rule in table if isinstance(node, kinds)), None)


# -- what an expression is ---------------------------------------------------------------------------------


@lru_cache(maxsize=65536)
def _is_constant(expr: Basic) -> bool:
    """Numbers and sizes alone."""
    if isinstance(expr, (Idx, Indexed, Tensor, ExprWithLimits)):
        return False
    if isinstance(expr, Symbol):
        return is_size(expr)
    return all(map(_is_constant, expr.args))


@lru_cache(maxsize=65536)
def _is_whole(expr: Basic) -> bool:
    """Integer arithmetic on indices, sizes and integer tensors, which must stay exact."""
    if isinstance(expr, (Idx, Integer, ArgMaxOver, ArgMinOver)):
        return True
    if isinstance(expr, Indexed):
        return bool(expr.base.label.is_integer)
    if isinstance(expr, Symbol):
        return bool(expr.is_integer)
    if isinstance(expr, (Add, Mul, Mod)):
        return all(map(_is_whole, expr.args))
    if isinstance(expr, (floor, ceiling)):
        return all(map(_is_whole, expr.args[0].as_numer_denom()))
    return False


@lru_cache(maxsize=65536)
def _tame(expr: Basic) -> bool:
    """Finite wherever its tensors are: a mask may multiply it."""
    if isinstance(expr, (Indexed, Symbol)) or _is_constant(expr):
        return True
    if isinstance(expr, Pow):
        return bool(expr.exp.is_Integer and expr.exp > 0) and _tame(expr.base)
    if isinstance(expr, (MatrixEntry, Det, LogDet)):
        return True
    if isinstance(expr, Function) and not isinstance(expr, (Piecewise, Max, Min, KroneckerDelta)):
        return type(expr).__name__ in _TAME and all(map(_tame, expr.args))
    parts = expr.args[:1] if isinstance(expr, ExprWithLimits) else expr.args
    return all(map(_tame, parts))


@lru_cache(maxsize=4096)
def _reach(condition: Basic) -> int:
    """0 for conditions on indices alone, 1 with entries at plain indices, 2 where an entry may leave its axis."""
    entries = condition.atoms(Indexed)
    if not entries:
        return 0
    return 1 if all(isinstance(i, Idx) for e in entries for i in e.indices) else 2


@lru_cache(maxsize=4096)
def _same(a: Expr, b: Expr) -> bool:
    return a == b or (a - b).expand() == 0


def _line(at: Expr) -> tuple[Idx, Expr, Expr] | None:
    """`step*index + start` with a positive whole step."""
    free = free_indices(at)
    if len(free) != 1:
        return None
    (index,) = free
    if at == index:
        return index, S.One, S.Zero
    step = at.expand().coeff(index)
    start = (at - step * index).expand()
    if step.is_Integer and step > 0 and _is_constant(start) and start.is_integer:
        return index, step, start
    return None


def _shared(index: Idx, dim: int, axes: Sequence[Expr]) -> bool:
    return any(index in free_indices(a) for d, a in enumerate(axes) if d != dim)


def _mask_of(expr: Basic) -> tuple[Expr, Basic] | None:
    """`(f, condition)` for Piecewise((f, condition), (0, True)), the Iverson bracket included."""
    if isinstance(expr, Piecewise) and len(expr.args) == 2:
        (first, condition), (second, rest) = expr.args
        if rest == S.true and second == 0:
            return first, condition
        if rest == S.true and first == 0:
            return second, sympy.Not(condition)
    return None


# -- taking a product apart ---------------------------------------------------------------------------------


def split(expr: Basic) -> Parts:
    """Constant, numerator, denominator, conditions and deltas of a product."""
    parts = Parts()
    for factor in Mul.make_args(expr):
        mask = _mask_of(factor)
        if _is_constant(factor):
            parts.constant *= factor
        elif isinstance(factor, KroneckerDelta):
            parts.deltas.append(factor)
        elif mask is not None:
            for condition in And.make_args(mask[1]):
                _guarded(parts, condition)
            parts.absorb(split(mask[0]))
        elif isinstance(factor, Pow) and _is_constant(factor.exp) and factor.exp.could_extract_minus_sign():
            parts.below.append(Pow(factor.base, -factor.exp))
        else:
            parts.above.append(factor)
    return parts


def _guarded(parts: Parts, condition: Basic) -> None:
    """A condition; an equation between indices is a delta."""
    if isinstance(condition, Eq) and _is_whole(condition.lhs) and _is_whole(condition.rhs):
        delta = KroneckerDelta(condition.lhs, condition.rhs)
        if isinstance(delta, KroneckerDelta):
            parts.deltas.append(delta)
            return
    if condition != S.true:
        parts.conditions.append(condition)


def _replaced(parts: Parts, mapping: Mapping[Idx, Expr]) -> Parts:
    """Every part with indices replaced."""
    made = Parts(parts.constant)
    made.above = [substitute(e, mapping) for e in parts.above]
    made.below = [substitute(e, mapping) for e in parts.below]
    for condition in parts.conditions:
        _guarded(made, substitute(condition, mapping))
    for delta in parts.deltas:
        new = substitute(delta, mapping)
        if isinstance(new, KroneckerDelta):
            made.deltas.append(new)
        else:
            made.constant *= new
    return made


def _opaque(expr: Any, guard: Register | None) -> Any:
    """The reduction, its indices renamed where a guard outside uses the same ones."""
    bound = bound_indices(expr)
    if not all(isinstance(b, Idx) for b in bound):
        raise ExerciseError(f"{expr} runs over something that is not an index: make one with exercise.indices(...)")
    if guard is None or set(bound).isdisjoint(guard.axes):
        return expr
    body, renamed = freshen(expr)
    return reduce_over(type(expr), body, renamed)


def _flattened(expr: Sum) -> tuple[Expr, list[Idx]]:
    """A sum of a sum is one sum over the indices of both."""
    body, bound = expr.args[0], list(bound_indices(expr))
    while isinstance(body, Sum):
        inner, more = freshen(body) if set(bound_indices(body)) & set(bound) else (body.args[0], bound_indices(body))
        body, bound = inner, [*bound, *more]
    return body, bound


def _opened(parts: Parts, bound: list[Idx]) -> tuple[Parts, list[Idx]]:
    """Inner sums with deltas join the outer one, which may scatter what they cannot."""
    made = replace(parts, above=[])
    for factor in parts.above:
        if isinstance(factor, Sum) and split(_flattened(factor)[0]).deltas:
            body, more = freshen(reduce_over(Sum, *_flattened(factor)))
            made.absorb(split(body))
            bound = [*bound, *more]
        else:
            made.above.append(factor)
    return made, bound


def _solved(parts: Parts, bound: list[Idx]) -> tuple[Parts, list[Idx]]:
    """Sum(f(k)*delta(a, k), k) = f(a), where a is on k's axis."""
    for delta in parts.deltas:
        for here, there in (delta.args[:2], delta.args[1::-1]):
            if here in bound and here not in free_indices(there) and _is_whole(there):
                rest = replace(parts, deltas=[d for d in parts.deltas if d is not delta])
                made = _replaced(rest, {here: there})
                if not (isinstance(there, Idx) and _same(size(there), size(here))):
                    for condition in And.make_args(within(there, size(here))):
                        _guarded(made, condition)
                return _solved(made, [i for i in bound if i != here])
    return parts, bound


def _targets(parts: Parts, bound: Sequence[Idx], kept: Sequence[Idx]) -> tuple[dict[Idx, Expr], Parts]:
    """Free indices that a delta ties to summed ones: where rows are added into place. Those in `kept` stay free."""
    targets: dict[Idx, Expr] = {}
    made = replace(parts, deltas=[], conditions=list(parts.conditions))
    for delta in parts.deltas:
        for here, there in (delta.args[:2], delta.args[1::-1]):
            value = substitute(there, targets)
            free = free_indices(value)
            taken = {*bound, *kept, *targets, *free}
            fits = isinstance(here, Idx) and here not in taken
            if fits and _is_whole(value) and not free.isdisjoint(bound):
                among = [v for v in targets if v in free_indices(there)]
                among += [here] if any(here in free_indices(v) for v in targets.values()) else []
                targets = {v: substitute(old, {here: value}) for v, old in targets.items()} | {here: value}
                for v in among:  # a place that depends on another place is one only where that is on its axis
                    for condition in And.make_args(within(targets[v], size(v))):
                        _guarded(made, condition)
                break
        else:
            made.deltas.append(delta)
    return targets, made


def _apart(
    parts: Parts, conditions: Sequence[Basic], targets: Mapping[Idx, Expr], bound: Sequence[Idx]
) -> tuple[tuple[Parts, list[Basic]], tuple[Parts, list[Basic]]]:
    """What no summed index touches stays outside a scatter; inside it, targets are what their delta says."""

    def touched(node: Basic) -> bool:
        return not free_indices(node).isdisjoint(bound)

    outer = Parts(S.One, [e for e in parts.above if not touched(e)], [e for e in parts.below if not touched(e)])
    inner = Parts(parts.constant, [e for e in parts.above if touched(e)], [e for e in parts.below if touched(e)])
    outside = [c for c in conditions if not touched(c)]
    inside = [c for c in conditions if touched(c)]
    reached = frozenset().union(*map(free_indices, (*inner.above, *inner.below, *inside)))
    inner.above = [substitute(e, targets) for e in inner.above]
    inner.below = [substitute(e, targets) for e in inner.below]
    inside = [substitute(c, targets) for c in inside]
    # what holds at the target holds where it is added from
    inside += [substitute(c, targets) for c in outside if not free_indices(c).isdisjoint(targets)]
    reached |= frozenset().union(*map(free_indices, outside))
    for v, value in targets.items():
        if v in reached:
            inside += [c for c in And.make_args(within(value, size(v))) if c != S.true]
    return (outer, outside), (inner, inside)


# -- the order of contractions --------------------------------------------------------------------------------


def _lonely(factor: Factor, todo: Sequence[Factor], left: Sequence[Idx]) -> list[Idx]:
    """Summed indices that only this factor has."""
    others = {a for f in todo if f is not factor for a in f.axes}
    return [i for i in left if i in factor.axes and i not in others]


def _pairs(todo: Sequence[Factor], left: Sequence[Idx]) -> list[tuple[Factor, Factor]]:
    return [(f, g) for f, g in combinations(todo, 2) if any(i in f.axes and i in g.axes for i in left)]


def _cost(pair: tuple[Factor, Factor], todo: Sequence[Factor], left: Sequence[Idx]) -> tuple[float, float]:
    """Work, then size of the result, as powers of a typical size."""
    f, g = pair
    union = set(f.axes) | set(g.axes)
    others = {a for h in todo if h is not f and h is not g for a in h.axes}
    gone = {i for i in left if i in union and i not in others}
    return sum(map(_weight, union)), sum(map(_weight, union - gone))


def _weight(index: Idx) -> float:
    extent = size(index)
    return math.log(max(int(extent), 1)) / math.log(64) if extent.is_Integer else 1.0


# -- the plan -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    """Steps for one choice of results: (call, inputs, output, slots that nobody needs any more)."""

    fixed: list[tuple[Callable[..., Any], tuple[int, ...], int]]  # depends on sizes alone: kept between runs
    lasting: list[int]
    steps: list[tuple[Callable[..., Any], tuple[int, ...], int, tuple[int, ...]]]


class Plan:
    """A compiled program: `run` gives the quantities it defines, in the axis order of their indices.

    Results may be views of one another or of the values given: copy before changing one in place.
    """

    def __init__(self, builder: Builder, names: Sequence[str]):
        self.names = tuple(names)
        self.inputs = frozenset(builder.inputs)
        self._given = list(builder.inputs.values())
        self._results = dict(builder.results)
        self._constants = dict(builder.constants)
        self._size_names = sorted({s.name for c in self._constants for s in c.free_symbols})
        self._instructions = _alive(builder.instructions, self._results.values())
        self._slots = builder.slots
        self._schedules: dict[frozenset[str] | None, Schedule] = {}
        self._numbers: dict[tuple[int, ...], list[tuple[int, Any]]] = {}
        self._lasting: dict[tuple[Any, ...], list[Any]] = {}
        self._calls: list[Callable[..., Any]] | None = None
        self._between: dict[tuple[str, tuple[str, ...]], list[int]] = {}

    def run(
        self, values: Mapping[str, torch.Tensor], sizes: Mapping[str, int], keep: Collection[str] | None = None
    ) -> dict[str, torch.Tensor]:
        """All defined quantities, or those in `keep`; what is not needed is neither computed nor held."""
        wanted = self.names if keep is None else [n for n in self.names if n in frozenset(keep)]
        if keep is not None and len(wanted) != len(frozenset(keep)):
            unknown = ", ".join(sorted(frozenset(keep) - frozenset(wanted)))
            raise UsageError(f"the program does not define {unknown}: it defines {', '.join(self.names)}")
        schedule = self._schedule(None if keep is None else frozenset(keep))
        slots = self._filled(values, sizes)
        self._fix(schedule, slots, sizes)
        for call, inputs, output, done in schedule.steps:
            slots[output] = call(*[slots[i] for i in inputs])
            for slot in done:
                slots[slot] = None
        return {name: slots[self._results[name]] for name in wanted}

    def trace(self, values: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> Trace:
        """Run, and keep every register: for many runs that differ in one quantity."""
        if self._calls is None:
            self._calls = [OPS[made.op](*made.params) for made in self._instructions]
        slots = self._filled(values, sizes)
        for call, made in zip(self._calls, self._instructions, strict=True):
            slots[made.output] = call(*[slots[i] for i in made.inputs])
        return Trace(self, slots)

    def _downstream(self, name: str, wanted: tuple[str, ...]) -> list[int]:
        """Positions of the instructions between a quantity and the wanted ones, in order."""
        if (name, wanted) not in self._between:
            start = self._place(name)
            reached, needed = {start}, {self._results[w] for w in wanted} - {start}
            after = []
            for position, made in enumerate(self._instructions):
                if made.output != start and not reached.isdisjoint(made.inputs):
                    reached.add(made.output)
                    after.append(position)
            used = []
            for position in reversed(after):
                if self._instructions[position].output in needed:
                    needed.update(self._instructions[position].inputs)
                    used.append(position)
            self._between[name, wanted] = used[::-1]
        return self._between[name, wanted]

    def _place(self, name: str) -> int:
        """The slot that uses of a quantity read."""
        if name in self._results:
            return self._results[name]
        return next((given.slot for given in self._given if given.name == name), -1)

    def _filled(self, values: Mapping[str, torch.Tensor], sizes: Mapping[str, int]) -> list[Any]:
        slots: list[Any] = [None] * self._slots
        for slot, constant in self._sized(sizes):
            slots[slot] = constant
        given = {}
        for each in self._given:
            if each.name not in values:
                reads = ", ".join(sorted(self.inputs))
                raise UsageError(f"no value is given for {each.name}: the program reads {reads}")
            given[each.name] = values[each.name]
        like = next((x for x in (*given.values(), *values.values()) if x.is_floating_point()), None)
        some = next(iter((*given.values(), *values.values())), None)
        slots[DTYPE] = torch.float64 if like is None else like.dtype
        slots[DEVICE] = torch.device("cpu") if some is None else some.device
        for each in self._given:
            x = given[each.name]
            shape = tuple(slots[s] for s in each.shape)
            if tuple(x.shape) != shape:
                raise UsageError(f"{each.name} has shape {tuple(x.shape)}, but its axes have sizes {shape}")
            if each.kind == "int":
                x = x.long()
            elif not x.is_floating_point():
                x = x.to(slots[DTYPE])
            slots[each.slot] = x
        return slots

    def _sized(self, sizes: Mapping[str, int]) -> list[tuple[int, Any]]:
        key = tuple(sizes.get(n, 0) for n in self._size_names)
        if key not in self._numbers:
            self._numbers[key] = [(slot, number(expr, sizes)) for expr, slot in self._constants.items()]
        return self._numbers[key]

    def _fix(self, schedule: Schedule, slots: list[Any], sizes: Mapping[str, int]) -> None:
        """Index tensors and masks that depend on sizes alone are made once."""
        if not schedule.fixed:
            return
        key = (id(schedule), slots[DTYPE], slots[DEVICE], *(sizes.get(n) for n in self._size_names))
        if key not in self._lasting:
            for call, inputs, output in schedule.fixed:
                slots[output] = call(*[slots[i] for i in inputs])
            while len(self._lasting) >= 4:
                self._lasting.pop(next(iter(self._lasting)))
            self._lasting[key] = [slots[i] for i in schedule.lasting]
            for _, _, output in schedule.fixed:
                slots[output] = None
        for slot, made in zip(schedule.lasting, self._lasting[key], strict=True):
            slots[slot] = made

    def _schedule(self, keep: frozenset[str] | None) -> Schedule:
        if keep not in self._schedules:
            self._schedules[keep] = self._plan([self._results[n] for n in self.names if keep is None or n in keep])
        return self._schedules[keep]

    def _plan(self, results: Sequence[int]) -> Schedule:
        used = _alive(self._instructions, results)
        still = {DTYPE, DEVICE, *self._constants.values()}
        fixed, moving = [], []
        for made in used:
            if still.issuperset(made.inputs):
                still.add(made.output)
                fixed.append((OPS[made.op](*made.params), made.inputs, made.output))
            else:
                moving.append(made)
        outputs = {output for _, _, output in fixed}
        lasting = sorted({i for made in moving for i in made.inputs if i in outputs} | (outputs & set(results)))
        last: dict[int, int] = {}
        for position, made in enumerate(moving):
            last.update((slot, position) for slot in (*made.inputs, made.output))
        done: dict[int, list[int]] = {}
        for slot, position in last.items():
            if slot not in results and slot not in self._constants.values() and slot not in (DTYPE, DEVICE):
                done.setdefault(position, []).append(slot)
        steps = [
            (OPS[made.op](*made.params), made.inputs, made.output, tuple(done.get(position, ())))
            for position, made in enumerate(moving)
        ]
        return Schedule(fixed, lasting, steps)


def _alive(instructions: Sequence[Instruction], results: Iterable[int]) -> list[Instruction]:
    """The instructions that the results need."""
    needed, used = set(results), []
    for made in reversed(instructions):
        if made.output in needed:
            needed.update(made.inputs)
            used.append(made)
    return used[::-1]


class Trace:
    """A finished run. `changed` repeats the part of it that follows from another value of one quantity.

    Use it on a `distinct` plan: there a quantity's uses by name are all that reads its slot.
    """

    def __init__(self, plan: Plan, slots: list[Any]):
        self._plan = plan
        self._slots = slots

    def value(self, name: str) -> torch.Tensor:
        return self._slots[self._plan._results[name]]

    def work(self, name: str, wanted: tuple[str, ...]) -> int:
        """How many calls lie between a quantity and the wanted ones."""
        return len(self._plan._downstream(name, wanted))

    def changed(self, name: str, value: torch.Tensor, wanted: tuple[str, ...]) -> list[torch.Tensor]:
        """The wanted quantities, had `name` this value."""
        plan, slots = self._plan, self._slots
        new: dict[int, Any] = {plan._place(name): value}
        assert plan._calls is not None
        for position in plan._downstream(name, wanted):
            made = plan._instructions[position]
            new[made.output] = plan._calls[position](*[new[i] if i in new else slots[i] for i in made.inputs])
        return [new.get(plan._results[w], slots[plan._results[w]]) for w in wanted]


def compile_program(definitions: Iterable[Definition], *, distinct: bool = False) -> Plan:
    """Read a straight-line program of `(name, indices, expression)` once, for all sizes, dtypes and devices.

    With `distinct`, for use under autograd, each name is a node of its own: `torch.autograd.grad(loss, q)` sees
    the uses of q by name, and not a repetition of its formula elsewhere.
    """
    builder = Builder(distinct)
    names = []
    for name, indices, expr in definitions:
        try:
            builder.define(name, tuple(indices), sympy.sympify(expr))
        except ExerciseError as error:
            raise ExerciseError(f"{name}: {error}") from None
        names.append(name)
    return Plan(builder, names)


def evaluate(
    expr: Expr, indices: Sequence[Idx], values: Mapping[str, torch.Tensor], sizes: Mapping[str, int]
) -> torch.Tensor:
    """One expression over `indices`: `evaluate(x[i, j]*w[j], (i, j), {"x": x, "w": w}, {"N": 3, "D": 5})`."""
    return compile_program([("", tuple(indices), expr)]).run(values, sizes)[""]
