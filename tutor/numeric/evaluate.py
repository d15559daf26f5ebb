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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations, groupby
from typing import Any

import sympy
import torch
from sympy import (
    Add,
    And,
    Basic,
    Eq,
    Expr,
    Function,
    Idx,
    Indexed,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Mul,
    Ne,
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
from sympy.core.relational import Relational
from sympy.functions.special.gamma_functions import polygamma

from tutor.errors import ExerciseError
from tutor.language import joined, said
from tutor.numeric import views
from tutor.numeric.calls import elementwise
from tutor.numeric.constants import COMPARE, is_size, number
from tutor.numeric.plan import DEVICE, DTYPE, Input, Instruction, Plan, Trace
from tutor.numeric.products import (
    TAME,
    Parts,
    apart,
    flattened,
    is_constant,
    is_shared,
    is_whole,
    mask_of,
    opened,
    reach_of,
    same_size,
    solved,
    split,
    straight,
    targets_of,
)
from tutor.symbolic.functions import clamp, function_row
from tutor.symbolic.indices import (
    Tensor,
    axis_sizes,
    bound_indices,
    free_indices,
    freshen,
    never_negative,
    reduce_over,
    size,
)
from tutor.symbolic.operations import (
    AmaxOver,
    AminOver,
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

__all__ = ["Plan", "Trace", "compile_program", "evaluate", "is_size", "number"]

Definition = tuple[str, tuple[Idx, ...], Expr]


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


# -- reading formulas ------------------------------------------------------------------------------------

_ARITHMETIC_OPS = ("add", "sub", "mul", "div", "neg")  # Python's own operators: numbers will do
_TENSORS_ONLY = ("maximum", "minimum")


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
        self.parts: dict[int, tuple[views.Part, Register]] = {}  # what is zero outside of a part of an axis

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
        if name in self.inputs or name in self.results:
            self.terms.clear()  # from here on the name means this
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
            raise ExerciseError(said("{names} is free on the right but not on the left: sum over it", names=names))
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
        if is_constant(expr):
            return Term(expr)
        rule = _find(_READ, expr)
        if rule is not None:
            made = rule(self, expr, guard)
            return made if isinstance(made, Term) else Term(S.One, made)
        if isinstance(expr, Function):
            return Term(S.One, self.function(expr, guard))
        raise ExerciseError(
            said(
                "{expr} ({name}) cannot be evaluated: write it out with + * / ** and Sum",
                expr=expr,
                name=type(expr).__name__,
            )
        )

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
        parts = self.joined(parts)
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
        if exponent.could_extract_minus_sign() and is_constant(exponent) and exponent != Rational(-1, 2):
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
        if row.name not in TAME:
            argument = self.safe(argument, guard)
        elementwise(row.torch)  # an unknown name is reported now, with the formula
        return self.apply("call", (argument,), row.torch)

    def heaviside(self, expr: Expr, guard: Register | None) -> Register:
        return self.apply("heaviside", [self.read(a, guard) for a in expr.args])

    def extremum(self, expr: Expr, guard: Register | None) -> Register:
        largest = isinstance(expr, Max)
        numbers = [a for a in expr.args if is_constant(a)]
        parts = [self.read(a, guard) for a in expr.args if not is_constant(a)]
        made = reduce(lambda a, b: self.apply("maximum" if largest else "minimum", (a, b)), parts)
        if numbers:
            limit = self.value(Term(expr.func(*numbers)))
            made = self.apply("clamp_min" if largest else "clamp_max", (made, limit))
        return made

    def clamped(self, expr: clamp, guard: Register | None) -> Register:
        low, high = (float(bound) if bound.is_finite else None for bound in expr.args[1:])
        return self.apply("clamp", (self.tensor(self.term(expr.args[0], guard)),), low, high)

    def floored(self, expr: Expr, guard: Register | None) -> Register:
        if is_whole(expr):
            return self.whole(expr, guard)
        return self.apply("floor" if isinstance(expr, floor) else "ceil", (self.read(expr.args[0], guard),))

    def modulo(self, expr: Expr, guard: Register | None) -> Register:
        if is_whole(expr):
            return self.whole(expr, guard)
        return self.apply("remainder", [self.read(a, guard) for a in expr.args])

    # -- conditions ------------------------------------------------------------------------------------

    def condition(self, expr: Basic, guard: Register | None) -> Register:
        """A register of truth values."""
        if is_constant(expr):
            return Register(self.emit("truth", (self.constant(expr), DEVICE)), (), "bool")
        if isinstance(expr, Not):
            return self.apply("not", (self.condition(expr.args[0], guard),), kind="bool")
        if isinstance(expr, And):
            return reduce(self.both, self.guards(expr.args, guard)[0])
        if isinstance(expr, Or):  # looked at only where those before it fail
            opposite = And(*(sympy.Not(a, evaluate=False) for a in expr.args), evaluate=False)
            return self.apply("not", (self.condition(opposite, guard),), kind="bool")
        if not isinstance(expr, Relational) or type(expr) not in COMPARE:
            raise ExerciseError(
                said("the condition {expr} cannot be evaluated: use < <= > >= Eq Ne, joined by & | ~", expr=expr)
            )
        whole = is_whole(expr.lhs) and is_whole(expr.rhs)
        sides = [(self.whole if whole else self.read)(side, guard) for side in (expr.lhs, expr.rhs)]
        return self.apply("compare", sides, type(expr).__name__, whole, kind="bool")

    def guards(self, conditions: Iterable[Basic], guard: Register | None) -> tuple[list[Register], Register | None]:
        """The conditions, each looked at only where those of simpler indices hold; and the guard of all."""
        made = []
        for _, level in groupby(sorted(conditions, key=lambda c: (reach_of(c), str(c))), key=reach_of):
            here = [self.condition(c, guard) for c in level]
            made += here
            guard = reduce(self.both, here, guard)
        return made, guard

    def both(self, a: Register | None, b: Register) -> Register:
        return b if a is None else self.apply("and", (a, b), kind="bool")

    def piecewise(self, expr: Piecewise, guard: Register | None) -> Term:
        if mask_of(expr) is not None:
            return self.product(expr, guard)
        found = None if guard is not None else views.segments(expr)
        if found is not None:
            return Term(S.One, self.row(found))
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

    def row(self, found: Sequence[tuple[Expr, views.Part]]) -> Register:
        """Branches that each have a part of an axis, one after the other."""
        self.follow(part for _, part in found)
        pieces = [self.float(self.tensor(self.term(body))) for body, _ in found]
        index = found[0][1].index
        inner = {part.inner: index for _, part in found}
        axes = self.ordered([index, *(inner.get(a, a) for piece in pieces for a in piece.axes)])
        slots = [
            self.spread(piece, [part.inner if a == index else a for a in axes])
            for piece, (_, part) in zip(pieces, found, strict=True)
        ]
        starts = [self.constant(part.start) for _, part in found]
        made = self.emit("joined", (*slots, *starts, self.constant(size(index))), axes.index(index), len(slots))
        return Register(made, axes)

    def choose(self, condition: Register, yes: Register, no: Register) -> Register:
        if no.kind == "number":  # of two numbers torch would make its default dtype
            yes = self.filled(yes)
        return self.apply("where", (condition, yes, no))

    def delta(self, expr: KroneckerDelta, guard: Register | None) -> Register:
        return self.condition(Eq(*expr.args[:2], evaluate=False), guard)

    # -- index expressions: exact integers ------------------------------------------------------------------

    def whole(self, expr: Basic, guard: Register | None) -> Register:
        """An index expression as an integer register."""
        if is_constant(expr):
            return Register(self.constant(expr), (), "number")
        if isinstance(expr, Idx):
            return self.arange(expr)
        if isinstance(expr, (Add, Mul)):
            op = "add" if isinstance(expr, Add) else "mul"
            if all(is_whole(a) for a in expr.args):
                parts = sorted((self.whole(a, guard) for a in expr.args), key=lambda p: p.kind == "number")
                return reduce(lambda a, b: self.apply(op, (a, b), kind="int"), parts)
        if isinstance(expr, (floor, ceiling)) and is_whole(expr):
            sign = 1 if isinstance(expr, floor) else -1
            above, below = (sign * expr.args[0]).as_numer_denom()
            made = self.apply("floor_divide", (self.whole(above, guard), self.whole(below, guard)), kind="int")
            return made if sign == 1 else self.apply("neg", (made,), kind="int")
        if isinstance(expr, Mod) and is_whole(expr):
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
            if is_constant(at):
                given = [slot, self.constant(at), self.constant(extents[dim])]
                slot = self.emit("select", [*given, *self._guards(guard)], str(name), places[dim], dim)
            elif guard is None and (line := straight(at)) and not is_shared(line[0], dim, axes):
                index, step, start = line
                if index == at and same_size(size(index), extents[dim]):
                    continue
                bounds = [self.constant(e) for e in (start, step, size(index), extents[dim])]
                slot = self.emit("strided", (slot, *bounds), str(name), places[dim], dim)
                axes[dim] = index
                extents[dim] = size(index)
                continue
            elif guard is None and (found := views.strides(at, dim, axes)):
                numbers = [e for index, step in found.steps for e in (step, size(index))]
                given = [self.constant(e) for e in (found.start, extents[dim], *numbers)]
                slot = self.emit("spaced", (slot, *given), str(name), places[dim], dim)
                axes[dim : dim + 1] = [index for index, _ in found.steps]
                extents[dim : dim + 1] = [size(index) for index, _ in found.steps]
                places[dim : dim + 1] = places[dim : dim + 1] * len(found.steps)
                continue
            else:
                continue
            del axes[dim], places[dim], extents[dim]
        while (merged := self._merged(slot, axes, extents, places, guard)) is not None:
            slot, axes, extents, places = merged
        return self._gathered(slot, kind, axes, extents, places, guard, str(name))

    def _merged(
        self, slot: int, axes: list[Expr], extents: list[Expr], places: list[int], guard: Register | None
    ) -> tuple[int, list[Expr], list[Expr], list[int]] | None:
        """Axes that are the digits of one index, put side by side and flattened."""
        found = views.digits(axes)
        if found is None:
            return None
        dims = [dim for dim, _ in found.places]
        for dim, count in found.places:
            if not same_size(count, extents[dim]):
                if guard is not None or not never_negative((extents[dim] - count).expand(), axis_sizes(found.index)):
                    return None
                bounds = [self.constant(e) for e in (S.Zero, S.One, count, extents[dim])]
                slot = self.emit("strided", (slot, *bounds), str(found.index), places[dim], dim)
        rest = [d for d in range(len(axes)) if d not in dims]
        rank = self.want.get(found.index, len(self.want))
        ahead = [d for d in rest if not isinstance(axes[d], Idx) or self.want.get(axes[d], len(self.want)) < rank]
        first = len(ahead)
        if all(isinstance(axes[d], Idx) for d in rest):  # the copy has the order that is asked for
            ahead.sort(key=lambda d: self.want.get(axes[d], len(self.want)))
            rest = ahead + [d for d in rest if d not in ahead]
        else:
            rest = ahead + [d for d in rest if d not in ahead]
        order = [*rest[:first], *dims, *rest[first:]]
        if order != list(range(len(order))):
            slot = self.emit("permute", (slot,), *order)
        if len(dims) > 1:
            slot = self.emit("flatten", (slot,), first, first + len(dims) - 1)
        return (
            slot,
            [*(axes[d] for d in rest[:first]), found.index, *(axes[d] for d in rest[first:])],
            [*(extents[d] for d in rest[:first]), size(found.index), *(extents[d] for d in rest[first:])],
            [*(places[d] for d in rest[:first]), places[dims[0]], *(places[d] for d in rest[first:])],
        )

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
        plain = [isinstance(a, Idx) and same_size(size(a), e) for a, e in zip(axes, extents, strict=True)]
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
        parts, narrow = self.narrowed(split(expr), guard)
        conditions = [*parts.conditions, *(Eq(*d.args[:2], evaluate=False) for d in parts.deltas)]
        constant, factors, masks = self.factors(parts, conditions, guard)
        return self.placed(self.masked(constant, self.multiply(factors), masks, parts.tame), narrow)

    def narrowed(self, parts: Parts, guard: Register | None) -> tuple[Parts, list[views.Part]]:
        """A product over the part of an axis to which its masks confine it."""
        parts, found = views.narrowed(parts, () if guard is None else guard.axes)
        self.follow(found)
        return parts, found

    def follow(self, found: Iterable[views.Part]) -> None:
        """An index over a part of an axis stands where the axis does."""
        for part in found:
            if part.index in self.want:
                self.want[part.inner] = self.want[part.index]

    def placed(self, term: Term, narrow: Sequence[views.Part]) -> Term:
        """The whole axis again, zero outside of the part."""
        for part in narrow:
            if term.constant == 0:
                return Term(S.Zero)
            register = self.tensor(Term(S.One, term.register)) if term.register else self.tensor(Term(S.One))
            register = self.float(register)
            if part.inner not in register.axes:
                axes = self.ordered((*register.axes, part.inner))
                register = Register(self.spread(register, axes), axes)
            dim = register.axes.index(part.inner)
            bounds = [self.constant(e) for e in (part.start, part.step, size(part.index))]
            slot = self.emit("place", (register.slot, *bounds), dim)
            self.parts[slot] = (part, register)
            axes = tuple(part.index if a == part.inner else a for a in register.axes)
            term = Term(term.constant, Register(slot, axes))
        return term

    def joined(self, parts: list[tuple[Expr, Register]]) -> list[tuple[Expr, Register]]:
        """Summands that fill different parts of one axis are put one after the other instead of added."""
        groups: dict[tuple[Idx, frozenset[Idx]], list[tuple[Expr, Register]]] = {}
        for constant, register in parts:
            if register.slot in self.parts:
                part = self.parts[register.slot][0]
                groups.setdefault((part.index, frozenset(register.axes)), []).append((constant, register))
        for (index, axes), group in groups.items():
            known = [self.parts[register.slot] for _, register in group]
            order = views.in_a_row([part for part, _ in known]) if len(group) > 1 else None
            if order is None:
                continue
            wanted = self.ordered(axes)
            dim = wanted.index(index)
            slots = []
            for n in order:
                part, register = known[n]
                register = self.value(Term(group[n][0], register))
                slots.append(self.spread(register, [part.inner if a == index else a for a in wanted]))
            starts = [self.constant(known[n][0].start) for n in order]
            made = self.emit("joined", (*slots, *starts, self.constant(size(index))), dim, len(order))
            parts = [p for p in parts if p not in group] + [(S.One, Register(made, wanted))]
        return parts

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
        return self.total(*flattened(_opaque(expr, guard)), guard)

    def total(self, body: Expr, bound: list[Idx], guard: Register | None) -> Term:
        """Sum of a sum: term by term. Sum of a product: solve deltas, scatter, contract."""
        if isinstance(body, Add):
            return self.add([self.total(part, bound, guard) for part in body.args])
        parts = split(body)
        parts, bound = opened(parts, bound)
        parts, bound = solved(parts, bound)
        if parts.constant == 0:
            return Term(S.Zero)
        parts, narrow = self.narrowed(parts, guard)
        inner = {part.index: part.inner for part in narrow}
        outside = [part for part in narrow if part.index not in bound]
        bound = [inner.get(index, index) for index in bound]
        targets, parts = targets_of(parts, bound, () if guard is None else guard.axes)
        conditions = [*parts.conditions, *(Eq(*d.args[:2], evaluate=False) for d in parts.deltas)]
        if targets:
            return self.placed(self.scatter(targets, parts, conditions, bound, guard), outside)
        return self.placed(self.contraction(parts, conditions, bound, guard), outside)

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
        alone, inner = apart(parts, conditions, targets, bound)
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
            raise ExerciseError(
                said("{expr} runs over {count} indices: nest one inside the other", expr=expr, count=len(expr.limits))
            )
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
            raise ExerciseError(said("{whole} has no entries to index", whole=whole))
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
    (clamp, Builder.clamped),
    ((floor, ceiling), Builder.floored),
    (Mod, Builder.modulo),
    (sympy.Heaviside, Builder.heaviside),
)
_REDUCE: dict[type, str] = {
    Product: "prod",
    MaxOver: "amax",
    AmaxOver: "amax_shared",
    AminOver: "amin_shared",
    MinOver: "amin",
    RunnerUpGap: "gap",
    ArgMaxOver: "argmax",
    ArgMinOver: "argmin",
}


def _find(table: Sequence[tuple[Any, Callable[..., Any]]], node: Basic) -> Callable[..., Any] | None:
    return next((rule for kinds, rule in table if isinstance(node, kinds)), None)


def _opaque(expr: Any, guard: Register | None) -> Any:
    """The reduction, its indices renamed where a guard outside uses the same ones."""
    bound = bound_indices(expr)
    if not all(isinstance(b, Idx) for b in bound):
        raise ExerciseError(
            said("{expr} runs over something that is not an index: make one with exercise.indices(...)", expr=expr)
        )
    if guard is None or set(bound).isdisjoint(guard.axes):
        return expr
    body, renamed = freshen(expr)
    return reduce_over(type(expr), body, renamed)


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


def compile_program(definitions: Iterable[Definition], *, distinct: bool = False) -> Plan:
    """Read a straight-line program of `(name, indices, expression)` once, for all sizes, dtypes and devices.

    With `distinct`, for use under autograd, each name is a node of its own: `torch.autograd.grad(loss, q)` sees
    the uses of q by name, and not a repetition of its formula elsewhere.
    """
    builder = Builder(distinct)
    for name, indices, expr in definitions:
        try:
            builder.define(name, tuple(indices), sympy.sympify(expr))
        except ExerciseError as error:
            raise ExerciseError(joined([name, error.says], ": ")) from None
    return Plan(builder.results, builder.inputs, builder.constants, builder.instructions, builder.slots)


def evaluate(
    expr: Expr, indices: Sequence[Idx], values: Mapping[str, torch.Tensor], sizes: Mapping[str, int]
) -> torch.Tensor:
    """One expression over `indices`: `evaluate(x[i, j]*w[j], (i, j), {"x": x, "w": w}, {"N": 3, "D": 5})`."""
    return compile_program([("", tuple(indices), expr)]).run(values, sizes)[""]
