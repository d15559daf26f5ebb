"""The exercise: a straight-line program of named quantities, checked as it is written."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sympy import (
    Basic,
    Expr,
    Idx,
    Indexed,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Piecewise,
    S,
    Sum,
    Symbol,
    ceiling,
    floor,
    sympify,
)
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.logic.boolalg import BooleanFunction

from tutor.errors import ExerciseError, NotFoundError, did_you_mean
from tutor.language import joined, said
from tutor.shown import Shown
from tutor.symbolic.functions import clamp, function_row
from tutor.symbolic.indices import (
    IndexSymbol,
    IndexTensor,
    Tensor,
    entry,
    fits,
    free_indices,
    quantities_in,
    rename_bound,
    size,
    tensor,
)

MOST_CACHED = 4_000  # entries of an exercise's cache
DOMAINS: dict[str, dict[str, bool]] = {
    "real": {"real": True},
    "positive": {"positive": True},
    "fraction": {"positive": True},  # between 0 and 1: a momentum, a probability of its own
    "probability": {"positive": True},
    "one-hot": {"real": True, "nonnegative": True},
    "index": {"integer": True, "nonnegative": True},
    "mask": {"real": True, "nonnegative": True},
    "sign": {"real": True, "nonzero": True},  # 1 or -1: the label of a hinge loss; nobody's gradient
    "constant": {"positive": True},  # a weight of a loss: nobody's gradient
    "fixed": {"real": True},  # numbers that stand in a program: nobody's gradient
}
FIXED = ("index", "sign", "constant", "fixed")  # domains of what is given for good, without a gradient
STRUCTURAL = (
    Piecewise,
    Max,
    Min,
    clamp,
    KroneckerDelta,
    Mod,
    floor,
    ceiling,
    BooleanFunction,
)  # functions without a row in the table
SUMS_TO_ONE = ("probability", "one-hot")


@dataclass(frozen=True, eq=False)
class Quantity:
    """One name of the program: `kind` is input, parameter, step, loss, output, value or upstream."""

    name: str
    kind: str
    indices: tuple[Idx, ...]
    expr: Expr | None = None
    domain: str = "real"
    below: Expr | None = None

    @cached_property
    def symbol(self) -> Expr | Tensor:
        if self.below is not None:
            assumptions = DOMAINS[self.domain]
            if not self.indices:
                return IndexSymbol(self.name, self.below, **assumptions)
            return IndexTensor(self.name, self.shape, self.below, **assumptions)
        return tensor(self.name, self.indices, **DOMAINS[self.domain])

    @cached_property
    def entry(self) -> Expr:
        """The general entry `x[i, j]`, or the scalar itself."""
        return entry(self.symbol, self.indices)

    @cached_property
    def shape(self) -> tuple[Expr, ...]:
        return tuple(size(i) for i in self.indices)

    @property
    def is_leaf(self) -> bool:
        return self.kind in ("input", "parameter")

    @property
    def differentiable(self) -> bool:
        return self.domain not in FIXED and self.kind not in ("value", "upstream")

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names its formula uses, sizes included."""
        return quantities_in(self.expr) if self.expr is not None else frozenset()


@dataclass(frozen=True)
class Fact:
    """An identity that holds for every instance: `Sum(y[i, k], k) = 1`, and where it comes from."""

    left: Expr
    right: Expr
    reason: str
    quantity: str


class Exercise(Shown):
    """A loss, a layer or a network whose gradients are asked.

    Quantities are defined in the order in which they are computed; every definition is checked at once
    and an `ExerciseError` names the exercise, the quantity and what to write instead.
    """

    shown_as = "exercise"

    def __init__(
        self,
        name: str,
        *,
        title: str = "",
        level: int = 1,
        tags: list[str] | tuple[str, ...] = (),
        source: str = "",
        requires: list[str] | tuple[str, ...] = (),
        hints: list[str] | tuple[str, ...] = (),
        statement: str = "",
        strict_kinks: bool = False,
    ):
        self.name = name
        self.title = title or name
        self.level, self.tags, self.source = level, tuple(tags), source
        self.requires, self.hints, self.statement = tuple(requires), tuple(hints), statement
        self.strict_kinks = strict_kinks
        self.id = name  # the catalogue sets "mlp:layers=4" for a family's member
        self.path: Path | None = None
        self.size_symbols: dict[str, Symbol] = {}
        self.index_symbols: dict[str, Idx] = {}
        self.quantities: dict[str, Quantity] = {}
        self.facts: list[Fact] = []
        self.reference_function: Callable[[Any], Any] | None = None
        self.reference_source = ""  # the body of `def forward(t):`, where it is known as text, for `save`
        self.remark = ""  # what `verify` says of the reference
        self.own: list[tuple[dict[str, int], dict[str, Any]]] = []  # sizes and values of an imported module's own
        self.instances: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.example_sizes: dict[str, int] = {}
        self.full_sizes: list[dict[str, int]] = []
        self._asked: dict[str, float] | None = None
        self._points: dict[str, float] = {}
        self._cache: dict[Any, Any] = {}

    # -- names ---------------------------------------------------------------------------------

    def sizes(self, names: str) -> Any:
        """`N, D = exercise.sizes("N D")`: positive integers; one object for one name."""
        made = []
        for name in names.replace(",", " ").split():
            self._claim(name, "size")
            made.append(self.size_symbols.setdefault(name, Symbol(name, integer=True, positive=True)))
        if not made:
            raise self._error(said('sizes("") names none: write exercise.sizes("N D")'))
        return made[0] if len(made) == 1 else tuple(made)

    def indices(self, **ranges: Any) -> Any:
        """`i, j = exercise.indices(i=N, j=D)`: each runs over an axis of that size (0 to N-1)."""
        made = []
        for name, extent in ranges.items():
            self._claim(name, "index")
            extent = sympify(extent)
            if extent.is_positive is False:
                raise self._error(
                    said("index {name}={extent}: an axis has at least one entry", name=name, extent=extent)
                )
            foreign = {s.name for s in extent.free_symbols} - set(self.size_symbols)
            if foreign or not extent.is_integer:
                raise self._error(
                    said(
                        "index {name}={extent}: an index runs over a size, a number, or an expression of sizes; "
                        "declare {names} with exercise.sizes(...) first",
                        name=name,
                        extent=extent,
                        names=", ".join(sorted(foreign)) or said("it"),
                    )
                )
            made.append(self.index_symbols.setdefault(name, Idx(Symbol(name, integer=True), extent)))
        if not made:
            raise self._error(said("indices() names none: write exercise.indices(i=N)"))
        return made[0] if len(made) == 1 else tuple(made)

    def _claim(self, name: str, what: str) -> None:
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise self._error(
                said(
                    "{what} {name!r} is not a plain name: letters, digits and _, and no Python keyword",
                    what=what,
                    name=name,
                )
            )
        taken = self._kind_of(name)
        if taken:
            raise self._error(
                said(
                    "{name} is already {taken}: sizes, indices and quantities share one namespace",
                    name=name,
                    taken=taken,
                )
            )
        for prefix in ("dL_d", "grad_", "d"):
            base = name.removeprefix(prefix)
            if base != name and base in self.quantities:
                raise self._error(
                    said(
                        "{name} is reserved for the gradient with respect to {base}: choose another name",
                        name=name,
                        base=base,
                    )
                )
            clash = prefix + name
            if what not in ("size", "index") and self._kind_of(clash):
                raise self._error(
                    said(
                        "{clash} is taken, but would be the gradient with respect to {name}: rename one of them",
                        clash=clash,
                        name=name,
                    )
                )

    def _kind_of(self, name: str) -> str:
        if name in self.size_symbols:
            return said("a size")
        if name in self.index_symbols:
            return said("an index")
        if name in self.quantities:
            return said("a quantity ({kind})", kind=self.quantities[name].kind)
        return ""

    # -- quantities ----------------------------------------------------------------------------

    def input(self, name: str, *indices: Idx, domain: str = "real", below: Any = None) -> Any:
        """Given data: `x = exercise.input("x", i, j)`; used as `x[i, j]`, a scalar as `x`."""
        return self._leaf(name, "input", indices, domain, below)

    def parameter(self, name: str, *indices: Idx, domain: str = "real") -> Any:
        """What is learnt, and asked by default: `W = exercise.parameter("W", j, k)`."""
        return self._leaf(name, "parameter", indices, domain, None)

    def step(self, name: str, indices: Any, expr: Any) -> Any:
        """A named intermediate: `z = exercise.step("z", [i, k], Sum(x[i, j]*W[j, k], j))`."""
        return self._define(name, "step", indices, expr)

    def loss(self, name: str, expr: Any) -> Any:
        """The scalar that is differentiated; there is one."""
        if any(q.kind in ("loss", "output") for q in self.quantities.values()):
            raise self._error(
                said("{name} is a second end of the program: an exercise has one loss, or outputs", name=name)
            )
        return self._define(name, "loss", (), expr)

    def output(self, name: str, indices: Any, expr: Any) -> Any:
        """An output of a layer: its upstream gradient `d<name>` becomes an input."""
        if any(q.kind == "loss" for q in self.quantities.values()):
            raise self._error(said("{name} is an output, but the exercise has a loss: it has either", name=name))
        return self._define(name, "output", indices, expr)

    def value(self, name: str, indices: Any, expr: Any) -> Any:
        """Computed after the backward pass: `exercise.value("w_new", [], w - eta*exercise.gradient("w"))`."""
        return self._define(name, "value", indices, expr)

    def gradient(self, name: str) -> Any:
        """The gradient of the loss with respect to `name`, as a symbol for `value`."""
        return self.gradient_quantity(self._known(name)).symbol

    def differentiated(self, name: str) -> str | None:
        """`W` for the gradient's name `dW`; None for a name that is no gradient."""
        base = name[1:]
        return base if name[:1] == "d" and base in self.quantities and name not in self.quantities else None

    def answer_name(self, name: str) -> str:
        """What a learner writes for an asked quantity: `dW` for W, a value by its own name."""
        return name if self[name].kind == "value" else f"d{name}"

    def gradient_quantity(self, quantity: Quantity) -> Quantity:
        """`dW`, shaped and indexed like `W`; for an output it is the upstream gradient."""
        kind = "upstream" if quantity.kind == "output" else "gradient"
        return self.cached(("gradient", quantity.name), lambda: Quantity(f"d{quantity.name}", kind, quantity.indices))

    def _leaf(self, name: str, kind: str, indices: tuple[Any, ...], domain: str, below: Any) -> Any:
        self._claim(name, kind)
        if domain not in DOMAINS:
            known = ", ".join(DOMAINS)
            raise self._error(
                said(
                    '{name} has the unknown domain "{domain}"{hint} known: {known}',
                    name=name,
                    domain=domain,
                    hint=did_you_mean(domain, DOMAINS),
                    known=known,
                )
            )
        if (domain == "index") != (below is not None):
            raise self._error(
                said('{name}: domain="index" goes with below=V, the size that its values stay under', name=name)
            )
        if domain in SUMS_TO_ONE and not indices:
            raise self._error(
                said(
                    '{name}: domain="{domain}" is about the last axis, and a scalar has none', name=name, domain=domain
                )
            )
        axes = self._axes(name, indices)
        made = Quantity(name, kind, axes, domain=domain, below=None if below is None else sympify(below))
        self._add(made)
        if domain in SUMS_TO_ONE:
            says = said("are one-hot") if domain == "one-hot" else said("are probabilities")
            self.facts.append(
                Fact(Sum(made.entry, axes[-1]), S.One, said("the rows of {name} {says}", name=name, says=says), name)
            )
        return made.symbol

    def _define(self, name: str, kind: str, indices: Any, expr: Any) -> Any:
        self._claim(name, kind)
        axes = self._axes(name, tuple(indices) if isinstance(indices, (list, tuple)) else (indices,))
        expr = self._formula(name, expr)
        self._check_formula(name, kind, axes, expr)
        if any("~" in bound.name for part in expr.atoms(ExprWithLimits) for bound in part.variables):
            expr = rename_bound(expr, lambda b, taken: self.free_index(b, taken) if "~" in b.name else b)
        made = Quantity(name, kind, axes, expr)
        self._add(made)
        return made.symbol

    def free_index(self, index: Idx, taken: Set[Idx]) -> Idx:
        """A readable index over the same axis: its own name, another of the exercise's, or one with a number."""
        label = index.name.split("~")[0]
        own = self.index_symbols.get(label)
        candidates = [own] if own is not None and size(own) == size(index) else []
        candidates += self._over(size(index))
        used = {i.name for i in taken}
        for candidate in candidates:
            if candidate.name not in used:
                return candidate
        stem = label.rstrip("0123456789") or label
        names = [stem] if own is None else []
        reserved = set(self.size_symbols) | set(self.quantities) | set(self.index_symbols)
        for name in [*names, *(f"{stem}{n}" for n in range(1, 100))]:
            if name not in used and name not in reserved:
                return Idx(Symbol(name, integer=True), size(index))
        raise self._error(said("no free name for another index over {index}", index=size(index)))

    def _over(self, extent: Expr) -> list[Idx]:
        """The indices that run over an axis of this size."""

        def sorted_by_size() -> dict[Expr, list[Idx]]:
            found: dict[Expr, list[Idx]] = {}
            for index in self.index_symbols.values():
                found.setdefault(size(index), []).append(index)
            return found

        return self.cached(("indices", len(self.index_symbols)), sorted_by_size).get(extent, [])

    def _add(self, quantity: Quantity) -> None:
        self.quantities[quantity.name] = quantity
        self._cache.clear()

    def _axes(self, name: str, indices: tuple[Any, ...]) -> tuple[Idx, ...]:
        for index in indices:
            if not isinstance(index, Idx) or self.index_symbols.get(index.name) != index:
                raise self._error(
                    said(
                        "{name}: {index} is not an index of the exercise; make it with exercise.indices",
                        name=name,
                        index=index,
                    )
                )
        twice = next((index for n, index in enumerate(indices) if index in indices[:n]), None)
        if twice is not None:
            raise self._error(
                said("{name} has the index {twice} twice: give each axis an index of its own", name=name, twice=twice)
            )
        return tuple(indices)

    def _formula(self, name: str, expr: Any) -> Expr:
        if isinstance(expr, (str, bool)) or expr is None:
            raise self._error(
                said(
                    "{name} = {expr!r} is not a formula: write SymPy expressions, without quotes", name=name, expr=expr
                )
            )
        if isinstance(expr, Tensor):
            wanted = ", ".join("ijklmn"[: len(expr.shape)])
            raise self._error(
                said(
                    "{name} uses {name2} without indices: write {name2}[{wanted}]",
                    name=name,
                    name2=expr.name,
                    wanted=wanted,
                )
            )
        expr = sympify(expr)
        if not isinstance(expr, Expr):
            raise self._error(
                said("{name} = {expr} is not a formula but {name2}", name=name, expr=expr, name2=type(expr).__name__)
            )
        if expr.has(S.NaN, S.ComplexInfinity, S.ImaginaryUnit):
            raise self._error(
                said(
                    "{name} = {expr} is not a real number: look for a division by zero or the root of -1",
                    name=name,
                    expr=expr,
                )
            )
        return expr

    def _check_formula(self, name: str, kind: str, axes: tuple[Idx, ...], expr: Expr) -> None:
        self._check_limits(name, expr)
        for used in sorted(quantities_in(expr)):
            if kind == "value" and used.startswith("d") and used[1:] in self.quantities:
                continue
            if used == name:
                raise self._error(
                    said("{name} is used in its own definition: give the new value a name of its own", name=name)
                )
            if used not in self.size_symbols and used not in self.quantities:
                known = [*self.size_symbols, *self.quantities]
                raise self._error(
                    said(
                        "{name} uses {used}, which is not defined yet{hint}: define inputs, parameters and "
                        "earlier steps first",
                        name=name,
                        used=used,
                        hint=did_you_mean(used, known),
                    )
                )
            used_kind = self.quantities[used].kind if used in self.quantities else ""
            if used_kind == "value" and kind != "value":
                raise self._error(
                    said(
                        "{name} uses {used}, a value from after the backward pass: only values may",
                        name=name,
                        used=used,
                    )
                )
            if used_kind in ("loss", "output") and kind != "value":
                raise self._error(
                    said(
                        "{name} uses the {used_kind} {used}: keep the {used_kind} for the end; name the shared "
                        "part with exercise.step and let {used} and {name} both use it",
                        name=name,
                        used_kind=used_kind,
                        used=used,
                    )
                )
        self._check_indices(name, kind, axes, expr)
        self._check_axes(name, expr, guarded=False)

    def _check_limits(self, name: str, expr: Expr) -> None:
        """A sum runs over an index, and over the whole of its axis."""
        for limit in (limit for reduction in expr.atoms(ExprWithLimits) for limit in reduction.limits):
            index = limit[0]
            if not isinstance(index, Idx):
                raise self._error(
                    said(
                        "{name} sums over {index}, which is not an index: make one with exercise.indices({index}=...)",
                        name=name,
                        index=index,
                    )
                )
            if tuple(limit[1:]) not in ((), (index.lower, index.upper)):
                raise self._error(
                    said(
                        "{name} sums {index} from {limit} to {limit2}, but its axis goes from 0 to {upper}: "
                        "write Sum(..., {index}), with a Piecewise inside for a part of the axis",
                        name=name,
                        index=index,
                        limit=limit[1],
                        limit2=limit[-1],
                        upper=index.upper,
                    )
                )

    def _check_indices(self, name: str, kind: str, axes: tuple[Idx, ...], expr: Expr) -> None:
        free = free_indices(expr)
        for index in sorted(free - set(axes), key=str):
            bound = {limit[0] for part in expr.atoms(ExprWithLimits) for limit in part.limits}
            if index in bound and expr.has(Piecewise):
                raise self._error(
                    said(
                        "{index} has left its sum in {name}: SymPy's Sum takes a Piecewise out of a sum inside "
                        "it; name the inner sum with exercise.step",
                        index=index,
                        name=name,
                    )
                )
            if kind == "loss":
                raise self._error(
                    said(
                        "the loss {name} is not a scalar: {index} is free in it; sum or average over it",
                        name=name,
                        index=index,
                    )
                )
            where = (
                said("among the indices of {name}[{names}]", name=name, names=", ".join(map(str, axes)))
                if axes
                else said("in the scalar {name}", name=name)
            )
            raise self._error(
                said(
                    "{index} is free on the right but not {where}: sum over {index}, or add it on the left",
                    index=index,
                    where=where,
                )
            )
        for index in axes:
            if index not in free and size(index) != 1:
                raise self._error(
                    said(
                        "{index} is an index of {name} but does not occur on the right: drop it, and let what "
                        "uses {name} broadcast over {index}",
                        index=index,
                        name=name,
                    )
                )

    def _check_axes(self, name: str, node: Basic, guarded: bool) -> None:
        """Every plain index must run over the axis where it stands or its front; a mask may guard a longer one."""
        if isinstance(node, Idx):
            return
        if isinstance(node, Symbol):
            self._check_same(name, node, node.name)
            return
        if isinstance(node, Indexed):
            self._check_same(name, node.base, str(node.base.label))
            quantity = self._quantity_of(str(node.base.label))
            for position, (index, extent) in enumerate(zip(node.indices, quantity.shape, strict=True), 1):
                self._check_axes(name, index, guarded)
                if isinstance(index, Idx) and not guarded and not fits(size(index), extent):
                    raise self._error(
                        said(
                            "{name} uses {node}, but axis {position} of {name2} has size {extent} and {index} runs "
                            "over {index2}: {name2} is indexed [{names}]",
                            name=name,
                            node=node,
                            position=position,
                            name2=quantity.name,
                            extent=extent,
                            index=index,
                            index2=size(index),
                            names=", ".join(map(str, quantity.indices)),
                        )
                    )
                if index.is_number and extent.is_number and not 0 <= index < extent:
                    raise self._error(
                        said(
                            "{name} uses {node}: axis {position} of {name2} ends at {last}",
                            name=name,
                            node=node,
                            position=position,
                            name2=quantity.name,
                            last=extent - 1,
                        )
                    )
            return
        if isinstance(node, ExprWithLimits):
            self._check_axes(name, node.args[0], guarded)
            return
        if isinstance(node, Tensor):
            self._check_same(name, node, node.name)
            return
        if node.is_Function and not isinstance(node, STRUCTURAL):
            self._check_function(name, node)
        for part in node.args:
            self._check_axes(name, part, guarded or isinstance(node, Piecewise))

    def _check_same(self, name: str, used: Basic, called: str) -> None:
        """A symbol that only shares a quantity's name is another thing to SymPy."""
        known = self.size_symbols.get(called)
        if used != (self._quantity_of(called).symbol if known is None else known):
            raise self._error(
                said(
                    "{name} uses another {called} than the exercise's own: use the object that "
                    "exercise.input, parameter, step or sizes returned",
                    name=name,
                    called=called,
                )
            )

    def _check_function(self, name: str, node: Expr) -> None:
        try:
            function_row(node)
        except ExerciseError as error:
            raise self._error(joined([name, error.says], ": ")) from None

    def _quantity_of(self, name: str) -> Quantity:
        if name in self.quantities:
            return self.quantities[name]
        return self.gradient_quantity(self.quantities[name[1:]])

    # -- facts, what is asked, examples ------------------------------------------------------------

    def fact(self, left: Any, right: Any, reason: str = "declared") -> None:
        """Declare an identity, as `exercise.fact(Sum(a[i, k], k), 1)`, for use in steps.

        Where it is a sum over an input or a parameter, sampled values are made to obey it; any other is checked.
        """
        left, right = sympify(left), sympify(right)
        names = [n for n in quantities_in(left) if n in self.quantities]
        for used in quantities_in(left) | quantities_in(right):
            if used not in self.quantities and used not in self.size_symbols:
                raise self._error(
                    said(
                        "the fact {left} = {right} uses {used}, which is not defined", left=left, right=right, used=used
                    )
                )
        if not names:
            raise self._error(said("the fact {left} = {right} is about no quantity", left=left, right=right))
        self.facts.append(Fact(left, right, reason, sorted(names)[0]))
        self._cache.clear()

    def ask(self, *names: str) -> None:
        """What a learner must give; default: every parameter. Values are asked by their own name."""
        if not names:
            raise self._error(said('ask() names nothing: write exercise.ask("W", "b")'))
        self._asked = {name: 1.0 for name in names}
        self._cache.clear()

    def ask_instead(self, *names: str) -> None:
        """Ask for others than the file does, as an assignment may; what is not asked any more loses its points."""
        self.ask(*names)
        self._points = {name: worth for name, worth in self._points.items() if name in names}

    def points(self, **points: float) -> None:
        """Points for asked quantities; default one each."""
        self._points.update(points)
        self._cache.clear()

    def instance(self, **values: Any) -> None:
        """A worked example with fixed values: `exercise.instance(w=1, b=0, x=2, y=4)`."""
        self.instances.append(values)
        self._cache.clear()

    def fails_at(self, **values: Any) -> None:
        """Values at which this way of computing it breaks in floats, though the reference does not.

        `exercise.fails_at(z=[1000.0, 0.0])`: here the value, or a gradient of ours, is not finite, where the
        reference's are. The certificate computes both.
        """
        self.failures.append(values)
        self._cache.clear()

    def example(self, **sizes: int) -> None:
        """Sizes for sampling: `exercise.example(N=3, D=5, K=4)`."""
        for name, extent in sizes.items():
            if name not in self.size_symbols:
                hint = did_you_mean(name, self.size_symbols)
                raise self._error(
                    said("example({name}={extent}): {name} is not a size{hint}", name=name, extent=extent, hint=hint)
                )
            if not isinstance(extent, int) or extent < 2:
                raise self._error(
                    said(
                        "example({name}={extent}): size 1 hides missing sums; use a whole number from 2 up",
                        name=name,
                        extent=extent,
                    )
                )
        self.example_sizes.update(sizes)
        self._cache.clear()

    def full_size(self, **sizes: int) -> None:
        """Sizes of the real thing, verified beside the small ones: `exercise.full_size(N=1, D=784)`."""
        for name in (*sizes, *self.size_symbols):
            if name not in self.size_symbols:
                raise self._error(
                    said(
                        "full_size({name}=...): {name} is not a size{hint}",
                        name=name,
                        hint=did_you_mean(name, self.size_symbols),
                    )
                )
            if not isinstance(sizes.get(name), int) or sizes[name] < 1:
                raise self._error(said("full_size(...) needs a whole number from 1 up for {name}", name=name))
        self.full_sizes.append(sizes)

    def reference(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Decorator: an independent forward in native torch, given the instance `t`."""
        self.reference_function = function
        return function

    # -- the finished program -------------------------------------------------------------------------

    def validate(self) -> None:
        """Raise `ExerciseError` if the program as a whole is not sound."""
        if not self.ends:
            raise self._error(
                said("there is no loss and no output: end with exercise.loss(...) or exercise.output(...)")
            )
        used = frozenset().union(*(q.reads for q in self.quantities.values()))
        for q in self.quantities.values():
            if q.kind == "parameter" and q.name not in used:
                raise self._error(
                    said("the parameter {name} is not used by any step: use it or remove it", name=q.name)
                )
        for name in self.asked:
            if self._known(name).domain == "index":
                raise self._error(
                    said("{name} is asked but holds integers, which have no gradient: ask for another", name=name)
                )
            if self._known(name).domain in FIXED:
                raise self._error(said(
                    '{name} is asked but has the domain "{domain}", which has no gradient: ask for another', name=name,
                    domain=self[name].domain,
                ))  # fmt: skip
        for name in self._points:
            if name not in self.asked:
                raise self._error(
                    said(
                        "points({name}=...): {name} is not asked; asked are {names}",
                        name=name,
                        names=", ".join(self.asked),
                    )
                )
        if len(set(self.example_sizes.values())) != len(self.example_sizes):
            raise self._error(
                said(
                    "example sizes {example_sizes} repeat: equal sizes hide a transposed matrix",
                    example_sizes=self.example_sizes,
                )
            )
        for called, given in (("instance", self.instances), ("fails_at", self.failures)):
            for values in given:
                self._check_given(called, values)

    def _check_given(self, called: str, values: Mapping[str, Any]) -> None:
        for name in values:
            if not self._known(name).is_leaf:
                raise self._error(
                    said(
                        "{called}({name}=...): only inputs and parameters are given, {name} is computed",
                        called=called,
                        name=name,
                    )
                )
        missing = [q.name for q in self.quantities.values() if q.is_leaf and q.name not in values]
        if missing:
            raise self._error(said("{called}(...) gives no value for {names}", called=called, names=", ".join(missing)))

    @property
    def ends(self) -> list[Quantity]:
        """The loss, or the outputs."""
        return self.cached("ends", lambda: [q for q in self.quantities.values() if q.kind in ("loss", "output")])

    @property
    def asked(self) -> dict[str, float]:
        """Asked names with their points."""
        names = self._asked or {q.name: 1.0 for q in self.quantities.values() if q.kind == "parameter"}
        return {name: float(self._points.get(name, 1.0)) for name in names}

    @property
    def worth(self) -> dict[str, float]:
        """The same by what a learner writes: `{"dW": 2.0}`."""
        return {self.answer_name(name): points for name, points in self.asked.items()}

    @property
    def forward(self) -> list[Quantity]:
        """Steps, and then the loss or outputs, in the order in which they are computed."""
        kinds = ("step", "loss", "output")
        return self.cached("forward", lambda: [q for q in self.quantities.values() if q.kind in kinds])

    @property
    def leaves(self) -> list[Quantity]:
        return [q for q in self.quantities.values() if q.is_leaf]

    @property
    def values(self) -> list[Quantity]:
        return [q for q in self.quantities.values() if q.kind == "value"]

    @property
    def order(self) -> Mapping[str, int]:
        """Rank of every name by first appearance, for printers; gradients come before what they multiply."""
        names = [*self.size_symbols, *self.quantities]
        return self.cached("order", lambda: {name: rank for rank, name in enumerate(names)})

    def _known(self, name: str) -> Quantity:
        if name not in self.quantities:
            raise NotFoundError(
                said(
                    'exercise {name} has no quantity "{name2}"{hint}: it has {names}',
                    name=self.name,
                    name2=name,
                    hint=did_you_mean(name, self.quantities),
                    names=", ".join(self.quantities),
                )
            )
        return self.quantities[name]

    def __getitem__(self, name: str) -> Quantity:
        return self._known(name)

    def __iter__(self) -> Iterator[Quantity]:
        return iter(self.quantities.values())

    def cached(self, key: Any, make: Callable[[], Any]) -> Any:
        """What is computed from the definition, made once; whatever changes the definition forgets it."""
        if key not in self._cache:
            made = make()
            if len(self._cache) >= MOST_CACHED:  # seeds, pinned sizes and helpers are endless
                self._cache.clear()
            self._cache[key] = made
        return self._cache[key]

    def _error(self, message: str) -> ExerciseError:
        error = ExerciseError(said("exercise {name}: {message}", name=self.name, message=message))
        error.objection = message
        return error

    # -- through the public face (imported late: the engine does not know it) --------------------------

    def derive(self, wrt: str | None = None) -> Any:
        """The derivation, step by step: see `tutor.derive`."""
        import tutor

        return tutor.derive(self, wrt)

    def verify(self, **options: Any) -> Any:
        """Compare our gradients with autograd and finite differences: see `tutor.verify`."""
        import tutor

        return tutor.verify(self, **options)

    def check(self, answer: Any, **options: Any) -> Any:
        """Judge a learner's derivation: see `tutor.check`."""
        __tracebackhide__ = True
        import tutor

        return tutor.check(self, answer, **options)

    def sample(self, seed: int = 0, **options: Any) -> Any:
        """Random values for every input and parameter: see `tutor.numeric.sample`."""
        import tutor

        return tutor.sample(self, seed, **options)

    def at(self, **values: Any) -> Any:
        """Given values and the forward pass; without any, the worked example: see `tutor.numeric.sample`."""
        from tutor.numeric.sample import at

        return at(self, values)

    def show(self, t: Any = None) -> Any:
        """The values of the forward pass, step by step, at the instance `t`: see `tutor.numeric.forward`."""
        from tutor.numeric.forward import forward

        return forward(self, self.sample() if t is None else t)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the exercise as a file to edit and to load: `exercise.save("my_model.py")`."""
        from tutor.views.source import save

        return save(self, path, overwrite)

    def __repr__(self) -> str:
        return f"Exercise({self.id!r})"
