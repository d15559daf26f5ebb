"""Index calculus: what is bound, what is free, and substitution that never captures.

Tensors are `Tensor` (an `IndexedBase` that knows its shape), axes are `Idx` with a symbolic size.
`Sum` and every other reduction bind their indices; all functions here treat them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count

from sympy import (
    Add,
    And,
    Expr,
    Idx,
    Indexed,
    IndexedBase,
    KroneckerDelta,
    Mod,
    Mul,
    Piecewise,
    S,
    Sum,
    Symbol,
    Tuple,
    cancel,
    floor,
    fraction,
    sympify,
    together,
)
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.basic import Basic
from sympy.core.relational import Relational

from tutor.errors import ExerciseError
from tutor.language import nsaid


class Tensor(IndexedBase):
    """A named array that knows its shape: `x[i, j]` is an entry, and needs one index per axis."""

    def __getitem__(self, indices, **kwargs):
        given = indices if isinstance(indices, (tuple, list)) else (indices,)
        axes = len(self.shape)
        if len(given) != axes:
            shape = ", ".join(str(size) for size in self.shape)
            raise ExerciseError(nsaid(
                "{name} has {axes} axis ({shape}) but is indexed with {count}: write one index per axis",
                "{name} has {axes} axes ({shape}) but is indexed with {count}: write one index per axis",
                axes, name=self.name, axes=axes, shape=shape, count=len(given),
            ))  # fmt: skip
        return Indexed(self, *given, **kwargs)

    @property
    def name(self) -> str:
        return str(self.label)


class IndexTensor(Tensor):
    """Integers that stay below a size, used as indices: `E[t[n], d]`."""

    def __new__(cls, label, shape, below, **assumptions):
        made = super().__new__(cls, label, shape, **assumptions)
        made._args = (*made._args, sympify(below))
        return made

    @property
    def below(self) -> Expr:
        return self.args[2]


class IndexSymbol(Symbol):
    """One integer that stays below a size, used as an index: `p[o]`."""

    __slots__ = ("below",)

    def __new__(cls, name, below, **assumptions):
        made = Symbol.__xnew__(cls, name, **assumptions)
        made.below = sympify(below)
        return made

    def __getnewargs_ex__(self):
        return (self.name, self.below), self._assumptions_orig

    def _hashable_content(self):
        return (*super()._hashable_content(), self.below)


def tensor(name: str, indices: Sequence[Idx], **assumptions) -> Expr | Tensor:
    """The symbol of a quantity: a `Symbol` without indices, a `Tensor` with them."""
    if not indices:
        return Symbol(name, **(assumptions or {"real": True}))
    return Tensor(name, shape=tuple(size(i) for i in indices), **(assumptions or {"real": True}))


def entry(symbol: Expr | Tensor, indices: Sequence[Expr]) -> Expr:
    """`x[i, j]`, or `x` itself for a scalar."""
    return Indexed(symbol, *indices) if indices else symbol


def name_of(node: Basic) -> str | None:
    """The quantity's name that an `Indexed` entry or a scalar `Symbol` refers to."""
    if isinstance(node, Indexed):
        return str(node.base.label)
    if isinstance(node, Symbol) and not isinstance(node, Idx):
        return node.name
    return None


@lru_cache(maxsize=4096)
def size(index: Idx) -> Expr:
    """The number of values an index runs over."""
    return index.upper - index.lower + 1


def fits(length: Expr, extent: Expr) -> bool:
    """Whether an index of this length may stand on an axis, all of it or its front: `t` over T on T + M, or 3 on 5.

    Nothing may be subtracted in what is left of the axis: N on N*T stays refused, since there an author forgot a
    digit (`n*T + t`) more often than meant a part, and so does 1 on 5, which is spelled `x[0]`. Of two indices that
    were mistaken for one another, one is always too long.
    """
    left = (extent - length).expand()
    return left == 0 or (length != 1 and all(term.as_coeff_Mul()[0] > 0 for term in Add.make_args(left)))


# -- reductions ---------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _limit(index: Idx) -> Tuple:
    return Tuple(index, index.lower, index.upper)


def bound_indices(reduction: ExprWithLimits) -> tuple[Idx, ...]:
    """The indices a `Sum` (or another reduction) binds."""
    return tuple(limit[0] for limit in reduction.limits)


def reduce_over(kind: type, body: Expr, indices: Sequence[Idx]) -> Expr:
    """`kind(body, i, j)` without SymPy's costly reading of limits we made ourselves."""
    return _reduction(kind, body, tuple(map(_limit, indices))) if indices else body


def _reduction(kind: type, body: Expr, limits: Sequence[Tuple]) -> Expr:
    made = Expr.__new__(kind, body, *limits)
    made.is_commutative = True  # SymPy sets it in the constructor that is passed over here
    return made


@lru_cache(maxsize=65536)
def free_indices(node: Basic) -> frozenset[Idx]:
    """The indices that occur free, nested ones (`E[t[n], d]`) included."""
    if isinstance(node, Idx):
        return frozenset((node,))
    if isinstance(node, ExprWithLimits):
        return free_indices(node.args[0]) - set(bound_indices(node))
    if isinstance(node, Indexed):
        return frozenset().union(*map(free_indices, node.indices))
    return frozenset().union(*map(free_indices, node.args))


@lru_cache(maxsize=65536)
def ordered_indices(node: Basic) -> tuple[Idx, ...]:
    """Free indices in the order a reader meets them."""
    free = free_indices(node)
    seen: dict[Idx, None] = {}
    for part in _walk(node):
        if isinstance(part, Idx) and part in free:
            seen.setdefault(part)
    return tuple(seen)


def _walk(node: Basic) -> Iterator[Basic]:
    if isinstance(node, Idx):
        yield node
        return
    parts = node.indices if isinstance(node, Indexed) else node.args
    if not parts:
        yield node
    for part in parts:
        yield from _walk(part)


@lru_cache(maxsize=65536)
def quantities_in(node: Basic) -> frozenset[str]:
    """Names of the scalars and tensors that occur, sizes included, index labels not."""
    if isinstance(node, Idx):
        return frozenset()
    if isinstance(node, Indexed):
        return frozenset((str(node.base.label),)).union(*map(quantities_in, node.indices))
    if isinstance(node, Tensor):
        return frozenset((node.name,))
    if isinstance(node, Symbol):
        return frozenset((node.name,))
    parts = node.args[:1] if isinstance(node, ExprWithLimits) else node.args
    return frozenset().union(*map(quantities_in, parts))


# -- substitution ---------------------------------------------------------------------------

_serial = count()


def fresh(index: Idx) -> Idx:
    """An index over the same axis that no other expression uses."""
    return Idx(Symbol(f"{index.name}~{next(_serial)}", integer=True), size(index))


def rebuild(node: Basic, args: Sequence[Basic]) -> Basic:
    """`node` with other arguments; untouched nodes keep their identity."""
    if all(new is old for new, old in zip(args, node.args, strict=True)):
        return node
    if isinstance(node, ExprWithLimits):
        return _reduction(type(node), args[0], args[1:])
    return node.func(*args)


def transform(node: Basic, visit: Callable[[Basic], Basic | None]) -> Basic:
    """Bottom-up rewriting: `visit` sees every node after its parts and may return another."""
    if isinstance(node, (Idx, Tensor)) or not node.args:
        return _or_same(visit(node), node)
    if isinstance(node, ExprWithLimits):
        args = (transform(node.args[0], visit), *node.args[1:])
    elif isinstance(node, Indexed):
        args = (node.args[0], *(transform(a, visit) for a in node.args[1:]))
    else:
        args = tuple(transform(a, visit) for a in node.args)
    node = rebuild(node, args)
    return _or_same(visit(node), node)


def _or_same(found: Basic | None, node: Basic) -> Basic:
    return node if found is None else found  # 0 is an answer too


def substitute(node: Basic, mapping: Mapping[Idx, Expr]) -> Basic:
    """Replace free indices; bound ones are renamed first where an inserted expression would be captured."""
    mapping = {old: new for old, new in mapping.items() if old is not new and old != new}
    if not mapping or free_indices(node).isdisjoint(mapping):
        return node
    if isinstance(node, Idx):
        return mapping.get(node, node)
    if isinstance(node, ExprWithLimits):
        bound = bound_indices(node)
        inner = {old: new for old, new in mapping.items() if old not in bound}
        entering = frozenset().union(*(free_indices(new) for new in inner.values()))
        renamed = {b: fresh(b) if b in entering else b for b in bound}
        body = substitute(substitute(node.args[0], renamed), inner)
        return reduce_over(type(node), body, [renamed[b] for b in bound])
    if isinstance(node, Indexed):
        return rebuild(node, [node.args[0], *(substitute(a, mapping) for a in node.indices)])
    return rebuild(node, [substitute(a, mapping) for a in node.args])


def freshen(reduction: ExprWithLimits) -> tuple[Expr, list[Idx]]:
    """The body and bound indices of a reduction under names nobody else uses."""
    renamed = {b: fresh(b) for b in bound_indices(reduction)}
    return substitute(reduction.args[0], renamed), list(renamed.values())


def insert(node: Basic, name: str, indices: Sequence[Idx], value: Expr) -> Basic:
    """Replace every `name[a, b]` by `value` with its `indices` set to `a, b`: capture-free at each insertion."""
    if name not in quantities_in(node):
        return node

    def at(arguments: Sequence[Expr]) -> Expr:
        apart = {i: fresh(i) for i in indices}  # so that x[j, i] does not swap half-way
        return substitute(substitute(value, apart), {apart[i]: a for i, a in zip(indices, arguments, strict=True)})

    def walk(part: Basic) -> Basic:
        if name not in quantities_in(part):
            return part
        if name_of(part) == name:
            return at(part.indices if isinstance(part, Indexed) else ())
        if isinstance(part, ExprWithLimits):
            body, bound = freshen(part)
            return reduce_over(type(part), walk(body), bound)
        if isinstance(part, Indexed):
            return rebuild(part, [part.args[0], *map(walk, part.indices)])
        return rebuild(part, [walk(a) for a in part.args])

    return walk(node)


def rename_bound(node: Basic, choose: Callable[[Idx, frozenset[Idx]], Idx]) -> Basic:
    """Give every bound index the name that `choose(index, names in use)` says; outer ones first."""
    return _rename_bound(node, choose, free_indices(node))


def _rename_bound(node: Basic, choose: Callable[[Idx, frozenset[Idx]], Idx], used: frozenset[Idx]) -> Basic:
    if isinstance(node, (Idx, Tensor)) or not node.args:
        return node
    if isinstance(node, ExprWithLimits):
        body, bound = node.args[0], bound_indices(node)
        taken = used | (free_indices(body) - set(bound))
        names: dict[Idx, Idx] = {}
        for b in bound:
            names[b] = choose(b, taken)
            taken |= {names[b]}
        if any(names[b] in free_indices(body) for b in bound if names[b] != b):
            apart = {b: fresh(b) for b in bound}  # two bound indices trade names
            body = substitute(body, apart)
            body = substitute(body, {apart[b]: names[b] for b in bound})
        else:
            body = substitute(body, names)
        return reduce_over(type(node), _rename_bound(body, choose, taken), list(names.values()))
    if isinstance(node, Indexed):
        return rebuild(node, [node.args[0], *(_rename_bound(a, choose, used) for a in node.indices)])
    return rebuild(node, [_rename_bound(a, choose, used) for a in node.args])


# -- masks and ranges -------------------------------------------------------------------------


def bracket(condition: Basic) -> Expr:
    """The Iverson bracket: 1 where the condition holds, else 0."""
    if condition is S.true:
        return S.One
    if condition is S.false:
        return S.Zero
    return Piecewise((S.One, condition), (S.Zero, True))


def bracket_condition(node: Basic) -> Basic | None:
    """The condition of an Iverson bracket, or None for anything else."""
    if isinstance(node, Piecewise) and len(node.args) == 2:
        (one, condition), (zero, rest) = node.args
        if one == 1 and zero == 0 and rest == S.true:
            return condition
    return None


def never_negative(expression: Expr, axes: Iterable[Expr] = ()) -> bool:
    """Whether a polynomial in sizes is >= 0 for all sizes >= 1 and `axes` (`L - K + 1`) >= 1; False: cannot tell."""
    if _never_negative(expression):
        return True
    lengths = tuple(sorted((a for a in axes if isinstance(a, Add)), key=str))
    return bool(lengths) and _never_negative(_in_lengths(expression, lengths))


@lru_cache(maxsize=65536)
def _never_negative(expression: Expr) -> bool:
    symbols = [s for s in expression.free_symbols if not isinstance(s, Idx)]
    if not all(s.is_integer and s.is_nonnegative for s in symbols):
        return False
    shifted = expression.expand().xreplace({s: s + 1 for s in symbols if s.is_positive})
    return all(term.as_coeff_Mul()[0] >= 0 for term in shifted.expand().as_ordered_terms())


@lru_cache(maxsize=65536)
def _in_lengths(expression: Expr, lengths: tuple[Expr, ...]) -> Expr:
    """`L` as `O + K - 1` where `O = L - K + 1` is the size of an axis, which has an entry at least."""
    replaced: dict[Symbol, Expr] = {}
    for number, length in enumerate(lengths):
        length = length.xreplace(replaced).expand()
        if _never_negative(length - 1):
            continue
        own = sorted((s for s in length.free_symbols if length.coeff(s) == 1), key=str)
        symbol = next((s for s in own if not (length - s).has(s)), None)
        if symbol is not None:
            value = Symbol(f"axis~{number}", integer=True, positive=True) - (length - symbol)
            replaced = {s: v.xreplace({symbol: value}) for s, v in replaced.items()} | {symbol: value}
    return expression.xreplace(replaced)


@lru_cache(maxsize=65536)
def axis_sizes(*nodes: Basic) -> frozenset[Expr]:
    """Sums that are sizes wherever these expressions mean something: of an index, and what a digit divides by."""
    found: set[Expr] = set()
    for node in nodes:
        found.update(size(i) for i in free_indices(node))
        found.update(part.args[1] for part in node.atoms(Mod))
        divided = (over(part.args[0]) for part in node.atoms(floor))
        found.update(below for above, below in divided if not above.could_extract_minus_sign())
    return frozenset(sum_ for s in found if (sum_ := _sum_in(s)) is not None)


def _sum_in(extent: Expr) -> Expr | None:
    """Of a size 2*C*(L - K + 1) the sum, which is positive as the size is; of two sums neither need be."""
    sums = [part.primitive()[1] for part in Mul.make_args(extent) if not never_negative(part)]
    return sums[0] if len(sums) == 1 and isinstance(sums[0], Add) else None


@lru_cache(maxsize=65536)
def over(expression: Expr) -> tuple[Expr, Expr]:
    """Numerator and denominator: l/3 - 4/3 is (l - 4)/3."""
    return fraction(together(expression) if isinstance(expression, Add) else expression)


@lru_cache(maxsize=65536)
def quotient(above: Expr, below: Expr) -> Expr | None:
    """`above / below` where that is a whole polynomial in sizes, else None."""
    made = (above / below).expand()
    if not _is_polynomial(made):
        made = cancel(above / below).expand()
    return made if _is_polynomial(made) else None


def _is_polynomial(expression: Expr) -> bool:
    return all(fraction(term)[1] == 1 for term in Add.make_args(expression))


def bounds(expression: Expr) -> tuple[Expr, Expr] | None:
    """Least and greatest value of an index expression linear in its indices (and index entries), else None."""
    low = high = expression
    gathered = {e: e.base.below for e in expression.atoms(Indexed) if isinstance(e.base, IndexTensor)}
    gathered |= {e: e.below for e in expression.atoms(IndexSymbol)}
    gathered |= {e: n for e in outermost_digits(expression) if (n := values_of(e)) is not None}
    outside = free_indices(expression.xreplace(dict.fromkeys(gathered, S.Zero)))
    ranges = {e: (S.Zero, below - 1) for e, below in gathered.items()} | {i: (i.lower, i.upper) for i in outside}
    axes = axis_sizes(expression)
    for atom, (least, greatest) in ranges.items():
        slope = expression.expand().coeff(atom)
        rising = never_negative(slope, axes)
        if not (rising or never_negative(-slope, axes)) or (expression - slope * atom).expand().has(atom):
            return None
        low = low.xreplace({atom: least if rising else greatest})
        high = high.xreplace({atom: greatest if rising else least})
    return low.expand(), high.expand()


def outermost_digits(node: Basic) -> Iterator[Basic]:
    """The floors and remainders that stand in no other one."""
    if isinstance(node, (floor, Mod)):
        yield node
    elif not isinstance(node, (Indexed, Idx)):
        for part in node.args:
            yield from outermost_digits(part)


def values_of(digit: Basic) -> Expr | None:
    """How many values, from 0 up, `Mod(j, D)` or `floor(j/D)` takes; None where that cannot be told."""
    if isinstance(digit, Mod):
        return digit.args[1]
    above, below = over(digit.args[0])
    limits = bounds(above)
    if limits is None or not never_negative(limits[0], axis_sizes(above)):
        return None
    return quotient(limits[1] + 1, below)


def within(expression: Expr, extent: Expr) -> Basic:
    """The condition 0 <= expression < extent, without the halves that always hold."""
    if _counted_off(expression, extent):
        return S.true
    limits, axes = bounds(expression), axis_sizes(expression)
    conditions = []
    if limits is None or not never_negative(limits[0], axes):
        conditions.append(expression >= 0)
    if limits is None or not never_negative((extent - 1 - limits[1]).expand(), axes):
        conditions.append(expression < extent)
    return And(*conditions)


def _counted_off(expression: Expr, extent: Expr) -> bool:
    """Whether `Mod(j, D)` or `floor(j/D)` stays on its axis: the digits of an index."""
    if isinstance(expression, Mod):
        return never_negative((extent - expression.args[1]).expand(), axis_sizes(expression))
    if not isinstance(expression, floor):
        return False
    above, below = over(expression.args[0])
    limits, axes = bounds(above), axis_sizes(expression)
    return (
        limits is not None
        and never_negative(below, axes)
        and never_negative(limits[0], axes)
        and never_negative((below * extent - 1 - limits[1]).expand(), axes)
    )


def settled(condition: Basic) -> Basic:
    """A condition on indices without the parts that their ranges decide."""

    def decide(part: Basic) -> Basic | None:
        if not isinstance(part, Relational) or quantities_in(part) - _size_names(part):
            return None
        gap = bounds(part.gts - part.lts) if hasattr(part, "gts") else None
        if gap is None:
            return None
        strict = 1 if "Strict" in type(part).__name__ else 0
        axes = axis_sizes(part)
        if never_negative(gap[0] - strict, axes):
            return S.true
        if never_negative(-gap[1] + strict - 1, axes):
            return S.false
        return None

    return transform(condition, decide)


def _size_names(part: Basic) -> frozenset[str]:
    """Names in a relation that can only be sizes: every non-index symbol that is a positive integer."""
    return frozenset(
        s.name
        for s in part.free_symbols
        if isinstance(s, Symbol) and not isinstance(s, Idx) and s.is_integer and s.is_positive
    )


# -- sums ---------------------------------------------------------------------------------------


def total(body: Expr, indices: Iterable[Idx]) -> Expr:
    """`Sum(body, indices)`: factors free of an index leave its sum, independent parts get sums of
    their own, a sum of nothing that varies becomes its size, and deltas with a summed side contract."""
    single = {i: S.Zero for i in indices if size(i) == 1}  # an axis of one entry
    body = substitute(body, single)
    indices = [i for i in indices if i not in single]
    if not indices or body == 0:
        return body
    factors = list(Mul.make_args(body))
    for position, factor in enumerate(factors):
        if isinstance(factor, KroneckerDelta):
            contracted = _contract(factor, indices)
            if contracted is not None:
                index, value, mask = contracted
                rest = Mul(*factors[:position], *factors[position + 1 :])
                return total(substitute(rest, {index: value}) * mask, [i for i in indices if i != index])
    outside: list[Expr] = []
    groups: list[tuple[set[Idx], list[Expr]]] = []
    for factor in factors:
        reach = set(free_indices(factor) & set(indices))
        if not reach:
            outside.append(factor)
            continue
        touching = [g for g in groups if g[0] & reach]
        merged = (reach.union(*(g[0] for g in touching)), [f for g in touching for f in g[1]] + [factor])
        groups = [g for g in groups if not g[0] & reach] + [merged]
    covered: set[Idx] = set().union(*(g[0] for g in groups))
    for index in indices:
        if index not in covered:
            outside.append(size(index))
    for reach, inner in groups:
        number, product = _number_outside(inner)
        outside.append(number)
        if isinstance(product, Sum):  # Sum(Sum(f, i), j) is one sum over both
            body, more = freshen(product)
            outside.append(reduce_over(Sum, body, [i for i in indices if i in reach] + more))
        else:
            outside.append(reduce_over(Sum, product, [i for i in indices if i in reach]))
    return Mul(*outside)


def _number_outside(factors: Sequence[Expr]) -> tuple[Expr, Expr]:
    """`x*(2*a - 2*b)` as 2 and `x*(a - b)`: SymPy multiplies a number into a sum."""
    number = S.One
    rest = []
    for factor in factors:
        content, primitive = factor.primitive() if isinstance(factor, Add) else (S.One, factor)
        number, factor = (number * content, primitive) if content.is_Integer else (number, factor)
        rest.append(factor)
    return number, Mul(*rest)


def _contract(delta: KroneckerDelta, indices: Sequence[Idx]) -> tuple[Idx, Expr, Expr] | None:
    """Solve a delta for one summed index: (index, its value, the mask that its range leaves)."""
    left, right = delta.args
    for index in indices:
        for here, there in ((left, right), (right, left)):
            if here == index and index not in free_indices(there):
                inside = isinstance(there, Idx) and size(there) == size(index)
                return index, there, S.One if inside else bracket(within(there, size(index)))
    return None


def solve(slot: Expr, target: Expr, index: Idx) -> Expr | None:
    """The value of `index` for which the index expression `slot` equals `target`, where its slope is 1 or -1."""
    slope = slot.expand().coeff(index) if isinstance(slot, Expr) else S.Zero
    if slope not in (1, -1) or index in free_indices((slot - slope * index).expand()):
        return None
    if _hidden(slot, index):
        return None
    return ((target - (slot - slope * index)) * slope).expand()


def _hidden(slot: Expr, index: Idx) -> bool:
    """Whether `index` also sits inside a floor, a remainder or another entry."""
    return any(index in free_indices(part) for part in slot.atoms(floor, Mod, Indexed))
