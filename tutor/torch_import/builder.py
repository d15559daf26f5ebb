"""From a graph to an exercise: the rows are run until nothing more is learnt of sizes, then once to write the steps.

What a row is given: `step`, `part` and `detail` name what it computes, `same` and `extent` speak of sizes, `sum` and
`bound` make sums. A view that only rearranges stays a view; one that cuts or joins axes becomes a step when something
computes with it, as one writes `q = ...` before the scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from sympy import Expr, Idx, Indexed, Integer, Mul, Piecewise, S, Sum, Symbol, sqrt, sympify

from tutor.errors import ExerciseError, UsageError, did_you_mean
from tutor.exercise import Exercise
from tutor.language import said
from tutor.symbolic.indices import Tensor, entry, free_indices, fresh, reduce_over
from tutor.symbolic.indices import size as size_of
from tutor.torch_import.arrays import Array, At
from tutor.torch_import.graph import Graph, Leaf, Node, Ref, flat, kind_of, refs
from tutor.torch_import.leaves import axis_wishes, domain_of, pattern, repeated, short_names
from tutor.torch_import.naming import Names, identifier, numbered, wished
from tutor.torch_import.numbers import exact
from tutor.torch_import.places import where
from tutor.torch_import.sizes import Sizes
from tutor.torch_import.table import SILENT, Row, reasons, rows

VIEWS = ("views", "joining", "constants")  # groups whose rows compute nothing


class Builder:
    """What the rows of the table work with."""

    def __init__(self, graph: Graph, steps: str = "standard", names: dict[str, str] | None = None, short: bool = False):
        self.graph, self.steps, self.short = graph, steps, short
        self.renamed = names or {}
        self.sizes = Sizes()
        self.settling = False  # all that operations say of sizes is known: what is unsure now is pinned
        self.names = Names()
        self.exercise: Exercise | None = None  # none yet: the sizes are being learnt
        self.values: dict[str, Any] = {}  # node -> Array, size, or several
        self.node: Node | None = None
        self.extents: dict[tuple[str, int, int], Expr] = {}
        self.shapes: dict[str, tuple[Expr, ...]] = {}  # of leaves
        self.belows: dict[str, Expr] = {}
        self.domains: dict[str, str] = {}
        self.given: dict[str, Leaf] = {}  # leaves that operations bring: the mask of dropout
        self.declared: set[str] = set()  # leaves that became quantities
        self.written: dict[tuple[str, str], Any] = {}  # (node, argument) -> the sizes that it stands for
        self.real_ends: list[Ref] = []
        self.called: dict[str, str] = {}  # leaf, node or node.part -> the quantity's name
        self._wanted: dict[str, tuple[str, tuple[Expr, ...]]] = {}  # node or node.part -> wished name, shape
        self._leaves = {leaf.name: leaf for leaf in graph.leaves}
        self._wishes = wished(graph)
        self._asked: Counter[tuple[str, int]] = Counter()
        self._indices: dict[Expr, list[Idx]] = {}
        self._settled: dict[str, Array] = {}
        self._defined: set[str] = set()  # keys of the steps of this run
        self._lengths: dict[Any, Expr] = {}  # torch's symbols of axes
        self._alike: dict[Any, tuple[Expr, ...]] = {}  # blocks of one kind have the same sizes
        self._kinds = {node.name: node.kinds[0] for node in graph.nodes if node.kinds}
        self._kinds |= {leaf.name: kind_of(leaf.value.dtype) for leaf in graph.leaves if leaf.is_tensor}
        self._ends = self._planned_ends()

    # -- the runs --------------------------------------------------------------------------------------------

    def build(self, exercise: Exercise) -> Exercise:
        """The graph's program, written into an exercise."""
        for leaf in self.graph.leaves:
            self._measure(leaf)
        self._learn()
        self._pin_fixed()
        self._learn()
        self.settling = True
        self._learn()
        self._name(exercise)
        self.exercise = exercise
        self._run()
        return exercise

    def _learn(self) -> None:
        """Until nothing more is learnt: what a later operation says of a size may matter to an earlier one."""
        former = -1
        while former != self.sizes.learnt:
            former = self.sizes.learnt
            self._wanted.clear()
            self._run()

    def _pin_fixed(self) -> None:
        """An axis of an input that torch could not leave open may stand in the program as a number, as `len(x)` does.

        A width that the module's weights share is no such axis: there torch knows the number from the weights.
        """
        widths = {s for leaf in self.graph.leaves if leaf.kind != "input" and leaf.name in self.shapes
                  for n in self.shapes[leaf.name] for s in self.sizes.resolve(n).free_symbols}  # fmt: skip
        for leaf in self.graph.leaves:
            for extent, length in zip(self.shapes.get(leaf.name, ()), leaf.lengths, strict=False):
                if sympify(length).is_number and not self.sizes.resolve(extent).free_symbols & widths:
                    self.sizes.pin(extent)

    def _run(self) -> None:
        self.values, self._settled, self._defined = {}, {}, set()
        self._asked.clear()
        for leaf in self.graph.leaves:
            if leaf.kind == "input":
                self.value(leaf.name)
        for node in self.graph.nodes:
            self.node = node
            self.values[node.name] = self._computed(node)
        self.node = None
        self._finish()

    def value(self, name: str) -> Any:
        """What a node made; a parameter is declared where it is first used, so that formulas have h before W."""
        if name not in self.values:
            self.values[name] = self._leaf(self._leaves[name])
        return self.values[name]

    def _computed(self, node: Node) -> Any:
        if node.op == "getitem":
            several, place = self.value(node.args["self"].name), node.args["index"]
            if place >= len(several) or several[place] is None:
                raise self.refusal(said("result {place} of the operation before it is not in its row", place=place))
            return several[place]
        if node.op == "sym_size":
            return self.value(node.args["self"].name).shape[node.args["dim"]]
        if not node.overload:
            return self._arithmetic(node)
        row = rows().get(node.op)
        if row is None:
            reason = reasons().get(node.op)
            raise self.refusal(said(reason) if reason else said("there is no row for it in the table of operations"))
        self._refuse_overlooked(node, row)
        if "complex" in node.kinds:
            raise self.refusal(said("it computes complex numbers, and derivations are of real ones"))
        args = {name: self._argument(node.args[name], row) for name in node.args if name in row.takes}
        made = row.build(self, **args)
        for place, array in enumerate(made if isinstance(made, list) else [made]):
            if isinstance(array, Array) and place < len(node.shapes):
                self._compare_shape(node.shapes[place], array)
                self._compare_kind(node, node.kinds[place], array)
        return made

    def _refuse_overlooked(self, node: Node, row: Row) -> None:
        for name, value in node.args.items():
            if name not in row.takes and name not in SILENT and name not in node.defaults:
                shown = said("a tensor") if isinstance(value, Ref) else value
                raise self.refusal(said("{name}={value} is not in its row", name=name, value=shown))

    def _compare_shape(self, theirs: tuple[int, ...], made: Array) -> None:
        ours = tuple(map(self.sizes.number, made.shape))
        if ours != theirs:
            raise self.refusal(said("its row says the shape {ours}, torch {theirs}", ours=ours, theirs=theirs))

    def _compare_kind(self, node: Node, kind: str, made: Array) -> None:
        """Real numbers as whole ones are cut off, and as conditions no formula has them."""
        if kind == "bool" and made.kind != "bool":
            raise self.refusal(said("it makes conditions of numbers, and its row has none"))
        if kind == "int" and made.kind == "float" and any(self._is_real_argument(v) for v in flat(node.args)):
            raise self.refusal(said("it cuts real numbers off to whole ones, which jumps: there is nothing to derive"))

    def _is_real_argument(self, value: Any) -> bool:
        if isinstance(value, Ref):
            return self._kinds.get(value.name) == "float"
        return isinstance(value, float) and not value.is_integer()

    def _argument(self, value: Any, row: Row) -> Any:
        if isinstance(value, Ref):
            found = self.value(value.name)
            return self.settled(found, value.name) if isinstance(found, Array) and row.group not in VIEWS else found
        if isinstance(value, list):
            return [self._argument(v, row) for v in value]
        return value

    def _arithmetic(self, node: Node) -> Any:
        values = [self.value(v.name) if isinstance(v, Ref) else v for v in node.args.get("values", ())]
        if not values or any(isinstance(v, Array) for v in values):
            raise self.refusal(said("there is no row for it in the table of operations"))
        return _ARITHMETIC[node.op](self, *map(sympify, values))

    def _divided(self, a: Expr, b: Expr) -> Expr:
        """Whole division of sizes: exact where it can be, else both are numbers."""
        if b.is_number:  # 6 // 2 says that the size is even; of 5 // 2 there is no formula
            if self.sizes.number(a) % int(b):
                return sympify(self.sizes.pin(a) // int(b))
            self.sizes.same(a, b * self.extent(self.sizes.number(a) // int(b)))
        ratio = self.sizes.resolve(a) / self.sizes.resolve(b)
        if ratio.as_numer_denom()[1] == 1:
            return ratio
        whole, rest = divmod(self.sizes.number(a), self.sizes.number(b))
        if rest:
            self.sizes.pin(a), self.sizes.pin(b)
            return Integer(whole)
        part = self.extent(whole)
        self.same(a, b * part)
        return self.sizes.resolve(part)

    def refusal(self, reason: str) -> ExerciseError:
        """What torch calls it, where it stands, why it cannot be derived, and what to do."""
        node = self.node
        assert node is not None
        return ExerciseError(said(
            "{operation}{where} cannot be derived: {reason}; write this step by hand: import what stands before and "
            "after it, or make the exercise with exercise.step",
            operation=node.called, where=where(node.place), reason=reason,
        ))  # fmt: skip

    # -- sizes, for rows -----------------------------------------------------------------------------------------

    def same(self, a: Expr, b: Expr) -> None:
        """Two axes have one size."""
        ours, theirs = self.number(a), self.number(b)
        if ours != theirs:
            raise self.refusal(said("its row takes {ours} and {theirs} entries for one size", ours=ours, theirs=theirs))
        self.sizes.same(a, b)

    def write(self, argument: str, sizes: Any) -> None:
        """What an argument of the operation is in sizes: so the native reference calls it at other sizes."""
        if self.exercise is not None and self.node is not None:
            self.written[self.node.name, argument] = sizes

    def number(self, extent: Any) -> int:
        """A size in the example."""
        return self.sizes.number(sympify(extent))

    def extent(self, size: Any, *wishes: str) -> Expr:
        """A size in an operation's arguments: a number there is a size of its own, until something says otherwise."""
        if isinstance(size, Expr) and not size.is_number:
            return self.sizes.resolve(size)
        assert self.node is not None
        key = (self.node.name, int(size), self._asked[self.node.name, int(size)])
        self._asked[key[:2]] += 1
        if key not in self.extents:
            self.extents[key] = self.sizes.new(int(size), *wishes)
        return self.sizes.resolve(self.extents[key])

    def wish(self, extent: Expr, *names: str, default: bool = False) -> None:
        """What an axis is called in the field, as K for classes; or, as H, where nothing else is known of it."""
        self.sizes.wish(extent, *names, default=default)

    def broadcast(self, *arrays: Array) -> tuple[Expr, ...]:
        """The shape that torch broadcasts them to; axes that meet have one size."""
        rank = max((a.dim for a in arrays), default=0)
        shape: list[Expr] = [S.One] * rank
        for array in arrays:
            for d, extent in enumerate(array.shape, rank - array.dim):
                if extent == 1:
                    continue
                if shape[d] != 1:
                    self.same(shape[d], extent)
                shape[d] = extent
        return tuple(map(self.sizes.resolve, shape))

    def below(self, array: Array, extent: Expr) -> None:
        """The entries of an integer array are places on an axis."""
        values = self.example(array)
        if values is not None and bool((values < 0).any()):
            raise self.refusal(said("an index of the example is negative; count it from the front"))
        if array.kind == "int" and array.leaf:
            self.sizes.same(self.belows.setdefault(array.leaf, extent), extent)
        elif array.kind == "int" and array.below is not None:
            self.sizes.at_least(extent, array.below)
        else:
            raise self.refusal(said("its indices are computed, and nothing says what they stay under"))

    def domain(self, array: Array, domain: str) -> None:
        """Where the entries of an input must lie for the operation to make sense."""
        if array.leaf and not (array.viewed and domain == "distribution"):  # which is about the last axis
            self.domains.setdefault(array.leaf, domain)

    def is_constant(self, array: Array) -> bool:
        """Whether it is a buffer or a constant of the graph, or a view of one."""
        return any(leaf.kind in ("buffer", "constant") for leaf in self.graph.leaves if leaf.name == array.leaf)

    def example(self, array: Array) -> torch.Tensor | None:
        """The example's values of an input or parameter."""
        return next((leaf.value for leaf in self.graph.leaves if array.leaf and leaf.name == array.leaf), None)

    def argument(self, name: str) -> Any:
        """An argument as the graph has it."""
        return self.node.args.get(name) if self.node is not None else None

    # -- formulas, for rows ------------------------------------------------------------------------------------------

    def scalar(self, value: Any) -> Expr:
        """A number as an author writes it: 0.1 is 1/10, 0.35355339059327373 is 1/sqrt(8)."""
        return exact(value)

    @property
    def epsilon(self) -> Expr:
        """The relative rounding of the example's dtype: 1/8388608 of float32."""
        assert self.node is not None and self.node.dtype is not None
        return S.One / int(1 / torch.finfo(self.node.dtype).eps)

    def bound(self, extent: Expr) -> Expr:
        """A fresh index to sum over; 0 on an axis of one entry."""
        extent = self.sizes.resolve(extent)
        return S.Zero if extent == 1 else fresh(self._first(extent))

    def _first(self, extent: Expr) -> Idx:
        """A readable index over an axis."""
        known = self._indices.get(extent)
        return known[0] if known else Idx(Symbol("i", integer=True), extent)

    def sum(self, body: Callable[..., Expr], *extents: Expr) -> Expr:
        """`Sum(body(j), j)` over whole axes."""
        bound = [self.bound(extent) for extent in extents]
        inside = sympify(body(*bound))
        over = [i for i in bound if isinstance(i, Idx)]
        count = Mul(*(size_of(i) for i in over if i not in free_indices(inside)))
        over = [i for i in over if i in free_indices(inside)]
        return count * (reduce_over(Sum, inside, over) if over and inside != 0 else inside)

    def mean(self, body: Callable[..., Expr], *extents: Expr) -> Expr:
        """The sum over whole axes by the number of their entries."""
        return self.sum(body, *extents) / Mul(*map(self.sizes.resolve, extents))

    # -- steps, for rows ---------------------------------------------------------------------------------------------

    def step(self, shape: Sequence[Expr], at: At, name: str = "y") -> Array:
        """What the operation computes: a step at every level of detail; `name` where the source has none for it."""
        assert self.node is not None
        return self._define(self.node.name, self._wishes.get(self.node.name) or name, shape, at)

    def part(self, name: str, shape: Sequence[Expr], at: At) -> Array:
        """A step on the way to it, as a textbook has it; none if each operation is to be one step."""
        return self._within(name, shape, at) if self.steps != "coarse" else self.inline(shape, at)

    def also(self, name: str, shape: Sequence[Expr], at: At) -> Array:
        """A step at every level of detail: a further result, or what written out could not be derived."""
        return self._within(name, shape, at)

    def detail(self, name: str, shape: Sequence[Expr], at: At) -> Array:
        """A step only where small steps are asked for."""
        return self._within(name, shape, at) if self.steps == "fine" else self.inline(shape, at)

    def inline(self, shape: Sequence[Expr], at: At) -> Array:
        """Written out where it is used."""
        return Array(tuple(shape), at)

    def _within(self, name: str, shape: Sequence[Expr], at: At) -> Array:
        assert self.node is not None
        return self._define(f"{self.node.name}.{name}", name, shape, at)

    def settled(self, array: Array, name: str) -> Array:
        """A view that cuts or joins axes as a step of its own."""
        if array.kind != "float" or array.is_plain:
            return array
        if name not in self._settled:
            self._settled[name] = self._define(f"{name}.view", self._wishes.get(name) or "view", array.shape, array.at)
        return self._settled[name]

    def _define(self, key: str, wish: str, shape: Sequence[Expr], at: At) -> Array:
        shape = tuple(map(self.sizes.resolve, shape))
        self._defined.add(key)
        if self.exercise is None:
            self._wanted[key] = (wish, shape)
            return self._likeness(key, shape)
        return self._quantity(key, shape, at)

    def _likeness(self, key: str, shape: tuple[Expr, ...], **more: Any) -> Array:
        """Stands for a quantity while the sizes are learnt."""
        if not shape:
            return Array(shape, lambda: Symbol(key, real=True), **more)
        array = Tensor(key, shape=shape)
        return Array(shape, lambda *ix: array[ix], **more)

    def _quantity(self, key: str, shape: tuple[Expr, ...], at: At) -> Array:
        """A step of the exercise. An axis that its formula does not depend on is left out, and broadcast again."""
        assert self.exercise is not None
        name = self.called[key]
        axes = self.indices(shape)
        expr = sympify(at(*axes))
        kind = self._ends.get(key, "step")
        if kind == "step" and _is_constant(expr):
            return Array(shape, at)  # nothing to compute: 0 times x, a mask of minus infinity
        same = [d for d, i in enumerate(axes) if size_of(i) != 1 and i not in free_indices(expr)]
        if kind == "output" and same:
            raise ExerciseError(said(
                "what it returns as {name} has equal entries along its axis {axis}, and an exercise has no such axis: "
                "return it without, or compute with it", name=name, axis=same[0],
            ))  # fmt: skip
        kept = [d for d, i in enumerate(axes) if kind == "output" or size_of(i) == 1 or i in free_indices(expr)]
        indices = [axes[d] for d in kept]
        if kind == "loss":
            symbol = self.exercise.loss(name, expr)
        else:
            define = self.exercise.output if kind == "output" else self.exercise.step
            symbol = define(name, indices, expr)
        return Array(shape, lambda *ix: entry(symbol, [ix[d] for d in kept]))

    def indices(self, shape: Sequence[Expr]) -> list[Idx]:
        """An index of its own for each axis."""
        used: list[Idx] = []
        for extent in shape:
            pool = self._indices.setdefault(extent, [])
            free = next((i for i in pool if i not in used), None)
            if free is None:
                assert self.exercise is not None
                label = self.names.letter(str(extent) if isinstance(extent, Symbol) else "")
                free = self.exercise.indices(**{label: extent})
                pool.append(free)
            used.append(free)
        return used

    # -- leaves --------------------------------------------------------------------------------------------------

    def _measure(self, leaf: Leaf) -> None:
        """Every axis of a leaf has a size of its own, until operations say otherwise."""
        if not leaf.is_tensor:
            return
        wishes = axis_wishes(leaf)
        made = tuple(map(self.sizes.new, leaf.value.shape))
        shape = self._alike.setdefault((repeated(leaf), tuple(leaf.value.shape)), made)
        for axis, (extent, names) in enumerate(zip(shape, wishes, strict=True)):
            self.sizes.wish(extent, *names, default=axis > 0)  # the batch is N; of the others operations know more
        self.shapes[leaf.name] = shape
        for extent, length in zip(shape, leaf.lengths, strict=False):
            if not sympify(length).is_number:  # torch says which axes have one size
                self.sizes.same(self._lengths.setdefault(length, extent), extent)

    def _leaf(self, leaf: Leaf) -> Any:
        if not leaf.is_tensor:
            return leaf.value if leaf.value is None else exact(leaf.value)
        if leaf.value.is_complex():
            raise ExerciseError(said("{name} holds complex numbers, and derivations are of real ones", name=leaf.path))
        shape = tuple(map(self.sizes.resolve, self.shapes[leaf.name]))
        known = pattern(leaf, shape)
        return known if known is not None else self._given(leaf, shape)

    def _given(self, leaf: Leaf, shape: tuple[Expr, ...]) -> Array:
        """A leaf as a quantity."""
        kind = kind_of(leaf.value.dtype)
        if self.exercise is None:
            made = self._likeness(leaf.name, shape, kind=kind, leaf=leaf.name)
        else:
            symbol = self._declared(leaf, self.indices(shape))
            made = Array(shape, lambda *ix: entry(symbol, ix), kind, leaf=leaf.name)
        if kind != "bool":
            return made
        return Array(shape, lambda *ix: made[ix] > S.Half, kind, leaf=leaf.name)

    def _declared(self, leaf: Leaf, axes: list[Idx]) -> Any:
        assert self.exercise is not None
        name = self.called[leaf.name]
        self.declared.add(leaf.name)
        positive = "positive" if self.domains.get(leaf.name) == "positive" else "real"
        if leaf.kind == "parameter" and leaf.value.requires_grad and leaf.value.is_floating_point():
            return self.exercise.parameter(name, *axes, domain=positive)
        if leaf.name in self.belows:
            below = self.sizes.resolve(self.belows[leaf.name])
            return self.exercise.input(name, *axes, domain="index", below=below)
        trained = leaf.kind == "input" and leaf.value.is_floating_point() and leaf.value.requires_grad
        if trained and self.domains.get(leaf.name, "positive") == "positive":
            return self.exercise.parameter(name, *axes, domain=positive)
        return self.exercise.input(name, *axes, domain=domain_of(leaf, self.domains.get(leaf.name)))

    def mask(self, name: str, shape: Sequence[Expr]) -> Array:
        """A 0-1 mask that an operation would draw by chance: given, as an input of the exercise."""
        assert self.node is not None
        shape = tuple(map(self.sizes.resolve, shape))
        key = f"{self.node.name}.{name}"
        if key not in self.given:
            self.given[key] = Leaf(key, "mask", name, torch.ones([self.sizes.number(n) for n in shape]))
            self.shapes[key] = shape
        if self.exercise is None:
            self._wanted[key] = (name, shape)
            return self._likeness(key, shape)
        symbol = self.exercise.input(self.called[key], *self.indices(shape), domain="mask")
        return Array(shape, lambda *ix: entry(symbol, ix))

    # -- ends ----------------------------------------------------------------------------------------------------

    def _planned_ends(self) -> dict[str, str]:
        """Which steps are the loss or an output; one that is used on the way, or a view, gets a line of its own."""
        kinds = {node.name: node.kinds[0] if len(node.kinds) == 1 else "several" for node in self.graph.nodes}
        shapes = {node.name: node.shapes[0] for node in self.graph.nodes if node.shapes}
        views = {node.name for node in self.graph.nodes if not _computes(node)}
        used = Counter(ref.name for node in self.graph.nodes for ref in refs(node.args))
        used.update(ref.name for ref in self.graph.ends if isinstance(ref, Ref))
        self.real_ends = [ref for ref in self.graph.ends if isinstance(ref, Ref) and self._is_real(ref.name, kinds)]
        real = [ref.name for ref in self.real_ends]
        scalar = len(real) == 1 and shapes.get(real[0]) == ()
        planned = {}
        for number, name in enumerate(real):
            direct = used[name] == 1 and name not in views and name in kinds
            planned[name if direct else f"end {number}.{name}"] = "loss" if scalar else "output"
        return planned

    @property
    def ends(self) -> list[str]:
        """The quantities that it returns, in its order; the exercise has them as they are computed."""
        return [self.called[key] for key in self._ends]

    def _is_real(self, name: str, kinds: dict[str, str]) -> bool:
        leaf = next((leaf for leaf in self.graph.leaves if leaf.name == name), None)
        if leaf is not None:
            return leaf.is_tensor and leaf.value.is_floating_point()
        return kinds.get(name) == "float"

    def _finish(self) -> None:
        if not self._ends:
            raise ExerciseError(said("it returns no tensor of real numbers, so there is nothing to derive"))
        for key, kind in self._ends.items():
            if key not in self._defined:  # a view, a leaf, or a dropout in eval, which computes nothing
                array = self.value(key.partition(".")[2] if key.startswith("end ") else key)
                if array.kind != "float":
                    array = array.numbers
                self._define(key, "L" if kind == "loss" else "y", array.shape, array.at)

    # -- names ---------------------------------------------------------------------------------------------------

    def _name(self, exercise: Exercise) -> None:
        """Quantities by the source's names, then sizes; indices get theirs as they are declared."""
        leaves = [leaf for leaf in self.graph.leaves if leaf.is_tensor]
        short = short_names(leaves) if self.short else {}
        for leaf in leaves:
            own = "c" if leaf.kind == "constant" and "lifted" in leaf.path else identifier(leaf.path)
            wish = self.renamed.get(leaf.path) or short.get(leaf.name) or own
            self.called[leaf.name] = self.names.claim(wish)
        wished_for = numbered(list(self._wished_names()))
        self._refuse_unknown_names([*(leaf.path for leaf in leaves), *wished_for.values()])
        for key, wish in wished_for.items():
            self.called[key] = self.names.claim(self.renamed.get(wish, wish))
        extents = [n for shape in self.shapes.values() for n in shape]
        extents += [n for _, shape in self._wanted.values() for n in shape]
        extents += [*self.belows.values(), *self.extents.values()]
        free = self.sizes.free(extents)
        known = sorted(free, key=lambda symbol: not self.sizes.is_known(symbol))  # classes are K before a kernel is
        names = {symbol: self.names.size(self.sizes.wishes(symbol)) for symbol in known}
        for symbol in free:
            self.sizes.call(symbol, exercise.sizes(names[symbol]))

    def _refuse_unknown_names(self, known: Sequence[str]) -> None:
        for name in self.renamed:
            if name not in known:
                raise UsageError(said(
                    "names: nothing in it is called {name}{hint} what can be renamed: {known}", name=name,
                    hint=did_you_mean(name, known), known=", ".join(dict.fromkeys(known)),
                ))  # fmt: skip

    def _wished_names(self) -> Iterator[tuple[str, str]]:
        """A part has its own name where only one operation has such a part; else its module's before it."""
        modules = {node.name for node in self.graph.nodes if node.whole}
        parts = Counter(wish for key, (wish, _) in self._wanted.items() if _is_part(key))
        for key, (wish, _) in self._wanted.items():
            owner = key.partition(".")[0]
            if _is_part(key) and parts[wish] > 1 and owner in modules and owner in self._wishes:
                wish = f"{self._wishes[owner]}_{wish}"
            elif self._ends.get(key) == "loss" and key not in self._wishes:
                wish = "L"
            yield key, wish


def _is_constant(expr: Expr) -> bool:
    """A number, or numbers by cases of the indices."""
    if isinstance(expr, Piecewise):
        return all(value.is_number and not condition.has(Indexed) for value, condition in expr.args)
    return bool(expr.is_number)


# of sizes, as Python computes with them
_ARITHMETIC: dict[str, Callable[..., Expr]] = {
    "add": lambda g, a, b: a + b,
    "sub": lambda g, a, b: a - b,
    "mul": lambda g, a, b: a * b,
    "floordiv": Builder._divided,
    "truediv": lambda g, a, b: a / b,
    "pow": lambda g, a, b: a**b,
    "neg": lambda g, a: -a,
    "mod": lambda g, a, b: a % b,
    "float": lambda g, a: a,
    "int": lambda g, a: a,
    "sqrt": lambda g, a: sqrt(a),
}


def _is_part(key: str) -> bool:
    return "." in key and not key.startswith("end ") and not key.endswith(".view")


def _computes(node: Node) -> bool:
    row = rows().get(node.op)
    return bool(node.overload) and (row is None or row.group not in VIEWS)
