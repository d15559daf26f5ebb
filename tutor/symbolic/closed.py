"""Closed forms: the steps put into one another by a fixed recipe, every rewriting shown with its reason.

1. put in the gradients of the later quantities, from the asked one towards the loss;
2. after each, bring the whole to a normal form: multiplied out, factors free of an index outside of its sum, sums of
   sums split, bound indices named by their range;
3. write earlier names by later ones where that cancels (`e = p*s` from `p = e/s`);
4. use facts: declared (`Sum(y[i,k], k) = 1`) and derived (`Sum(xhat[i,j], j) = 0`, by unfolding definitions);
5. take out common factors and join sums over the same index.

There is no general simplifier behind it. Where multiplying out does not pay, the plain insertion is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product as cartesian
from typing import Any

from sympy import Add, Basic, Expr, Idx, Indexed, KroneckerDelta, Mod, Mul, Pow, Product, S, Sum, exp, floor
from sympy.concrete.expr_with_limits import ExprWithLimits

from tutor.exercise import Exercise, Fact, Quantity
from tutor.language import said
from tutor.shown import Shown
from tutor.symbolic.derive import Gradient, Message, Partial, Step, loss_entry, message, pick_name, unique, use_fact
from tutor.symbolic.indices import (
    IndexSymbol,
    bound_indices,
    entry,
    free_indices,
    insert,
    name_of,
    quantities_in,
    rename_bound,
    size,
    substitute,
    total,
    transform,
)
from tutor.symbolic.notation import plain_form
from tutor.symbolic.rewrite import fold, powers

MOST_LEAVES = 120  # names, numbers and exponents of one expression
MOST_READABLE = 40  # a longer closed form is no use to a reader: the later gradients keep their names
MOST_TERMS = 48  # beyond this, multiplying out helps no reader
MULTIPLIED_OUT = 0.93  # a form that was multiplied out must be this much shorter than one that was not
MOST_UNFOLDING = 8  # definitions opened to prove a derived fact


@dataclass(frozen=True)
class ClosedForm(Shown):
    """One expression without intermediate gradients, and the steps that lead to it."""

    shown_as = "closed"

    gradient: Gradient = field(repr=False)
    expr: Expr
    steps: tuple[Step, ...]


def close(gradient: Gradient) -> ClosedForm:
    """The shorter of two ways: inserted as they stand, or multiplied out and simplified, if that pays."""
    exercise = gradient.derivation.exercise
    for name, other in gradient.derivation.gradients.items():  # each finds those before it closed: none goes deep
        if name == gradient.name:
            break
        if name in gradient.derivation.shared:
            _ = other.closed_form
    plain = _Recipe(gradient, multiply_out=False).run()
    full = _Recipe(gradient, multiply_out=True).run()
    found = [form for form in (plain, full) if form is not None]
    if not found:
        return ClosedForm(gradient, gradient.expr, ())
    best = found[0] if len(found) == 1 or _better(found[0], found[1], exercise) else found[1]
    return best if leaves(best.expr) <= MOST_READABLE else ClosedForm(gradient, gradient.expr, ())


def _better(plain: ClosedForm, full: ClosedForm, exercise: Exercise) -> bool:
    """Whether the way that multiplies nothing out is to be shown: where both end alike, the one with less to read."""
    if plain.expr == full.expr:
        return sum(leaves(s.after) for s in plain.steps) < sum(leaves(s.after) for s in full.steps)
    return len(plain_form(plain.expr, exercise)) * MULTIPLIED_OUT <= len(plain_form(full.expr, exercise))


class _Recipe:
    def __init__(self, gradient: Gradient, multiply_out: bool):
        self.gradient, self.multiply_out = gradient, multiply_out
        self.exercise: Exercise = gradient.derivation.exercise
        self.expr = gradient.expr
        self.steps: list[Step] = []
        self.kept: set[str] = set()  # gradients that a closed form put in goes by: they are shorter by their names
        self.met: dict[str, int] = {}  # how often a gradient stood in the expression when it was put in

    def run(self) -> ClosedForm | None:
        if not self._insert_all():
            return None
        self._fold_definitions()
        self._cancel()
        self._meet_deltas()
        self._use_facts()
        self._name_shared_gradients()
        known = frozenset().union(*(q.expr.atoms(Add) for q in self.exercise.forward if q.expr is not None))
        self._follow("factor", self._settle(factored(self.expr, known)), message("factor"))
        self._absorb()
        return ClosedForm(self.gradient, self.expr, tuple(self.steps))

    def _follow(self, rule: str, after: Expr, *says: Message) -> None:
        if after == self.expr:
            return
        before = (
            self.expr if self.steps else Partial(loss_entry(self.exercise), self.exercise[self.gradient.name].entry)
        )
        if not self.steps:
            first = Step("gradient", before, self.expr, (), self.gradient.name)
            self.steps.append(first)
            before = self.expr
        self.steps.append(Step(rule, before, after, says, self.gradient.name))
        self.expr = after

    def _settle(self, expr: Expr) -> Expr:
        """Bound indices under names that depend on their range alone."""
        return rename_bound(expr, lambda index, taken: canonical_name(self.exercise, index, taken))

    def _normal(self, expr: Expr) -> Expr | None:
        if expr.has(Mod):
            expr = transform(expr, _rejoined)
        terms = monomials(expr) if self.multiply_out else [transform(expr, _pulled)]
        if len(terms) > MOST_TERMS:
            return None
        return self._settle(Add(*(self._settle(t) for t in terms)))

    # -- 1 and 2 -----------------------------------------------------------------------------------

    @property
    def _intermediate(self) -> set[str]:
        """Names of gradients that are not given from above."""
        return {f"d{n}" for n in self.gradient.derivation.gradients} - {f"d{q.name}" for q in self.exercise.ends}

    def _insert_all(self) -> bool:
        """False when the expression outgrows what a reader can use."""
        gradients = self.gradient.derivation.gradients
        while True:
            used = quantities_in(self.expr) & self._intermediate - self.kept
            name = next((n for n in reversed(list(gradients)) if f"d{n}" in used), None)
            if name is None:
                return True
            inner = gradients[name]
            # its closed form is on the page as well
            short = name in self.exercise.asked or name in self.gradient.derivation.shared or self._nothing(inner)
            value = inner.closed if short else inner.expr
            if short and inner.closed_form.steps:
                self.kept |= quantities_in(value) & self._intermediate
            self.met[name] = _count(self.expr, f"d{name}")
            put_in = insert(self.expr, f"d{name}", inner.indices, value)
            after = self._normal(put_in)
            if after is None or leaves(after) > MOST_LEAVES:
                return False
            rule = "insert-closed" if value != inner.expr else "insert"
            gone = cancelling(put_in) if self.multiply_out else []
            if gone:
                self._follow("insert", self._settle(transform(put_in, _pulled)), message(rule, name=inner.entry))
                says = message("multiply-out", several=len(gone) > 1, factors=gone)
                distributed = self._settle(transform(transform(put_in, _distributed), _pulled))
                self._follow("multiply-out", distributed, says)
                self._follow("multiply-out", after, message("expand") if distributed != put_in else says)
            else:
                self._follow("insert", after, message(rule, name=inner.entry))

    def _nothing(self, inner: Gradient) -> bool:
        """Whether a largest entry that was subtracted, as the softmax does, takes no part in the end."""
        formula = self.exercise[inner.name].expr
        picks = isinstance(formula, ExprWithLimits) and not isinstance(formula, (Sum, Product))
        return picks and bool(inner.closed == 0)

    # -- 3 -------------------------------------------------------------------------------------------

    def _fold_definitions(self) -> None:
        for v in reversed(self.exercise.forward):
            if v.kind in ("step", "output") and not _is_name(v.expr):
                after = self._folded(v)
                if self._cost(after) < self._cost(self.expr):
                    self._follow("named", after, message("named", names=[v.name]))

    def _folded(self, v: Quantity) -> Expr:
        """Every place: `e[j,j]*e[i,j]/c[j]**2` holds `q = e/c` twice."""
        after, before = self.expr, None
        while after != before:
            before, after = after, self._settle(fold(after, v.expr, v.entry, v.indices))
        return after

    def _cancel(self) -> None:
        """`e = p*s` from `p = e/s`, where fewer names remain."""
        for v in reversed(self.exercise.forward):
            solved = solved_product(self.exercise, v)
            if solved is None or solved[0].name not in quantities_in(self.expr):
                continue
            earlier, value = solved
            after = self._normal(insert(self.expr, earlier.name, v.indices, value))
            if after is not None and self._cost(after) <= self._cost(self.expr) and after != self.expr:
                left = entry(earlier.symbol, v.indices)
                self._follow("cancel", after, message("cancel", left=left, right=value))

    def _meet_deltas(self) -> None:
        """`p[n,w]*δ(w, y[n])/p[n,y[n]]` is `δ(w, y[n])`: where the delta is not 0 both are one entry."""
        met: list[Message] = []
        after = self._normal(transform(self.expr, lambda node: _met(node, met)))
        if after is not None and leaves(after) < leaves(self.expr):
            self._follow("meet", after, *unique(met))

    def _cost(self, expr: Expr) -> tuple[int, int]:
        names = quantities_in(expr) - set(self.exercise.size_symbols)
        return len(names), leaves(expr)

    # -- 4 -------------------------------------------------------------------------------------------

    def _use_facts(self) -> None:
        for fact in self.exercise.facts:
            self._apply(fact)
        for found in derived_facts(self.exercise, self.expr):
            self._apply(found)

    def _apply(self, fact: Fact) -> None:
        after = self._normal(use_fact(self.expr, fact))
        if after is not None:
            says = message("fact", reason=fact.reason, left=fact.left, right=fact.right)
            self._follow("fact", after, says)

    # -- 5 -------------------------------------------------------------------------------------------

    def _absorb(self) -> None:
        """`p*(a - b/p)` as `a*p - b`."""
        gone: list[Expr] = []
        after = self._settle(transform(self.expr, lambda node: _absorbed(node, gone)))
        if gone:
            self._follow("multiply-out", after, message("multiply-out", several=len(gone) > 1, factors=gone))

    def _name_shared_gradients(self) -> None:
        """A gradient that stands in several places keeps its name: `dxhat` for `dy*gamma`."""
        for other in self.gradient.derivation.gradients.values():
            through = quantities_in(other.expr) & self._intermediate
            if other.name == self.gradient.name or through or other.expr.is_number or _is_name(other.expr):
                continue
            after = self._settle(fold(self.expr, other.expr, other.entry, other.indices))
            # more of them than were put in: `dy*(1 - z)` is also met by chance, where nothing came through dn
            if 1 < _count(after, other.symbol_name) <= self.met.get(other.name, 0):
                self._share(other, after)

    def _share(self, other: Gradient, named: Expr) -> None:
        """By its name, unless it can be taken out to one place: `dcn + dhn*o*(1 - t**2)`."""
        once = self._settle(_collected(named, other.symbol_name))
        if _count(once, other.symbol_name) > 1:
            self._follow("named", named, message("named", names=[other.symbol_name]))
        else:
            written = self._settle(insert(once, other.symbol_name, other.indices, other.expr))
            self._follow("factor", written, message("factor"))


def _collected(expr: Expr, name: str) -> Expr:
    """`c + dt - dt*t**2` as `c + dt*(1 - t**2)`."""

    def visit(node: Basic) -> Basic | None:
        if not isinstance(node, Add):
            return None
        groups: dict[Expr, list[Expr]] = {}
        for term in node.args:
            shared = next((f for f in Mul.make_args(term) if name_of(f) == name), None)
            if shared is not None:
                groups.setdefault(shared, []).append(term / shared)
        rest = [t for t in node.args if not any(name_of(f) == name for f in Mul.make_args(t))]
        return Add(*rest, *(shared * Add(*terms) for shared, terms in groups.items()))

    return transform(expr, visit)


def _met(node: Basic, met: list[Message]) -> Expr | None:
    """A product in which an entry is written by the index that a delta ties to it."""
    if not isinstance(node, Mul):
        return None
    for delta in (f for f in node.args if isinstance(f, KroneckerDelta)):
        index, place = sorted(delta.args, key=lambda a: not isinstance(a, Idx))
        others = Mul(*(f for f in node.args if f is not delta))
        if isinstance(place, Idx):
            written = substitute(others, {place: index})
        elif isinstance(index, Idx) and isinstance(place, (Indexed, IndexSymbol)) and not others.has(ExprWithLimits):
            written = others.xreplace({place: index})
        else:
            continue
        if leaves(written) < leaves(others):
            met.append(message("meet", left=index, right=place))
            return delta * written
    return None


def _absorbed(node: Basic, gone: list[Expr]) -> Expr | None:
    """A factor multiplied into a sum that has it below the line, where less is left to read."""
    if not isinstance(node, Mul):
        return None
    for inner in (f for f in node.args if isinstance(f, Add)):
        below = {p.base for term in inner.args for p in Mul.make_args(term) if isinstance(p, Pow) and p.exp == -1}
        for base, exponent in (f.as_base_exp() for f in node.args if f is not inner):
            if base in below and exponent.is_Integer and exponent > 0:
                written = Mul(*(f for f in node.args if f is not inner)) / base * Add(*(t * base for t in inner.args))
                if leaves(written) < leaves(node):
                    gone.append(base)
                    return written
    return None


def _count(expr: Basic, name: str) -> int:
    if name_of(expr) == name:
        return 1
    return sum(_count(a, name) for a in expr.args)


def leaves(expr: Basic) -> int:
    """How much there is to read: names, numbers and exponents."""
    if isinstance(expr, (Idx, Indexed)) or not expr.args:
        return 1
    return sum(leaves(a) for a in (expr.args[:1] if isinstance(expr, Sum) else expr.args)) + isinstance(expr, Sum)


def _pulled(node: Basic) -> Expr | None:
    """Factors free of the index leave their sum."""
    return total(node.args[0], bound_indices(node)) if isinstance(node, Sum) else None


def _rejoined(node: Basic) -> Basic | None:
    """`dO[n, E*floor(i/E) + Mod(i, E)]` is `dO[n, i]`."""
    if not isinstance(node, Indexed):
        return None
    slots = []
    for slot in node.indices:
        for low in slot.atoms(Mod):
            index, base = low.args
            slot = (slot.expand() - low - base * floor(index / base) + index) if _digits_of(slot, low) else slot
        slots.append(slot)
    return Indexed(node.base, *slots)


def _digits_of(slot: Expr, low: Mod) -> bool:
    """Whether both digits stand in the slot, each with its own weight."""
    index, base = low.args
    whole = slot.expand()
    return whole.coeff(low) == 1 and (whole.coeff(floor(index / base)) - base).expand() == 0


def _is_name(expr: Expr | None) -> bool:
    rest = expr.as_coeff_Mul()[1] if expr is not None else S.One
    return rest.is_Symbol or isinstance(rest, Indexed) or rest.is_number


def canonical_name(exercise: Exercise, index: Idx, taken: frozenset[Idx]) -> Idx:
    """The first free name over the index's range, whatever the index was called."""
    anonymous = Idx(index.name.split("~")[0] if index.name.split("~")[0] not in exercise.index_symbols else "~",
                    size(index))  # fmt: skip
    same = [i for i in exercise.index_symbols.values() if size(i) == size(index)]
    return pick_name(exercise, same[0] if same else anonymous, taken)


# -- normal form -----------------------------------------------------------------------------------


def monomials(node: Expr) -> list[Expr]:
    """The terms of `node` multiplied out, sums included."""
    if isinstance(node, Add):
        return [m for term in node.args for m in monomials(term)]
    if isinstance(node, Mul):
        gone = cancelling(node)
        if gone:  # `(1 - p)*(a/(1 - p) + b)`: what cancels is not multiplied out before it has
            rest = monomials(Mul(*(f for f in node.args if f not in gone)))
            return [m for term in rest for m in monomials(Mul(term, *gone))]
        parts = [monomials(f) for f in node.args]
        count = 1
        for part in parts:
            count *= len(part)
        if count > MOST_TERMS:
            return [node] * (MOST_TERMS + 1)
        return [Mul(*choice) for choice in cartesian(*parts)]
    if isinstance(node, Pow) and isinstance(node.base, Add) and node.exp.is_Integer and 1 < node.exp <= 3:
        return monomials(Mul(*[node.base] * int(node.exp), evaluate=False))
    if isinstance(node, Sum):
        bound = bound_indices(node)
        return [total(m, bound) for m in monomials(node.args[0])]
    return [node]


def cancelling(node: Basic) -> list[Expr]:
    """Sums that multiply a product and stand below the line in another of its factors: `1 - p`."""
    if not isinstance(node, Mul):
        return []
    sums = [f for f in node.args if isinstance(f, Add)]
    below = {p.base for f in sums for p in f.atoms(Pow) if p.exp.could_extract_minus_sign()}
    return [f for f in sums if f in below]


def _distributed(node: Basic) -> Expr | None:
    """`p*(1 - p)*(a/(1 - p) - b/p)` as `a*p - b*(1 - p)`: each term of the sum multiplied, nothing opened."""
    gone = cancelling(node)
    sums = [f for f in node.args if isinstance(f, Add) and f not in gone] if gone else []
    if len(sums) != 1:
        return None
    others = Mul(*(f for f in node.args if f is not sums[0]))
    return Add(*(term * others for term in sums[0].args))


def solved_product(exercise: Exercise, v: Quantity) -> tuple[Quantity, Expr] | None:
    """From `p[i,k] = e[i,k]/s[i]`: (e, p[i,k]*s[i]), for a quantity with the indices of v."""
    if v.kind not in ("step", "output") or not isinstance(v.expr, Mul):
        return None
    factors = powers(v.expr)
    for base, exponent in factors.items():
        name = name_of(base)
        earlier = exercise.quantities.get(name or "")
        if earlier is None or exponent != 1 or not isinstance(base, Indexed):
            continue
        others = {b: e for b, e in factors.items() if b is not base}
        if tuple(base.indices) == v.indices and all(
            _is_name(b) and _never_zero(exercise, b, e) for b, e in others.items()
        ):
            return earlier, v.entry * base / v.expr
    return None


def _never_zero(exercise: Exercise, base: Expr, exponent: Expr) -> bool:
    """Whether the definition may be solved across this factor: it is multiplied over, or is never 0."""
    if exponent < 0 or base.is_number or base.is_positive:
        return True
    formula = exercise.quantities[name_of(base) or ""].expr if name_of(base) in exercise.quantities else None
    return formula is not None and (formula.func is exp or (isinstance(formula, Pow) and bool(formula.exp < 0)))


# -- derived facts ------------------------------------------------------------------------------------


def derived_facts(exercise: Exercise, expr: Expr) -> list[Fact]:
    """Sums of one step's entries that are a constant, proved by opening definitions."""
    found: list[Fact] = []
    seen: set[Expr] = set()

    def visit(node: Basic) -> None:
        if isinstance(node, Sum) and isinstance(node.args[0], Indexed) and node not in seen:
            seen.add(node)
            value = constant_sum(exercise, node)
            name = node.args[0].base.name
            if value is not None:
                found.append(Fact(node, value, said("by the definition of {name}", name=name), name))

    transform(expr, visit)
    return found


def constant_sum(exercise: Exercise, node: Sum) -> Expr | None:
    """The value of a sum if opening definitions, latest first, leaves a number."""
    order = {q.name: n for n, q in enumerate(exercise.forward)}
    expr: Expr = node
    for _ in range(MOST_UNFOLDING):
        names = [n for n in quantities_in(expr) if n in order]
        if not names:
            return None
        latest = exercise[max(names, key=order.__getitem__)]
        terms = monomials(insert(expr, latest.name, latest.indices, latest.expr))
        if len(terms) > MOST_TERMS:
            return None
        settle = lambda e: rename_bound(e, lambda i, taken: canonical_name(exercise, i, taken))  # noqa: E731
        expr = settle(Add(*(settle(t) for t in terms)))
        if expr.is_number:
            return expr
    return None


# -- common factors -------------------------------------------------------------------------------------


def factored(expr: Expr, known: frozenset[Expr] = frozenset()) -> Expr:
    """Sums over the same index joined, then the factors that all terms share taken out.

    A sum that is left is written as in `known`, if it stands there with the other sign: `-(f - y)`, not `y - f`.
    """

    def visit(node: Basic) -> Expr | None:
        return _common(_joined(node, known), known) if isinstance(node, Add) else _pulled(node)

    return transform(expr, visit)


def _joined(node: Add, known: frozenset[Expr]) -> Expr:
    """`a*Sum(f, i) - a*Sum(g, i)` as `a*Sum(f - g, i)`."""
    groups: dict[Any, list[tuple[Expr, Expr]]] = {}
    rest: list[Expr] = []
    for term in node.args:
        coefficient, body = term.as_coeff_Mul()
        sums = [f for f in Mul.make_args(body) if isinstance(f, Sum)]
        if len(sums) != 1:
            rest.append(term)
            continue
        outside = Mul(*(f for f in Mul.make_args(body) if f is not sums[0]))
        groups.setdefault((outside, sums[0].args[1:]), []).append((coefficient, sums[0]))
    for (outside, _), members in groups.items():
        body = _common(Add(*(c * s.args[0] for c, s in members)), known)
        if len(members) == 1 or not _elementwise(body, [s.args[0] for _, s in members]):
            rest += [Mul(c, outside, s) for c, s in members]
        else:
            rest.append(outside * total(body, bound_indices(members[0][1])))
    return Add(*rest)


def _elementwise(joined: Expr, bodies: list[Expr]) -> bool:
    """Whether a joined body is no sum of matrix products: these stay two. `x*(p - y)` is not, `x*a + h*b` is."""
    if isinstance(joined, Add):
        return not any(isinstance(body, Mul) for body in bodies)
    for rest in (f for f in Mul.make_args(joined) if isinstance(f, Add)):
        factors = {f for term in rest.args for f in Mul.make_args(term)}
        if not any(free_indices(f) == free_indices(rest) for f in factors):
            return False
    return True


def _common(node: Expr, known: frozenset[Expr]) -> Expr:
    if not isinstance(node, Add):
        return node
    tables = [powers(term) for term in node.args]
    shared = []
    for base, exponent in tables[0].items():
        others = [table.get(base) for table in tables]
        if base.is_number or any(o is None or not o.is_number or (o > 0) != (exponent > 0) for o in others):
            continue
        shared.append(base ** min((o for o in others if o is not None), key=abs))
    if not shared:
        return node
    common = Mul(*shared)
    rest = Add(*(term / common for term in node.args))
    content, rest = _content(rest) if isinstance(rest, Add) else (S.One, rest)
    if -rest in known:
        content, rest = -content, -rest
    return Mul(content, common, rest)


def _content(node: Add) -> tuple[Expr, Expr]:
    """`p/2 + q/2 - d` as 1/2 and `p + q - 2*d`; but `x/2 + y` stays: most of the terms must be fractions."""
    content, rest = node.primitive()
    fractions = sum(not term.as_coeff_Mul()[0].is_Integer for term in node.args)
    return (content, rest) if content.is_Integer or 2 * fractions > len(node.args) else (S.One, node)
