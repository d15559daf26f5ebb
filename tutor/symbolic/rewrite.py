"""Matching up to index names: find a definition or a fact inside an expression and write it by its name.

The free indices of a pattern are variables; bound ones must correspond one to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sympy import Add, Basic, Expr, Idx, Indexed, Mul, Pow, S, exp
from sympy.concrete.expr_with_limits import ExprWithLimits

from tutor.symbolic.functions import RATIOS, sigmoid
from tutor.symbolic.indices import Tensor, bound_indices, free_indices, quantities_in, size, substitute, transform

Env = dict[Idx, Expr]


def match(pattern: Basic, node: Basic, env: Env, variables: frozenset[Idx]) -> Env | None:
    """The values of the index variables that make `pattern` equal `node`, or None."""
    if isinstance(pattern, Idx):
        if pattern in env:
            return env if env[pattern] == node else None
        if pattern in variables and isinstance(node, Idx) and size(node) == size(pattern):
            return {**env, pattern: node}
        return env if pattern == node else None
    if type(pattern) is not type(node):
        return None
    if not pattern.args or isinstance(pattern, Tensor):
        return env if pattern == node else None
    if isinstance(pattern, ExprWithLimits):
        return _match_reduction(pattern, node, env, variables)
    if isinstance(pattern, Indexed):
        if pattern.base != node.base:
            return None
        return _match_all(pattern.indices, node.indices, env, variables)
    if len(pattern.args) != len(node.args):
        return None
    if isinstance(pattern, (Add, Mul)):
        return _match_any_order(list(pattern.args), list(node.args), env, variables)
    return _match_all(pattern.args, node.args, env, variables)


def _match_all(patterns: Sequence[Basic], nodes: Sequence[Basic], env: Env, variables: frozenset[Idx]) -> Env | None:
    if len(patterns) != len(nodes):
        return None
    found: Env | None = env
    for pattern, node in zip(patterns, nodes, strict=True):
        found = None if found is None else match(pattern, node, found, variables)
    return found


def _match_any_order(patterns: list[Basic], nodes: list[Basic], env: Env, variables: frozenset[Idx]) -> Env | None:
    if not patterns:
        return env
    for position, node in enumerate(nodes):
        found = match(patterns[0], node, env, variables)
        if found is not None:
            rest = _match_any_order(patterns[1:], nodes[:position] + nodes[position + 1 :], found, variables)
            if rest is not None:
                return rest
    return None


def _match_reduction(pattern: ExprWithLimits, node: ExprWithLimits, env: Env, variables: frozenset[Idx]) -> Env | None:
    mine, theirs = bound_indices(pattern), bound_indices(node)
    if sorted(map(str, map(size, mine))) != sorted(map(str, map(size, theirs))):
        return None
    inner = {old: new for old, new in env.items() if old not in mine}
    found = match(pattern.args[0], node.args[0], inner, variables | set(mine))
    if found is None or sorted(str(found.get(b)) for b in mine) != sorted(map(str, theirs)):
        return None
    outer = {old: new for old, new in found.items() if old not in mine}
    leaked = any(new in theirs for new in outer.values())  # a bound index of the node cannot be a free one's value
    return None if leaked else {**outer, **{old: new for old, new in env.items() if old in mine}}


def fold(node: Expr, pattern: Expr, value: Expr, variables: Sequence[Idx]) -> Expr:
    """Write `pattern` as `value` wherever it stands: as a whole, as part of a product, as a power of its base."""
    wanted = quantities_in(pattern)
    free = frozenset(variables)
    if not wanted <= quantities_in(node):
        return node

    def visit(part: Basic) -> Basic | None:
        if not isinstance(part, Expr) or not wanted <= quantities_in(part):
            return None
        env = match(pattern, part, {}, free)
        if env is not None:
            return _written(value, env, free)
        if isinstance(pattern, Add) and isinstance(part, Add) and len(part.args) == len(pattern.args):
            env = match(-pattern, part, {}, free)
            written = None if env is None else _written(value, env, free)
            return None if written is None else -written
        if isinstance(part, Pow) and isinstance(pattern, Pow):
            return _fold_power(part, pattern, value, free)
        if isinstance(part, Mul) and isinstance(pattern, Mul):
            return _fold_product(part, pattern, value, free)
        return None

    return transform(node, visit)


def _fold_power(part: Pow, pattern: Pow, value: Expr, free: frozenset[Idx]) -> Expr | None:
    """`base**(-3/2)` is `istd**3` when `istd = base**(-1/2)`."""
    if not part.exp.is_number or not (part.exp / pattern.exp).is_Integer:
        return None
    env = match(pattern.base, part.base, {}, free)
    written = None if env is None else _written(value, env, free)
    return None if written is None else written ** (part.exp / pattern.exp)


def _written(value: Expr, env: Env, free: frozenset[Idx]) -> Expr | None:
    """`value` at the indices found; one that the pattern never mentions can only be that of an axis of one entry."""
    missing = (free & free_indices(value)) - set(env)
    if any(size(index) != 1 for index in missing):
        return None
    return substitute(value, {**env, **dict.fromkeys(missing, S.Zero)})


def powers(product: Expr) -> dict[Expr, Expr]:
    """Base -> exponent over the factors of a product, numbers included as bases with exponent 1."""
    found: dict[Expr, Expr] = {}
    for factor in Mul.make_args(product):
        base, exponent = factor.as_base_exp() if isinstance(factor, Pow) and factor.exp.is_number else (factor, S.One)
        if factor.is_number:
            base, exponent = factor, S.One
        found[base] = found.get(base, S.Zero) + exponent
    return found


def _fold_product(part: Mul, pattern: Mul, value: Expr, free: frozenset[Idx]) -> Expr | None:
    """`e*dp/s` is `p*dp` when `p = e/s`: the pattern's factors are among the product's."""
    have, want = powers(part), list(powers(pattern).items())
    if sum(not base.is_number for base, _ in want) < 2:
        return None

    def choose(position: int, have: Mapping[Expr, Expr], env: Env) -> tuple[Mapping[Expr, Expr], Env] | None:
        if position == len(want):
            return have, env
        base, exponent = want[position]
        for mine, mine_exponent in have.items():
            rest = mine_exponent - exponent
            if not (rest == 0 or (rest.is_number and mine_exponent / exponent > 1)):
                continue
            found = match(base, mine, env, free)
            if found is not None:
                done = choose(position + 1, {**have, mine: rest}, found)
                if done is not None:
                    return done
        return None

    chosen = choose(0, have, {})
    if chosen is None:
        return None
    left, env = chosen
    written = _written(value, env, free)
    return None if written is None else written * Mul(*(base**exponent for base, exponent in left.items()))


def name_ratios(node: Expr) -> Expr:
    """`sinh(x)/cosh(x)` as `tanh(x)`, `exp(x)/(1 + exp(x))` as `sigmoid(x)`."""

    def visit(part: Basic) -> Basic | None:
        if not isinstance(part, Mul):
            return None
        table = powers(part)
        for power in (base for base in table if isinstance(base, exp) and table.get(1 + base) == -1):
            return part / power * (1 + power) * sigmoid(power.args[0])
        for (above, below), name in RATIOS.items():
            for base, exponent in table.items():
                under = below(base.args[0]) if isinstance(base, above) else None
                if exponent == 1 and under is not None and table.get(under) == -1:
                    return part / base * under * name(base.args[0])
        return None

    return transform(node, visit)


def replace_sums(node: Expr, pattern: Expr, value: Expr, variables: Sequence[Idx]) -> Expr:
    """Write a declared sum by its value: `Sum(y[i, k], k)` as 1."""
    free = frozenset(variables)

    def visit(part: Basic) -> Basic | None:
        if type(part) is not type(pattern):
            return None
        env = match(pattern, part, {}, free)
        return None if env is None else substitute(value, env)

    return transform(node, visit)
