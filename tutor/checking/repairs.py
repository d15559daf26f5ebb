"""The smallest edits to a learner's own line that make it right: where the fault is inside the line.

EDITS is the table: a row looks at one node of the line and offers what could stand there instead. A candidate is run
where the line stood, with every earlier gradient true, and compared with the truth: at one draw first, at all draws
before it is shown. Work is counted, not timed, so that a report is the same everywhere; what an edit leaves alone is
computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

from torch import Tensor

from tutor.answers import language as lang
from tutor.checking import interpret, library
from tutor.checking.index_style import IndexStyle, Named
from tutor.checking.interpret import Failure, Located, Reads, Run
from tutor.checking.judge import as_tensor
from tutor.checking.library import Cut, Limits, Refusal, TorchRefuses
from tutor.checking.outline import INDEX_FUNCTIONS, MODULES, Meaning, Segment, Unit
from tutor.checking.report import Repair
from tutor.checking.truth import Point
from tutor.errors import ReadingError

if TYPE_CHECKING:
    from tutor.checking.lines import SheetJudge

MOST_CANDIDATES = 400
MOST_OPERATIONS = 2_500  # computed at the first draw, an operation with indices counting four
MOST_ENTRIES = 1_500_000  # computed at one draw
MOST_TENSOR = 200_000  # entries of one tensor
MOST_WORK = 4_000_000  # multiplications in one product
MOST_CONFIRMED = 6  # candidates that are taken to all draws
MOST_ADDED = 60  # characters
MOST_NEAR = 4  # candidates off by one constant, which a second edit may put right
INDEX_WEIGHT = 4


def repair(judge: SheetJudge, segment: Segment, meaning: Meaning | None = None) -> Repair | None:
    """The smallest edit to a wrong line that makes it right, or None; `meaning` is what its name should hold."""
    statement = segment.statement
    if isinstance(statement, (lang.Unreadable, lang.Loop)):
        return None
    search = Search(judge, segment, meaning or judge.meaning(segment))
    return search.find() if search.ready else None


# -- the line as a tree -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A node, what it is a part of, and as what: value, size, index, dim or name (of a function)."""

    node: lang.Expression
    parent: lang.Expression | None
    role: str
    depth: int
    bound: tuple[str, ...] = ()  # indices of the sums around it


@dataclass(frozen=True)
class Edit:
    """What stands in place of a node, or of the statement's own `=`."""

    node: lang.Expression
    new: lang.Expression
    op: str = ""  # for the statement: "=", "+", "-"


_DIMS = {"sum", "mean", "max", "min", "amax", "amin", "prod", "var", "std", "softmax", "log_softmax", "logsumexp",
         "unsqueeze", "squeeze", "cumsum", "flip", "argmax", "argmin", "norm", "average", "all", "any"}  # fmt: skip
_SHAPED = {"view", "reshape", "expand", "permute", "transpose", "repeat", "one_hot", "eye", "arange", "zeros", "ones",
           "full", "range"}  # fmt: skip
_REDUCE = ("sum", "mean", "max", "min", "amax", "amin", "prod", "softmax", "log_softmax", "logsumexp")


class Line:
    """One statement: its nodes with their places, and how parts of it are written."""

    def __init__(self, statement: lang.Statement, indexed: bool):
        self.statement, self.indexed = statement, indexed
        self.roots = _roots(statement)
        self.places: dict[int, Place] = {}
        for number, (root, role) in enumerate(self.roots):
            self._visit(root, None, role, 0, ())
            if not number:
                self.value = self.places[id(root)]
        self.order = list(self.places.values())

    def _visit(
        self, node: lang.Expression, parent: lang.Expression | None, role: str, depth: int, bound: tuple[str, ...]
    ) -> None:
        self.places[id(node)] = Place(node, parent, role, depth, bound)
        for part, part_role, inner in _parts(node, role):
            self._visit(part, node, part_role, depth + 1, bound + inner)

    def values(self) -> Iterator[Place]:
        return (p for p in self.order if p.role == "value")

    def edited(self, edit: Edit) -> lang.Statement:
        """The statement with one node replaced."""
        statement = self.statement
        if edit.op:
            return _with_operator(statement, edit.op)
        old, new = edit.node, edit.new
        while (parent := self.places[id(old)].parent) is not None:
            old, new = parent, _with_part(parent, old, new)
        return _with_root(statement, old, new)

    # -- text --

    def own(self, node: lang.Expression) -> bool:
        """Whether the learner wrote this very node on the statement's first line."""
        return id(node) in self.places and node.line == self.statement.line and node.end > node.column

    def text(self, node: lang.Expression) -> str:
        start = self.statement.start
        return self.statement.text[node.column - start : node.end - start]

    def enclosed(self, node: lang.Expression) -> bool:
        """Whether it stands in parentheses of its own."""
        text, start = self.statement.text, self.statement.start
        before, after = text[: node.column - start].rstrip(), text[node.end - start :].lstrip()
        return before.endswith("(") and after.startswith(")")

    def write(self, node: lang.Expression, tight: int = 0) -> str:
        """As the learner would write it, in their own words where they are theirs."""
        if self.own(node):
            made = self.text(node)
        else:
            made = _WRITE[type(node)](self, node)
        return f"({made})" if _tightness(node) < tight else made


def _roots(statement: lang.Statement) -> list[tuple[lang.Expression, str]]:
    """The right side first, then what stands in brackets on the left."""
    if isinstance(statement, lang.Effect):
        return [(statement.call, "value")]
    assert isinstance(statement, (lang.Assign, lang.Update))
    targets = statement.targets if isinstance(statement, lang.Assign) else (statement.target,)
    return [(statement.value, "value"), *((t, "target") for t in targets if isinstance(t, lang.Subscript))]


def _parts(node: lang.Expression, role: str) -> Iterator[tuple[lang.Expression, str, tuple[str, ...]]]:
    """The parts of a node, what they are there, and the indices that are bound inside them."""
    if isinstance(node, lang.Call):
        yield from _parts_of_call(node, role)
    elif isinstance(node, lang.Subscript):
        yield node.value, role, ()
        yield from ((item, "index", ()) for item in node.items)
    elif isinstance(node, lang.Attribute):
        inner = "value" if role == "method" else role
        yield node.value, "size" if node.name in ("shape", "ndim") else inner, ()
    else:
        yield from ((part, role, ()) for part in lang.parts(node))


def _parts_of_call(node: lang.Call, role: str) -> Iterator[tuple[lang.Expression, str, tuple[str, ...]]]:
    name = _called(node)
    function = node.function
    method = isinstance(function, lang.Attribute) and not _is_module(function.value)
    yield function, "method" if method else "name", ()
    if name in INDEX_FUNCTIONS:
        bound = tuple(_bound(node))
        for n, argument in enumerate(node.arguments):
            index = name in ("KroneckerDelta", "delta") or (n > 0 and name != "Piecewise")
            yield argument, "index" if index else role, () if index else bound
        return
    for n, argument in enumerate(node.arguments):
        dim = name in _SHAPED or (name in _DIMS and (method or n) and _is_dim(argument))
        yield argument, "dim" if dim else role, ()
    yield from ((value, "dim", ()) for _, value in node.named)


def _called(node: lang.Call) -> str:
    return node.function.name if isinstance(node.function, (lang.Name, lang.Attribute)) else ""


def _bound(node: lang.Call) -> Iterator[str]:
    """`i` and `k` in `Sum(f, i, (k, 0, K - 1))`"""
    for argument in node.arguments[1:]:
        first = argument.items[0] if isinstance(argument, lang.Sequence) and argument.items else argument
        if isinstance(first, lang.Name):
            yield first.name


def _is_module(node: lang.Expression) -> bool:
    while isinstance(node, lang.Attribute):
        node = node.value
    return isinstance(node, lang.Name) and node.name in MODULES


def _is_dim(node: lang.Expression) -> bool:
    if isinstance(node, lang.Unary):
        node = node.operand
    return isinstance(node, (lang.Number, lang.Constant, lang.Sequence))


def _with_part(node: lang.Expression, old: lang.Expression, new: lang.Expression) -> lang.Expression:
    """The same node with one part replaced; it is no longer the learner's own text."""
    changed: dict[str, Any] = {"line": 0, "column": 0, "end": 0}
    for slot in fields(node):
        value = getattr(node, slot.name)
        if value is old:
            changed[slot.name] = new
        elif isinstance(value, tuple):
            changed[slot.name] = tuple(_exchanged(item, old, new) for item in value)
    return replace(node, **changed)


def _exchanged(item: Any, old: lang.Expression, new: lang.Expression) -> Any:
    if item is old:
        return new
    if isinstance(item, tuple):  # (name, value) of a named argument
        return tuple(new if part is old else part for part in item)
    return item


def _with_root(statement: lang.Statement, old: lang.Expression, new: lang.Expression) -> lang.Statement:
    if isinstance(statement, lang.Effect):
        assert isinstance(new, lang.Call)
        return replace(statement, call=new)
    if isinstance(statement, lang.Update):
        return replace(statement, value=new) if old is statement.value else replace(statement, target=new)
    assert isinstance(statement, lang.Assign)
    if old is statement.value:
        return replace(statement, value=new)
    return replace(statement, targets=tuple(new if target is old else target for target in statement.targets))


def _with_operator(statement: lang.Statement, op: str) -> lang.Statement:
    assert isinstance(statement, (lang.Assign, lang.Update))
    target = statement.targets[0] if isinstance(statement, lang.Assign) else statement.target
    place = (statement.line, statement.column, statement.text, statement.start)
    if op == "=":
        return lang.Assign(*place, (target,), statement.value)
    return lang.Update(*place, op, target, statement.value)


# -- writing ------------------------------------------------------------------------------------------------------

_TIGHT = {"|": 1, "&": 2, "+": 3, "-": 3, "**": 6}


def _tightness(node: lang.Expression) -> int:
    if isinstance(node, lang.Binary):
        return 0 if node.op in ("<", "<=", ">", ">=", "==", "!=") else _TIGHT.get(node.op, 4)
    if isinstance(node, lang.Unary) or (isinstance(node, lang.Number) and node.value < 0):
        return 5
    return 7


def _write_binary(line: Line, node: lang.Binary) -> str:
    tight = _tightness(node)
    left = line.write(node.left, tight + (node.op == "**"))
    right = line.write(node.right, 5 if node.op == "**" else tight + 1)
    return f"{left}{node.op}{right}" if node.op in ("*", "/", "**") else f"{left} {node.op} {right}"


def _write_call(line: Line, node: lang.Call) -> str:
    given = [line.write(a) for a in node.arguments] + [f"{name}={line.write(value)}" for name, value in node.named]
    return f"{line.write(node.function, 7)}({', '.join(given)})"


def _write_sequence(line: Line, node: lang.Sequence) -> str:
    return f"({', '.join(map(line.write, node.items))}{',' if len(node.items) == 1 else ''})"


def _write_slice(line: Line, node: lang.Slice) -> str:
    start, stop = ("" if end is None else line.write(end) for end in (node.start, node.stop))
    return f"{start}:{stop}" + (f":{line.write(node.step)}" if node.step is not None else "")


_WRITE: dict[type, Callable[[Line, Any], str]] = {
    lang.Number: lambda line, node: node.text,
    lang.Text: lambda line, node: repr(node.value),
    lang.Constant: lambda line, node: "..." if node.value is Ellipsis else str(node.value),
    lang.Name: lambda line, node: node.name,
    lang.Unary: lambda line, node: node.op + line.write(node.operand, 4 if node.op == "-" else 5),
    lang.Binary: _write_binary,
    lang.Call: _write_call,
    lang.Attribute: lambda line, node: f"{line.write(node.value, 7)}.{node.name}",
    lang.Subscript: lambda line, node: f"{line.write(node.value, 7)}[{', '.join(map(line.write, node.items))}]",
    lang.Slice: _write_slice,
    lang.Sequence: _write_sequence,
}


def _as_repair(line: Line, edit: Edit) -> Repair | None:
    """The edit as text; None where it is not a small change of the learner's own words."""
    if edit.op:
        return _operator_repair(line, edit.op)
    old, new = edit.node, edit.new
    if isinstance(new, lang.Unary) and new.operand is old:
        # minus a product is written at its first factor
        while isinstance(old, lang.Binary) and _tightness(old) in (4, 6) and not _is_wrapped(line, old.left):
            old = old.left
        new = negative(old)
    if not line.own(old):
        return None
    before, after = line.text(old), line.write(new, 0 if line.enclosed(old) else _needed(line, old))
    column = old.column
    if before.endswith(after) or before.startswith(after):  # something is left out
        column, before, after = _left_out(column, before, after)
    if before == after or len(after) - len(before) > MOST_ADDED:
        return None
    return Repair(column, before, after)


def _is_wrapped(line: Line, node: lang.Expression) -> bool:
    return not line.own(node) or line.enclosed(node)


def _needed(line: Line, node: lang.Expression) -> int:
    """How tightly what stands in place of a node must hold together."""
    parent = line.places[id(node)].parent
    if isinstance(parent, lang.Binary):
        right = node is parent.right
        return _tightness(parent) + (not right if parent.op == "**" else right)
    if isinstance(parent, lang.Unary):
        return 4 if parent.op == "-" else 5
    if isinstance(parent, lang.Attribute) or (isinstance(parent, lang.Subscript) and node is parent.value):
        return 7
    return 0


def _left_out(column: int, before: str, after: str) -> tuple[int, str, str]:
    """`*b` rather than `a*b -> a`"""
    if before.startswith(after):
        gone = before[len(after) :]
        rest = gone.lstrip()
        return column + len(before) - len(rest), rest, ""
    return column, before[: len(before) - len(after)].rstrip(), ""


def _operator_repair(line: Line, op: str) -> Repair | None:
    statement = line.statement
    assert isinstance(statement, (lang.Assign, lang.Update))
    target = statement.targets[0] if isinstance(statement, lang.Assign) else statement.target
    written = "=" if isinstance(statement, lang.Assign) else f"{statement.op}="
    at = statement.text.find(written, max(target.end - statement.start, 0))
    if at < 0 or not target.end:
        return None
    return Repair(statement.start + at, written, "=" if op == "=" else f"{op}=")


# -- running a candidate ------------------------------------------------------------------------------------------


class Purse(Limits):
    """What the search at one draw may cost."""

    def room(self, *extents: int) -> None:
        entries = prod(max(int(extent), 0) for extent in extents)
        if entries > MOST_TENSOR or self.entries > MOST_ENTRIES:
            raise Refusal("more than a repair may cost")
        self.entries += entries

    def work(self, multiplications: int) -> None:
        if multiplications > MOST_WORK or self.entries > MOST_ENTRIES:
            raise Refusal("more than a repair may cost")
        self.entries += multiplications // 64


class Trial(Run):
    """The edited line, and the units up to the end of its quantity's lines, at one draw."""

    def __init__(self, judge: SheetJudge, segment: Segment, line: Line, unit: int, before: dict[str, Any], point: Any):
        super().__init__(judge.outline, point)
        self.limits: Purse = Purse()
        self.segment, self.line, self.before = segment, line, before
        self.tail: list[Unit] = judge.outline.units[unit : segment.end + 1]
        self.operations = 0
        self.new = line.statement
        self.memo: dict[Any, Any] = {}
        in_place = _changes_in_place(line)
        looped = self.tail[0].statement is not line.statement
        kept = (lang.Binary, lang.Unary, lang.Call, lang.Attribute, lang.Subscript)
        self.kept = set() if in_place or looped else {id(p.node) for p in line.order if isinstance(p.node, kept)}
        self.changed = {t.name for u in self.tail for t in u.touches} if self.outline.mutates else set()
        if in_place:
            self.changed = set(before)
        self.plain = len(self.tail) == 1 and not looped and not line.indexed and _plain_target(line.statement)

    def value(self, statement: lang.Statement) -> Tensor | None:
        """The quantity's value at the end of its lines; None where there is none."""
        self.new = statement
        try:
            self.variables = dict(self.before)
            if self.plain and isinstance(statement, lang.Assign):
                return as_tensor(self.evaluate(statement.value))
            copies = {id(v): v.clone() for n in self.changed if isinstance(v := self.before.get(n), Tensor)}
            for name, value in self.before.items() if copies else ():
                if id(value) in copies:  # one tensor under two names stays one
                    self.variables[name] = copies[id(value)]
            for unit in self.tail:
                self.statement(unit.statement)
            return as_tensor(self.variables.get(self.segment.name))
        except (ReadingError, Refusal, Located, TorchRefuses, Reads, Cut):
            return None
        except Exception:
            if interpret.STRICT:
                raise
            return None  # our own fault: no repair

    def statement(self, statement: lang.Statement) -> None:
        if statement is not self.line.statement:
            self.operations += self.outline.weight.get(id(statement), 1)
            super().statement(statement)
            return
        if self.line.indexed:
            Indexing(self, self.new).execute()
        elif isinstance(self.new, lang.Assign):
            self.assign(self.new)
        elif isinstance(self.new, lang.Update):
            self.update(self.new)
        elif isinstance(self.new, lang.Effect):
            self.evaluate(self.new.call)

    def evaluate(self, node: lang.Expression) -> Any:
        """What an edit leaves alone is computed once."""
        held = self.memo.get(id(node))
        if held is not None:
            return held
        made = super().evaluate(node)
        if type(node) not in _FREE:
            self.operations += 1
        if id(node) in self.kept:
            self.memo[id(node)] = made
        return made

    def store(self, target: lang.Expression, value: Any) -> None:
        if self.changed and isinstance(value, Tensor):
            value = value.clone()  # a later line may change it, and it is computed only once
        super().store(target, value)

    def part(self, node: lang.Expression) -> Any:
        """The value of one part of the learner's line, or None."""
        self.variables = dict(self.before)
        try:
            return self.evaluate(node)
        except (ReadingError, Refusal, Located, TorchRefuses, Reads, Cut):
            return None
        except Exception:
            if interpret.STRICT:
                raise
            return None


_FREE = {lang.Number, lang.Name, lang.Constant, lang.Text}


class Indexing(IndexStyle):
    """With indices; a part means the same wherever its indices run over the same ranges."""

    def evaluate(self, node: lang.Expression) -> Named:
        run = self.run
        assert isinstance(run, Trial)
        if type(node) in _FREE:
            return super().evaluate(node)
        key = (id(node), *self.extents.items()) if id(node) in run.kept else None
        held = None if key is None else run.memo.get(key)
        if held is None:
            held = super().evaluate(node)
            run.operations += INDEX_WEIGHT
            if key is not None:
                run.memo[key] = held
        return held


def _changes_in_place(line: Line) -> bool:
    return any(isinstance(p.node, lang.Call) and _called(p.node).endswith("_") for p in line.order)


def _plain_target(statement: lang.Statement) -> bool:
    return (
        isinstance(statement, lang.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], (lang.Name, lang.Attribute))
    )


# -- the search ---------------------------------------------------------------------------------------------------


@dataclass
class Target:
    """What the line should give at one draw, with two entries to look at first."""

    true: Tensor
    probes: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        flat = self.true.reshape(-1)
        if flat.numel():
            order = flat.abs().argsort(descending=True)[:2].tolist()
            self.probes = tuple((n, float(flat[n])) for n in order)

    def ratio(self, value: Tensor) -> float | None:
        """value / true at the probes, where it is the same at both; nan for another shape."""
        if value.shape != self.true.shape or not self.probes:
            return None
        flat = value.reshape(-1)
        found = []
        for n, true in self.probes:
            given = flat[n].item()
            if true == 0:
                if given != 0:
                    return None
                continue
            found.append(given / true)
            if not isfinite(found[-1]) or abs(found[-1] - found[0]) > 1e-6 * abs(found[0]):
                return None
        return found[0] if found else 1.0


class Search:
    """All that is known of one wrong line, and the candidates tried on it."""

    def __init__(self, judge: SheetJudge, segment: Segment, meaning: Meaning):
        self.judge, self.segment, self.meaning = judge, segment, meaning
        self.exercise, self.names = judge.exercise, judge.names
        statement = segment.statement
        self.line = Line(statement, bool(judge.outline.style.get(id(statement))))
        self.unit = next(u for u in reversed(segment.units) if _holds(judge.outline.units[u].statement, statement))
        # every earlier gradient true: what the line should give is then the truth, whatever it reads
        suspicious = any(s.judgement is not None and s.judgement.verdict != "correct" for s in judge.states)
        self.runs = judge.corrected if suspicious else judge.runs
        self.replaced = judge._truths if suspicious else judge._pinned
        self.trials: dict[int, Trial] = {}
        self.tried = self.confirmed = 0
        self.near: list[Edit] = []
        self.targets: list[Target] = []
        self.first = next((n for n, p in enumerate(judge.points) if self._finite(p)), None)
        if self.first is not None:
            self.targets = [Target(true) for true in self._truths(judge.points[self.first])]

    def _finite(self, point: Point) -> bool:
        true = self.judge.true(self.meaning, point)
        return true is not None and true.numel() <= MOST_TENSOR and bool(true.isfinite().all()) and bool(true.any())

    def _truths(self, point: Point) -> Iterator[Tensor]:
        true = self.judge.true(self.meaning, point)
        assert true is not None
        yield true
        if self.meaning.kind == "local":
            diagonal = point.elementwise_local(self.meaning.of, self.meaning.by)
            if diagonal is not None:
                yield diagonal

    @cached_property
    def ready(self) -> bool:
        """Whether the line can be run here as it stands, and is small enough to be run many times."""
        if self.first is None:
            return False
        given, trial = self.given, self.trial(self.first)
        if trial.limits.entries > MOST_ENTRIES // 10 or trial.operations > MOST_OPERATIONS // 4:
            return False
        seen = as_tensor(self.runs[self.first].values.get((self.segment.name, self.segment.end)))
        if given is None or seen is None:
            return given is seen
        return seen.shape == given.shape and bool(((seen == given) | (seen.isnan() & given.isnan())).all())

    @cached_property
    def given(self) -> Tensor | None:
        """The learner's value."""
        assert self.first is not None
        return self.trial(self.first).value(self.line.statement)

    @property
    def here(self) -> Trial:
        assert self.first is not None
        return self.trial(self.first)

    def trial(self, n: int) -> Trial:
        if n not in self.trials:
            point = self.judge.points[n]
            self.trials[n] = Trial(self.judge, self.segment, self.line, self.unit, self._before(n), point)
        return self.trials[n]

    def _before(self, n: int) -> dict[str, Any]:
        """The variables as they were before the line."""
        held: dict[str, tuple[int, Any]] = {}
        given = {**self.runs[n].values}
        given.update(self.replaced(self.judge.points[n]))
        for (name, unit), value in given.items():
            if unit < self.unit and value is not None and unit >= held.get(name, (-1, None))[0]:
                held[name] = (unit, value)
        return {name: value for name, (_, value) in held.items()}

    # -- candidates --

    @cached_property
    def symptom(self) -> str:
        """scaled (by one constant), shape, or values"""
        if self.given is None or all(self.given.shape != t.true.shape for t in self.targets):
            return "shape"
        ratio = self.ratio
        return "scaled" if ratio is not None and ratio != 0 else "values"

    @cached_property
    def ratio(self) -> float | None:
        """learner's / true, at the first draw."""
        if self.given is None:
            return None
        found = next((r for t in self.targets if (r := t.ratio(self.given)) is not None), None)
        return found if found is not None and abs(found - 1) > 1e-9 else None

    def find(self) -> Repair | None:
        if self._right(self.given):
            return None  # nothing to repair in the line itself
        for edit in candidates(self):
            found = self._try(edit)
            if found is not None:
                return found
            if self.spent:
                return None
        return self._second_edit()

    @property
    def spent(self) -> bool:
        trial = self.here
        return (
            self.tried >= MOST_CANDIDATES
            or trial.operations > MOST_OPERATIONS
            or trial.limits.entries > MOST_ENTRIES
            or self.confirmed >= MOST_CONFIRMED
        )

    def _try(self, edit: Edit) -> Repair | None:
        self.tried += 1
        made = self.line.edited(edit)
        value = self.here.value(made)
        if value is None:
            return None
        for target in self.targets:
            ratio = target.ratio(value)
            if ratio is None or ratio == 0:
                continue
            if abs(ratio - 1) > 1e-6:
                if len(self.near) < MOST_NEAR and self.symptom != "scaled" and _simple(ratio):
                    self.near.append(edit)
            elif self._confirm(made, value):
                return _as_repair(self.line, edit)
        return None

    def _second_edit(self) -> Repair | None:
        """What one edit leaves off by one constant, with a constant put right as well."""
        for edit in self.near:
            for both in islice(_constants_after(self, edit), 30):
                found = self._try(both)
                if found is not None:
                    return found
                if self.spent:
                    return None
        return None

    def _right(self, value: Tensor | None) -> bool:
        assert self.first is not None
        return value is not None and self._same(value, self.first)

    def _same(self, value: Tensor, n: int) -> bool:
        return self.judge._same(self.meaning, value, self.judge.points[n]) == "equal"

    def _confirm(self, made: lang.Statement, value: Tensor) -> bool:
        """Right at every draw."""
        assert self.first is not None
        if not self._same(value, self.first):
            return False
        self.confirmed += 1
        for n, point in enumerate(self.judge.points):
            if n == self.first:
                continue
            other = self.trial(n).value(made)
            if other is None or self.judge._same(self.meaning, other, point) not in ("equal", "unknown"):
                return False
        return True

    # -- what there is to put in --

    @cached_property
    def likely(self) -> dict[str, int]:
        """Names in the true formulas, nearest first."""
        return self.exercise._cached(("names of", self.meaning.name), lambda: _names_of(self.exercise, self.meaning))

    @cached_property
    def offers(self) -> list[tuple[str, Tensor]]:
        """(name, value) of what the line could read: forward values, earlier gradients, helpers."""
        before, point = self.here.before, self.here.draw
        found: dict[str, Any] = {**point.values, **before}
        kept = [
            (name, value)
            for name, value in found.items()
            if isinstance(value, Tensor) and value.is_floating_point() and name != self.segment.name
            and name != self.meaning.name and not isinstance(value, Failure)
        ]  # fmt: skip
        return sorted(kept, key=lambda nv: self.likely.get(nv[0], 99))

    @cached_property
    def sizes(self) -> list[str]:
        return list(self.names.sizes)

    @cached_property
    def spelled(self) -> dict[str, lang.Expression]:
        """Gradients in the learner's own spelling, `W.grad` for dW."""
        made: dict[str, lang.Expression] = {}
        for unit in self.judge.outline.units:
            statement = unit.statement
            for target in statement.targets if isinstance(statement, lang.Assign) else ():
                base = lang.root(target)
                if isinstance(base, lang.Attribute) and isinstance(base.value, lang.Name):
                    name = self.names.read(base)
                    made.setdefault(name or "", lang.Attribute(0, 0, 0, named(base.value.name), base.name))
        return made

    def spell(self, name: str) -> lang.Expression:
        return self.spelled.get(name) or named(name)

    def shape(self, node: lang.Expression) -> tuple[int, ...] | None:
        """The shape of a part of the line; None with indices, and where it has no value."""
        if self.line.indexed or self.here.tail[0].statement is not self.line.statement:
            return None
        made = self.here.part(node)
        if isinstance(made, Tensor):
            return tuple(made.shape)
        return () if isinstance(made, (int, float)) else None

    # -- indices --

    @cached_property
    def ranges(self) -> dict[str, Any]:
        """label -> the size of the axes at which it stands"""
        found: dict[str, Any] = {}
        for place in self.line.order:
            node = place.node
            if isinstance(node, lang.Subscript):
                for item, size in zip(node.items, self._axes(node.value), strict=False):
                    if isinstance(item, lang.Name):
                        found.setdefault(item.name, size)
        return found

    def _axes(self, base: lang.Expression) -> tuple[Any, ...]:
        name = self.names.read(base)
        quantity = self.exercise.quantities.get(self.names.meaning(name).of or name) if name else None
        return quantity.shape if quantity is not None else ()

    def entries(self, name: str, place: Place) -> Iterator[lang.Expression]:
        """`x[i, j]` with indices of the line that fit there."""
        base = self.spell(name)
        if not self.line.indexed:
            yield base
            return
        axes = self._axes(base)
        value = dict(self.offers).get(name)
        if value is None or value.ndim != len(axes):
            return
        if not axes:
            yield base
            return
        free = [lb for lb in self.ranges if lb in place.bound or lb in self.free_labels]
        chosen: list[list[str]] = [[]]
        for axis in axes:
            chosen = [[*c, lb] for c in chosen for lb in free if self.ranges[lb] == axis and lb not in c]
        for labels in chosen[:2]:
            yield lang.Subscript(0, 0, 0, base, tuple(named(label) for label in labels))

    @cached_property
    def free_labels(self) -> set[str]:
        targets = [root for root, role in self.line.roots if role == "target"]
        return {n.name for t in targets for n in lang.walk(t) if isinstance(n, lang.Name)}


def _holds(outer: lang.Statement, statement: lang.Statement) -> bool:
    if outer is statement:
        return True
    return isinstance(outer, lang.Loop) and any(_holds(inner, statement) for inner in outer.body)


def _simple(ratio: float) -> bool:
    near = Fraction(ratio).limit_denominator(60)
    return near != 0 and abs(near.numerator) <= 60 and abs(float(near) - ratio) <= 1e-9 * abs(ratio)


def _names_of(exercise: Any, meaning: Meaning) -> dict[str, int]:
    from tutor.symbolic.derive import derive
    from tutor.symbolic.indices import quantities_in

    gradient = derive(exercise).gradients.get(meaning.of) if meaning.kind == "gradient" else None
    found: dict[str, int] = {}
    if gradient is not None:
        for name in sorted(quantities_in(gradient.expr)):
            found.setdefault(name, 0)
        neighbours = [q.name for q in exercise.forward if meaning.of in q.reads]
        for name in neighbours:
            found.setdefault(f"d{name}", 1)
            found.setdefault(name, 1)
        for v in neighbours:
            for name in sorted(exercise[v].reads):
                found.setdefault(name, 2)
    elif meaning.kind == "local":
        found.update({meaning.of: 0, meaning.by: 0})
        found.update(dict.fromkeys(sorted(exercise[meaning.of].reads), 1))
    elif meaning.of in exercise.quantities:
        found.update(dict.fromkeys(sorted(exercise[meaning.of].reads), 0))
    return found


# -- making nodes -------------------------------------------------------------------------------------------------


def named(name: str) -> lang.Name:
    return lang.Name(0, 0, 0, name)


def number(value: float) -> lang.Expression:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return lang.Number(0, 0, 0, value, repr(value))


def negative(node: lang.Expression) -> lang.Expression:
    return lang.Unary(0, 0, 0, "-", node)


def binary(left: lang.Expression, op: str, right: lang.Expression) -> lang.Binary:
    return lang.Binary(0, 0, 0, op, left, right)


def method(owner: lang.Expression, name: str, *arguments: lang.Expression, **named_: lang.Expression) -> lang.Call:
    return lang.Call(0, 0, 0, lang.Attribute(0, 0, 0, owner, name), arguments, tuple(named_.items()))


def attribute(owner: lang.Expression, name: str) -> lang.Attribute:
    return lang.Attribute(0, 0, 0, owner, name)


def picked(owner: lang.Expression, *items: lang.Expression) -> lang.Subscript:
    return lang.Subscript(0, 0, 0, owner, items)


def all_of() -> lang.Slice:
    return lang.Slice(0, 0, 0, None, None, None)


def constant(value: Any) -> lang.Constant:
    return lang.Constant(0, 0, 0, value)


def _like(node: lang.Expression, **changed: Any) -> Any:
    return replace(node, line=0, column=0, end=0, **changed)


def _is_number(node: lang.Expression) -> bool:
    if isinstance(node, lang.Unary):
        node = node.operand
    return isinstance(node, lang.Number)


# -- the rows -------------------------------------------------------------------------------------------------------
# each takes the search and a place, and yields what could stand there instead

Offer = Iterator[lang.Expression]


def _unminus(s: Search, p: Place) -> Offer:
    """-a -> a"""
    if isinstance(p.node, lang.Unary) and p.node.op == "-":
        yield p.node.operand


def _flipped(s: Search, p: Place) -> Offer:
    """a + b <-> a - b"""
    if isinstance(p.node, lang.Binary) and p.node.op in "+-":
        yield _like(p.node, op="-" if p.node.op == "+" else "+")


def _sides(s: Search, p: Place) -> Offer:
    """a - b -> b - a"""
    if isinstance(p.node, lang.Binary) and p.node.op == "-":
        yield _like(p.node, left=p.node.right, right=p.node.left)


def _negated(s: Search, p: Place) -> Offer:
    """a*b -> -a*b, for a whole product"""
    if _is_chain(s, p) and not isinstance(p.node, lang.Unary):
        parent = p.parent
        if not (isinstance(parent, lang.Binary) and parent.op in "+-" and p.node is parent.right):
            yield negative(p.node)


def _is_chain(s: Search, p: Place) -> bool:
    """A whole product: not a factor of a larger one, and no minus before it."""
    parent = p.parent
    if isinstance(parent, lang.Binary):
        return parent.op not in ("*", "/", "@", "**") or (parent.op == "**" and p.node is parent.right)
    return not isinstance(parent, (lang.Unary, lang.Attribute, lang.Subscript))


def _numbers(s: Search, p: Place) -> Offer:
    """another number close by"""
    node = p.node
    if not isinstance(node, lang.Number) or isinstance(node.value, bool):
        return
    v = node.value
    power = isinstance(p.parent, lang.Binary) and p.parent.op == "**" and p.parent.right is node
    near = Fraction(v).limit_denominator(6) if isfinite(v) else Fraction(0)
    offered: list[float] = []
    if not float(v).is_integer() and near and float(near) != v and abs(float(near) - v) < 0.05 * abs(v):
        offered.append(float(near))
    offered += [v + 1, v - 1, 2 * v, v / 2, -v] if power else [2 * v, v / 2, v + 1, v - 1, 4 * v, v / 4, 0.5]
    if isinstance(v, float) and v.is_integer() is False:
        offered.append(round(v))
    for other in dict.fromkeys(offered):
        if other != v and (other != 0 or not power):
            yield number(other) if other >= 0 else negative(number(-other))


def _scaled(s: Search, p: Place) -> Offer:
    """The constant that is missing: 2*a, a/N, ..."""
    if not _is_chain(s, p) or (p.depth and not isinstance(p.parent, lang.Binary)):
        return
    if p.node is s.line.roots[0][0] and s.ratio is not None:
        yield from _rescaled(s, p.node, s.ratio)
    for text in (2, 0.5):
        yield binary(number(text), "*", p.node)
    for size in s.sizes:
        yield binary(p.node, "/", named(size))
        yield binary(named(size), "*", p.node)
    for size in s.sizes:
        yield binary(p.node, "/", binary(named(size), "-", number(1)))
        yield binary(p.node, "/", binary(named(size), "**", number(0.5)))


def _rescaled(s: Search, node: lang.Expression, ratio: float) -> Offer:
    """By one over the ratio, where that is a simple number or a product of sizes."""
    sizes = s.here.draw.sizes
    below = [n for n in s.sizes if sizes[n] > 1]
    for names in ((), *((n,) for n in below), *((a, b) for a in below for b in below if a < b)):
        for inverse in (False, True) if names else (False,):
            extent = prod(sizes[n] for n in names)
            near = Fraction(ratio / extent if not inverse else ratio * extent).limit_denominator(12)
            left = ratio / extent if not inverse else ratio * extent
            if not near or abs(near.numerator) > 12 or abs(float(near) - left) > 1e-9 * abs(left):
                continue
            made = node
            if abs(near) != 1:
                factor = 1 / abs(near)
                made = binary(number(float(factor)), "*", node) if factor.denominator in (1, 2, 4) else binary(
                    node, "/", number(float(abs(near)))
                ) if near.denominator == 1 else binary(binary(number(factor.numerator), "*", node), "/", number(factor.denominator))
            made = negative(made) if near < 0 else made
            for n in names:
                made = binary(made, "*" if inverse else "/", named(n))
            if made is not node:
                yield made
                return


def _unscaled(s: Search, p: Place) -> Offer:
    """2*a -> a, a/N -> a"""
    node = p.node
    if not isinstance(node, lang.Binary) or node.op not in "*/":
        return
    if _is_constant(s, node.right):
        yield node.left
    if node.op == "*" and _is_constant(s, node.left):
        yield node.right
    if node.op == "/" and _is_constant(s, node.left) and not (isinstance(node.left, lang.Number) and node.left.value == 1):
        yield _like(node, left=number(1))


def _is_constant(s: Search, node: lang.Expression) -> bool:
    """Numbers and sizes only."""
    return all(
        isinstance(n, (lang.Number, lang.Binary, lang.Unary)) or (isinstance(n, lang.Name) and n.name in s.names.sizes)
        for n in lang.walk(node)
    )


def _sizes(s: Search, p: Place) -> Offer:
    """N -> D, N - 1, 1; N - 1 -> N"""
    node = p.node
    if isinstance(node, lang.Name) and node.name in s.names.sizes:
        yield from (named(other) for other in s.sizes if other != node.name)
        yield binary(node, "-", number(1))
        if isinstance(p.parent, lang.Binary) and p.parent.op == "/":
            yield from (binary(node, "*", named(other)) for other in s.sizes if other != node.name)
    elif isinstance(node, lang.Binary) and node.op in "+-" and isinstance(node.right, lang.Number):
        if isinstance(node.left, lang.Name) and node.left.name in s.names.sizes:
            yield node.left


def _mean_or_sum(s: Search, p: Place) -> Offer:
    """.sum <-> .mean"""
    node = p.node
    other = {"sum": "mean", "mean": "sum", "Sum": "Mean", "Mean": "Sum", "prod": "sum"}
    if isinstance(node, lang.Call) and _called(node) in other:
        yield _like(node, function=_like(node.function, name=other[_called(node)]))


def _powers(s: Search, p: Place) -> Offer:
    """a**n -> a; a -> a**2"""
    node = p.node
    if isinstance(node, lang.Binary) and node.op == "**":
        yield node.left
        yield binary(number(1), "/", node.left)
        return
    if not _is_atom(node) or isinstance(node, lang.Number) or _is_size(s, node):
        return
    parent = p.parent
    if isinstance(parent, lang.Binary) and parent.op == "**":
        return
    yield binary(node, "**", number(2))
    yield binary(node, "**", number(3))
    yield binary(node, "**", number(0.5))
    yield binary(node, "**", negative(number(1)))


def _is_atom(node: lang.Expression) -> bool:
    return isinstance(node, (lang.Name, lang.Number)) or (
        isinstance(node, lang.Subscript) and isinstance(node.value, lang.Name)
    )


def _is_size(s: Search, node: lang.Expression) -> bool:
    return isinstance(node, lang.Name) and node.name in s.names.sizes


_OTHER_OPERATORS = {"*": "/@+-", "/": "*-", "@": "*", "+": "*", "-": "*/", "**": "*"}


def _operators(s: Search, p: Place) -> Offer:
    """* <-> /, @, +"""
    if isinstance(p.node, lang.Binary):
        for op in _OTHER_OPERATORS.get(p.node.op, ""):
            if op != "@" or not s.line.indexed:
                yield _like(p.node, op=op)


def _near_names(s: Search, p: Place) -> Offer:
    """a value for its gradient and the reverse, and names of the true formula, of the same shape"""
    yield from _swapped_names(s, p, lambda name, mine: name in s.likely or name == f"d{mine}" or mine == f"d{name}", True)


def _other_names(s: Search, p: Place) -> Offer:
    """another name of the same shape"""
    yield from _swapped_names(s, p, lambda name, mine: name not in s.likely and name != f"d{mine}" and mine != f"d{name}", True)


def _names_of_other_shape(s: Search, p: Place) -> Offer:
    """another name, of another shape"""
    yield from _swapped_names(s, p, lambda name, mine: True, False)


def _swapped_names(s: Search, p: Place, wanted: Callable[[str, str], bool], alike: bool) -> Offer:
    mine = s.names.read(p.node)
    if mine is None or mine in s.names.sizes or (isinstance(p.parent, lang.Attribute) and p.parent.name in ("grad", "data")):
        return
    known = dict(s.offers)
    value = known.get(mine)
    if value is None:
        return
    for name, other in s.offers:
        if name != mine and (other.shape == value.shape) is alike and wanted(name, mine):
            if s.line.indexed and other.ndim != value.ndim:
                continue
            yield s.spell(name)


_RELATED = {
    "sin": "cos", "cos": "sin", "exp": "log", "log": "exp", "tanh": "sigmoid", "sigmoid": "tanh", "sqrt": "square",
    "square": "sqrt", "sinh": "cosh", "cosh": "sinh", "sign": "abs", "abs": "sign", "relu": "sign", "softmax": "sigmoid",
    "maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "Max": "Min", "Min": "Max", "amax": "amin",
    "amin": "amax", "erf": "exp", "log1p": "log", "expm1": "exp", "softplus": "sigmoid", "zeros_like": "ones_like",
    "ones_like": "zeros_like", "log_softmax": "softmax", "tan": "cos", "argmax": "argmin", "rsqrt": "sqrt",
}  # fmt: skip
_MORE_RELATED = {"sigmoid": ("softmax", "relu"), "sign": ("relu",), "sqrt": ("rsqrt",), "softmax": ("log_softmax",)}


def _functions(s: Search, p: Place) -> Offer:
    """sin <-> cos, exp <-> log, ..."""
    node = p.node
    if not isinstance(node, lang.Call):
        return
    name = _called(node)
    for other in (_RELATED.get(name), *_MORE_RELATED.get(name, ())):
        if other is not None:
            yield _like(node, function=_like(node.function, name=other))


def _unwrapped(s: Search, p: Place) -> Offer:
    """f(a) -> a"""
    node = p.node
    if isinstance(node, lang.Call):
        entry = library.FUNCTION.get(_called(node))
        if entry is not None and entry.elementwise and not node.named:
            if len(node.arguments) == 1:
                yield node.arguments[0]
            elif not node.arguments and isinstance(node.function, lang.Attribute):
                yield node.function.value


def _wrapped(s: Search, p: Place) -> Offer:
    """a -> f(a), with the functions of the exercise"""
    if not (_is_atom(p.node) or isinstance(p.node, lang.Binary)) or isinstance(p.node, lang.Number) or _is_size(s, p.node):
        return
    modules = [n.node for n in s.line.order if isinstance(n.node, lang.Attribute) and _is_module(n.node)]
    for name in s.exercise._cached("functions of the exercise", lambda: _functions_of(s.exercise)):
        prefix = "" if s.line.indexed or (s.line.order and not modules and s.judge.outline.elementwise) else "torch"
        function = attribute(named("torch"), name) if prefix else named(name)
        yield lang.Call(0, 0, 0, function, (p.node,), ())


def _functions_of(exercise: Any) -> list[str]:
    found: dict[str, None] = {}
    for q in exercise.forward:
        for node in q.expr.atoms() | set(q.expr.find(lambda n: n.is_Function)):
            if getattr(node, "is_Function", False) and len(node.args) == 1 and node.func.__name__ in library.FUNCTION:
                found.setdefault(node.func.__name__)
    derived = {"sin": ["cos"], "cos": ["sin"], "Abs": ["sign"], "log": [], "exp": []}
    for name in list(found):
        for other in derived.get(name, []):
            found.setdefault(other)
    return sorted({"Abs": "abs"}.get(name, name) for name in found)[:6]


_TURNED = {">": ("<", ">="), "<": (">", "<="), ">=": ("<=", ">"), "<=": (">=", "<"), "==": ("!=",), "!=": ("==",)}


def _comparisons(s: Search, p: Place) -> Offer:
    """> -> <, >="""
    if isinstance(p.node, lang.Binary):
        for op in _TURNED.get(p.node.op, ()):
            yield _like(p.node, op=op)
    elif isinstance(p.node, lang.Unary) and p.node.op == "~":
        yield p.node.operand


def _untransposed(s: Search, p: Place) -> Offer:
    """a.T -> a"""
    if isinstance(p.node, lang.Attribute) and p.node.name in ("T", "mT"):
        yield p.node.value


def _transposed(s: Search, p: Place) -> Offer:
    """a -> a.T"""
    if s.line.indexed or isinstance(p.parent, lang.Attribute) or isinstance(p.node, lang.Attribute):
        return
    shape = s.shape(p.node)
    if shape is not None and len(shape) == 2:
        yield attribute(p.node, "T")
    elif shape is not None and len(shape) > 2:
        yield attribute(p.node, "mT")


def _products_sides(s: Search, p: Place) -> Offer:
    """a @ b -> b @ a; a/b -> b/a"""
    node = p.node
    if isinstance(node, lang.Binary) and node.op in ("@", "/"):
        yield _like(node, left=node.right, right=node.left)
    if isinstance(node, lang.Binary) and node.op == "@" and not s.line.indexed:
        yield _like(node, left=_toggled(node.left), right=_toggled(node.right))
        yield attribute(node, "T")
        yield _like(node, left=_toggled(node.right), right=node.left)
        yield _like(node, left=node.right, right=_toggled(node.left))


def _toggled(node: lang.Expression) -> lang.Expression:
    return node.value if isinstance(node, lang.Attribute) and node.name in ("T", "mT") else attribute(node, "T")


def _argument_order(s: Search, p: Place) -> Offer:
    """f(a, b) -> f(b, a)"""
    node = p.node
    if isinstance(node, lang.Call) and len(node.arguments) >= 2 and _called(node) not in INDEX_FUNCTIONS:
        first, *rest = node.arguments
        if isinstance(first, lang.Text) or _called(node) == "where":
            if len(rest) == 2:
                yield _like(node, arguments=(first, rest[1], rest[0]))
        elif not _is_dim(rest[0]):
            yield _like(node, arguments=(rest[0], first, *rest[1:]))


def _axes(s: Search, p: Place) -> Offer:
    """.sum(0) -> .sum(1), .sum(); keepdim"""
    node = p.node
    if not isinstance(node, lang.Call) or _called(node) not in _DIMS or s.line.indexed and _called(node) in INDEX_FUNCTIONS:
        return
    owner = node.function.value if isinstance(node.function, lang.Attribute) and not _is_module(node.function.value) else None
    skip = 0 if owner is not None else 1
    if owner is None and not node.arguments:
        return
    shape = s.shape(owner if owner is not None else node.arguments[0])
    ndim = len(shape) if shape is not None else 2
    dim = next((v for n, v in node.named if n in ("dim", "axis")), None) or (
        node.arguments[skip] if len(node.arguments) > skip else None
    )
    keep = next((n for n, v in node.named if n in ("keepdim", "keepdims")), None)
    with_dim = [n for n in range(ndim) if not (isinstance(dim, lang.Number) and dim.value == n)]
    for other in with_dim:
        yield _with_dim(node, skip, number(other))
    if dim is not None and _called(node) in ("sum", "mean", "prod"):
        others = tuple((n, v) for n, v in node.named if n not in ("dim", "axis", "keepdim", "keepdims"))
        yield _like(node, arguments=node.arguments[:skip], named=others)
        if ndim > 2:
            yield from (_with_dim(node, skip, _pair(a, b)) for a in range(ndim) for b in range(a + 1, ndim))
    if keep is not None:
        yield _like(node, named=tuple((n, v) for n, v in node.named if n != keep))
    elif dim is not None and _called(node) in _REDUCE[:7] and len(node.arguments) <= skip + 1:
        yield _like(node, named=(*node.named, ("keepdim", constant(True))))
        for other in with_dim:
            changed = _with_dim(node, skip, number(other))
            yield _like(changed, named=(*changed.named, ("keepdim", constant(True))))
    elif len(node.arguments) > skip + 1:
        yield _like(node, arguments=node.arguments[: skip + 1])


def _pair(a: int, b: int) -> lang.Expression:
    return lang.Sequence(0, 0, 0, (number(a), number(b)))


def _with_dim(node: lang.Call, skip: int, dim: lang.Expression) -> lang.Call:
    if any(n in ("dim", "axis") for n, _ in node.named):
        return _like(node, named=tuple((n, dim if n in ("dim", "axis") else v) for n, v in node.named))
    return _like(node, arguments=(*node.arguments[:skip], dim, *node.arguments[skip + 1 :]))


def _unsummed(s: Search, p: Place) -> Offer:
    """a.sum(0) -> a; Sum(f, i) -> f"""
    node = p.node
    if not isinstance(node, lang.Call):
        return
    name = _called(node)
    if name in ("Sum", "Mean", "Product", "KroneckerDelta", "delta"):
        if "elta" in name:
            yield number(1)
        elif node.arguments:
            yield node.arguments[0]
    elif name in _REDUCE or name in ("unsqueeze", "squeeze", "flatten", "clone", "outer", "view", "reshape"):
        if isinstance(node.function, lang.Attribute) and not _is_module(node.function.value):
            yield node.function.value
        elif node.arguments:
            yield node.arguments[0]


def _summed(s: Search, p: Place) -> Offer:
    """a -> a.sum(0)"""
    if s.line.indexed:
        yield from _index_summed(s, p)
        return
    if isinstance(p.parent, lang.Attribute) and isinstance(p.node, lang.Name) and p.depth > 1:
        return
    shape = s.shape(p.node)
    if shape is None or not 1 <= len(shape) <= 4 or isinstance(p.node, lang.Attribute):
        return
    if len(shape) == 1:
        yield method(p.node, "sum")
        return
    for keep in (False, True):
        more = {"keepdim": constant(True)} if keep else {}
        for dim in range(len(shape)):
            yield method(p.node, "sum", number(dim), **more)
    if len(shape) > 2:
        yield from (method(p.node, "sum", _pair(a, b)) for a in range(len(shape)) for b in range(a + 1, len(shape)))
    yield method(p.node, "sum")


def _index_summed(s: Search, p: Place) -> Offer:
    """f[i, k] -> Sum(f[i, k], i)"""
    if not _is_chain(s, p) or _is_number(p.node):
        return
    inside = {n.name for n in lang.walk(p.node) if isinstance(n, lang.Name) and n.name in s.ranges}
    loose = sorted(inside - s.free_labels - set(p.bound)) or (sorted(inside) if p.depth else [])
    for label in loose:
        yield lang.Call(0, 0, 0, named("Sum"), (p.node, named(label)), ())
    if len(loose) == 2:
        yield lang.Call(0, 0, 0, named("Sum"), (p.node, *map(named, loose)), ())


def _columns(s: Search, p: Place) -> Offer:
    """a[:, None] <-> a; [None, :] <-> [:, None]"""
    if s.line.indexed:
        return
    node = p.node
    if isinstance(node, lang.Subscript) and any(isinstance(i, lang.Constant) and i.value is None for i in node.items):
        if len(node.items) == 2:
            yield _like(node, items=node.items[::-1])
        yield node.value
        return
    shape = s.shape(node)
    if isinstance(p.parent, lang.Subscript) or shape is None or not isinstance(p.parent, lang.Binary):
        return
    if len(shape) == 1:
        yield picked(node, all_of(), constant(None))
    elif len(shape) == 2 and isinstance(node, lang.Call):
        yield picked(node, all_of(), constant(None))


def _left_out_parts(s: Search, p: Place) -> Offer:
    """a*b -> a, b; a + b -> a, b"""
    node = p.node
    if not isinstance(node, lang.Binary):
        return
    if node.op in ("*", "+", "@", "&", "|"):
        yield node.left
        yield node.right
    elif node.op == "-":
        yield node.left
        yield node.right
        yield negative(node.right)
    elif node.op == "/":
        yield node.left
        if not isinstance(node.left, lang.Number):
            yield binary(number(1), "/", node.right)


def _factors(s: Search, p: Place) -> Offer:
    """a -> a*b, a/b with a name of the true formula"""
    yield from _more_factors(s, p, True)


def _other_factors(s: Search, p: Place) -> Offer:
    yield from _more_factors(s, p, False)


def _more_factors(s: Search, p: Place, likely: bool) -> Offer:
    one = isinstance(p.node, lang.Number) and p.node.value == 1 and isinstance(p.parent, lang.Binary)
    if not (_is_chain(s, p) or one or _is_factor_site(p)):
        return
    shape = s.shape(p.node)
    for name, value in s.offers:
        if (name in s.likely) is not likely or not _fits(tuple(value.shape), shape):
            continue
        for other in s.entries(name, p):
            if one:
                yield other
                continue
            yield binary(p.node, "*", other)
            yield binary(p.node, "/", other)
            if shape is not None and len(shape) == 2 and value.ndim == 1:
                yield binary(p.node, "*", picked(other, all_of(), constant(None)))


def _is_factor_site(p: Place) -> bool:
    """An operand of @, what a method is called on, a denominator: a product of its own."""
    parent = p.parent
    if isinstance(parent, lang.Binary):
        return parent.op == "@" or (parent.op == "/" and p.node is parent.right)
    return isinstance(parent, lang.Attribute) and isinstance(p.node, lang.Binary)


def _fits(shape: tuple[int, ...], other: tuple[int, ...] | None) -> bool:
    """Whether a product keeps the other's shape, or that is not known."""
    if other is None:
        return True
    if len(shape) > len(other):
        return other == ()
    tail = other[len(other) - len(shape) :]
    return all(a in (b, 1) for a, b in zip(shape, tail, strict=True)) or (len(other) == 2 and shape == other[:1])


def _terms(s: Search, p: Place) -> Offer:
    """p -> p - y, 1 - p"""
    node = p.node
    if isinstance(node, lang.Unary) or (isinstance(node, lang.Number) and _is_power(p)):
        return
    if not (p.depth == 0 or isinstance(p.parent, (lang.Binary, lang.Call)) or isinstance(p.parent, lang.Attribute)):
        return
    if isinstance(p.parent, lang.Attribute) and isinstance(node, lang.Name):
        return
    if not _is_size(s, node) and not isinstance(node, lang.Number):
        yield binary(number(1), "-", node)
        yield binary(node, "-", number(1))
        yield binary(number(1), "+", node)
    shape = s.shape(node)
    for name, value in s.offers:
        if name not in s.likely or (shape is not None and shape != () and tuple(value.shape) != shape):
            continue
        if s.names.read(node) == name or _is_size(s, node):
            continue
        for other in s.entries(name, p):
            yield binary(node, "-", other)
            yield binary(node, "+", other)
            if isinstance(node, lang.Number):
                yield binary(node, "-", binary(other, "**", number(2)))


def _is_power(p: Place) -> bool:
    return isinstance(p.parent, lang.Binary) and p.parent.op == "**" and p.parent.right is p.node


def _paths(s: Search, p: Place) -> Offer:
    """a -> a + b, with one of several true contributions"""
    if p.parent is not None or s.meaning.kind != "gradient" or s.meaning.of not in s.exercise.quantities:
        return
    for form in s.exercise._cached(("parts", s.meaning.of, s.line.indexed), lambda: _path_forms(s)):
        yield binary(p.node, "+", form)


def _path_forms(s: Search) -> list[lang.Expression]:
    """The torch or index forms of the contributions, where there are several."""
    from tutor.answers import python
    from tutor.symbolic.derive import contributions
    from tutor.symbolic.notation import sheet_form
    from tutor.symbolic.torch_form import torch_form

    q = s.exercise[s.meaning.of]
    terms = [t for part in contributions(s.exercise, q) for t in part.terms]
    if len(terms) < 2:
        return []
    made = []
    for term in terms:
        form = sheet_form(term.expr, s.exercise) if s.line.indexed else torch_form(term.expr, q.indices, s.exercise)
        if form and len(form) <= MOST_ADDED - 3:
            statement = python.read(f"a = {form}")[0].statements[0]
            if isinstance(statement, lang.Assign):
                made.append(_foreign(statement.value))
    return made


def _foreign(node: lang.Expression) -> lang.Expression:
    """The same tree without places."""

    def again(value: Any) -> Any:
        if isinstance(value, lang.Expression):
            return _foreign(value)
        return tuple(map(again, value)) if isinstance(value, tuple) else value

    given = {f.name: again(getattr(node, f.name)) for f in fields(node)}
    return type(node)(**{**given, "line": 0, "column": 0, "end": 0})


def _labels(s: Search, p: Place) -> Offer:
    """x[i, j] -> x[j, i], x[k, j]; Sum(f, i) -> Sum(f, k)"""
    node = p.node
    if not s.line.indexed:
        return
    if isinstance(node, lang.Subscript) and p.role in ("value", "target") and len(node.items) >= 2:
        for n in range(len(node.items) - 1):
            items = list(node.items)
            items[n], items[n + 1] = items[n + 1], items[n]
            yield _like(node, items=tuple(items))
    if isinstance(node, lang.Name) and p.role == "index":
        known = {**dict.fromkeys(s.ranges), **dict.fromkeys(s.names.indices)}
        yield from (named(label) for label in known if label != node.name)
        if p.bound == () and isinstance(p.parent, lang.Call):
            return


def _torch_places(s: Search, p: Place) -> Offer:
    """a[t] -> a[y]: another tensor of whole numbers"""
    if s.line.indexed or p.role != "index" or not isinstance(p.node, lang.Name):
        return
    for name, value in s.here.draw.values.items():
        if isinstance(value, Tensor) and not value.is_floating_point() and name != p.node.name:
            yield named(name)


@dataclass(frozen=True)
class Row:
    """One kind of edit, the roles of the nodes it looks at, and when it is tried: by what is wrong with the values."""

    offer: Callable[[Search, Place], Offer]
    values: float
    scaled: float
    shape: float
    roles: tuple[str, ...] = ("value",)


# smaller is tried earlier
EDITS: tuple[Row, ...] = (
    Row(_unminus, 1, 1, 40),
    Row(_flipped, 2, 4, 41),
    Row(_sides, 3, 2, 42),
    Row(_negated, 4, 3, 43),
    Row(_unscaled, 5, 5, 44),
    Row(_numbers, 6, 6, 45),
    Row(_sizes, 7, 7, 46, ("value", "size")),
    Row(_mean_or_sum, 8, 8, 12),
    Row(_scaled, 26, 9, 60),
    Row(_near_names, 9, 20, 13),
    Row(_comparisons, 10, 30, 61),
    Row(_functions, 11, 21, 47),
    Row(_powers, 12, 22, 48),
    Row(_untransposed, 13, 31, 2),
    Row(_axes, 14, 32, 1),
    Row(_labels, 15, 33, 3, ("value", "index", "target")),
    Row(_operators, 16, 23, 6),
    Row(_products_sides, 17, 34, 5),
    Row(_left_out_parts, 18, 24, 10),
    Row(_unwrapped, 19, 25, 49),
    Row(_unsummed, 20, 35, 7),
    Row(_argument_order, 21, 36, 14),
    Row(_columns, 22, 37, 4),
    Row(_transposed, 23, 38, 8),
    Row(_factors, 24, 26, 16),
    Row(_terms, 25, 27, 50),
    Row(_paths, 25.5, 28, 51),
    Row(_summed, 27, 39, 9),
    Row(_other_names, 28, 40, 17),
    Row(_names_of_other_shape, 29, 41, 15),
    Row(_torch_places, 30, 42, 18, ("index",)),
    Row(_other_factors, 31, 43, 52),
    Row(_wrapped, 32, 44, 53),
)  # fmt: skip
_ORDERED = {
    symptom: tuple(sorted(EDITS, key=lambda row: getattr(row, symptom))) for symptom in ("values", "scaled", "shape")
}


def candidates(search: Search) -> Iterator[Edit]:
    """Every edit, likeliest first."""
    yield from _operator_edits(search)
    for row in _ORDERED[search.symptom]:
        yield from _edits(search, row)


def _edits(search: Search, row: Row) -> Iterator[Edit]:
    for place in search.line.order:
        if place.role in row.roles and search.line.own(place.node):
            for new in row.offer(search, place):
                yield Edit(place.node, new)


def _operator_edits(search: Search) -> Iterator[Edit]:
    """`+=` for `=`, and the reverse"""
    statement = search.line.statement
    if isinstance(statement, lang.Update) and statement.op in "+-":
        yield Edit(statement.value, statement.value, "-" if statement.op == "+" else "+")
        yield Edit(statement.value, statement.value, "=")
    elif isinstance(statement, lang.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        name = search.names.read(lang.root(target))
        if name in search.here.before and not isinstance(target, lang.Sequence):
            yield Edit(statement.value, statement.value, "+")
            yield Edit(statement.value, statement.value, "-")


_CONSTANTS: tuple[Callable[[Search, Place], Offer], ...] = (_unminus, _flipped, _sides, _unscaled, _numbers)


def _constants_after(search: Search, edit: Edit) -> Iterator[Edit]:
    """A constant put right as well: inside the part that the first edit made, around it, or elsewhere on the line."""
    for offer in _CONSTANTS:
        for other in _inside(search, edit.new, offer):
            yield Edit(edit.node, other)
    yield Edit(edit.node, negative(edit.new))
    for offer in _CONSTANTS:
        for place in search.line.values():
            if search.line.own(place.node):
                for new in offer(search, place):
                    both = _together(search.line, edit, Edit(place.node, new))
                    if both is not None:
                        yield both
    for factor in (2, 0.5):
        yield Edit(edit.node, binary(number(factor), "*", edit.new))
    for size in search.sizes:
        yield Edit(edit.node, binary(edit.new, "/", named(size)))
        yield Edit(edit.node, binary(named(size), "*", edit.new))


def _together(line: Line, first: Edit, second: Edit) -> Edit | None:
    """Two edits as one of the smallest part that holds both; None where one lies inside the other."""
    above = _ancestors(line, first.node)
    ids = {id(node) for node in above}
    shared = next((node for node in _ancestors(line, second.node) if id(node) in ids), None)
    if shared is None or shared is first.node or shared is second.node:
        return None
    made = shared
    for edit in (first, second):
        made = _exchange_within(line, shared, made, edit)
    return Edit(shared, made)


def _ancestors(line: Line, node: lang.Expression) -> list[lang.Expression]:
    """The node and what it is a part of, innermost first."""
    found = [node]
    while (parent := line.places[id(found[-1])].parent) is not None:
        found.append(parent)
    return found


def _exchange_within(line: Line, shared: lang.Expression, made: lang.Expression, edit: Edit) -> lang.Expression:
    """`made`, a copy of `shared` or itself, with one more node replaced along the same way down."""
    way = _ancestors(line, edit.node)
    way = way[: next(n for n, node in enumerate(way) if node is shared)][::-1]

    def descend(original: lang.Expression, copy: lang.Expression, rest: list[lang.Expression]) -> lang.Expression:
        if not rest:
            return edit.new
        number_ = next(n for n, part in enumerate(lang.parts(original)) if part is rest[0])
        child = list(lang.parts(copy))[number_]
        return _with_part(copy, child, descend(rest[0], child, rest[1:]))

    return descend(shared, made, way)


def _inside(search: Search, new: lang.Expression, offer: Callable[[Search, Place], Offer]) -> Iterator[lang.Expression]:
    """The new part with one of its own nodes edited."""
    chain: list[tuple[lang.Expression, lang.Expression | None]] = [(new, None)]
    parents: dict[int, lang.Expression] = {}
    while chain:
        node, parent = chain.pop()
        for other in offer(search, Place(node, parent, "value", 0 if parent is None else 1)):
            yield _rebuilt(parents, node, other)
        for part in lang.parts(node):
            parents[id(part)] = node
            chain.append((part, node))


def _rebuilt(parents: Mapping[int, lang.Expression], old: lang.Expression, new: lang.Expression) -> lang.Expression:
    while id(old) in parents:
        parent = parents[id(old)]
        old, new = parent, _with_part(parent, old, new)
    return new
