"""The backward walk: reverse mode over the exercise's program, one quantity at a time.

For each quantity q, from the loss back to the inputs,

    dq[J] = sum over consumers v of  Sum(dv[I] * d v[I] / d q[J], I)

The list of steps is the derivation and its last expression is the answer: there is no second engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sympy import (
    Add,
    Basic,
    Eq,
    Expr,
    Idx,
    Indexed,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Mul,
    Piecewise,
    Pow,
    S,
    Sum,
    Symbol,
    ceiling,
    floor,
    fraction,
    log,
)
from sympy.concrete.expr_with_limits import ExprWithLimits

from tutor.errors import ExerciseError
from tutor.exercise import Exercise, Fact, Quantity
from tutor.language import N_, said
from tutor.shown import Shown
from tutor.symbolic import radix
from tutor.symbolic.functions import clamp, clamp_slope, extremum_slope, function_row
from tutor.symbolic.indices import (
    IndexSymbol,
    bracket,
    entry,
    free_indices,
    fresh,
    freshen,
    name_of,
    quantities_in,
    reduce_over,
    rename_bound,
    settled,
    size,
    solve,
    substitute,
    tensor,
    total,
    transform,
    within,
)
from tutor.symbolic.operations import MatrixEntry, operation_row
from tutor.symbolic.rewrite import fold, name_ratios, replace_sums

# -- rules and steps ----------------------------------------------------------------------------

# id -> the learner's sentence; functions and operations bring their own
RULES: dict[str, str] = {
    "gradient": N_("the gradient of {loss} with respect to {quantity}"),
    "chain": N_("chain rule: {consumer} uses {quantity}"),
    "chain-sum": N_("chain rule: every {over} of {consumer} uses {quantity}, so their parts add up"),
    "chain-sum-some": N_("chain rule: any {over} of {consumer} may use {quantity}, so their parts add up"),
    "chain-paths": N_("chain rule: {consumers} use {quantity}, one term each, added"),
    "local": N_("the local derivative of {consumer}"),
    "sum": N_("sum rule"),
    "constant-factor": N_("constant factor"),
    "product": N_("product rule"),
    "quotient": N_("quotient"),
    "power": N_("power rule with exponent {exponent}"),
    "cancelled": N_("{numbers} cancel"),
    "exponential": N_("exponential with base {base}"),
    "sum-over": N_("a sum is differentiated term by term"),
    "identity": N_("the derivative of {quantity} itself is 1"),
    "linear": N_("{quantity} enters {consumer} linearly: what multiplies it is left"),
    "one-term": N_("of the sum only the term with this {quantity} counts"),
    "gather": N_("only the entry that the index picks is used"),
    "picked": N_("1 where it is this {quantity}, else 0"),
    "piecewise": N_("each branch on its own side"),
    "masked": N_("where the condition does not hold, {quantity} does not occur"),
    "extremum": N_("only the winner is passed through"),
    "extremum-shared": N_("only the winner is passed through; at a tie torch gives each of the two one half"),
    "clamp": N_("clamp: 1 within the bounds, in torch also on them, else 0"),
    "contract": N_("only entries with equal indices contribute"),
    "range": N_("outside of the range there is no term"),
    "solved": N_("{slot} is {target} for {pairs}, where that is in range"),
    "outside": N_("{factors} does not depend on {over}"),
    "sign-outside": N_("constants leave the sum"),
    "multiply": N_("multiplied together"),
    "fact": N_("{reason}: {left} = {right}"),
    "named": N_("written with {names}"),
    "ratio": N_("the ratio has a name"),
    "unused": N_("nothing that leads to the loss uses {quantity}"),
    "insert": N_("put in {name}"),
    "insert-closed": N_("put in the closed form of {name}"),
    "cancel": N_("{left} is {right}"),
    "meet": N_("where the delta is not 0, {left} is {right}"),
    "factor": N_("common factors"),
    "multiply-out": N_("multiplied out: {factors} cancels"),
    "expand": N_("multiplied out"),
    "nothing-to-insert": N_("nothing to put in: all of it is known"),
    "too-long": N_("put into one another, the steps would be too long to read: the later gradients keep their names"),
}
# where several things are spoken of
SEVERAL: dict[str, str] = {
    "outside": N_("{factors} do not depend on {over}"),
    "multiply-out": N_("multiplied out: {factors} cancel"),
}


@dataclass(frozen=True)
class Message:
    """A sentence as an id with parameters; views render (and later translate) it."""

    id: str
    says: str
    params: Mapping[str, Any] = field(default_factory=dict)


def message(rule: str, several: bool = False, **params: Any) -> Message:
    return Message(rule, SEVERAL[rule] if several else RULES[rule], params)


def unique(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Each sentence once, in order."""
    return tuple({(m.id, str(m.params)): m for m in messages}.values())


def alike(messages: Sequence[Message]) -> list[Message]:
    """`x enters a linearly` and `x enters b linearly` as one sentence about both."""
    groups: dict[Any, list[Message]] = {}
    for m in messages:
        groups.setdefault((m.id, str(m.params.get("quantity"))) if m.id == "linear" else id(m), []).append(m)
    return [
        replace(group[0], params={**group[0].params, "consumer": [m.params["consumer"] for m in group]})
        if len(group) > 1
        else group[0]
        for group in groups.values()
    ]


class Partial(Expr):
    """An unevaluated local derivative: the entry v[I] by the entry q[J]."""

    is_commutative = True
    is_extended_real = True


class Total(Partial):
    """The gradient by q as a whole, where a local derivative of the loss by q is a part of it."""


@dataclass(frozen=True)
class Step:
    """`before = after` by one rule; `steps` say how, in order."""

    rule: str
    before: Expr
    after: Expr
    messages: tuple[Message, ...]
    quantity: str
    consumer: str | None = None
    steps: tuple[Step, ...] = ()

    def walk(self) -> Iterator[Step]:
        """This step and everything inside it."""
        yield self
        for step in self.steps:
            yield from step.walk()


# -- local derivatives: every way from a formula down to one entry of q ---------------------------


@dataclass(frozen=True)
class Path:
    """One occurrence `q[slots]` in a formula: the factors on the way, and the bound indices entered."""

    slots: tuple[Expr, ...]
    factors: tuple[Expr, ...] = ()
    entered: tuple[Idx, ...] = ()
    messages: tuple[Message, ...] = ()
    uses: int = 1  # occurrences that were added up to this one
    composed: bool = False  # of several, which have told their cancelled exponents themselves

    def through(self, factor: Expr, *messages: Message) -> Path:
        factors = (factor, *self.factors) if factor != 1 else self.factors
        return replace(self, factors=factors, messages=(*messages, *self.messages))

    @property
    def product(self) -> Expr:
        return Mul(*self.factors)

    def says(self, id: str) -> bool:
        return any(m.id == id for m in self.messages)

    @property
    def cancelled(self) -> tuple[Message, ...]:
        """Exponents of power rules whose product with the other constants is 1: the 2 of r**2/2 is not seen."""
        exponents = [m.params["exponent"] for m in self.messages if m.id == "power"]
        numbers = [e for e in exponents if e.is_number and e not in (S.One, S.NegativeOne)]
        if self.composed or not numbers or abs(self.product.as_content_primitive()[0]) != 1:
            return ()
        other = 1 / Mul(*numbers)
        return (message("cancelled", numbers=[*numbers, *([other] if other != 1 else [])]),)


def paths(node: Basic, q: str, strict: bool = False) -> list[Path]:
    """All occurrences of q in `node`, each with its local derivative as a list of factors.

    `strict`: a tie of two is shared, as torch does it.
    """
    if q not in quantities_in(node):
        return []
    if name_of(node) == q:
        return [Path(tuple(node.indices) if isinstance(node, Indexed) else ())]
    for kind, rule in _STRUCTURE.items():
        if isinstance(node, kind):
            return rule(node, q, strict)
    operation = operation_row(node)
    if operation is not None:
        return _operation_paths(node, q, operation, strict)
    row = function_row(node)
    argument = node.args[0]
    slope = row.slope(argument, node)
    return [path.through(slope, Message(row.name, row.says)) for path in paths(argument, q, strict)]


def _no_paths(node: Basic, q: str, strict: bool) -> list[Path]:
    """Index expressions are integers: nothing flows through them."""
    return []


def _add_paths(node: Add, q: str, strict: bool) -> list[Path]:
    using = [term for term in node.args if q in quantities_in(term)]
    says = () if len(node.args) == 1 else (message("sum"),)
    return [path.through(S.One, *says) for term in using for path in paths(term, q, strict)]


def _mul_paths(node: Mul, q: str, strict: bool) -> list[Path]:
    found = []
    using = [factor for factor in node.args if q in quantities_in(factor)]
    for factor in using:
        others = Mul(*(other for other in node.args if other is not factor))
        rule = "product" if len(using) > 1 else "constant-factor"
        if isinstance(factor, Pow) and factor.exp.could_extract_minus_sign():
            rule = "quotient"
        found += [path.through(others, message(rule)) for path in paths(factor, q, strict)]
    return found


def _pow_paths(node: Pow, q: str, strict: bool) -> list[Path]:
    base, exponent = node.args
    found = []
    if q in quantities_in(base):
        says = message("power", exponent=exponent)
        found += [path.through(exponent * base ** (exponent - 1), says) for path in paths(base, q, strict)]
    if q in quantities_in(exponent):
        says = message("exponential", base=base)
        found += [path.through(node * log(base), says) for path in paths(exponent, q, strict)]
    return found


def _sum_paths(node: Sum, q: str, strict: bool) -> list[Path]:
    body, bound = freshen(node)
    says = message("sum-over")
    return [replace(path.through(S.One, says), entered=(*bound, *path.entered)) for path in paths(body, q, strict)]


def _piecewise_paths(node: Piecewise, q: str, strict: bool) -> list[Path]:
    """Branches that reach the same entry make one factor, again piecewise."""
    branches = [(paths(value, q, strict), condition) for value, condition in node.args]
    using = [inner for inner, _ in branches if inner]
    rule = message("masked", quantity=q) if len(branches) == 2 and len(using) == 1 else message("piecewise")
    plain: dict[tuple[Expr, ...], list[Expr]] = {}
    found = []
    says: list[Message] = []
    for number, (inner, _) in enumerate(branches):
        for path in inner:
            says += (*path.messages, *path.cancelled)
            if path.entered:
                found.append(path.through(_branch(node, {number: S.One}), rule))
            else:
                values = plain.setdefault(path.slots, [S.Zero] * len(branches))
                values[number] += path.product
    for slots, values in plain.items():
        factor = _branch(node, dict(enumerate(values)))
        found.append(Path(slots, (factor,), (), (rule, *unique(says)), composed=True))
    return found


def _branch(node: Piecewise, values: Mapping[int, Expr]) -> Expr:
    pairs = [(values.get(number, S.Zero), condition) for number, (_, condition) in enumerate(node.args)]
    return Piecewise(*pairs, evaluate=False) if len(pairs) > 1 else pairs[0][0]


def _extremum_paths(node: Expr, q: str, strict: bool) -> list[Path]:
    found = []
    for argument in node.args:
        others = node.func(*(other for other in node.args if other is not argument))
        slope = extremum_slope(argument, others, isinstance(node, Max), strict)
        says = message("extremum-shared" if strict else "extremum")
        found += [path.through(slope, says) for path in paths(argument, q, strict)]
    return found


def _clamp_paths(node: clamp, q: str, strict: bool) -> list[Path]:
    return [path.through(clamp_slope(*node.args), message("clamp")) for path in paths(node.args[0], q, strict)]


def _operation_paths(node: Expr, q: str, row: Any, strict: bool) -> list[Path]:
    says = Message(row.name, row.says)
    if isinstance(node, ExprWithLimits):
        body, bound = freshen(node)
        factor = row.local(node, bound)
        return [replace(p.through(factor, says), entered=(*bound, *p.entered)) for p in paths(body, q, strict)]
    matrix = node.args[0].args[0] if isinstance(node, MatrixEntry) else node.args[0]
    out = node.args[1:] if isinstance(node, MatrixEntry) else ()
    axis = Idx(Symbol("a", integer=True), matrix.shape[0])
    slots = (fresh(axis), fresh(axis))
    return [Path(slots, (row.local(matrix, out, slots),), slots, (says,))]


_STRUCTURE = {
    Indexed: _no_paths,
    KroneckerDelta: _no_paths,
    floor: _no_paths,
    ceiling: _no_paths,
    Mod: _no_paths,
    Add: _add_paths,
    Mul: _mul_paths,
    Pow: _pow_paths,
    Sum: _sum_paths,
    Piecewise: _piecewise_paths,
    Max: _extremum_paths,
    Min: _extremum_paths,
    clamp: _clamp_paths,
}


def merged(found: Sequence[Path]) -> list[Path]:
    """Occurrences of the same entry outside any sum are one: their local derivatives add, what they share in front."""
    groups: dict[Any, list[Path]] = {}
    for number, path in enumerate(found):
        groups.setdefault(path.slots if not path.entered else number, []).append(path)
    return [
        group[0]
        if len(group) == 1
        else Path(
            group[0].slots,
            _added([p.factors for p in group]),
            (),
            unique(m for p in group for m in (*p.messages, *p.cancelled)),
            len(group),
            composed=True,
        )
        for group in groups.values()
    ]


def _added(products: Sequence[Sequence[Expr]]) -> tuple[Expr, ...]:
    """`a*b + a*c` as the factors a and b + c; a sign in front goes into a sum that has another: -(a - b) is b - a."""
    rests = [list(factors) for factors in products]
    shared = []
    for factor in products[0]:
        if all(factor in rest for rest in rests):
            shared.append(factor)
            for rest in rests:
                rest.remove(factor)
    inner = Add(*(Mul(*rest) for rest in rests))
    front = Mul(*shared)
    mixed = len({term.could_extract_minus_sign() for term in Add.make_args(inner)}) > 1
    if mixed and front.could_extract_minus_sign():
        return (-front, -inner)
    return (*shared, inner)


# -- contraction: which entries of v meet one entry of q ---------------------------------------------


@dataclass(frozen=True)
class Meeting:
    """Where `q[slots] = q[J]`: indices solved for, masks their ranges leave, deltas that stay."""

    solved: Mapping[Idx, Expr]
    masks: tuple[Expr, ...]
    deltas: tuple[Expr, ...]
    repeats: tuple[Idx, ...] = ()  # that count how often a period has gone by


def meet(slots: Sequence[Expr], targets: Sequence[Idx], scope: Sequence[Idx]) -> Meeting:
    """Solve `slots = targets` for as many indices of `scope` as possible."""
    solved: dict[Idx, Expr] = {}
    masks: list[Expr] = []
    deltas: list[Expr] = []

    def unsolved() -> list[Idx]:
        return [i for i in scope if i not in solved]

    def settle(values: Mapping[Idx, Expr]) -> None:
        for old in solved:
            solved[old] = substitute(solved[old], values)
        solved.update(values)

    def settle_within(index: Idx, value: Expr) -> None:
        if size(index) != (size(value) if isinstance(value, Idx) else None):
            masks.append(bracket(within(value, size(index))))
        settle({index: value})

    # an axis of one entry adds nothing to a place: `x[i + k]` is x[i], whichever of the two would be solved for
    moved = {i for slot in slots if not isinstance(slot, Idx) for i in free_indices(slot)}
    settle({i: S.Zero for i in scope if i in moved and size(i) == 1})
    pairs: list[tuple[Expr, Expr]] = []
    for slot, target in sorted(zip(slots, targets, strict=True), key=lambda pair: not isinstance(pair[0], Idx)):
        slot = substitute(slot, solved)
        if slot == target or (slot == 0 and size(target) == 1):
            continue
        number = None if radix.digit(slot) else radix.read(slot, unsolved())
        if isinstance(slot, Idx) and slot in unsolved():
            settle_within(slot, target)
        elif number is not None and not _single(number):
            values, condition = number.solve(target)
            masks.append(bracket(condition))
            settle({digit: value for digit, value in values.items() if isinstance(digit, Idx)})
            pairs += [pair for pair in values.items() if not isinstance(pair[0], Idx)]
        else:
            pairs.append((slot, target))
    pairs = [(substitute(slot, solved), value) for slot, value in pairs]
    pairs, conditions, repeats = radix.merge(pairs, unsolved())
    masks += map(bracket, conditions)
    for slot, value in pairs:
        slot = substitute(slot, solved)
        if slot == value:
            continue
        if isinstance(slot, Idx) and slot in unsolved():
            settle_within(slot, value)
            continue
        for index in unsolved():
            found = solve(slot, value, index) if index in free_indices(slot) else None
            if found is not None:
                settle_within(index, found)
                break
        else:
            deltas.append(KroneckerDelta(slot, value))
    masks = [transform(substitute(mask, solved), radix.settled_digits) for mask in masks]
    deltas = [substitute(delta, solved) for delta in deltas]  # a later slot may have solved an index of an earlier one
    return Meeting(solved, tuple(m for m in masks if m != 1), tuple(deltas), tuple(repeats))


def _single(number: radix.Number) -> bool:
    """One plain index with slope 1: moved by an offset, which `solve` says more shortly."""
    return len(number.places) == 1 and number.places[0].stride == 1 and isinstance(number.places[0].digit, Idx)


# -- the derivation ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gradient(Shown):
    """`dW`: its expression in the steps' names, and the forms it can be written in."""

    shown_as = "gradient"

    name: str
    indices: tuple[Idx, ...]
    expr: Expr
    step: Step
    derivation: Derivation = field(repr=False, compare=False)

    @property
    def symbol_name(self) -> str:
        return f"d{self.name}"

    @property
    def shape(self) -> tuple[Expr, ...]:
        return tuple(size(i) for i in self.indices)

    @property
    def entry(self) -> Expr:
        return entry(tensor(self.symbol_name, self.indices), self.indices)

    @cached_property
    def closed_form(self) -> Any:
        """The steps inserted into one another: a `ClosedForm` with its own steps."""
        from tutor.symbolic.closed import close

        return close(self)

    @property
    def closed(self) -> Expr:
        """The closed form's expression."""
        return self.closed_form.expr

    @cached_property
    def torch(self) -> str | None:
        """The right side as a line of torch: `x.T @ dz`; None where torch has no short way."""
        from tutor.symbolic.torch_form import torch_form

        return torch_form(self.expr, self.indices, self.derivation.exercise)

    @property
    def index_form(self) -> str:
        """The right side in the answer sheet's index style: `Sum(x[i,j]*dz[i,k], i)`."""
        from tutor.symbolic.notation import sheet_form

        return sheet_form(self.expr, self.derivation.exercise)

    @property
    def latex(self) -> str:
        from tutor.symbolic.notation import latex_form

        return f"{latex_form(self.entry, self.derivation.exercise)} = {latex_form(self.expr, self.derivation.exercise)}"

    def __repr__(self) -> str:
        form = self.index_form
        return f"Gradient({self.symbol_name} = {form if len(form) <= 60 else form[:57] + '...'})"


@dataclass(frozen=True, eq=False)
class Derivation(Shown):
    """Every gradient of an exercise, in the order in which they are found, with the steps that find them."""

    shown_as = "derivation"

    exercise: Exercise
    gradients: Mapping[str, Gradient]
    wrt: tuple[str, ...]

    def gradient(self, name: str) -> Gradient:
        """The gradient with respect to a quantity, by its name (`"W"`)."""
        name = _quantity_of(name, self.exercise)
        if name not in self.gradients:
            quantity = self.exercise[name]  # raises for a name that does not exist
            says = said("there is no gradient with respect to {name}, which is a {kind}", name=name, kind=quantity.kind)
            if quantity.domain == "index":
                says = said("there is no gradient with respect to {name}, which holds integers", name=name)
            raise ExerciseError(said("exercise {name}: {message}", name=self.exercise.name, message=says))
        return self.gradients[name]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """One step per gradient on the way to the wanted ones, from the loss back."""
        return tuple(gradient.step for gradient in self.needed)

    @cached_property
    def needed(self) -> tuple[Gradient, ...]:
        """The wanted gradients and those they are made of."""
        wanted = {name for name in self.wrt if name in self.gradients}
        for name in reversed(list(self.gradients)):
            if name in wanted:
                read = map(self.exercise.differentiated, quantities_in(self.gradients[name].expr))
                wanted |= {q for q in read if q is not None}
        ends = {q.name for q in self.exercise.ends}
        return tuple(g for name, g in self.gradients.items() if name in wanted - ends)

    @cached_property
    def shared(self) -> frozenset[str]:
        """Quantities whose gradients several of the needed ones are made of: closed once, they serve all of these."""
        readers = [quantities_in(g.expr) for g in self.needed]
        return frozenset(g.name for g in self.needed if sum(g.symbol_name in read for read in readers) > 1)

    @property
    def program(self) -> list[tuple[str, tuple[Idx, ...], Expr]]:
        """The backward pass as a straight-line program: run it after the forward one, in order."""
        return [(g.symbol_name, g.indices, g.expr) for g in self.gradients.values() if not self._given(g)]

    def _given(self, gradient: Gradient) -> bool:
        return self.exercise[gradient.name].kind == "output"

    def __repr__(self) -> str:
        return f"Derivation({self.exercise.id!r}, {len(self.gradients)} gradients)"


def derive(exercise: Exercise, wrt: str | Sequence[str] | None = None) -> Derivation:
    """All gradients of the exercise; `wrt` narrows what is shown to one quantity and what it needs."""
    if isinstance(exercise, str):
        raise TypeError(said("derive takes an Exercise: tutor.load({exercise!r}).derive()", exercise=exercise))
    names = list(exercise.asked) if wrt is None else [wrt] if isinstance(wrt, str) else list(wrt)
    full = exercise.cached("derivation", lambda: _derive(exercise))
    if wrt is not None:
        names = [_quantity_of(name, exercise) for name in names]
        for name in names:
            full.gradient(name)
    else:
        names = _asked_quantities(exercise)
    return Derivation(exercise, full.gradients, tuple(names))


def _quantity_of(name: str, exercise: Exercise) -> str:
    """`z` for z, and for its gradient dz."""
    of = name.removeprefix("d")
    return of if name not in exercise.quantities and of in exercise.quantities else name


def _asked_quantities(exercise: Exercise) -> list[str]:
    """Asked names, with values replaced by the gradients that they read."""
    wanted = []
    for name in exercise.asked:
        quantity = exercise[name]
        if quantity.kind != "value":
            wanted.append(name)
        else:
            wanted += [q.name for q in exercise if f"d{q.name}" in _reads_through(exercise, quantity)]
    return list(dict.fromkeys(wanted))


def _reads_through(exercise: Exercise, value: Quantity) -> frozenset[str]:
    found = value.reads
    for name in value.reads:
        if name in exercise.quantities and exercise[name].kind == "value":
            found |= _reads_through(exercise, exercise[name])
    return found


def _derive(exercise: Exercise) -> Derivation:
    exercise.validate()
    gradients: dict[str, Gradient] = {}
    derivation = Derivation(exercise, gradients, tuple(exercise.asked))
    users: dict[str, list[Quantity]] = {}
    for v in exercise.forward:
        for name in v.reads:
            users.setdefault(name, []).append(v)
    for q in [*reversed(exercise.forward), *exercise.leaves]:
        if not q.differentiable:
            continue
        step = _gradient_step(exercise, q, list(reversed(users.get(q.name, []))))
        gradients[q.name] = Gradient(q.name, q.indices, step.after, step, derivation)
    return derivation


def loss_entry(exercise: Exercise) -> Expr:
    """What is differentiated; for a layer, an unnamed loss behind its outputs."""
    ends = exercise.ends
    return ends[0].entry if ends[0].kind == "loss" else Symbol("L", real=True)


def _gradient_step(exercise: Exercise, q: Quantity, consumers: Sequence[Quantity]) -> Step:
    target = Partial(loss_entry(exercise), q.entry)
    if q.kind == "loss":
        return Step("gradient", target, S.One, (message("identity", quantity=q.name),), q.name)
    if q.kind == "output":
        given = exercise.gradient_quantity(q).entry
        return Step("gradient", target, given, (message("gradient", loss="L", quantity=q.name),), q.name)
    parts = contributions(exercise, q, consumers)
    if not parts:
        return Step("gradient", target, S.Zero, (message("unused", quantity=q.name),), q.name)
    steps = _phases(exercise, q, target, parts)
    says = message("gradient", loss=str(loss_entry(exercise)), quantity=q.name)
    return Step("gradient", target, steps[-1].after, (says,), q.name, None, tuple(steps))


def contributions(exercise: Exercise, q: Quantity, consumers: Sequence[Quantity] | None = None) -> list[Contribution]:
    """What each consumer sends back to q, the one nearest to the loss first."""
    if consumers is None:
        consumers = [v for v in reversed(exercise.forward) if q.name in v.reads]
    found = [Contribution(exercise, v, q) for v in consumers]
    return [part for part in found if part.paths]


def _phases(exercise: Exercise, q: Quantity, target: Expr, parts: Sequence[Contribution]) -> list[Step]:
    """Chain rule, local derivatives, contraction, names, facts: only those that change something."""
    steps: list[Step] = []

    def follow(rule: str, after: Expr, messages: Sequence[Message], **more: Any) -> None:
        before = steps[-1].after if steps else target
        after = _nice(exercise, after)
        if after != before:
            steps.append(Step(rule, before, after, tuple(messages), q.name, **more))

    only = parts[0].v.name if len(parts) == 1 else None
    told = sorted(parts, key=lambda p: p.v.kind == "loss")  # formulas have the loss's own part last
    follow("chain", Add(*(p.chain for p in parts)), [_chain_message(q, told)], consumer=only)
    local = Add(*(p.applied for p in parts))
    details = tuple(p.local_step for p in parts)
    follow("local", local, alike([m for p in told for m in p.messages]), consumer=only, steps=details)
    contracted = Add(*(p.contracted for p in parts))
    follow("contract", contracted, [m for p in parts for m in p.contraction_messages])
    folded, names = contracted, []
    for part in parts:
        before = folded
        folded = part.fold(folded)
        if folded != before:
            names.append(part.v.name)
    follow("named", folded, [message("named", names=names)])
    folded = name_ratios(folded)
    follow("ratio", folded, [message("ratio")])
    for fact in exercise.facts:
        before, folded = folded, use_fact(folded, fact)
        if folded != before:
            follow("fact", folded, [message("fact", reason=fact.reason, left=fact.left, right=fact.right)])
    return steps


def use_fact(node: Expr, fact: Fact) -> Expr:
    return replace_sums(node, fact.left, fact.right, sorted(free_indices(fact.left), key=str))


def _chain_message(q: Quantity, parts: Sequence[Contribution]) -> Message:
    if len(parts) > 1:
        return message("chain-paths", consumers=[p.v.name for p in parts], quantity=q.name)
    part = parts[0]
    if part.summed:
        rule = "chain-sum-some" if part.picks else "chain-sum"
        return message(rule, over=list(part.summed), consumer=part.v.name, quantity=q.entry)
    return message("chain", consumer=part.v.name, quantity=q.name)


@dataclass(frozen=True)
class Term:
    """`Sum(upstream * factors * picks, over)`: the part of dq that comes through one occurrence of q in v."""

    v: Quantity
    upstream: Expr
    factors: tuple[Expr, ...]
    picks: tuple[Expr, ...]  # masks and deltas that contraction left
    over: tuple[Idx, ...]
    uses: int = 1

    @property
    def body(self) -> Expr:
        return _settle_masks(Mul(self.upstream, *self.factors, *self.picks))

    @property
    def expr(self) -> Expr:
        return total(self.body, self.over)


class Contribution:
    """What one consumer v sends back to q: `Sum(dv[I] * local, I)`."""

    def __init__(self, exercise: Exercise, v: Quantity, q: Quantity):
        self.exercise, self.v, self.q = exercise, v, q
        self.apart = {i: fresh(i) for i in v.indices}
        self.scope = list(self.apart.values())
        self.body = substitute(v.expr, self.apart)
        self.paths = [p for p in merged(paths(self.body, q.name, exercise.strict_kinks)) if p.product != 0]
        # what v sums over first, as its local derivative has it: dx[i] = Sum(dy[o]*w[i - o], o)
        self.meetings = [meet(p.slots, q.indices, [*p.entered, *self.scope]) for p in self.paths]

    @cached_property
    def aligned(self) -> dict[Idx, Expr]:
        """Indices of v that every path ties to one and the same index of q."""
        ties: dict[Idx, Expr] = {index: S.Zero for index in self.scope if size(index) == 1}  # an axis of one entry
        for index in self.scope:
            values = {m.solved.get(index) for m in self.meetings}
            if len(values) == 1 and values <= set(self.q.indices):
                (value,) = values
                if not any(value in free_indices(mask) for m in self.meetings for mask in m.masks):
                    ties[index] = value
        return ties

    @cached_property
    def summed(self) -> tuple[Idx, ...]:
        """Indices of v that stay under the chain rule's sum, by their nice names."""
        return tuple(self._nice_names[i] for i in self.scope if i not in self.aligned)

    @property
    def picks(self) -> bool:
        """Whether only some of the entries of v that are summed over use this entry of q."""
        return any(
            m.masks or m.deltas or any(i in m.solved for i in self.scope if i not in self.aligned)
            for m in self.meetings
        )

    @cached_property
    def _nice_names(self) -> dict[Idx, Idx]:
        taken = set(self.q.indices)
        names = {}
        for original, index in self.apart.items():
            if index not in self.aligned:
                names[index] = pick_name(self.exercise, original, frozenset(taken))
                taken.add(names[index])
        return names

    def _upstream(self, places: Mapping[Idx, Expr]) -> Expr:
        if self.v.kind == "loss":
            return S.One
        symbol = self.exercise.gradient_quantity(self.v).symbol
        return entry(symbol, [substitute(i, places) for i in self.scope])

    @cached_property
    def _places(self) -> dict[Idx, Expr]:
        return {**self.aligned, **self._nice_names}

    @cached_property
    def partial(self) -> Expr:
        v_entry = entry(self.v.symbol, [substitute(i, self._places) for i in self.scope])
        return Partial(v_entry, self.q.entry)

    @cached_property
    def chain(self) -> Expr:
        product = self._upstream(self._places) * self.partial
        return reduce_over(Sum, product, self.summed)

    @cached_property
    def local(self) -> Expr:
        """d v[I] / d q[J] with deltas where only some entries meet."""
        terms = []
        for path in self.paths:
            slots = [substitute(s, self._places) for s in path.slots]
            inner = meet(slots, self.q.indices, path.entered)
            product = substitute(path.product, self._places)
            terms.append(_assemble(product, inner, path.entered))
        return Add(*terms)

    @cached_property
    def local_step(self) -> Step:
        after = _nice(self.exercise, self.local)
        return Step("local", self.partial, after, self.messages, self.q.name, self.v.name)

    @cached_property
    def applied(self) -> Expr:
        """The chain rule with the local derivative put in, not simplified."""
        upstream = self._upstream(self._places)
        local = _nice(self.exercise, self.local)
        kept = (
            isinstance(local, Mul) and upstream != 1 and (local.could_extract_minus_sign() or fraction(local)[1] != 1)
        )
        product = Mul(upstream, local, evaluate=False) if kept else upstream * local
        return reduce_over(Sum, product, self.summed)

    @cached_property
    def terms(self) -> list[Term]:
        """One per occurrence of q: the upstream gradient and the local factors under their sum."""
        made = []
        for path, meeting in zip(self.paths, self.meetings, strict=True):
            upstream = substitute(self._upstream({}), meeting.solved)
            factors = [substitute(f, meeting.solved) for f in path.factors]
            if any(isinstance(value, Add) for value in meeting.solved.values()):
                factors = [transform(f, radix.settled_digits) if f.has(floor, Mod) else f for f in factors]
            left = [i for i in (*self.scope, *path.entered, *meeting.repeats) if i not in meeting.solved]
            made.append(
                Term(self.v, upstream, tuple(factors), (*meeting.masks, *meeting.deltas), tuple(left), path.uses)
            )
        return made

    @cached_property
    def contracted(self) -> Expr:
        return Add(*(term.expr for term in self.terms))

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The rules used inside, each once, outermost first."""
        if (
            len(self.paths) == 1
            and self.paths[0].product == 1
            and not any(isinstance(slot, (Indexed, IndexSymbol)) for slot in self.paths[0].slots)
        ):
            if self.local.has(KroneckerDelta):
                return (message("picked", quantity=self.q.entry),)
            return (message("identity", quantity=self.q.name),)
        says = unique(m for path in self.paths for m in (*path.messages, *path.cancelled) if m.id not in _SILENT)
        if self._solved:
            return (*(says or (message("linear", consumer=self.v.name, quantity=self.q.name),)), *self._solved)
        if any(isinstance(slot, (Indexed, IndexSymbol)) for path in self.paths for slot in path.slots):
            return (*says, message("gather"))
        if all(path.says("sum-over") and not term.over for path, term in zip(self.paths, self.terms, strict=True)):
            says = (*says, message("one-term", quantity=self.q.entry)) if says else says
        return says or (message("linear", consumer=self.v.name, quantity=self.q.name),)

    @cached_property
    def _solved(self) -> tuple[Message, ...]:
        """`x[o + k]` is `x[i]` for `k = i - o`: what v sums over, found from the entry of q."""
        says = []
        for path in self.paths:
            slots = [substitute(slot, self._places) for slot in path.slots]
            inner = meet(slots, self.q.indices, path.entered)
            if not inner.masks:
                continue
            shown: dict[Idx, Idx] = {}
            for index in path.entered:
                used = (*self.q.indices, *self._places.values(), *shown.values())
                taken = frozenset(i for i in used if isinstance(i, Idx))
                shown[index] = pick_name(self.exercise, index, taken)
            plain = {i: value for i, value in inner.solved.items() if isinstance(value, Idx)}
            pairs = [
                Eq(shown[i], substitute(value, shown), evaluate=False)
                for i, value in inner.solved.items()
                if i not in plain
            ]
            slot = entry(self.q.symbol, [substitute(substitute(s, plain), shown) for s in slots])
            says.append(message("solved", slot=slot, target=self.q.entry, pairs=pairs))
        return unique(says)

    @cached_property
    def contraction_messages(self) -> tuple[Message, ...]:
        if any(m.masks for m in self.meetings):
            return (message("range"),)
        deltas = [d for d in self.applied.atoms(KroneckerDelta) if all(isinstance(a, Idx) for a in d.args)]
        if any(not free_indices(d).isdisjoint(self.summed) for d in deltas) and self.contracted.has(KroneckerDelta):
            return (message("contract"), message("sign-outside"))
        if self.applied.has(KroneckerDelta) and not self.contracted.has(KroneckerDelta):
            return (message("contract"),)
        over = [i for i in self.summed if i not in free_indices(self._upstream(self._places))]
        free = [
            f
            for f in Mul.make_args(self.local)
            if not f.is_number and f not in (S.One,) and not free_indices(f) & set(self.summed)
        ]
        if free and self.summed and not over:
            free = [_nice(self.exercise, f) for f in free]
            return (message("outside", several=len(free) > 1, factors=free, over=list(self.summed)),)
        return (message("sign-outside" if self.summed else "multiply"),)

    def fold(self, node: Expr) -> Expr:
        """Write v's own formula, where it came back, by v's name."""
        if _is_plain(self.v.expr):
            return node
        return fold(node, self.v.expr, self.v.entry, self.v.indices)


_SILENT = ("sum-over", "constant-factor", "sum", "identity")


def _is_plain(expr: Expr) -> bool:
    """A bare name, perhaps with a constant: folding it would only obscure."""
    rest = expr.as_coeff_Mul()[1]
    return rest.is_Symbol or isinstance(rest, Indexed)


def _assemble(product: Expr, meeting: Meeting, scope: Sequence[Idx]) -> Expr:
    left = [i for i in (*scope, *meeting.repeats) if i not in meeting.solved]
    return total(_settle_masks(substitute(product, meeting.solved) * Mul(*meeting.masks, *meeting.deltas)), left)


def _settle_masks(body: Expr) -> Expr:
    """Conditions on indices that their ranges decide are dropped."""
    if not body.has(Piecewise):
        return body
    made = []
    for factor in Mul.make_args(body):
        if isinstance(factor, Piecewise):
            pairs = [(value, settled(condition)) for value, condition in factor.args]
            factor = Piecewise(*pairs)
        made.append(factor)
    return Mul(*made)


# -- names of bound indices -----------------------------------------------------------------------------


def pick_name(exercise: Exercise, index: Idx, taken: frozenset[Idx] | set[Idx]) -> Idx:
    """A readable index over the same axis, that is not taken."""
    return exercise.free_index(index, taken)


def _nice(exercise: Exercise, node: Expr) -> Expr:
    """Bound indices by readable names, the same for the same expression."""
    return rename_bound(node, lambda index, taken: pick_name(exercise, index, taken))
