"""Statements on values: torch's meaning, float64, aliasing as torch has it. Nothing of a sheet is ever executed.

A `Run` takes an outline through one draw and keeps what each unit gave. Three things can go wrong with a line, and
they are told apart: the language refuses it (unreadable), torch would refuse it (wrong), or it reads a line that
has no value (undecided). Errors are caught around each torch call alone, so that our own bugs stay bugs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import library, refusals
from tutor.checking.library import FLOAT, Kind, Limits, Pair, Refusal, TorchRefuses
from tutor.checking.outline import Outline, Unit
from tutor.checking.report import Repair
from tutor.errors import ReadingError, did_you_mean, is_a_slip
from tutor.language import said

if TYPE_CHECKING:
    from tutor.checking.index_style import Named

MOST_HINTS = 20
STRICT = False  # tests set it: our own bugs are raised


class Draw(Protocol):
    """Values at one seeded point: forward quantities and upstream gradients by name, and the sizes."""

    @property
    def sizes(self) -> Mapping[str, int]: ...

    @property
    def values(self) -> Mapping[str, Any]: ...

    @property
    def gradients(self) -> Mapping[str, Any]: ...


@dataclass
class Failure:
    """Why a line has no value: `kind` is unreadable, torch, reads (a line without value), cut, or fault (ours)."""

    kind: str
    reason: str
    line: int
    column: int
    name: str = ""
    shapes: tuple[tuple[int, ...], ...] = ()
    repair: Repair | None = None


EXCUSED = ("cut", "fault")  # failures that are not the learner's


class Unsure(Exception):
    """A run that a verdict hangs on was cut short, or failed by our own fault: the line is undecided."""

    def __init__(self, failure: Failure):
        self.reason = failure.reason


class Reads(Exception):
    """A line reads a name that has no value because of an earlier failure."""

    def __init__(self, name: str, cause: Failure):
        self.name, self.cause = name, cause


class Located(Exception):
    """torch refuses, and where."""

    def __init__(self, error: TorchRefuses, node: lang.Expression, repair: Repair | None = None):
        self.error, self.node, self.repair = error, node, repair


_CONSTANTS = {"pi": torch.pi, "inf": torch.inf, "newaxis": None}
_KINDS = {
    "float64": Kind(), "float32": Kind(), "float": Kind(), "double": Kind(), "float16": Kind(), "float_": Kind(),
    "int64": Kind(whole=True), "int32": Kind(whole=True), "long": Kind(whole=True), "int": Kind(whole=True),
    "bool": Kind(truth=True), "bool_": Kind(truth=True),
}  # fmt: skip


class Run:
    """One pass over a sheet. `replace` puts true values in place of the learner's at the end of their segments."""

    watches = False  # whether each part of a line is looked at by itself, a number as well

    def __init__(self, outline: Outline, draw: Draw, replace: Mapping[tuple[str, int], Tensor] | None = None):
        self.outline, self.draw, self.names = outline, draw, outline.names
        self.replace = replace or {}
        self._restored: dict[int, list[str]] = {}  # unit -> names replaced there, also those it changes by another name
        for name, unit in self.replace:
            self._restored.setdefault(unit, []).append(name)
        self.standing_for_numbers: dict[int, Tensor] = {}  # by id: what is updated is another one, as with numbers
        self.variables: dict[str, Any] = {}
        self.limits = Limits()
        self.extents: dict[str, int | None] = {}  # of the exercise's indices, at this draw
        self.values: dict[tuple[str, int], Any] = {}  # (name, unit) -> what it was at the end of the unit
        self.seen: dict[tuple[str, int], Any] = {}  # (name, unit) -> what it was when the unit read it
        self.copies: dict[int, tuple[Tensor, int, Tensor]] = {}  # id -> (tensor, version, copy)
        self.failures: dict[int, Failure] = {}
        self.disturbed: list[tuple[str, int, str]] = []  # (other name, unit, name that was changed)
        self.position = -1  # of the last unit that was begun

    def execute(self) -> Run:
        """All units in their order; a line that fails leaves its names without value."""
        self.through(len(self.outline.units) - 1)
        return self

    def through(self, position: int) -> list[Unit]:
        """What is left of the units as far as this one."""
        units = self.outline.units[self.position + 1 : position + 1]
        for unit in units:
            self.position = unit.position
            self.unit(unit)
        return units

    def failed(self, unit: int) -> bool:
        """Whether a unit has no value; where that is not the learner's doing, nothing follows from it."""
        failure = self.failures.get(unit)
        if failure is not None and failure.kind in EXCUSED:
            raise Unsure(failure)
        return failure is not None

    # -- units -------------------------------------------------------------------------------------

    def unit(self, unit: Unit) -> None:
        """One statement of the sheet: its values are kept, or its failure."""
        failure = self._attempt(unit)
        if failure is not None:
            self.failures[unit.position] = failure
            if failure.kind == "unreadable":
                self._lose_aliases(unit, failure)
            for touch in unit.touches:
                self.variables[touch.name] = failure
                self.values[touch.name, unit.position] = failure
        for touch in unit.touches:
            if (touch.name, unit.position) in self.replace:
                own, instead = self.variables.get(touch.name), self.replace[touch.name, unit.position].clone()
                self.variables[touch.name] = instead
                if isinstance(own, (int, float)):
                    self.standing_for_numbers[id(instead)] = instead
        for name in self._restored.get(unit.position, ()):
            if name in self.variables and all(name != touch.name for touch in unit.touches):
                self.variables[name] = self.replace[name, unit.position].clone()

    def _whole_unit(self, unit: Unit) -> None:
        for name in unit.judged_reads:
            value = self.variables.get(name)
            if value is not None:
                self.seen[name, unit.position] = self._kept(value)
        self.statement(unit.statement)
        for touch in unit.touches:
            self.values[touch.name, unit.position] = self._kept(self.variables.get(touch.name))
        if self.outline.mutates:
            self._look_for_aliases(unit)

    def _kept(self, value: Any) -> Any:
        """A value that later lines cannot change; copied once for each change, and accounted for."""
        if not self.outline.mutates or not isinstance(value, Tensor):
            return value
        held = self.copies.get(id(value))
        if held is None or held[1] != value._version:
            self.limits.room(value.numel())
            held = self.copies[id(value)] = (value, value._version, value.clone())
        return held[2]

    def _attempt(self, unit: Unit) -> Failure | None:
        statement = unit.statement
        try:
            self._whole_unit(unit)
        except ReadingError as error:
            return Failure("unreadable", error.message, error.line, error.column)
        except Refusal as error:
            return Failure("unreadable", error.says, statement.line, statement.column)
        except Located as at:
            return Failure(
                "torch",
                refusals.in_words(at.error.says, at.error.shapes, at.node, statement),
                at.node.line,
                at.node.column,
                shapes=at.error.shapes,
                repair=at.repair,
            )
        except TorchRefuses as error:
            return Failure("torch", error.says, statement.line, statement.column, shapes=error.shapes)
        except Reads as read:
            return Failure("reads", read.cause.reason, read.cause.line, read.cause.column, read.name)
        except library.Cut as error:
            return Failure("cut", error.says, statement.line, statement.column)
        except Exception as error:
            if STRICT:
                raise
            # our own bug is ours: undecided, never wrong
            return Failure(
                "fault", said("our own fault ({name})", name=type(error).__name__), statement.line, statement.column
            )
        return None

    def _lose_aliases(self, unit: Unit, failure: Failure) -> None:
        """What cannot be read may have changed a tensor that has another name as well."""
        changed = [self.variables.get(touch.name) for touch in unit.touches if touch.how == "update"]
        places = {value.untyped_storage().data_ptr() for value in changed if isinstance(value, Tensor)}
        for name, value in self.variables.items() if places else ():
            if isinstance(value, Tensor) and value.untyped_storage().data_ptr() in places:
                self.variables[name] = failure

    def _look_for_aliases(self, unit: Unit) -> None:
        for touch in unit.touches:
            changed = self.variables.get(touch.name)
            if touch.how != "define" and isinstance(changed, tuple):
                self._look_for_members(unit, touch.name)
            if touch.how == "define" or not isinstance(changed, Tensor):
                continue
            place = changed.untyped_storage().data_ptr()
            for name, value in self.variables.items():
                if name != touch.name and isinstance(value, Tensor) and value.untyped_storage().data_ptr() == place:
                    self.disturbed.append((name, unit.position, touch.name))
                    self.values[name, unit.position] = self._kept(value)

    def _look_for_members(self, unit: Unit, of: str) -> None:
        """What was changed in place as a member of a list, `gs[0] *= 2`, and has a name of its own."""
        own = {touch.name for touch in unit.touches}
        for name, value in self.variables.items():
            held = self.copies.get(id(value))
            if held is not None and held[0] is value and held[1] != value._version and name not in own:
                self.disturbed.append((name, unit.position, of))
                self.values[name, unit.position] = self._kept(value)

    # -- statements ----------------------------------------------------------------------------------

    def statement(self, statement: lang.Statement) -> None:
        self.limits.step(self.outline.weight.get(id(statement), 1))
        if self.outline.style.get(id(statement)):
            _index_style()(self, statement).execute()
        elif isinstance(statement, lang.Assign):
            self.assign(statement)
        elif isinstance(statement, lang.Unreadable):
            raise ReadingError(statement.reason, statement.line, statement.column)
        elif isinstance(statement, lang.If):
            self.branch(statement)
        elif isinstance(statement, lang.Loop):
            self.loop(statement)
        elif isinstance(statement, lang.Update):
            self.update(statement)
        elif isinstance(statement, lang.Effect):
            self.evaluate(statement.call)

    def loop(self, statement: lang.Loop) -> None:
        over = self.evaluate(statement.over)
        if not isinstance(over, range):
            raise self.refuse(statement.over, said("a loop runs over range(n)"))
        self._within(statement.over, lambda: self.limits.round(len(over[: library.MAX_LOOP + 1])))
        outer = self.variables.get(statement.variable)
        for value in over:
            self.variables[statement.variable] = value
            for inner in statement.body:
                self.statement(inner)
        # the index is free again afterwards, as a dummy or a helper of the same name
        self.variables.pop(statement.variable, None)
        if outer is not None:
            self.variables[statement.variable] = outer

    def branch(self, statement: lang.If) -> None:
        value = self.evaluate(statement.over)
        if isinstance(value, Tensor) and value.numel() == 1:
            value = self._torch(statement.over, bool, value)
        if not isinstance(value, (bool, int, float)):
            reason = said("a condition is one yes or no: write torch.where(condition, a, b), or a mask")
            raise self.refuse(statement.over, reason)
        taken, other = (statement.body, statement.other) if value else (statement.other, statement.body)
        for inner in taken:
            self.statement(inner)
        for unread in lang.flat(other):  # what it would do, at other sizes or values, nobody knows
            if isinstance(unread, lang.Unreadable):
                self.statement(unread)

    def assign(self, statement: lang.Assign) -> None:
        value = self.evaluate(statement.value)
        for target in statement.targets:
            if isinstance(target, lang.Sequence):
                self._unpack(target, value)
            else:
                self.store(target, value)

    def _unpack(self, target: lang.Sequence, value: Any) -> None:
        if isinstance(value, Pair):
            value = (value.values, value.indices)
        if isinstance(value, Tensor) and value.ndim and len(value) <= 64:
            value = tuple(value)
        if not isinstance(value, tuple) or len(value) != len(target.items):
            raise self.refuse(
                target,
                said(
                    "there are {count} names on the left, but not as many values on the right", count=len(target.items)
                ),
            )
        for part, item in zip(target.items, value, strict=True):
            self.store(part, item)

    def store(self, target: lang.Expression, value: Any) -> None:
        """`dW = value`, `W.grad = value`, `dW[i, j] = value`"""
        if isinstance(target, lang.Subscript):
            container = self.container(target)
            if isinstance(container, tuple):
                self._set_member(target, container, value)
            else:
                self.set_item(target, container, self.index(target, container), value)
            return
        name = self.names.read(target)
        if name is None:
            raise self.refuse(target, said("the left side is a name, as dW, W.grad or dW[i, j]"))
        if name in self.names.sizes:
            held = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
            if isinstance(held, (int, float)) and held == self.draw.sizes[name]:  # N = x.shape[0]
                return
            raise self.refuse(
                target,
                said("{name} is a size of the exercise; to pin it, write '# sizes: {name}=32' on top", name=name),
            )
        if isinstance(target, lang.Attribute) and target.name == "data":
            value = library.real(value)
        if isinstance(value, (range, slice, str, Kind, Pair)):
            value = self._storable(target, value)
        self.variables[name] = value

    def _storable(self, target: lang.Expression, value: Any) -> Any:
        if isinstance(value, range):
            return self._library(target, library.array, value)
        name = self.names.read(target)
        if isinstance(value, Pair) and name is not None and self.names.meaning(name).kind == "helper":
            return value
        raise self.refuse(target, said("{kind} cannot be given a name", kind=library.kind_of(value)))

    def _too_long(self, node: lang.Expression) -> Any:
        raise self.refuse(node, said("a range of more than {most} numbers", most=library.MAX_LOOP))

    def container(self, target: lang.Subscript) -> Any:
        """The tensor whose entries an indexed assignment sets, or the list, by its name."""
        self.check_begun(self.names.read(target.value), target)
        made = self.evaluate(target.value)
        if isinstance(made, tuple) and isinstance(target.value, lang.Name):
            return made
        if not isinstance(made, Tensor):
            raise self.refuse(target.value, said("only a tensor has entries to set: start with torch.zeros_like(...)"))
        return made

    def check_begun(self, name: str | None, at: lang.Expression) -> None:
        """Refuse single entries of a gradient that has none yet."""
        if name is None or name in self.variables or name in self.draw.values:
            return
        meaning = self.names.meaning(name)
        if meaning.kind == "gradient":
            start = f"{name} = torch.zeros_like({meaning.of})"
            raise self.refuse(at, said("{name} has no entries yet: start with {start}", name=name, start=start))

    def set_item(self, target: lang.Subscript, container: Tensor, index: Any, value: Any) -> None:
        self._library(target, self._set, container, index, value)

    def _set_member(self, target: lang.Subscript, members: tuple[Any, ...], value: Any) -> None:
        """`dhs[t] = value`: the list is another one then, as with `append`."""
        at = self._member(target, members)
        if isinstance(at, slice):
            raise self.refuse(target, said("the members of a list are set one by one: hs[t] = ..."))
        if isinstance(value, (range, slice, str, Kind, Pair)):
            value = self._storable(target, value)
        at %= len(members)
        made = (*members[:at], value, *members[at + 1 :])
        self.limits.spend(library.ENTRIES + len(made) // library.LISTED)
        if isinstance(value, tuple):
            self._within(target, lambda: self.limits.room(library.WEIGHT * library.leaves(made)))
        self.store(target.value, made)

    def _set(self, container: Tensor, index: Any, value: Any) -> None:
        self.limits.room(_most_selected(container, index))
        library.asking_torch(container.__setitem__, index, library.fitting(container, value))

    def update(self, statement: lang.Update) -> None:
        """`dW += value`, in place where dW is a tensor, as torch does it"""
        target = statement.target
        if isinstance(target, lang.Subscript):
            self.limits.spend(library.ENTRIES)
            container = self.container(target)
            if isinstance(container, tuple):
                part = self._from_tuple(target, container)
                self._set_member(target, container, self._changed(statement, part, self.evaluate(statement.value)))
                return
            index = self.index(target, container)
            part = self._torch(target, container.__getitem__, index)
            value = self.evaluate(statement.value)
            changed = self._changed(statement, part, value)
            self.set_item(target, container, index, changed)
            return
        name = self.names.read(target)
        if name is None:
            raise self.refuse(target, said("the left side is a name, as dW, W.grad or dW[i, j]"))
        before = self.variable(name, target)
        self.store_again(name, self._changed(statement, before, self.evaluate(statement.value)))

    def store_again(self, name: str, value: Any) -> None:
        self.variables[name] = value

    def _changed(self, statement: lang.Update, before: Any, value: Any) -> Any:
        op = statement.op
        if isinstance(before, Tensor) and op != "@" and id(before) not in self.standing_for_numbers:
            return self._library(statement.target, library.in_place, self.limits, op, before, value)
        if op == "@":
            return self._library(statement.target, library.matmul, self.limits, before, value)
        return self._library(statement.target, library.elementwise, self.limits, op, before, value)

    # -- names -----------------------------------------------------------------------------------------

    def variable(self, name: str, node: lang.Expression) -> Any:
        """A name's value: the sheet's own, else its own copy of a forward value, a size, a given gradient."""
        value = self.variables.get(name)
        if value is None:
            value = self._given(name, node)
        if isinstance(value, Failure):
            raise Reads(name, value)
        return value

    def _given(self, name: str, node: lang.Expression) -> Any:
        meaning = self.names.meaning(name)
        if meaning.kind == "forward" or (meaning.kind == "gradient" and meaning.name in self.draw.values):
            value = self.draw.values[meaning.name]
            if self.outline.mutates:  # the sheet's own copy
                value = value.clone(memory_format=torch.contiguous_format)
            self.variables[name] = value
            return value
        if name in self.names.sizes:
            return int(self.draw.sizes[name])
        if meaning.kind == "gradient" and self.names.only_values and name in self.draw.gradients:
            return self.draw.gradients[name].clone()  # only what is computed from it is asked
        if meaning.kind == "gradient" and meaning.of in self.names.losses:
            return torch.ones((), dtype=FLOAT)
        if name in ("pi", "inf"):
            return _CONSTANTS[name]
        raise self.unknown(name, node)

    def unknown(self, name: str, node: lang.Expression) -> ReadingError:
        meaning = self.names.meaning(name)
        if meaning.kind != "helper":
            return self.refuse(node, said("{name} has no value yet: give its line first", name=name))
        if name in self.names.indices:
            return self.refuse(node, said("{name} is an index: use it inside brackets, as in x[{name}]", name=name))
        if name in library.FUNCTION:
            return self.refuse(node, said("{name} is a function: write {name}(...)", name=name))
        base, _, indices = name.rpartition("_")
        known_base = self.names.meaning(base).kind != "helper" or base in self.variables
        if base and known_base and all(letter in self.names.indices for letter in indices):
            return self.refuse(
                node,
                said(
                    "{name} is not a name here: an entry is written {base}[{names}]",
                    name=name,
                    base=base,
                    names=", ".join(indices),
                ),
            )
        hint = self.hint(name, [*self.names.quantities, *self.names.sizes, *self.variables][:200])
        few = (
            ""
            if hint or len(self.names.quantities) > 12
            else said("; it has {names}", names=", ".join(self.names.quantities))
        )
        return self.refuse(
            node, said("{name} is not a name of the exercise and has no value yet{hint}", name=name, hint=hint or few)
        )

    def hint(self, name: str, known: Iterable[str]) -> str:
        """A close name; a guess costs more than a line, and all draws have the same."""
        hints = self.outline.hints
        if name not in hints and len(hints) < MOST_HINTS:
            hints[name] = did_you_mean(name, known)
        return hints.get(name, "")

    def _function_hint(self, name: str, known: Iterable[str]) -> str:
        return self.hint(name, (other for other in known if is_a_slip(name, other)))

    # -- errors, with their place ------------------------------------------------------------------------

    def refused_by_torch(self, node: lang.Expression, says: str, shape: tuple[int, ...]) -> Located:
        """What torch has no value for, as `refuse` is for what is not in the language."""
        return Located(TorchRefuses(says, (shape,)), node)

    def refuse(self, node: lang.Expression, reason: str) -> ReadingError:
        return ReadingError(reason, node.line, node.column)

    def _within(self, node: lang.Expression, work: Any) -> Any:
        """A call of our own that has limits: its refusal gets its place."""
        try:
            return work()
        except Refusal as error:
            raise self.refuse(node, error.says) from None

    def _library(self, node: lang.Expression, function: Any, *args: Any) -> Any:
        """A call of our own table: its refusals get their place."""
        try:
            return function(*args)
        except Refusal as error:
            raise self.refuse(node, error.says) from None
        except TorchRefuses as error:
            raise Located(error, node) from None

    def _torch(self, node: lang.Expression, function: Any, *args: Any) -> Any:
        try:
            return library.asking_torch(function, *args)
        except TorchRefuses as error:
            raise Located(error, node) from None

    # -- expressions -------------------------------------------------------------------------------------

    def evaluate(self, node: lang.Expression) -> Any:
        return _EVALUATE[type(node)](self, node)

    def indexed(self, node: lang.Expression, evaluate: Callable[[Any], Named]) -> Named:
        """A part with indices, for a run that watches: it looks into rounding, here as elsewhere."""
        return evaluate(node)

    def number(self, node: lang.Number) -> Any:
        return node.value

    def constant(self, node: lang.Constant) -> Any:
        return node.value

    def text(self, node: lang.Text) -> Any:
        raise self.refuse(node, said("no strings in an answer"))

    def name(self, node: lang.Name) -> Any:
        value = self.variables.get(node.name)
        if value is not None and not isinstance(value, Failure):
            return value
        if node.name in _KINDS and self.names.meaning(node.name).kind == "helper":
            return _KINDS[node.name]
        return self.variable(self.names.meaning(node.name).name, node)

    def unary(self, node: lang.Unary) -> Any:
        value = self.evaluate(node.operand)
        if isinstance(value, Tensor):
            return self._library(node, library.signed, self.limits, node.op, value)
        if isinstance(value, (int, float)) and node.op != "~":
            return -value if node.op == "-" else +value
        raise self.refuse(node, said("{kind} has no {op}", kind=library.kind_of(value), op=node.op))

    def binary(self, node: lang.Binary) -> Any:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        dotted = bool(self.outline.dotted) and id(node) in self.outline.dotted
        try:
            if node.op == "@" or (dotted and self._multiplies_matrices(node, left, right)):
                return library.matmul(self.limits, left, right)
            return library.elementwise(self.limits, node.op, left, right)
        except Refusal as error:
            raise self.refuse(node, error.says) from None
        except TorchRefuses as error:
            raise Located(error, node, _repair(node, left, right)) from None

    def _multiplies_matrices(self, node: lang.Binary, left: Any, right: Any) -> bool:
        """Whether a dot, as on paper, is the product of matrices: where that alone fits."""
        whole = isinstance(left, Tensor) and isinstance(right, Tensor) and left.ndim and right.ndim
        if not whole or left.shape == right.shape or right.ndim > 2 or left.shape[-1] == 1:
            return False  # a column with a row is the same either way
        matrices = left.shape[-1] == right.shape[0]
        if matrices and _broadcast(left.shape, right.shape):
            raise self.refuse(
                node,
                said("a dot between whole tensors may mean two products: write @ for that of matrices, * for entries"),
            )
        return matrices

    def sequence(self, node: lang.Sequence) -> Any:
        made = tuple(self.evaluate(item) for item in node.items)
        if any(isinstance(item, tuple) for item in made):
            self._within(node, lambda: self.limits.room(library.WEIGHT * library.leaves(made)))
        return made

    def slice(self, node: lang.Slice) -> Any:
        ends = [None if end is None else self.evaluate(end) for end in (node.start, node.stop, node.step)]
        return slice(
            *(None if end is None else self._within(node, lambda e=end: library.whole_number(e)) for end in ends)
        )

    def subscript(self, node: lang.Subscript) -> Any:
        value = self.evaluate(node.value)
        if isinstance(value, Pair):
            value = (value.values, value.indices)
        if isinstance(value, (tuple, range)):
            return self._from_tuple(node, value)
        if not isinstance(value, Tensor):
            raise self.refuse(node, said("{kind} has no entries", kind=library.kind_of(value)))
        value, index = self._turned(node, value, self.index(node, value))
        return self._library(node, self._selected, value, index)

    def _selected(self, value: Tensor, index: Any) -> Tensor:
        self.limits.room(_most_selected(value, index))
        return library.asking_torch(value.__getitem__, index)

    def _from_tuple(self, node: lang.Subscript, value: Any) -> Any:
        at = self._member(node, value)
        made = value[at]
        if made is None:
            it = f"{node.value.name}[{at}]" if isinstance(node.value, lang.Name) else said("this")
            raise self.refuse(node, said("{it} has no value yet: it is still None", it=it))
        return made

    def _member(self, node: lang.Subscript, value: Any) -> Any:
        """Where the member of a list stands, or a slice of members."""
        if len(node.items) != 1:
            raise self.refuse(node, said("one index is expected here"))
        item = self.evaluate(node.items[0])
        if isinstance(item, slice):
            return item
        at = self._within(node, lambda: library.whole_number(item, said("an index")))
        if not -len(value) <= at < len(value):
            raise Located(
                TorchRefuses(said("index {at} is out of range: there are {count}", at=at, count=len(value))), node
            )
        return at

    def index(self, node: lang.Subscript, container: Tensor) -> Any:
        """What stands in the brackets, as torch takes it."""
        items = tuple(self._index_item(item) for item in node.items)
        return items[0] if len(items) == 1 else items

    def _index_item(self, item: lang.Expression) -> Any:
        value = self.evaluate(item)
        if isinstance(value, (int, slice, Tensor)) or value is None or value is Ellipsis:
            return value
        if isinstance(value, (range, tuple)):
            return self._library(item, library.array, value)
        raise self.refuse(item, said("{kind} is not an index", kind=library.kind_of(value)))

    def _turned(self, node: lang.Subscript, value: Tensor, index: Any) -> tuple[Tensor, Any]:
        """numpy's `[::-1]`, which torch lacks."""
        items = index if isinstance(index, tuple) else (index,)
        if not any(isinstance(i, slice) and (i.step or 1) < 0 for i in items):
            return value, index
        axis, kept = 0, []
        for i in items:
            if isinstance(i, slice) and (i.step or 1) < 0:
                if (i.start, i.stop, i.step) != (None, None, -1) or axis >= value.ndim:
                    raise self.refuse(node, said("a slice with a negative step is written [::-1]"))
                value, i = value.flip(axis), slice(None)
            if i is Ellipsis or (isinstance(i, Tensor) and i.ndim != 0):
                raise self.refuse(node, said("[::-1] stands with plain slices only: write .flip(dim)"))
            axis += i is not None
            kept.append(i)
        return value, tuple(kept)

    # -- attributes and calls --------------------------------------------------------------------------------

    def attribute(self, node: lang.Attribute) -> Any:
        path = self.module_path(node)
        if path is not None:
            return self._module_constant(node, path)
        if node.name in ("grad", "data"):
            name = self.names.read(node)
            if name is not None:
                return self.variable(name, node)
        value = self.evaluate(node.value)
        if isinstance(value, Pair) and node.name in value.names:
            return (value.values, value.indices)[value.names.index(node.name)]
        getter = _ATTRIBUTES.get(node.name)
        if getter is None or not isinstance(value, Tensor):
            if isinstance(value, Tensor) and node.name in library.METHOD:
                raise self.refuse(node, said(".{name} is a function: write .{name}()", name=node.name))
            close = self._function_hint(node.name, (*_ATTRIBUTES, *library.METHOD))
            raise self.refuse(node, said(".{name} is not part of an answer{close}", name=node.name, close=close))
        return self._torch(node, getter, value)

    def module_path(self, node: lang.Expression) -> tuple[str, ...] | None:
        """("torch", "nn", "functional") for a dotted path that starts at a module, else None."""
        parts: list[str] = []
        while isinstance(node, lang.Attribute):
            parts.append(node.name)
            node = node.value
        if not isinstance(node, lang.Name) or node.name not in lang.MODULES:
            return None
        # a tensor may be called F; F.one_hot is the module's all the same
        tensors = not parts or parts[-1] in _ATTRIBUTES or parts[-1] in library.METHOD or parts[-1] in ("grad", "data")
        if tensors and (node.name in self.variables or node.name in self.names.quantities):
            return None
        return (node.name, *reversed(parts))

    def _module_constant(self, node: lang.Attribute, path: tuple[str, ...]) -> Any:
        if len(path) == 2:
            if path[1] in _CONSTANTS:
                return _CONSTANTS[path[1]]
            if path[1] == "e":  # the name alone is the exercise's, or a helper
                return torch.e
            if path[1] in _KINDS:
                return _KINDS[path[1]]
        raise self.refuse(node, said("{names} is not part of an answer", names=".".join(path)))

    def call(self, node: lang.Call) -> Any:
        self.limits.spend(library.CALL)
        function = node.function
        if isinstance(function, lang.Name):
            if function.name in _BUILTINS and function.name not in self.variables and not node.named:
                return self._builtin(function.name, node)
            return self._function(node, library.FUNCTION.get(function.name), function.name, False)
        assert isinstance(function, lang.Attribute)
        path = self.module_path(function)
        if path is None:
            return self._method(node, function)
        if path[-1] == "where" and len(node.arguments) == 3 and not node.named:
            condition = self.evaluate(node.arguments[0])
            if isinstance(condition, bool):  # `a if x.ndim > 1 else b`: the other one need not have a value
                return self.evaluate(node.arguments[1 if condition else 2])
        return self._module_function(node, path)

    def _module_function(self, node: lang.Call, path: tuple[str, ...]) -> Any:
        name, numpy = path[-1], path[0] in ("np", "numpy")
        if path[1:-1] not in _SUBMODULES:
            raise self.refuse(node, said("{names} is not part of an answer", names=".".join(path)))
        if numpy and path[1:] == ("add", "at"):
            arguments = [self.evaluate(given) for given in node.arguments]
            if len(arguments) != 3 or not isinstance(arguments[0], Tensor):
                raise self.refuse(node, said("np.add.at is written np.add.at(dC, ix, values)"))
            return self._library(node, library.add_at, self.limits, *arguments)
        entry = library.NUMPY.get(name) if numpy else None
        entry = entry or library.FUNCTION.get(".".join(path[-2:])) or library.FUNCTION.get(name)
        return self._function(node, entry, ".".join(path), numpy)

    def _function(self, node: lang.Call, entry: library.Entry | None, name: str, numpy: bool) -> Any:
        if entry is None:
            if isinstance(node.function, lang.Name) and self.outline.valued(name):
                raise self.refuse(
                    node, said("{name} is not a function; a product needs its *: {name}*(...)", name=name)
                )
            close = self._function_hint(name.split(".")[-1], (n for n in library.FUNCTION if not n.endswith("_")))
            raise self.refuse(
                node, said("{name}(...) is not a function of the language{close}", name=name, close=close)
            )
        arguments = [self.argument(given) for given in node.arguments]
        named = {key: self.argument(value) for key, value in node.named}
        return self._library(node, library.call, entry, self.limits, arguments, named, numpy)

    def argument(self, node: lang.Expression) -> Any:
        return node.value if isinstance(node, lang.Text) else self.evaluate(node)

    def _method(self, node: lang.Call, function: lang.Attribute) -> Any:
        owner = self.evaluate(function.value)
        entry = library.METHOD.get(function.name)
        if entry is None:
            close = self._function_hint(function.name, library.METHOD)
            raise self.refuse(
                node, said(".{name}(...) is not part of an answer{close}", name=function.name, close=close)
            )
        if isinstance(owner, (int, float)) and not isinstance(owner, bool):
            owner = library.real(owner)
        if not isinstance(owner, Tensor):
            raise self.refuse(node, said("{kind} has no .{name}()", kind=library.kind_of(owner), name=function.name))
        arguments = [owner, *(self.argument(given) for given in node.arguments)]
        named = {key: self.argument(value) for key, value in node.named}
        # of a tensor `x.var(axis=0)` may be either's: numpy's, unless the sheet speaks torch
        numpy = "ddof" in named or (not self.outline.speaks_torch and bool(_NUMPYS & named.keys()))
        return self._library(node, library.call, entry, self.limits, arguments, named, numpy)

    def _builtin(self, name: str, node: lang.Call) -> Any:
        """Python's own few."""
        work, most, usage = _BUILTINS[name]
        given = [self.evaluate(argument) for argument in node.arguments]
        made = work(self, node, *given) if 1 <= len(given) <= most else None
        if made is None:
            raise self.refuse(node, usage)
        return made


class Unaliased(Run):
    """The sheet where no forward value is changed under another name: what is wrong in it has another cause."""

    def _look_for_aliases(self, unit: Unit) -> None:
        super()._look_for_aliases(unit)
        for name, at, _ in self.disturbed:
            if at == unit.position and self.names.meaning(name).kind == "forward":
                self.variables.pop(name, None)  # read again, it is the exercise's


# -- Python's own functions: (run, call, values of the arguments) -> a value, or None where they do not fit


def _range(run: Run, node: lang.Call, *given: Any) -> range:
    ends = [run._within(node, lambda g=g: library.whole_number(g, said("an end of a range"))) for g in given]
    if len(ends) == 3 and ends[2] == 0:
        raise run.refuse(node, said("the step of a range is not 0"))
    return range(*ends)


def _len(run: Run, node: lang.Call, value: Any) -> int | None:
    return len(value) if isinstance(value, (tuple, range)) or (isinstance(value, Tensor) and value.ndim) else None


def _common_length(run: Run, node: lang.Call, *given: Any) -> int | None:
    """How far a loop over the rows of these goes: the shortest ends it."""
    lengths = [_len(run, node, value) for value in given]
    return None if None in lengths else min(lengths)  # type: ignore[type-var]


def _reversed(run: Run, node: lang.Call, value: Any) -> range | None:
    return value[::-1] if isinstance(value, range) else None


def _int(run: Run, node: lang.Call, value: Any) -> int | None:
    if not isinstance(value, (int, float, Tensor)):
        return None
    return int(run._within(node, lambda: library.finite(value)))


def _tuple(run: Run, node: lang.Call, value: Any) -> tuple[Any, ...] | None:
    if isinstance(value, range):
        return tuple(value) if len(value) <= library.MAX_LOOP else run._too_long(node)
    return value if isinstance(value, tuple) else None


def _sum(run: Run, node: lang.Call, value: Any, start: Any = None) -> Any:
    """Python's sum adds along the first axis, and the members of a list one by one, from 0 on."""
    if isinstance(value, range):
        value = _tuple(run, node, value)
    if isinstance(value, tuple):
        return run._library(node, _added_up, run.limits, value, 0 if start is None else start)
    if start is not None or not isinstance(value, Tensor):
        return None
    return run._torch(node, torch.sum, value, 0) if value.ndim else value


def _added_up(limits: Limits, members: tuple[Any, ...], start: Any) -> Any:
    for member in library.all_given(members):
        limits.spend(library.ENTRIES)
        start = library.elementwise(limits, "+", start, member)
    return start


# name -> function, its most arguments, usage; abs, max, min, float and pow are in the function table
_BUILTINS: dict[str, tuple[Callable[..., Any], int, str]] = {
    "range": (_range, 3, said("range takes one to three whole numbers")),
    "len": (_len, 1, said("len takes a tensor with axes")),
    lang.COMMON_LENGTH: (_common_length, 8, said("a loop runs over range(n), or over the rows of tensors")),
    "reversed": (_reversed, 1, said("reversed takes a range")),
    "int": (_int, 1, said("int takes one argument here")),
    "list": (_tuple, 1, said("list takes one argument here")),
    "tuple": (_tuple, 1, said("tuple takes one argument here")),
    "sum": (_sum, 2, said("write x.sum(dim), or Sum(x[i, k], k) with indices")),
}


NAMED_VALUES = frozenset((*_CONSTANTS, *_KINDS, *_BUILTINS))  # names that mean the same on every sheet

_NUMPYS = {"axis", "keepdims"}


_SUBMODULES = (
    (), ("nn", "functional"), ("functional",), ("special",), ("linalg",), ("add",), ("nn",), ("nn", "grad"),
)  # fmt: skip


@cache
def _index_style() -> Callable[[Run, lang.Statement], Any]:
    """Imported when a line is first written with indices, for it imports this module."""
    from tutor.checking.index_style import IndexStyle

    return IndexStyle


def _broadcast(one: torch.Size, other: torch.Size) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(one), reversed(other), strict=False))


def _transposed(x: Tensor) -> Tensor:
    return x if x.ndim < 2 else x.permute(*reversed(range(x.ndim)))


def _matrix_transposed(x: Tensor) -> Tensor:
    return x.transpose(-2, -1)  # refuses what is no matrix


_ATTRIBUTES: dict[str, Any] = {
    "T": _transposed,
    "mT": _matrix_transposed,
    "shape": lambda x: tuple(x.shape),
    "ndim": lambda x: x.ndim,
    "size": lambda x: x.numel(),  # numpy's: torch's is called
    "data": lambda x: x,
    "dtype": lambda x: Kind(whole=not x.is_floating_point()),
    "device": lambda x: Kind(),
}
_EVALUATE: dict[type, Any] = {
    lang.Number: Run.number,
    lang.Constant: Run.constant,
    lang.Text: Run.text,
    lang.Name: Run.name,
    lang.Unary: Run.unary,
    lang.Binary: Run.binary,
    lang.Sequence: Run.sequence,
    lang.Slice: Run.slice,
    lang.Subscript: Run.subscript,
    lang.Attribute: Run.attribute,
    lang.Call: Run.call,
}


def _most_selected(value: Tensor, index: Any) -> int:
    """An upper bound for the entries that an index picks: an index tensor may pick a row many times."""
    items = index if isinstance(index, tuple) else (index,)
    picked: list[int] = []  # the shape that the index tensors broadcast to, last axis first
    shape, used, at = value.shape, 1, 0
    for n, item in enumerate(items):
        if item is Ellipsis:
            at = len(shape) - sum(map(_axes_of, items[n + 1 :]))
        elif isinstance(item, Tensor) and item.dtype is torch.bool:
            at += item.ndim  # all of it, at most
        elif item is not None and item is not True and item is not False:
            if not isinstance(item, slice):
                used *= shape[at] if 0 <= at < len(shape) else 1  # torch refuses what is beyond
            if isinstance(item, Tensor):
                picked = [max(pair) for pair in zip_longest(picked, reversed(item.shape), fillvalue=1)]
            at += 1
    return prod(picked) * (value.numel() // max(used, 1))


def _axes_of(item: Any) -> int:
    """How many axes an index stands for."""
    if isinstance(item, Tensor) and item.dtype is torch.bool:
        return item.ndim
    return 0 if item is None or isinstance(item, bool) else 1


def _repair(node: lang.Binary, left: Any, right: Any) -> Repair | None:
    """The likely repair of shapes that do not fit: `s[:, None]`, or a transpose."""
    if not (isinstance(left, Tensor) and isinstance(right, Tensor)):
        return None
    if not (left.is_floating_point() and right.is_floating_point()):
        return None  # labels are no numbers to compute with, whatever their shape
    for part, small, large in ((node.right, right, left), (node.left, left, right)):
        if not isinstance(part, lang.Name):
            continue
        if node.op == "@":
            if any(_multiplies(a, b) for a, b in _transposes(part is node.right, small, large)):
                return Repair(part.column, part.name, f"{part.name}.T")
        elif small.ndim == 1 and large.ndim == 2 and small.shape[0] == large.shape[0]:
            return Repair(part.column, part.name, f"{part.name}[:, None]")
        elif small.ndim == 2 and small.T.shape == large.shape:
            return Repair(part.column, part.name, f"{part.name}.T")
    return None


def _transposes(right: bool, x: Tensor, other: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    if x.ndim == 2:
        yield (other, x.T) if right else (x.T, other)


def _multiplies(a: Tensor, b: Tensor) -> bool:
    return a.ndim > 0 and b.ndim > 0 and a.shape[-1] == (b.shape[-2] if b.ndim > 1 else b.shape[0])
