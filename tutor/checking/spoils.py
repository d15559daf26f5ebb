"""The true step, spoilt: for each known mistake the values that a learner who makes it would get.

A spoil takes a gradient's structure apart (the terms that its consumers send back, their upstream gradient, local
factors, sums, picks) and puts it together with one thing wrong. SPOILS is the table of most mistakes (`mistakes.py` has
those that are a constant ratio); a row yields variants, each an index expression with the parameters of its message.
All variants of one gradient are compiled as one program, so that what they share is computed once, and are evaluated on
the learner's own earlier values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from math import inf, prod
from typing import Any

from sympy import Add, Basic, Expr, Idx, Indexed, KroneckerDelta, Mod, Mul, Piecewise, Pow, S, Symbol, exp, floor
from sympy.concrete.expr_with_limits import ExprWithLimits
from torch import Tensor

from tutor.checking.report import Mistake
from tutor.errors import ExerciseError
from tutor.exercise import Exercise, Quantity
from tutor.language import N_, joined, said
from tutor.numeric.compare import DOUBLE, simple_fraction, unravelled
from tutor.numeric.evaluate import compile_program, evaluate, number
from tutor.symbolic.derive import Contribution, Term, contributions, paths, pick_name
from tutor.symbolic.indices import (
    bracket,
    bracket_condition,
    entry,
    free_indices,
    fresh,
    insert,
    name_of,
    quantities_in,
    rename_bound,
    size,
    substitute,
    total,
    transform,
    within,
)
from tutor.symbolic.notation import plain_form
from tutor.symbolic.operations import MaxOver, MinOver
from tutor.symbolic.rewrite import powers

MOST = 120  # variants of one gradient
MOST_NAMED = 4  # mistakes that one line is given
ROUGHLY = 1e-6  # at a first look
MOST_ENTRIES = 2_000_000  # computed at once
MOST_AXES = 4  # beyond this a spoilt tensor is larger than any learner's


@dataclass(frozen=True)
class Variant:
    """What somebody with this mistake gets: `expr` with axes `indices`."""

    id: str
    says: str
    indices: tuple[Idx, ...]
    expr: Expr
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return said(self.says, **self.params)


@dataclass
class Spoilt:
    """All variants of one gradient and the program that evaluates them."""

    variants: list[Variant]

    def __post_init__(self) -> None:
        self.plan = compile_program([(f"v{n}", v.indices, v.expr) for n, v in enumerate(self.variants)])
        self._shapes: dict[tuple[tuple[str, int], ...], list[tuple[int, ...]]] = {}

    def values(self, known: Mapping[str, Tensor], sizes: Mapping[str, int]) -> list[tuple[Variant, Tensor | None]]:
        """Every variant's values; None for one that has none here."""
        made = self._run(known, sizes, range(len(self.variants)))
        return [(v, made.get(n)) for n, v in enumerate(self.variants)]

    def _run(self, known: Mapping[str, Tensor], sizes: Mapping[str, int], places: Sequence[int]) -> dict[int, Tensor]:
        """A mistake may take an index out of its axis, as a forgotten guard does: it has no values at such sizes."""
        try:
            made = self.plan.run(known, sizes, [f"v{n}" for n in places])
        except ExerciseError:
            if len(places) <= 1:
                return {}
            return {n: x for place in places for n, x in self._run(known, sizes, [place]).items()}
        return {n: made[f"v{n}"] for n in places}

    def _shapes_at(self, sizes: Mapping[str, int]) -> list[tuple[int, ...]]:
        key = tuple(sizes.items())
        if key not in self._shapes:
            self._shapes[key] = [tuple(number(size(i), sizes) for i in v.indices) for v in self.variants]
        return self._shapes[key]

    def fitting(
        self, known: Mapping[str, Tensor], sizes: Mapping[str, int], shape: Sequence[int]
    ) -> Iterator[tuple[int, Variant, Tensor]]:
        """Those of the learner's shape, with their places; a few at a time where they are large."""
        shapes = self._shapes_at(sizes)
        places = [n for n, v in enumerate(self.variants) if v.id == "missing-scatter" or shapes[n] == (*shape,)]
        few = max(MOST_ENTRIES // max(prod(shape), 1), 1)
        for start in range(0, len(places), few):
            some = places[start : start + few]
            yield from ((n, self.variants[n], x) for n, x in self._run(known, sizes, some).items())


class Anatomy:
    """One gradient taken apart."""

    def __init__(self, exercise: Exercise, q: Quantity):
        self.exercise, self.q = exercise, q
        self.parts: list[Contribution] = contributions(exercise, q)
        self.terms: list[Term] = [term for part in self.parts for term in part.terms]

    def total(self, terms: Sequence[Expr]) -> Expr:
        return Add(*terms)

    def but(self, at: int, instead: Expr) -> Expr:
        """The gradient with one term replaced."""
        return Add(*(instead if n == at else term.expr for n, term in enumerate(self.terms)))

    def show(self, node: Basic) -> str:
        """As the learner would write it, without the serial numbers of bound indices."""
        renamed = {i: Idx(Symbol(i.name.split("~")[0], integer=True), size(i)) for i in free_indices(node)}
        node = substitute(node, renamed)
        return plain_form(rename_bound(node, lambda i, taken: pick_name(self.exercise, i, taken)), self.exercise)

    def variant(self, id: str, says: str, expr: Expr, indices: Sequence[Idx] | None = None, **params: Any) -> Variant:
        return Variant(
            id, says, tuple(self.q.indices if indices is None else indices), expr, {"q": self.q.name, **params}
        )


# -- the rows -------------------------------------------------------------------------------------------------


def _transposed(a: Anatomy) -> Iterator[Variant]:
    """given = true.T"""
    if len(a.q.indices) == 2:
        says = N_("d{q} is transposed: it must have the shape of {q}")
        yield a.variant("transposed", says, a.total([t.expr for t in a.terms]), a.q.indices[::-1])


def _as_if_symmetric(a: Anatomy) -> Iterator[Variant]:
    """A square matrix where its transpose belongs: no shape tells."""
    for n, term in enumerate(a.terms):
        for factor in term.factors:
            row, column = factor.indices if isinstance(factor, Indexed) and len(factor.indices) == 2 else (None, None)
            if isinstance(row, Idx) and isinstance(column, Idx) and size(row) == size(column):
                turned = Indexed(factor.base, column, row)
                spoilt = Mul(*(f if f is not factor else turned for f in term.factors))
                says = N_("{m} stands where its transpose belongs: that is the same for a symmetric {m} only")
                yield a.variant("transposed", says, a.but(n, _with(term, spoilt)), m=name_of(factor))


def _forwards(a: Anatomy) -> Iterator[Variant]:
    """A linear step done to dv as it was done to q: `dy.cumsum(0)` where the sums run from the other end."""
    v = a.parts[0].v if len(a.parts) == 1 else None
    if v is None or v.expr is None or v.kind == "loss" or not v.indices or v.shape != a.q.shape:
        return
    upstream = entry(a.exercise.gradient_quantity(v).symbol, a.q.indices)
    linear = not any(quantities_in(f) & {a.q.name} for term in a.terms for f in term.factors)
    if linear and not _without(v.expr, a.q):
        again = insert(v.expr, a.q.name, a.q.indices, upstream)
        apart = {i: fresh(i) for i in v.indices}
        spoilt = substitute(
            substitute(again, apart), {apart[i]: own for i, own in zip(v.indices, a.q.indices, strict=True)}
        )
        says = N_("d{v} goes through the step as {q} did: backwards, what was moved is moved back")
        yield a.variant("transposed", says, spoilt, v=v.name)


def _without(expr: Expr, q: Quantity) -> bool:
    """Whether anything is left of a formula where q is 0."""
    left = insert(expr, q.name, q.indices, S.Zero)
    return transform(left, lambda n: S.Zero if isinstance(n, ExprWithLimits) and n.args[0] == 0 else None) != 0


def _missing_sum(a: Anatomy) -> Iterator[Variant]:
    """The body of the sum, with the axes that should have been summed away."""
    if len(a.terms) != 1:
        return
    term = a.terms[0]
    over = [i for i in term.over if size(i) != 1]
    for count in range(1, len(over) + 1):
        for kept in combinations(over, count):
            rest = [i for i in term.over if i not in kept]
            axes = _natural_order(term, [*a.q.indices, *kept])
            if len(axes) > MOST_AXES:
                continue
            dims = [axes.index(i) for i in kept]
            says = N_("{q} was broadcast over {over}, so its gradient is summed over {over}: write .sum({dims})")
            if _meets(term, a.q):
                says = N_("d{q} is a sum over {over}, and the sum is missing: write .sum({dims})")
            shown = dims[0] if len(dims) == 1 else tuple(dims)
            yield a.variant("missing-sum", says, total(term.body, rest), axes, over=_names(kept), dims=shown)


def _meets(term: Term, q: Quantity) -> bool:
    """Whether q and another tensor meet in a product, so that the sum is a contraction rather than a broadcast."""
    return any(free_indices(f) & set(term.over) for f in term.factors)


def _natural_order(term: Term, axes: Sequence[Idx]) -> tuple[Idx, ...]:
    """As the upstream gradient has them, then the others."""
    first = list(term.upstream.indices) if isinstance(term.upstream, Indexed) else []
    order = [i for i in first if i in axes]
    return (*order, *(i for i in axes if i not in order))


def _names(indices: Sequence[Idx]) -> str:
    return joined([i.name.split("~")[0] for i in indices], said(" and "))


def _wrong_axis(a: Anatomy) -> Iterator[Variant]:
    """Summed over other axes than the broadcast ones."""
    if len(a.terms) != 1 or not a.q.indices:
        return
    term = a.terms[0]
    every = [i for i in _natural_order(term, [*a.q.indices, *term.over]) if size(i) != 1]
    for kept in combinations(every, len([i for i in a.q.indices if size(i) != 1])):
        if set(kept) == {i for i in a.q.indices if size(i) != 1}:
            continue
        rest = [i for i in every if i not in kept]
        right = [i for i in term.over if size(i) != 1]
        says = N_("summed over {wrong} instead of {right}: {q} was broadcast over {right}")
        yield a.variant("wrong-axis", says, total(term.body, rest), kept, wrong=_names(rest), right=_names(right))


def _term_sign(a: Anatomy) -> Iterator[Variant]:
    """One of several terms with its sign flipped."""
    if len(a.terms) > 1:
        for n, term in enumerate(a.terms):
            says = N_("the part through {v} has the wrong sign")
            yield a.variant("sign", says, a.but(n, -term.expr), v=term.v.name)


def _missing_path(a: Anatomy) -> Iterator[Variant]:
    """One use of q not added, or all but one overwritten."""
    for n, term in enumerate(a.terms):
        for factor in term.factors if term.uses > 1 else ():
            for part in factor.args if isinstance(factor, Add) else ():
                rest = Mul(*(f for f in term.factors if f is not factor))
                says = N_("{q} stands more than once in {v}: the part {part} is not added")
                spoilt = _with(term, rest * (factor - part))
                yield a.variant("missing-path", says, a.but(n, spoilt), v=term.v.name, part=a.show(part))
                if len(factor.args) > 2:
                    says = N_("{q} stands more than once in {v}: {part} is one part, the others are not added")
                    alone = _with(term, rest * part)
                    yield a.variant("missing-path", says, a.but(n, alone), v=term.v.name, part=a.show(part))
    if len(a.terms) < 2:
        return
    for n, term in enumerate(a.terms):
        says = N_("{q} is used by {v} as well: that part is not added")
        if sum(other.v is term.v for other in a.terms) > 1:
            says = N_("{q} stands more than once in {v}: one of its parts is not added")
        yield a.variant("missing-path", says, a.but(n, S.Zero), v=term.v.name)
    if len(a.terms) > 2:
        for term in a.terms:
            says = N_("only the part through {v} is there: the others were overwritten or not added")
            yield a.variant("missing-path", says, term.expr, v=term.v.name)


def _wrong_point(a: Anatomy) -> Iterator[Variant]:
    """The slope of v = f(u) taken at v, or what is said in terms of v taken at u."""
    for n, term in enumerate(a.terms):
        body = term.v.expr
        u = body.args[0] if body is not None and body.is_Function and len(body.args) == 1 else None
        if body is None or u is None or name_of(u) is None:
            continue
        places = _places(a, term)
        inner, outer = substitute(u, places), substitute(term.v.entry, places)
        slope = Mul(*term.factors)
        at_output = slope.xreplace({inner: outer})
        at_input = slope.xreplace({substitute(body, places): inner})
        for spoilt, where, should in ((at_output, term.v.name, a.show(u)), (at_input, a.show(u), term.v.name)):
            if spoilt != slope:
                says = N_("the derivative of {f} is taken at {where} where {should} belongs")
                yield a.variant(
                    "wrong-point", says, a.but(n, _with(term, spoilt)), f=body.func.__name__, where=where, should=should
                )


def _one_step_late(a: Anatomy) -> Iterator[Variant]:
    """In dWh = sum over t of h[t-1].T @ da[t], the state after the step instead of the one before."""
    terms: list[Expr] = []
    before: list[str] = []
    after: list[str] = []
    for term in a.terms:
        read = [f for f in term.factors if isinstance(f, Indexed) and name_of(f) in a.exercise.quantities]
        made = next((w for w in a.exercise.forward if w.expr is not None and w.expr.is_Function
                     and w.expr.args == (term.v.entry,)), None)  # fmt: skip
        if len(read) != 1 or made is None or made.shape != a.exercise[name_of(read[0]) or ""].shape:
            return
        late = Indexed(made.symbol, *read[0].indices)
        terms.append(_with(term, Mul(*(late if f is read[0] else f for f in term.factors))))
        before.append(name_of(read[0]) or "")
        after.append(made.name)
    if terms:
        says = N_("{q} meets what its step reads, {before}, and not what comes out of the step, {after}")
        yield a.variant("wrong-point", says, Add(*terms), before=", ".join(before[::-1]), after=", ".join(after[::-1]))


def _places(a: Anatomy, term: Term) -> dict[Idx, Expr]:
    """The consumer's own indices as they stand in the term."""
    if not isinstance(term.upstream, Indexed):
        return {}
    return dict(zip(term.v.indices, term.upstream.indices, strict=True))


def _with(term: Term, slope: Expr) -> Expr:
    return total(Mul(term.upstream, slope, *term.picks), term.over)


def _wrong_mask(a: Anatomy) -> Iterator[Variant]:
    """A mask made from another tensor of the same shape."""
    for n, term in enumerate(a.terms):
        for factor in term.factors:
            condition = bracket_condition(factor)
            if condition is None or not isinstance(condition.args[0], (Indexed, Symbol)):
                continue
            tested = next((p for p in condition.args if name_of(p) is not None), None)
            if tested is None:
                continue
            says = N_("the mask on {right} is forgotten")
            rest = Mul(*(f for f in term.factors if f is not factor))
            yield a.variant("wrong-mask", says, a.but(n, _with(term, rest)), right=name_of(tested))
            for other in _alike(a, tested):
                spoilt = Mul(*(f if f is not factor else factor.xreplace({tested: other}) for f in term.factors))
                says = N_("the mask is made from {wrong} where {right} belongs")
                yield a.variant(
                    "wrong-mask", says, a.but(n, _with(term, spoilt)), wrong=name_of(other), right=name_of(tested)
                )


def _branches(a: Anatomy) -> Iterator[Variant]:
    """Of a slope by cases, one case left out, or one taken everywhere."""
    for n, term in enumerate(a.terms):
        for factor in term.factors:
            if not isinstance(factor, Piecewise) or bracket_condition(factor) is not None:
                continue
            for place, (value, condition) in enumerate(factor.args):
                pairs = [(S.Zero if p == place else v, c) for p, (v, c) in enumerate(factor.args)]
                case = said("in the other case")
                if condition != S.true:
                    case = said("where {condition}", condition=a.show(condition))
                cases = ((value, N_("the slope {value} is taken everywhere: it holds only {case}")),
                         (Piecewise(*pairs, evaluate=False), N_("the slope {value} {case} is left out")))  # fmt: skip
                for wrong, says in cases:
                    spoilt = Mul(*(f if f is not factor else wrong for f in term.factors))
                    yield a.variant("missing-path", says, a.but(n, _with(term, spoilt)), value=a.show(value), case=case)


def _alike(a: Anatomy, node: Basic) -> Iterator[Expr]:
    """Entries of other quantities, and of the gradients known by then, with the indices of `node`."""
    shape = tuple(size(i) if isinstance(i, Idx) else S.One for i in getattr(node, "indices", ()))
    for other in a.exercise:
        if other.shape == shape and other.kind != "value" and other.domain == "real":
            indices = tuple(getattr(node, "indices", ()))
            if other.name != name_of(node) and other.kind != "loss":
                yield entry(other.symbol, indices)
            if other.kind in ("step", "output") and a.exercise.order[other.name] > a.exercise.order[a.q.name]:
                yield entry(a.exercise.gradient_quantity(other).symbol, indices)


def _own_factor(a: Anatomy) -> Iterator[Variant]:
    """In v = q*w, q left instead of w."""
    own = a.q.entry
    for n, term in enumerate(a.terms):
        for other in Mul.make_args(Mul(*term.factors)):
            named = name_of(other) in a.exercise.quantities and name_of(other) != a.q.name
            if named and free_indices(other) == free_indices(own) and not set(term.over) & free_indices(other):
                says = N_("of a product, the derivative by one factor is the other one: here {other}, not {q} itself")
                spoilt = Mul(own, *term.factors) / other
                yield a.variant("product-rule", says, a.but(n, _with(term, spoilt)), other=a.show(other))


def _missing_gradient(a: Anatomy) -> Iterator[Variant]:
    """A forward value where its gradient belongs."""
    for n, term in enumerate(a.terms):
        if term.v.kind == "loss":
            continue
        forward = entry(term.v.symbol, term.upstream.indices if isinstance(term.upstream, Indexed) else ())
        body = Mul(forward, *term.factors, *term.picks)
        says = N_("{v} stands where its gradient d{v} belongs")
        yield a.variant("missing-gradient", says, a.but(n, total(body, term.over)), v=term.v.name)


def _extra_gradient(a: Anatomy) -> Iterator[Variant]:
    """A gradient where the forward value belongs."""
    for n, term in enumerate(a.terms):
        slope = Mul(*term.factors)
        for node in sorted(_entries(slope), key=str):
            quantity = a.exercise.quantities.get(name_of(node) or "")
            if quantity is None or quantity.kind not in ("step", "output") or _later(a, quantity):
                continue
            gradient = entry(a.exercise.gradient_quantity(quantity).symbol, getattr(node, "indices", ()))
            says = N_("the gradient d{x} stands where the value {x} belongs")
            spoilt = slope.xreplace({node: gradient})
            yield a.variant("extra-gradient", says, a.but(n, _with(term, spoilt)), x=quantity.name)


def _later(a: Anatomy, quantity: Quantity) -> bool:
    """Whether the quantity's gradient is found only after that of q."""
    return not a.q.is_leaf and a.exercise.order[quantity.name] <= a.exercise.order[a.q.name]


def _entries(node: Basic) -> set[Basic]:
    if name_of(node) is not None:
        return {node}
    return set().union(*map(_entries, node.args)) if node.args and not isinstance(node, Idx) else set()


def _diagonal_only(a: Anatomy) -> Iterator[Variant]:
    """Entry by entry, where the step couples the entries of a row."""
    coupled: list[tuple[int, Expr]] = []
    for n, term in enumerate(a.terms):
        for over in term.over:
            for own in a.q.indices:
                if size(own) == size(over) != 1:
                    body = substitute(term.body, {over: own})
                    rest = [i for i in term.over if i != over]
                    coupled.append((n, total(body, rest)))
                    says = N_(
                        "only the entries with equal {own} are there: the step couples every {own} with every other"
                    )
                    yield a.variant("diagonal-only", says, a.but(n, coupled[-1][1]), own=own.name)


def _coupled_steps(a: Anatomy) -> Iterator[Variant]:
    """p*(1 - p) and the like: a softmax or a norm taken as if it were elementwise, over the steps in between."""
    guarded = any(isinstance(v.expr, (MaxOver, MinOver)) for v in a.exercise.forward)
    ways = (True, False) if guarded else (False,)
    found = {(v.name, slope): (v, slope) for constant in ways for v, slope in _through(a, constant)}
    for v, slope in found.values():
        rows = [i for i in v.indices if i in a.q.indices]
        if tuple(rows) != v.indices or v.indices != a.q.indices or v.kind == "loss":
            continue
        upstream = a.exercise.gradient_quantity(v).entry
        says = N_("{v} is taken as if it were elementwise in {q}: its entries couple through a sum")
        yield a.variant("diagonal-only", says, upstream * slope, v=v.name)


def _through(a: Anatomy, constant: bool) -> Iterator[tuple[Quantity, Expr]]:
    """Later quantities of q's own axes, and the diagonal of their derivative by q through the steps in between.

    `constant`: a maximum over an axis is taken for one, as where it only guards exp.
    """
    slopes: dict[str, Expr] = {a.q.name: S.One}
    for v in a.exercise.forward:
        if constant and isinstance(v.expr, (MaxOver, MinOver)):
            continue
        slope: Expr = S.Zero
        for name in v.reads & set(slopes):
            u = a.exercise[name]
            for path in paths(v.expr, name, a.exercise.strict_kinks):
                places = dict(zip(path.slots, u.indices, strict=True))
                if all(isinstance(s, Idx) for s in path.slots):
                    back = {bound: own for bound, own in places.items() if bound in path.entered}
                    free = all(s == i or s in path.entered for s, i in zip(path.slots, u.indices, strict=True))
                    if free:
                        slope += substitute(path.product, back) * slopes[name]
        if slope != 0:
            slopes[v.name] = slope
            coupled = any(
                u.indices != a.q.indices for u in map(a.exercise.__getitem__, set(slopes) - {a.q.name, v.name})
            )
            if coupled and v.indices == a.q.indices:
                yield v, slope


def _missing_local(a: Anatomy) -> Iterator[Variant]:
    """One local factor forgotten, or all of them."""
    for n, term in enumerate(a.terms):
        own = substitute(term.v.entry, _places(a, term))
        if _of_one_entry(a, term) and own != Mul(*term.factors):
            says = N_("{v} itself stands where its derivative belongs")
            yield a.variant("missing-local-derivative", says, a.but(n, _with(term, own)), v=term.v.name)
        sizes = set(a.exercise.size_symbols)  # a forgotten size is a factor, and named as one
        factors = [f for f in term.factors if quantities_in(f) - sizes]
        for factor in factors:
            rest = [f for f in term.factors if f is not factor]
            says = N_("the factor {factor}, the derivative of {v}, is forgotten")
            yield a.variant(
                "missing-local-derivative",
                says,
                a.but(n, _with(term, Mul(*rest))),
                factor=a.show(factor),
                v=term.v.name,
            )
            for piece in Mul.make_args(factor):
                if piece is not factor and quantities_in(piece) - sizes and len(Mul.make_args(factor)) > 1:
                    spoilt = Mul(*rest, factor / piece)
                    says = N_("the factor {factor}, from the derivative of {v}, is forgotten")
                    shown = {"factor": a.show(piece), "v": term.v.name}
                    yield a.variant("missing-local-derivative", says, a.but(n, _with(term, spoilt)), **shown)
        if factors and term.over and free_indices(term.upstream) >= set(a.q.indices) and not term.picks:
            says = N_("d{v} is passed through unchanged: the derivative of {v} is forgotten")
            yield a.variant("missing-local-derivative", says, a.but(n, total(term.upstream, term.over)), v=term.v.name)


def _of_one_entry(a: Anatomy, term: Term) -> bool:
    """v = f(q), entry by entry, with a slope that is no constant; exp is its own slope."""
    body = term.v.expr
    alone = term.v.reads - set(a.exercise.size_symbols) == {a.q.name} and term.v.shape == a.q.shape and not term.over
    plain = body is not None and body.is_Function and not isinstance(body, exp) and bool(a.q.indices)
    return plain and alone and any(quantities_in(f) for f in term.factors)


def _missing_upstream(a: Anatomy) -> Iterator[Variant]:
    """The local derivative alone."""
    for n, term in enumerate(a.terms):
        if term.upstream != 1:
            body = Mul(*term.factors, *term.picks)
            says = N_("this is the local derivative alone: the upstream gradient d{v} is missing")
            yield a.variant("missing-upstream", says, a.but(n, total(body, term.over)), v=term.v.name)


def _wrong_power(a: Anatomy) -> Iterator[Variant]:
    """Another exponent than the power rule leaves."""
    for n, term in enumerate(a.terms):
        slope = Mul(*term.factors)
        for node in sorted(_parts(slope, Pow), key=str):
            base, exponent = node.args
            if not exponent.is_number or not base.free_symbols:
                continue
            others = (exponent + 1, exponent - 1, -exponent, 2 * exponent, exponent / 2, S.One)
            for wrong in dict.fromkeys(e for e in others if e not in (exponent, 0)):
                says = N_("the exponent of {base} is {wrong}, and should be {right}")
                spoilt = _replaced(slope, node, base**wrong)
                yield a.variant("wrong-power", says, a.but(n, _with(term, spoilt)), base=a.show(base),
                                wrong=str(wrong), right=str(exponent))  # fmt: skip
        own = substitute(term.v.entry, _places(a, term))
        for wrong in (1, -1) if _has_powers(slope) else ():
            says = N_("the power of {v} is off by one")
            yield a.variant("wrong-power", says, a.but(n, _with(term, slope * own**wrong)), v=term.v.name)
        for base in dict.fromkeys(f for f in Mul.make_args(slope) if name_of(f) is not None or isinstance(f, Add)):
            for wrong in (2, -1):
                says = N_("{base} should not be squared") if wrong == 2 else N_("{base} should not be divided by")
                spoilt = slope * base ** (wrong - 1)
                yield a.variant("wrong-power", says, a.but(n, _with(term, spoilt)), base=a.show(base))


def _has_powers(slope: Expr) -> bool:
    """Whether anything but masks, numbers and sizes is in a slope: else there is no power to be off."""
    return any(bracket_condition(f) is None and quantities_in(f) for f in Mul.make_args(slope))


def _parts(node: Basic, kind: type) -> set[Any]:
    """Parts of a kind that are values: not the limits of a sum, not subscripts, nothing made of bare indices."""
    if isinstance(node, (Idx, Indexed, KroneckerDelta)):
        return set()
    within: tuple[Any, ...] = node.args[:1] if isinstance(node, ExprWithLimits) else node.args
    found: set[Any] = set().union(*(_parts(part, kind) for part in within))
    own = isinstance(node, kind) and not any(map(_has_bare_index, within))
    return found | {node} if own else found


def _has_bare_index(node: Basic) -> bool:
    if isinstance(node, (Indexed, KroneckerDelta)):
        return False
    within = node.args[:1] if isinstance(node, ExprWithLimits) else node.args
    return isinstance(node, Idx) or any(map(_has_bare_index, within))


def _replaced(node: Basic, part: Basic, by: Expr) -> Basic:
    """`part` replaced where it is a value: sums keep their limits."""
    return transform(node, lambda n: by if n == part else None)


def _product_rule(a: Anatomy) -> Iterator[Variant]:
    """The product of the derivatives, for a product in which q stands twice."""
    for part in a.parts:
        body = part.v.expr
        using = [f for f in Mul.make_args(body) if a.q.name in quantities_in(f)] if isinstance(body, Mul) else []
        if body is None or len(using) < 2:
            continue
        slopes = [Add(*(p.product for p in paths(f, a.q.name) if not p.entered)) for f in using]
        rest = Mul(*(f for f in body.args if f not in using))
        if part.v.indices != a.q.indices:
            continue
        upstream = S.One if part.v.kind == "loss" else a.exercise.gradient_quantity(part.v).entry
        others = [t.expr for t in a.terms if t.v is not part.v]
        says = N_(
            "the derivative of a product is not the product of the derivatives: one factor at a time is differentiated"
        )
        yield a.variant("product-rule", says, Add(upstream * rest * Mul(*slopes), *others))


def _inner_sign(a: Anatomy) -> Iterator[Variant]:
    """A sign inside a local factor: 1 + o**2 for 1 - o**2."""
    for n, term in enumerate(a.terms):
        for factor in term.factors:
            for node in sorted(_parts(factor, Add), key=str):
                for part in node.args:
                    rest = Mul(*(f for f in term.factors if f is not factor))
                    says = N_("a sign inside {node} is flipped")
                    spoilt = rest * _replaced(factor, node, node - 2 * part)
                    yield a.variant("sign", says, a.but(n, _with(term, spoilt)), node=a.show(node))


def _convention(a: Anatomy) -> Iterator[Variant]:
    """A mean over N where N - 1 is meant, or the reverse, in one of several terms."""
    if len(a.terms) < 2:
        return
    for n, term in enumerate(a.terms):
        slope = Mul(*term.factors)
        sizes = {s: s - 1 for s in a.exercise.size_symbols.values()}
        for right, power in powers(slope).items():
            for wrong in [sizes[right]] if right in sizes else [n for n, m in sizes.items() if m == right]:
                says = N_("divided by {wrong} where this exercise divides by {right}")
                spoilt = slope * right**-power * wrong**power
                yield a.variant(
                    "wrong-convention", says, a.but(n, _with(term, spoilt)), right=str(right), wrong=str(wrong)
                )


def _scalar_or_size(a: Anatomy) -> Iterator[Variant]:
    """Divided by N where a sum over the batch belongs, as in a weighted mean."""
    for n, term in enumerate(a.terms):
        slope = Mul(*term.factors)
        for right, power in powers(slope).items():
            scalar = a.exercise.quantities.get(name_of(right) or "")
            if scalar is None or scalar.indices or scalar.kind != "step" or not power.is_negative:
                continue
            for wrong in a.exercise.size_symbols.values():
                says = N_("divided by {wrong} where this exercise divides by {right}")
                spoilt = slope * right**-power * wrong**power
                yield a.variant(
                    "wrong-convention", says, a.but(n, _with(term, spoilt)), right=str(right), wrong=str(wrong)
                )


def _term_factor(a: Anatomy) -> Iterator[Variant]:
    """A constant of one of several terms lost or doubled."""
    if len(a.terms) < 2:
        return
    for n, term in enumerate(a.terms):
        number = Mul(*term.factors).as_coeff_Mul()[0]
        for wrong in dict.fromkeys(c for c in (1 / abs(number) if number else S.One, S(2), S.Half) if c != 1):
            says = N_("the part through {v} is {wrong} times what it should be")
            yield a.variant("factor", says, a.but(n, wrong * term.expr), v=term.v.name, wrong=str(wrong))
        for extent in sorted({size(i) for i in (*term.over, *a.q.indices, *term.v.indices)} - {S.One}, key=str):
            for wrong in (extent, 1 / extent):
                says = N_("the part through {v} is {wrong} times what it should be")
                yield a.variant("factor", says, a.but(n, wrong * term.expr), v=term.v.name, wrong=str(wrong))


def _extra_factor(a: Anatomy) -> Iterator[Variant]:
    """Something multiplied in that does not belong."""
    whole = a.total([t.expr for t in a.terms])
    for other in a.exercise:
        if other.kind in ("value", "loss") or other.domain == "index":
            continue
        places = _aligned(other, a.q)
        if places is not None:
            says = N_("the factor {x} does not belong here")
            yield a.variant("extra-factor", says, whole * entry(other.symbol, places), x=other.name)
    for n, term in enumerate(a.terms):
        for node in sorted(_entries(Mul(term.upstream, *term.factors)), key=str):
            known = a.exercise.quantities.get(name_of(node) or "")
            inside = known is not None and known.indices and not isinstance(node, Indexed)  # of Inverse(A)
            if inside or name_of(node) in a.exercise.size_symbols:
                continue
            body = Mul(node, term.upstream, *term.factors, *term.picks)
            yield a.variant("extra-factor", N_("the factor {x} stands once too often"),
                            a.but(n, total(body, term.over)), x=name_of(node))  # fmt: skip


def _aligned(other: Quantity, q: Quantity) -> tuple[Idx, ...] | None:
    """Indices of q under which another quantity can stand beside it."""
    found: list[Idx] = []
    for own in other.indices:
        match = next((i for i in q.indices if size(i) == size(own) and i not in found), None)
        if match is None:
            return None
        found.append(match)
    return tuple(found)


def _missing_scatter(a: Anatomy) -> Iterator[Variant]:
    """Each row of the gather taken once: of repeated indices only the last counts (see `mistakes`)."""
    for at, term in enumerate(a.terms):
        gathers = [
            d for d in term.picks if isinstance(d, KroneckerDelta) and any(isinstance(s, Indexed) for s in d.args)
        ]
        if len(gathers) == 1:
            delta = gathers[0]
            place = next(s for s in delta.args if isinstance(s, Indexed))
            if free_indices(place) & set(a.q.indices):
                continue  # one entry of each row is picked: no two meet
            axes = (*sorted(free_indices(place), key=str), *(i for i in a.q.indices if i not in delta.args))
            body = Mul(term.upstream, *term.factors, *(p for p in term.picks if p is not delta))
            says = N_("rows of {q} that were picked more than once get several parts: they are added, not written over")
            row = next(s for s in delta.args if s is not place)
            others = a.but(at, S.Zero)
            yield a.variant("missing-scatter", says, body, axes, place=place, row=row, others=(a.q.indices, others))
            if others != 0:
                continue
            says = N_(
                "rows are picked from d{v} as in the forward step; backwards each is added to the row it came from"
            )
            yield a.variant("missing-scatter", says, body, axes, place=place, row=row, v=term.v.name, picked=True)


def _moving_kernel(a: Anatomy) -> Iterator[Variant]:
    """A kernel taken the wrong way round, or windows that start at every entry although there is a stride."""
    for n, term in enumerate(a.terms):
        slots = _moving_slots(term)
        if not slots:
            continue
        array = next(iter(slots))
        extents = dict(zip(array.indices, array.base.shape, strict=True))
        guarded = any(_of_indices(f) for f in (*term.factors, *term.picks))
        if guarded:
            says = N_(
                "{x} stands the wrong way round: what it meets first going forwards it meets last going backwards"
            )
            turned = {s: extents[s] - 1 - s for s in slots[array]}
            yield a.variant("wrong-convention", says, a.but(n, _resolved(term, array, turned)), x=array.base.name)
        else:
            says = N_("d{q} stands the wrong way round: what belongs at its front is at its end")
            own = {i for s in slots[array] for i in free_indices(s) if i in a.q.indices}
            yield a.variant("wrong-convention", says, substitute(a.total([t.expr for t in a.terms]),
                                                                 {i: size(i) - 1 - i for i in own}))  # fmt: skip
            says = N_("d{v} stands the wrong way round in the sum")
            over = {i: size(i) - 1 - i for s in slots[array] for i in free_indices(s) if i in term.over}
            spoilt = Mul(substitute(term.upstream, over), *term.factors, *term.picks)
            yield a.variant("wrong-convention", says, a.but(n, total(spoilt, term.over)), v=term.v.name)
        steps = {s: _unit_steps(s) for s in slots[array]}
        if any(s != plain for s, plain in steps.items()):
            says = N_("the stride is left out: the windows of {v} start {stride} entries apart")
            stride = max(abs(s.coeff(i)) for s in slots[array] for i in free_indices(s))
            yield a.variant("wrong-convention", says, a.but(n, _resolved(term, array, steps)),
                            v=term.v.name, stride=str(stride))  # fmt: skip


def _moving_slots(term: Term) -> dict[Indexed, list[Expr]]:
    """Entries whose arithmetic joins a summed index and one of the result: `w[i - o]`, `x[2*o + k]`."""
    found: dict[Indexed, list[Expr]] = {}
    for factor in term.factors:
        for slot in factor.indices if isinstance(factor, Indexed) else ():
            inside = free_indices(slot)
            if (
                isinstance(slot, Add)
                and not slot.has(Indexed, Mod, floor)
                and 0 < len(inside & set(term.over)) < len(inside)
            ):
                found.setdefault(factor, []).append(slot)
    return found


def _of_indices(factor: Expr) -> bool:
    """Whether a factor is a mask on indices alone."""
    condition = bracket_condition(factor)
    return condition is not None and not condition.has(Indexed)


def _unit_steps(slot: Expr) -> Expr:
    return Add(*(part / abs(part.as_coeff_Mul()[0]) if free_indices(part) else part for part in Add.make_args(slot)))


def _resolved(term: Term, array: Indexed, slots: Mapping[Expr, Expr]) -> Expr:
    """The term with other arithmetic in the brackets of one array, and the ranges that go with it."""
    moved = Indexed(array.base, *(slots.get(s, s) for s in array.indices))
    ranges = [
        bracket(within(s, n)) for s, n in zip(moved.indices, moved.base.shape, strict=True) if s not in array.indices
    ]
    kept = [f for f in (*term.factors, *term.picks) if f is not array and not _of_indices(f)]
    return total(Mul(term.upstream, moved, *kept, *ranges), term.over)


def _only_moved(a: Anatomy) -> Iterator[Variant]:
    """The gradient of a step that only moves entries, as it stands: a border not cut off."""
    if len(a.terms) == 1 and a.terms[0].expr == a.terms[0].upstream and a.terms[0].v.kind == "step":
        v = a.terms[0].v
        if v.shape != a.q.shape:
            says = N_("this is d{v} as it stands: what belongs to {q} is only a part of it")
            yield a.variant(
                "missing-local-derivative", says, a.exercise.gradient_quantity(v).entry, v.indices, v=v.name
            )


# -- the table, and the search ------------------------------------------------------------------------------------

SPOILS: tuple[Callable[[Anatomy], Iterator[Variant]], ...] = (
    _transposed, _as_if_symmetric, _wrong_axis, _missing_sum, _term_sign, _term_factor, _convention, _scalar_or_size,
    _missing_path, _moving_kernel, _only_moved, _wrong_point, _one_step_late, _wrong_mask, _branches, _own_factor,
    _missing_gradient, _extra_gradient, _forwards, _diagonal_only, _coupled_steps, _missing_local, _missing_upstream,
    _inner_sign, _wrong_power, _product_rule, _extra_factor, _missing_scatter,
)  # fmt: skip


def spoilt(exercise: Exercise, quantity: str) -> Spoilt:
    """Every variant of one gradient, likeliest first; made once per exercise."""
    return exercise.cached(("spoilt", quantity), lambda: _spoilt(exercise, exercise[quantity]))


def _spoilt(exercise: Exercise, q: Quantity) -> Spoilt:
    anatomy = Anatomy(exercise, q)
    true = anatomy.total([t.expr for t in anatomy.terms])
    found: list[Variant] = []
    for row in SPOILS:
        for variant in row(anatomy):
            same = variant.expr == true and variant.indices == q.indices
            if not same and variant.expr != 0 and set(free_indices(variant.expr)) <= set(variant.indices):
                found.append(variant)
    return Spoilt(found[:MOST])


@dataclass(frozen=True)
class Observation:
    """One draw: the learner's values, and every value and gradient they had, their own where they differ."""

    given: Tensor
    known: Mapping[str, Tensor]
    sizes: Mapping[str, int]


def explain(exercise: Exercise, quantity: str, seen: Iterable[Observation], scaled_too: bool = True) -> list[Mistake]:
    """The spoils that give the learner's values at every draw; else the first that does so up to one constant.

    `scaled_too=False` leaves those out: where a constant alone explains the line, a spoil with it is a coincidence.
    """
    candidates = spoilt(exercise, quantity)
    exact, scaled = _screened(candidates, seen)
    if exact:
        found = [_mistake(candidates.variants[n]) for n in exact]
        told = [m for m in found if m.id != "extra-factor"] or found  # one that explains it is no coincidence
        return list({(m.id, m.message): m for m in told}.values())[:MOST_NAMED]
    first = scaled[:1] if scaled_too else []
    return [m for n, ratio in first for m in (_mistake(candidates.variants[n]), _constant(ratio))]


def _screened(candidates: Spoilt, seen: Iterable[Observation]) -> tuple[list[int], list[tuple[int, Fraction]]]:
    """Places of the variants equal to the learner's values at all draws, and of those off by one constant."""
    left: dict[int, Fraction] = {}
    for draw, observation in enumerate(seen):
        made = candidates.fitting(observation.known, observation.sizes, observation.given.shape)
        probes = _probes(observation.given)
        ratios = {
            n: _ratio(observation, scattered(variant, value, observation))
            for n, variant, value in made
            if (not draw or n in left) and (variant.id == "missing-scatter" or _may_fit(value, probes))
        }
        left = {n: r for n, r in ratios.items() if r is not None and (not draw or left[n] == r)}
        if not left:
            break
    return [n for n, r in left.items() if r == 1], [(n, r) for n, r in left.items() if r != 1]


def _probes(given: Tensor) -> list[tuple[tuple[int, ...], float]]:
    """The two largest entries, with their places; none where they tell nothing."""
    flat = given.reshape(-1)
    if flat.numel() < 2 or not bool(flat.isfinite().all()):
        return []
    places = flat.abs().topk(2).indices.tolist()
    return [(unravelled(place, given.shape), flat[place].item()) for place in places]


def _may_fit(value: Tensor, probes: list[tuple[tuple[int, ...], float]]) -> bool:
    """Whether the entries at the probes are off by one constant: a first look, at two numbers."""
    if not probes:
        return True
    (first, a), (second, b) = probes
    mine, other = value[first].item(), value[second].item()
    return mine != 0 and abs(b - a / mine * other) <= ROUGHLY * abs(a)


def _mistake(variant: Variant) -> Mistake:
    return Mistake(variant.id, variant.message, _as_text(variant.params))


def _as_text(params: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else str(value) for key, value in params.items()}


def _constant(ratio: Fraction) -> Mistake:
    if ratio == -1:
        return Mistake("sign", said("and {cause}", cause=said("the sign is flipped")))
    cause = said("a factor {number} too much", number=ratio)
    return Mistake("factor", said("and {cause}", cause=cause), {"factor": str(ratio)})


def _ratio(seen: Observation, value: Tensor | None) -> Fraction | None:
    """given / value where that is 1, or one simple constant."""
    if value is None or value.shape != seen.given.shape:
        return None
    size = value.abs().reshape(-1)
    place = int(size.argmax()) if size.numel() else 0
    scale = size[place].item() if size.numel() else 0.0
    if not 0 < scale < inf:
        return None
    quotient = seen.given.reshape(-1)[place].item() / value.reshape(-1)[place].item()
    near = simple_fraction(quotient, 12)
    if near is None:
        return None
    if size.numel() == 1:
        return near if DOUBLE.allows(abs(quotient - near), abs(quotient), abs(near)) else None
    gap = (seen.given - float(near) * value).abs()
    close = DOUBLE.allows(gap, seen.given.abs(), abs(float(near)) * scale)
    return near if bool(close.all()) else None


def scattered(variant: Variant, value: Tensor | None, seen: Observation) -> Tensor | None:
    """For a gather without scatter-add, the rows written one over the other."""
    if variant.id != "missing-scatter" or value is None:
        return value
    place, row = variant.params["place"], variant.params["row"]
    index = seen.known[str(place.base.label)].reshape(-1)
    rows = int(number(size(row), dict(seen.sizes)))
    flat = value.reshape(len(index), *value.shape[len(free_indices(place)) :])
    if variant.params.get("picked"):
        return flat[index] if int(index.max()) < len(flat) else None
    made = value.new_zeros(rows, *flat.shape[1:])
    for at, one in zip(index.tolist(), flat, strict=True):  # in order: the last one stays
        made[at] = one
    indices, others = variant.params["others"]
    return made if others == 0 else made + evaluate(others, indices, dict(seen.known), dict(seen.sizes))
