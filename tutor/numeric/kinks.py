"""Where formulas are not smooth: finding it, keeping away from it, and going there on purpose.

Draws keep away from kinks, where a gradient is a matter of choice. Two kinds do not: one *beside* many kinks, so that
a formula that is only nearly right falls on the wrong side of some; and one *on* kinks, where a strict exercise has
torch's choice and any other has every subgradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sympy import (
    Add,
    And,
    Basic,
    Expr,
    Function,
    Idx,
    Indexed,
    KroneckerDelta,
    Max,
    Min,
    Mul,
    Not,
    Piecewise,
    S,
    Symbol,
)
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.relational import Relational
from torch import Tensor

from tutor.errors import ExerciseError
from tutor.exercise import Exercise
from tutor.language import said
from tutor.numeric.evaluate import Plan, compile_program
from tutor.numeric.programs import forward_plan
from tutor.symbolic.functions import clamp, function_row
from tutor.symbolic.indices import (
    bound_indices,
    bracket_condition,
    free_indices,
    freshen,
    ordered_indices,
    quantities_in,
    reduce_over,
)
from tutor.symbolic.operations import RunnerUpGap, operation_row

ON = 1e-12  # a distance that is rounding's: the point lies on the kink
FAR = 1e-3  # how far from a kink a point has to be
NEAR = 0.005  # of the typical distance: how close a draw beside kinks comes
MOST = 2_000  # entries of leaves, and of kinks, up to which such a draw is looked for
STEPS = 8
TARGETS = 12  # distances that are made small at once


# -- finding ------------------------------------------------------------------------------------------------


def own_kinks(expr: Basic) -> Sequence[Expr]:
    """Where this node itself is not smooth, its parts aside."""
    if isinstance(expr, (Max, Min)):
        return [a - b for n, a in enumerate(expr.args) for b in expr.args[:n]]
    if isinstance(expr, clamp):
        return [expr.args[0] - bound for bound in expr.args[1:] if bound.is_finite]
    if isinstance(expr, Relational):
        return [] if _on_indices(expr) else [expr.lhs - expr.rhs]
    row = operation_row(expr)
    if row is not None:
        return row.kinks(expr)
    if isinstance(expr, Function) and not isinstance(expr, (Piecewise, KroneckerDelta)):
        try:
            return function_row(expr).kinks(expr.args[0])
        except ExerciseError:
            return []
    return []


def kinks(expr: Basic, guard: Basic = S.true, own: Callable[[Basic], Sequence[Expr]] = own_kinks) -> Iterator[Expr]:
    """Expressions at whose zeros a formula is not smooth, each 1 where a condition keeps it out of sight."""
    if isinstance(expr, (Symbol, Idx, Indexed)):
        return
    for kink in own(expr):
        if quantities_in(kink):
            yield kink if guard == S.true else Piecewise((kink, guard), (S.One, True))
    if isinstance(expr, Piecewise):
        earlier: Basic = S.true
        for body, condition in expr.args:
            yield from kinks(condition, And(guard, earlier), own)
            yield from kinks(body, And(guard, earlier, condition), own)
            earlier = And(earlier, Not(condition))
        return
    if isinstance(expr, Mul):
        conditions = [c for c in map(bracket_condition, expr.args) if c is not None]
        guard = And(guard, *conditions)
    if isinstance(expr, ExprWithLimits):
        guard, expr = _apart(guard, expr)
        yield from kinks(expr.args[0], guard, own)
        return
    for part in expr.args:
        yield from kinks(part, guard, own)


def _apart(guard: Basic, reduction: Any) -> tuple[Basic, Any]:
    """A guard from outside does not speak of the indices bound inside."""
    if free_indices(guard).isdisjoint(bound_indices(reduction)):
        return guard, reduction
    body, renamed = freshen(reduction)
    return guard, reduce_over(type(reduction), body, renamed)


def _on_indices(relation: Relational) -> bool:
    """A relation between integers has no point where it is about to change."""
    return bool(relation.lhs.is_integer and relation.rhs.is_integer)


@dataclass(frozen=True)
class Kink:
    """`node`, in the formula of `quantity`, is not smooth where `zero` is 0."""

    quantity: str
    node: Basic
    zero: Expr

    @property
    def sides(self) -> tuple[Expr, Expr]:
        """a and b, where it is a - b that is 0."""
        zero = self._plain
        terms = Add.make_args(zero)
        moved = [term for term in terms if term.could_extract_minus_sign()]
        if not moved or len(moved) == len(terms):
            moved = [term for term in terms if term.is_number]
        return Add(*(t for t in terms if t not in moved)), -Add(*moved)

    @property
    def tie(self) -> Expr | None:
        """The body of the maximum or minimum whose largest or smallest entries are equal."""
        return self._plain.args[0] if isinstance(self._plain, RunnerUpGap) else None

    @property
    def _plain(self) -> Expr:
        return self.zero.args[0][0] if isinstance(self.zero, Piecewise) else self.zero


def kinks_of(exercise: Exercise) -> list[Kink]:
    """All of them, each zero set once."""

    def find() -> list[Kink]:
        found: dict[Expr, Kink] = {}
        for q in exercise.forward:
            nodes: dict[Expr, Basic] = {}

            def own(node: Basic, nodes: dict[Expr, Basic] = nodes) -> Sequence[Expr]:
                made = own_kinks(node)
                nodes.update(dict.fromkeys(made, node))
                return made

            for zero in kinks(q.expr, own=own):
                plain = zero.args[0][0] if isinstance(zero, Piecewise) else zero
                found.setdefault(zero, Kink(q.name, nodes.get(plain, q.expr), zero))
        return list(found.values())

    return exercise.cached("kinks", find)


def kink_plan(exercise: Exercise) -> Plan:
    """The distances to all kinks."""

    def make() -> Plan:
        zeros = [kink.zero for kink in kinks_of(exercise)]
        return compile_program([(f"kink {n}", ordered_indices(k), k) for n, k in enumerate(zeros)])

    return exercise.cached("kink plan", make)


def margin(exercise: Exercise, values: Mapping[str, Tensor], sizes: Mapping[str, int]) -> float:
    """The distance to the nearest kink; infinite where there is none."""
    found = kink_plan(exercise).run(values, sizes).values()
    return min((float(k.abs().min()) for k in found if k.numel()), default=math.inf)


def hit(exercise: Exercise, values: Mapping[str, Tensor], sizes: Mapping[str, int]) -> list[Kink]:
    """The kinks that some entry lies on."""
    found = kink_plan(exercise).run(values, sizes).values()
    return [kink for kink, distance in zip(kinks_of(exercise), found, strict=True) if bool((distance.abs() < ON).any())]


def torch_takes(node: Basic) -> str:
    """The choice that torch makes where `node` is not smooth, in words."""
    if isinstance(node, (Max, Min)):
        return said("shares the gradient equally among what is tied")
    operation = operation_row(node)
    if operation is not None:
        return operation.at_kinks
    if isinstance(node, clamp):
        return said("takes the slope 1 for clamp")
    if isinstance(node, Relational) or not isinstance(node, Function):
        return said("follows the branch that the formula says")
    row = function_row(node)
    return said(
        "takes the slope {slope} for {function}",
        slope=row.slope(S.Zero, row.sympy(S.Zero)),
        function=row.torch.rpartition(".")[2],
    )


# -- going there ----------------------------------------------------------------------------------------------


def beside(
    exercise: Exercise,
    leaves: Mapping[str, Tensor],
    sizes: Mapping[str, int],
    source: torch.Generator,
    only: int | None = None,
    sign: int = 0,
) -> dict[str, Tensor] | None:
    """The leaves, moved to where some distances to kinks are small, of either sign; None where that is not found.

    Newton's method, the shortest step each time: a few distances d, chosen by chance (or those to the kink number
    `only`), are brought, to the side `sign` or either, to NEAR times what is typical of them.
    """
    real = [q.name for q in exercise.leaves if q.differentiable and q.domain == "real"]
    if not kinks_of(exercise) or not real or sum(leaves[name].numel() for name in real) > MOST:
        return None
    forward, zeros = forward_plan(exercise), kink_plan(exercise)

    def distances(at: Mapping[str, Tensor]) -> list[Tensor]:
        return [d.reshape(-1) for d in zeros.run({**at, **forward.run(at, sizes)}, sizes).values()]

    with torch.no_grad():
        aims = _aims(distances(leaves), source, only, sign)
    if aims is None:
        return None
    chosen, goal, close = aims
    at = dict(leaves)
    for _ in range(STEPS):
        with torch.enable_grad():
            moving = {name: at[name].detach().requires_grad_(True) for name in real}
            now = torch.cat(distances({**at, **moving}))[chosen]
            step = _shortest_step(goal - now.detach(), now, list(moving.values()))
        if step is None or float((goal - now.detach()).abs().max()) < close / 4:
            break
        at.update({name: at[name] + part for name, part in zip(real, step, strict=True)})
    with torch.no_grad():
        gap = torch.cat(distances(at))[chosen] - goal
    return at if bool((gap.abs() < close).any()) else None


def _aims(
    start: Sequence[Tensor], source: torch.Generator, only: int | None, sign: int
) -> tuple[Tensor, Tensor, float] | None:
    """(which distances are moved, where to, how close that has to be)"""
    distance = torch.cat(list(start))
    family = torch.cat([torch.full(d.shape, n) for n, d in enumerate(start)])
    order = torch.randperm(len(distance), generator=source)
    chosen = (order if only is None else order[family[order] == only])[:TARGETS]
    typical = float(distance.abs().median())
    if len(distance) > MOST or not len(chosen) or not 0 < typical < math.inf:
        return None
    shares = 0.25 + 0.75 * torch.rand(len(chosen), generator=source, dtype=torch.float64)
    signs = 1 - 2 * torch.randint(2, (len(chosen),), generator=source).double()
    signs = signs if not sign else torch.full_like(signs, sign)
    far = FAR * shares if sign else 2 * FAR + NEAR * typical * shares
    return chosen, signs * far, FAR / 4 if sign else NEAR * typical


def _shortest_step(gap: Tensor, now: Tensor, leaves: Sequence[Tensor]) -> list[Tensor] | None:
    """J^T (J J^T)^-1 gap, damped a little, in the shapes of the leaves; None where a distance does not move."""
    if not all(d.requires_grad for d in now):
        return None
    rows = [torch.autograd.grad(d, leaves, retain_graph=True, allow_unused=True) for d in now]
    jacobian = torch.stack([
        torch.cat([torch.zeros(x.numel(), dtype=x.dtype) if g is None else g.reshape(-1)
                   for g, x in zip(row, leaves, strict=True)])
        for row in rows
    ])  # fmt: skip
    square = jacobian @ jacobian.T
    if not bool(square.any()):
        return None
    damping = 1e-6 * square.diagonal().sum() * torch.eye(len(rows), dtype=square.dtype)
    step = jacobian.T @ torch.linalg.solve(square + damping, gap)
    parts = step.split([x.numel() for x in leaves])
    return [part.reshape(x.shape) for part, x in zip(parts, leaves, strict=True)]


def whole(leaves: Mapping[str, Tensor], exercise: Exercise, source: torch.Generator) -> dict[str, Tensor]:
    """The leaves with 1 and 2 of either sign for real ones, positive ones without: sums of such meet their kinks."""
    made = dict(leaves)
    for q in exercise.leaves:
        shape = leaves[q.name].shape
        if q.domain == "real":
            signs = 1 - 2 * torch.randint(2, shape, generator=source)
            made[q.name] = (signs * torch.randint(1, 3, shape, generator=source)).double()
        elif q.domain == "positive":
            made[q.name] = torch.randint(1, 3, shape, generator=source).double()
    return made
