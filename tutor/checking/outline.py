"""What a sheet does to which quantity, before anything is computed.

Each top-level statement is a unit. Lines that build up one value (`=`, then `+=`, ...) form a segment, judged at its
last line; several independent `=` for one quantity are segments of their own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from tutor.answers import language as lang
from tutor.answers.python import DOTS
from tutor.checking import library
from tutor.exercise import Exercise


@dataclass(frozen=True)
class Meaning:
    """What a name stands for: `kind` is gradient, local, value, forward or helper."""

    name: str
    kind: str
    of: str = ""  # the quantity of a gradient or local derivative
    by: str = ""  # for a local derivative d<of>_d<by>
    total: bool = False  # of a local derivative: through the steps between as well, where its own formula uses <by>


_LOSSES = ("l", "loss")  # what a loss is called too, where the exercise has no such name


def _hatted(name: str) -> str | None:
    """`y` for `y_hat` and for a y that has its hat on, as a prediction has in books."""
    letter = unicodedata.normalize("NFD", name)
    return next((base for hat in ("_hat", "hat", "\u0302") if (base := letter.removesuffix(hat)) != letter), None)


class Names:
    """The names of an exercise, and the ways to write its gradients."""

    def __init__(self, exercise: Exercise):
        self.quantities = exercise.quantities
        self.sizes = exercise.size_symbols
        self.indices = exercise.index_symbols
        self.losses = [q.name for q in exercise.ends if q.kind == "loss"]
        self.only_values = all(exercise[name].kind == "value" for name in exercise.asked)
        self.ends = [q.name for q in exercise.ends]
        losses = dict.fromkeys(("L", *self.losses, *(name for name in _LOSSES if name not in self.quantities)))
        self._prefixes = ("d", "grad_", *(f"d{loss}_d" for loss in losses), *(f"d{loss}d" for loss in losses))
        self._known: dict[str, Meaning] = {}
        self._labels = {q.name: tuple(index.name for index in q.indices) for q in self.quantities.values()}

    def labels(self, quantity: str) -> tuple[str, ...] | None:
        """The names of its indices, in their order; None for what is no quantity."""
        return self._labels.get(quantity)

    def meaning(self, name: str) -> Meaning:
        """What a name stands for: `dW`, `grad_W` and `dL_dW` are one gradient; what is unknown is a helper."""
        made = self._known.get(name)
        if made is None:
            made = self._known.setdefault(name, self._meaning(name))
        return made

    def _meaning(self, name: str) -> Meaning:
        if name in self.quantities:
            quantity = self.quantities[name]
            return Meaning(name, "value" if quantity.kind == "value" else "forward", name)
        for prefix in self._prefixes:
            base = self._predicted(name.removeprefix(prefix))
            if name.startswith(prefix) and base in self.quantities and self.quantities[base].kind != "value":
                return Meaning(f"d{base}", "gradient", base)
        leaf = name.removesuffix("_grad")  # W_grad; h_grad may be a name for anything on the way
        if leaf != name and leaf in self.quantities and self.quantities[leaf].is_leaf:
            return Meaning(f"d{leaf}", "gradient", leaf)
        for between in ("_d", "d"):  # `dq_dx`, and `dqdx` as it is on paper
            for at in range(2, len(name) - 1) if name.startswith("d") else ():
                v, u = name[1:at], name[at:].removeprefix(between)
                if name.startswith(between, at) and self._derives(v, u):
                    return Meaning(f"d{v}_d{u}", "local", v, u)
        predicted = self._predicted(name)
        return Meaning(name, "helper") if predicted == name else self.meaning(predicted)

    def _predicted(self, name: str) -> str:
        """`y_pred` for y_hat, where the exercise has the one and not the other."""
        predicted = f"{_hatted(name)}_pred"
        return predicted if name not in self.quantities and predicted in self.quantities else name

    def _derives(self, v: str, u: str) -> bool:
        """Whether dv_du is a local derivative; a value hangs on all that its gradients are made of, so its is none."""
        if v not in self.quantities or u not in self.quantities or self.quantities[v].is_leaf:
            return False
        of, by = self.quantities[v], self.quantities[u]
        if of.kind != "value":
            return by.kind != "value"
        return u in of.reads and (by.kind == "value" or of.reads <= self.quantities.keys())

    def read(self, node: lang.Expression) -> str | None:
        """The variable that an expression names, or None: `W.grad` is `dW`, `W.data` is `W`."""
        name = lang.variable(node)
        return None if name is None else self.meaning(name).name


def names_of(exercise: Exercise) -> Names:
    """An exercise's names, made once."""
    return exercise.cached("names", lambda: Names(exercise))


@dataclass
class Touch:
    """One statement giving a value to a name: `how` is define, update or reset; `through` is a view that it changed."""

    name: str
    how: str
    statement: lang.Statement
    reads: frozenset[str]
    looped: bool = False
    through: str = ""


@dataclass
class Unit:
    """One top-level statement."""

    position: int
    statement: lang.Statement
    touches: list[Touch] = field(default_factory=list)
    reads: frozenset[str] = frozenset()
    judged_reads: tuple[str, ...] = ()  # those that are gradients, local derivatives or values


@dataclass
class Segment:
    """Lines that build up one value, judged at the last of them.

    `sources` says which gradients it reads, directly or through helpers and its own updates, and at which unit.
    """

    name: str
    touches: list[Touch]
    units: list[int]
    sources: dict[str, int] = field(default_factory=dict)
    helpers: dict[str, int] = field(default_factory=dict)
    closed: bool = False

    @property
    def statement(self) -> lang.Statement:
        return self.touches[-1].statement

    @property
    def end(self) -> int:
        return self.units[-1]

    @property
    def looped(self) -> bool:
        return self.touches[-1].looped and self.touches[-1].how == "define"


class Outline:
    """Units and segments of a sheet."""

    def __init__(self, sheet: lang.Sheet, exercise: Exercise, names: Names):
        self.sheet, self.exercise, self.names = sheet, exercise, names
        self.style: dict[int, bool] = {}  # id of a statement -> written with indices
        self.weight: dict[int, int] = {}  # id of a statement -> its operations
        self._walked: dict[int, list[lang.Expression]] = {}  # id of a part of a statement -> all that is in it
        self._nodes: dict[int, list[lang.Expression]] = {}  # id of a statement -> all its expressions
        self._changes: dict[int, list[lang.Expression | None]] = {}  # id of a statement -> what its calls change
        self.bound: set[str] = set()
        self._views: dict[str, str] = {}  # a name -> what it is a part or another layout of, at this line
        self.hints: dict[str, str] = {}  # unknown name -> what may be meant
        self.units = [Unit(n, statement) for n, statement in enumerate(sheet.statements)]
        self.dotted = {id(node) for statement in lang.flat(sheet.statements) for node in self._dotted(statement)}
        # forward values are the sheet's own copies then: what a line changes is changed for nobody else
        self.mutates = any([self._changed(statement) for statement in lang.flat(sheet.statements)])
        for unit in self.units:
            unit.touches = list(self._touches(unit.statement, frozenset()))
            unit.reads = frozenset().union(*(touch.reads for touch in unit.touches))
        given = {touch.name for unit in self.units for touch in unit.touches}
        self.helper_gradients = sorted(
            name for name in given if name[:1] == "d" and name[1:] in given and names.meaning(name).kind == "helper"
        )
        for unit in self.units:
            unit.judged_reads = tuple(sorted(name for name in unit.reads if self.is_judged(name)))
        self.segments = self._segments()

    @cached_property
    def elementwise(self) -> bool:
        """Nothing but scalars, arithmetic and elementwise functions: a line means the same on many draws at once."""
        if any(q.indices for q in self.names.quantities.values()):
            return False
        return all(
            isinstance(unit.statement, (lang.Assign, lang.Update))
            and not self.style[id(unit.statement)]
            and all(map(elementwise, self.nodes(unit.statement)))
            for unit in self.units
        )

    @cached_property
    def speaks_torch(self) -> bool:
        """Calls into torch, and none into numpy."""
        modules = {
            node.name
            for unit in self.units
            for node in self.nodes(unit.statement)
            if isinstance(node, lang.Name) and node.name in lang.MODULES
        }
        return bool(modules & {"torch", "F", "nn"}) and not modules & {"np", "numpy"}

    @cached_property
    def given_names(self) -> list[str]:
        """What the sheet reads of what an exercise may give it, by the exercise's own names."""
        return list(dict.fromkeys(self.names.meaning(name).name for unit in self.units for name in sorted(unit.reads)))

    @cached_property
    def given_by_entry(self) -> set[str]:
        """The local derivatives with a line for the entries where the indices of both agree, `dp_dz[i, k] = ...`."""
        derivatives = (each for each in self.segments if self.names.meaning(each.name).kind == "local")
        return {each.name for each in derivatives if any(map(self._names_entries, each.touches))}

    def _names_entries(self, touch: Touch) -> bool:
        """Whether a line gives dv_du with an index for each axis of v and no more, each a dummy of its own."""
        statement, of = touch.statement, self.names.meaning(touch.name).of
        if touch.how != "define" or not isinstance(statement, lang.Assign) or not self.style[id(statement)]:
            return False
        target = statement.targets[0]
        return isinstance(target, lang.Subscript) and len(target.items) == len(self.names.quantities[of].indices)

    def nodes(self, statement: lang.Statement) -> list[lang.Expression]:
        """All expressions of a statement."""
        made = self._nodes.get(id(statement))
        if made is None:
            made = self._nodes[id(statement)] = [n for part in all_parts(statement) for n in self._inside(part)]
        return made

    def _inside(self, part: lang.Expression) -> list[lang.Expression]:
        """A part of a statement and everything inside it: walked once."""
        made = self._walked.get(id(part))
        if made is None:
            made = self._walked[id(part)] = lang.walk(part)
        return made

    def _dotted(self, statement: lang.Statement) -> Iterator[lang.Expression]:
        """The products that are written with a dot, `x.T · dz`, as between matrices on paper."""
        if not any(dot in statement.text for dot in DOTS):
            return
        for node in self.nodes(statement):
            if isinstance(node, lang.Binary) and node.op == "*" and node.left.end:
                between = statement.text[node.left.end - statement.start : node.right.column - statement.start]
                if any(dot in between for dot in DOTS):
                    yield node

    def _changed(self, statement: lang.Statement) -> list[lang.Expression | None]:
        """What calls inside a statement's formulas change in place."""
        made = self._changes.get(id(statement))
        if made is None:
            made = self._changes[id(statement)] = list(_changed_by(self._computed(statement)))
        return made

    def _computed(self, statement: lang.Statement) -> list[lang.Expression]:
        """All expressions of a statement; of an in-place call what it is given."""
        if isinstance(statement, lang.Effect):
            given = (*statement.call.arguments, *(value for _, value in statement.call.named))
            return [node for part in given for node in self._inside(part)]
        return self._inside(statement.over) if isinstance(statement, lang.Loop) else self.nodes(statement)

    # -- touches --

    def _touches(self, statement: lang.Statement, loops: frozenset[str]) -> Iterator[Touch]:
        if isinstance(statement, lang.Loop):
            self.weight[id(statement)] = len(self._inside(statement.over))
            if isinstance(statement, lang.If):
                yield from self._branch_touches(statement, loops)
                return
            for inner in statement.body:
                yield from self._touches(inner, loops | {statement.variable})
            return
        made = list(self._plain_touches(statement, loops))
        made += self._through_views(made)
        self._keep_views(statement, made, loops)
        self.bound.update(touch.name for touch in made)
        yield from made

    def _through_views(self, touches: list[Touch]) -> list[Touch]:
        """What an update changes besides: dz, after `row = dz[i]`, in `row -= y[i]`."""
        own = {touch.name for touch in touches}
        return [
            replace(touch, name=other, through=touch.name)
            for touch in touches
            if touch.how == "update" and not self._given_anew(touch)
            for other in sorted(self._sharing(touch.name) - own)
            if self.names.meaning(other).kind in ("gradient", "value", "local")
        ]

    def _viewed(self, node: lang.Expression, loops: frozenset[str]) -> lang.Expression:
        """dz for `dz[i]`, `dz.T` and `dz.view(N, C)[0]`, which share its entries; what is no view is itself."""
        if isinstance(node, lang.Subscript) and all(self._is_one_place(item, loops) for item in node.items):
            return self._viewed(node.value, loops)
        if isinstance(node, lang.Attribute) and node.name in ("T", "mT"):
            return self._viewed(node.value, loops)
        if isinstance(node, lang.Call) and isinstance(node.function, lang.Attribute):
            owner, name = node.function.value, node.function.name
            shares = library.traits(name).shares and name != "contiguous"
            if lang.is_module(owner) and node.arguments and shares:
                return self._viewed(node.arguments[0], loops)
            if shares and name in library.METHOD:
                return self._viewed(owner, loops)
        return node

    def _is_one_place(self, item: lang.Expression, loops: frozenset[str]) -> bool:
        """Whether an index leaves a view: a number or a slice does; a mask, and a tensor of indices, make a copy."""
        if isinstance(item, lang.Name):
            return item.name in loops or item.name in self.names.sizes
        if isinstance(item, (lang.Binary, lang.Unary, lang.Subscript)):
            inside = item.items if isinstance(item, lang.Subscript) else lang.parts(item)
            return all(self._is_one_place(part, loops) for part in inside)
        return isinstance(item, (lang.Number, lang.Slice, lang.Constant))

    def _given_anew(self, touch: Touch) -> bool:
        """Whether a name is given another tensor, perhaps of the old one: `de = de + a` changes nothing in place.

        What a line does that cannot be read is not known.
        """
        statement = touch.statement
        if not isinstance(statement, lang.Assign):
            return isinstance(statement, lang.Unreadable)
        return any(self.names.read(target) == touch.name for target in statement.targets)

    def _sharing(self, name: str) -> set[str]:
        """The names that are views of the same tensor as a name, or that tensor."""
        root = self._views.get(name, name)
        return {root, *(view for view, of in self._views.items() if of == root)}

    def _keep_views(self, statement: lang.Statement, touches: list[Touch], loops: frozenset[str]) -> None:
        """Which names are views of which from here on: what is given anew is none any more."""
        given = {touch.name for touch in touches if touch.how == "define" or self._given_anew(touch)}
        if given and self._views:
            self._views = {view: of for view, of in self._views.items() if not given & {view, of}}
        if isinstance(statement, lang.Assign) and len(given) == 1 and not self.style[id(statement)]:
            whole = self._viewed(statement.value, loops)
            of = None if whole is statement.value else self.names.read(whole)
            if of is not None and of in self.bound:
                self._views[given.pop()] = self._views.get(of, of)

    def _branch_touches(self, statement: lang.If, loops: frozenset[str]) -> Iterator[Touch]:
        """What a branch gives hangs on its condition, and on what there was before: the other branch may be taken."""
        read = {name for node in self._inside(statement.over) if (name := self.names.read(node)) is not None} - loops
        for inner in lang.inside(statement):
            for touch in self._touches(inner, loops):
                how = "update" if touch.how == "define" and not loops else touch.how
                yield replace(touch, how=how, reads=touch.reads | read)

    def _plain_touches(self, statement: lang.Statement, loops: frozenset[str]) -> Iterator[Touch]:
        if isinstance(statement, lang.Unreadable):
            yield from self._refused(statement, loops)
            return
        self.style[id(statement)] = self._index_style(statement, loops)
        reads = frozenset(self._reads(statement)) - loops
        for target, updates in self._targets(statement):
            name = self.names.read(lang.root(target))
            if name is None:
                continue
            own = name[:1] == "d" and name[1:] in self.bound  # the gradient of a quantity of the learner's
            anew = isinstance(target, lang.Name) and self.names.meaning(name).kind == "helper" and not own
            anew = anew or self._goes_on(statement, target, name, reads)
            how = "update" if updates or name in reads and not anew else "define"
            if isinstance(target, lang.Subscript):
                if how == "define" and not self._covers(statement, target, name):
                    how = "update"
                self.mutates = self.mutates or how == "update"
            if _resets(statement):
                how = "reset"
            yield Touch(name, how, statement, reads, bool(loops))

    def _goes_on(self, statement: lang.Statement, target: lang.Expression, name: str, reads: frozenset[str]) -> bool:
        """Whether a line builds nothing up, though it reads its own quantity: in `dn = do*do_dn` of a loss o, do_dn is
        dn by another name, and what an earlier line derived."""
        losses = [loss for loss in self.names.losses if f"d{loss}" in reads]
        if not losses or name not in reads or not isinstance(target, lang.Name):
            return False
        of = self.names.meaning(name).of
        spelt = {n.name for part in _read_parts(statement) for n in self._inside(part) if isinstance(n, lang.Name)}
        own = {each for each in spelt if self.names.meaning(each).name == name}
        others = {f"d{loss}{between}{of}" for loss in losses for between in ("_d", "d")} - {target.name}
        return bool(own) and own <= others

    def _refused(self, statement: lang.Unreadable, loops: frozenset[str]) -> Iterator[Touch]:
        """A refused line leaves nothing that it would have given or changed with a value that is known."""
        touched = statement.touched
        if not touched and statement.target:
            touched = (lang.Touched(statement.target, given=True),)
        for each in touched:
            name = self.names.meaning(lang.gradient_name(each.name)).name
            free = name in loops or (name in self.names.indices and name not in self.bound)
            if free or (each.inside and not self._only_inside(name)):
                continue
            dummies = bool(each.labels) and not any(self.valued(label, loops) for label in each.labels)
            how = "define" if each.given or dummies else "update"
            yield Touch(name, how, statement, frozenset(), bool(loops))

    def _only_inside(self, name: str) -> bool:
        """Whether a def alone gives a gradient: it is then meant for the answer, else the def's own."""
        return self.names.meaning(name).kind in ("gradient", "value", "local") and name not in self._outside

    @cached_property
    def _outside(self) -> set[str]:
        """The names that the sheet gives a value outside of any def."""
        made: set[str] = set()
        for statement in lang.flat(self.sheet.statements):
            made.update(name for t in lang.targets(statement) if (name := self.names.read(lang.root(t))))
            if isinstance(statement, lang.Unreadable):
                names = (each.name for each in statement.touched if not each.inside)
                made.update(self.names.meaning(lang.gradient_name(name)).name for name in names)
        return made

    def _targets(self, statement: lang.Statement) -> Iterator[tuple[lang.Expression, bool]]:
        updates = isinstance(statement, lang.Update)
        self.mutates = self.mutates or updates or isinstance(statement, lang.Effect)
        yield from ((target, updates) for target in lang.targets(statement))
        yield from ((changed, True) for changed in self._changed(statement) if changed is not None)
        if isinstance(statement, lang.Effect):
            function = statement.call.function
            assert isinstance(function, lang.Attribute)
            if function.name == "at":
                yield from ((given, True) for given in statement.call.arguments[:1])
            else:
                changed = owner(function.value)
                yield changed, True
                if lang.is_module(changed) and not self.valued(
                    self.names.read(lang.root(changed)) or ""
                ):  # torch.relu_(dz)
                    yield from ((given, True) for given in statement.call.arguments[:1])

    def _reads(self, statement: lang.Statement) -> Iterator[str]:
        for expression in _read_parts(statement):
            for node in self._inside(expression):
                if isinstance(node, lang.Name):
                    yield self.names.meaning(node.name).name
                elif isinstance(node, lang.Attribute) and (name := self.names.read(node)) is not None:
                    yield name

    # -- style --

    def _index_style(self, statement: lang.Statement, loops: frozenset[str]) -> bool:
        """Whether subscripts are dummies (`dz[i, k] = ...`), or a sum over an index is written."""
        nodes = self.nodes(statement)
        self.weight[id(statement)] = len(nodes)
        style = self._has_indices(nodes, loops)
        if style:
            self.weight[id(statement)] *= 4
        return style

    def _has_indices(self, nodes: list[lang.Expression], loops: frozenset[str]) -> bool:
        for node in nodes:
            if isinstance(node, lang.Subscript) and any(self._dummy(item, loops) for item in node.items):
                return True
            if isinstance(node, lang.Call) and _bare(node.function) in library.INDEX:
                return True
        return False

    def _dummy(self, item: lang.Expression, loops: frozenset[str]) -> bool:
        """An index expression with a name that has no value."""
        if isinstance(item, lang.Name):
            return not self.valued(item.name, loops)
        if isinstance(item, (lang.Binary, lang.Unary)):
            return any(self._dummy(part, loops) for part in lang.parts(item))
        if isinstance(item, lang.Subscript):
            return any(self._dummy(part, loops) for part in item.items)
        return False

    def valued(self, name: str, loops: frozenset[str] = frozenset()) -> bool:
        if name in loops or name in self.bound or self.names.meaning(name).name in self.bound:
            return True
        if name in self.names.indices:
            return False
        return name in self.names.sizes or self.names.meaning(name).kind != "helper"

    def _covers(self, statement: lang.Statement, target: lang.Subscript, name: str) -> bool:
        """Whether `dz[i, k] = ` gives every entry: its indices are different dummies, or 0 on an axis of size 1."""
        if not self.style[id(statement)] or not isinstance(target.value, (lang.Name, lang.Attribute)):
            return False
        quantity = self.names.quantities.get(self.names.meaning(name).of)
        seen: set[str] = set()
        for axis, item in enumerate(target.items):
            if isinstance(item, lang.Name) and item.name not in seen:
                seen.add(item.name)
            elif not (
                isinstance(item, lang.Number)
                and item.value == 0
                and quantity is not None
                and axis < len(quantity.shape)
                and quantity.shape[axis] == 1
            ):
                return False
        return True

    # -- segments --

    def _segments(self) -> list[Segment]:
        """All segments in the order in which they end; sources flow through helpers."""
        made: list[Segment] = []
        self.never_filled: list[Segment] = []
        open_segments: dict[str, Segment] = {}
        flows: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
        for unit in self.units:
            for touch in unit.touches:
                segment = open_segments.get(touch.name)
                if segment is None or touch.how == "define" and not touch.looped:
                    if segment is not None and all(self._is_start(earlier) for earlier in segment.touches):
                        made.remove(segment)  # zeros to be filled are no answer once the quantity is given
                        self.never_filled.append(segment)
                    segment = open_segments[touch.name] = Segment(touch.name, [], [])
                    made.append(segment)
                if touch.how == "reset":
                    segment.closed = True
                    del open_segments[touch.name]
                    if not segment.touches:
                        made.remove(segment)
                    flows[touch.name] = ({}, {})
                    continue
                segment.touches.append(touch)
                if not segment.units or segment.units[-1] != unit.position:
                    segment.units.append(unit.position)
                self._flow(segment, touch, unit.position, flows)
                flows[touch.name] = (segment.sources, segment.helpers)
        return sorted(made, key=lambda s: (s.end, s.statement.line, s.statement.column))

    def _is_start(self, touch: Touch) -> bool:
        """`dw = torch.zeros_like(w)`, `dw, db = 0, 0`"""
        statement = touch.statement
        given = lang.pairs(statement) if isinstance(statement, lang.Assign) else ()
        values = [value for target, value in given if self.names.read(target) == touch.name]
        return bool(values) and all(map(_is_zero, values))

    def is_judged(self, name: str) -> bool:
        return self.names.meaning(name).kind in ("gradient", "value", "local") or name in self.helper_gradients

    def _flow(self, segment: Segment, touch: Touch, unit: int, flows: Mapping) -> None:
        for name in sorted(touch.reads):  # a set's own order is another one in every process
            if name == touch.name and touch.how != "define":
                continue
            if self.is_judged(name):
                segment.sources.setdefault(name, unit)
            if name in flows and self.names.meaning(name).kind not in ("gradient", "value", "local"):
                sources, helpers = flows[name]
                segment.helpers.setdefault(name, unit)
                for source, at in sources.items():
                    if source != touch.name:
                        segment.sources.setdefault(source, at)
                for helper, at in helpers.items():
                    segment.helpers.setdefault(helper, at)


_SHAPELESS = (lang.Number, lang.Name, lang.Unary)


def elementwise(node: lang.Expression) -> bool:
    """Whether a part of scalars means the same on many draws at once."""
    if isinstance(node, _SHAPELESS):
        return True
    if isinstance(node, lang.Binary):
        return node.op not in ("@", "&", "|")
    if isinstance(node, lang.Attribute):  # w.grad, or the path of a function
        return node.name in ("grad", "data") or node.name in library.FUNCTION
    if isinstance(node, lang.Call) and not node.named and isinstance(node.function, (lang.Name, lang.Attribute)):
        known = library.FUNCTION.get(node.function.name)
        if known is None or "dim" in known.parameters:  # max(a, 0) may be of an axis
            return False
        return known.broadcasts or (known.elementwise and len(node.arguments) <= 1)
    return False


def _bare(node: lang.Expression) -> str:
    return node.name if isinstance(node, lang.Name) else ""


def owner(node: lang.Expression) -> lang.Expression:
    """What an in-place call changes: `dw` in `dw.zero_()`, `dC` in `dC.index_add_(0, ix, a).mul_(2)`."""
    while isinstance(node, lang.Call) and isinstance(node.function, lang.Attribute):
        node = node.function.value
    return node


_CHANGES = {*library.EFFECT, "at"}


def _changed_by(nodes: list[lang.Expression]) -> Iterator[lang.Expression | None]:
    """What calls inside a formula change in place: `dz` in `dh = 2*dz.mul_(N)`; None for a tensor without a name."""
    for node in nodes:
        if not isinstance(node, lang.Call):
            continue
        function = node.function
        if not isinstance(function, lang.Attribute) or function.name not in _CHANGES:
            continue
        owner = node.arguments[0] if function.name == "at" and node.arguments else function.value
        while isinstance(owner, lang.Call) and isinstance(owner.function, lang.Attribute):
            method = library.METHOD.get(owner.function.name)
            if method is None or not method.shares:
                break
            owner = owner.function.value
        yield None if isinstance(owner, lang.Call) else owner


def _is_zero(value: lang.Expression | None) -> bool:
    """0, `torch.zeros_like(w)`, `np.zeros(3).astype(float)`"""
    if isinstance(value, lang.Number):
        return value.value == 0
    if not isinstance(value, lang.Call) or not isinstance(value.function, (lang.Name, lang.Attribute)):
        return False
    function = value.function
    if isinstance(function, lang.Attribute) and function.name in _AS_LONG:
        return _is_zero(function.value)
    return library.traits(function.name).zeros


_AS_LONG = ("astype", "to", "double", "float", "clone", "copy")


def _resets(statement: lang.Statement) -> bool:
    """`w.grad.zero_()` and `w.grad = None` make room for the next backward pass."""
    if isinstance(statement, lang.Effect):
        function = statement.call.function
        assert isinstance(function, lang.Attribute)
        return function.name == "zero_" and isinstance(function.value, lang.Attribute) and function.value.name == "grad"
    if isinstance(statement, lang.Assign):
        value, target = statement.value, statement.targets[0]
        nothing = isinstance(value, lang.Constant) and value.value is None
        return nothing and isinstance(target, lang.Attribute) and target.name == "grad"
    return False


def all_parts(statement: lang.Statement) -> Iterable[lang.Expression]:
    if isinstance(statement, lang.Assign):
        return (*statement.targets, statement.value)
    if isinstance(statement, lang.Update):
        return (statement.target, statement.value)
    if isinstance(statement, lang.Effect):
        return (statement.call,)
    return ()


def _read_parts(statement: lang.Statement) -> Iterator[lang.Expression]:
    """Expressions a statement reads: right sides, and indices on the left."""
    if isinstance(statement, lang.Assign):
        yield statement.value
        targets: tuple[lang.Expression, ...] = statement.targets
    elif isinstance(statement, lang.Update):
        yield statement.value
        targets = (statement.target,)
    else:
        targets = ()
        if isinstance(statement, lang.Effect):
            call = statement.call
            function = call.function
            assert isinstance(function, lang.Attribute)
            yield from call.arguments[1:] if function.name == "at" else call.arguments
            yield from (value for _, value in call.named)
            while isinstance(function.value, lang.Call) and isinstance(function.value.function, lang.Attribute):
                yield from function.value.arguments
                function = function.value.function
    for target in targets:
        while isinstance(target, (lang.Subscript, lang.Attribute)):
            if isinstance(target, lang.Subscript):
                yield from target.items
            target = target.value
