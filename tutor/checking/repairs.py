"""The smallest edits to a learner's own line that make it right: where the fault is inside the line.

The table `edits.EDITS` offers candidates, likeliest first. A candidate is run where the line stood, with every earlier
gradient true, and compared with the truth: at one draw first, at all draws before it is shown. Work is counted, not
timed, so that a report is the same everywhere. What an edit leaves alone is computed once, and where a part's needed
value follows from the truth (a + ? = true) the edited part alone is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.answers import python
from tutor.checking import interpret, pool
from tutor.checking.edits import ancestors, candidates, constants_after
from tutor.checking.index_style import IndexStyle, Named
from tutor.checking.interpret import Failure, Located, Reads, Run
from tutor.checking.judge import as_tensor
from tutor.checking.library import FUNCTION, Cut, Limits, Refusal, TorchRefuses
from tutor.checking.meant import as_meant
from tutor.checking.outline import Meaning, Segment, Unit
from tutor.checking.pool import Slope
from tutor.checking.report import Repair
from tutor.checking.rewriting import (
    MOST_ADDED,
    Edit,
    Line,
    Place,
    all_of,
    attribute,
    called,
    constant,
    named,
    negative,
    picked,
    tightness,
    with_part,
)
from tutor.checking.truth import Point, Points
from tutor.errors import ReadingError
from tutor.numeric.compare import all_close
from tutor.numeric.sample import sample

if TYPE_CHECKING:
    from tutor.checking.lines import SheetJudge

MOST_CANDIDATES = 600
MOST_OPERATIONS = 3_000  # computed at the first draw; one with indices costs as much as INDEX_WEIGHT others
MOST_ENTRIES = 1_500_000  # computed at one draw
MOST_TENSOR = 200_000  # entries of one tensor
MOST_WORK = 4_000_000  # multiplications in one product
MOST_CONFIRMED = 24  # candidates that are taken to all draws
MOST_SINGLE = 40  # the same where a draw gives one number
MOST_NEAR = 4  # candidates off by one constant, which a second edit may put right
MOST_SECOND = 40  # second edits for each of them
MOST_FUNCTIONS = 4
MOST_SITES = 4  # lines that are searched for one wrong line
MOST_OPERAND = 24  # characters of what stands after an operator that is shown with it
INDEX_WEIGHT = 4
SEARCH_WEIGHT, OPERATIONS_PER_TRY = 100, 6  # what making ready costs, in candidates; and what a candidate costs
MORE_DRAWS = 6  # where a jump lets many formulas agree
CLOSE = 1e-6  # for the first look only


def repair(judge: SheetJudge, segment: Segment, meaning: Meaning | None = None) -> Repair | None:
    """The smallest edit that makes a wrong line right, or None; `meaning` is what its name should hold.

    The line itself is looked at first, then the earlier lines that build its quantity up, then helpers that it reads.
    """
    failure = judge._failure(segment)
    shown = segment.statement.line if failure is None else failure.line
    meaning = meaning or judge.meaning(segment)
    judged = segment
    if meaning.kind == "helper":  # torch refuses it: what reads it says what it should be
        judged = next(judge._readers(segment), segment)
        meaning = judge.meaning(judged)
    for statement in islice(_sites(judge, segment, shown), MOST_SITES):
        search = Search(judge, judged, meaning, statement)
        found = search.find() if search.ready else None
        judge.searched += search.cost
        if found is not None:
            return found if statement.line == shown else replace(found, line=statement.line)
    return None


def read_by(judge: SheetJudge, segment: Segment) -> set[str]:
    """Every name that a quantity's lines read, directly or through helpers."""
    found = set().union(*(touch.reads for touch in segment.touches)) - {segment.name}
    for name, unit in segment.helpers.items():
        found.discard(name)
        state = judge._helper_state(name, unit)
        found |= set().union(*(touch.reads for touch in state.segment.touches)) if state is not None else set()
    return found | set(segment.sources)


def _sites(judge: SheetJudge, segment: Segment, shown: int) -> Iterator[lang.Statement]:
    """Where the fault may be: on the line shown, on those before it, in helpers."""
    own = list({id(touch.statement): touch.statement for touch in reversed(segment.touches)}.values())
    own.sort(key=lambda statement: statement.line != shown)
    for statement in (*own, *_helper_lines(judge, segment)):
        if not isinstance(statement, (lang.Unreadable, lang.Loop)):
            yield statement


def _helper_lines(judge: SheetJudge, segment: Segment) -> Iterator[lang.Statement]:
    """Lines of helpers that may be at fault: not what a right line reads, nor a value or gradient as it should be."""
    for name in sorted(segment.helpers, key=lambda name: -segment.helpers[name]):
        state = judge._helper_state(name, segment.helpers[name])
        if state is None:
            continue
        readers = (other for other in judge._readers(state.segment) if other is not segment)
        right = any(
            all(judge._true_at(other, run, point) for run, point in zip(judge.runs, judge.points, strict=True))
            for other in readers
        )
        if not right and not judge._sound([judge.value(run, state.segment) for run in judge.runs]):
            yield from (touch.statement for touch in reversed(state.segment.touches))


# -- as text ----------------------------------------------------------------------------------------------------


def as_repair(line: Line, edit: Edit) -> Repair | None:
    """The edit as text; None where it is not a small change of the learner's own words."""
    if edit.op:
        return _operator_repair(line, edit.op)
    old, new = _narrowed(line, edit.node, edit.new)
    if isinstance(new, lang.Unary) and new.operand is old:
        # minus a product is written at its first factor
        while isinstance(old, lang.Binary) and tightness(old) in (4, 6) and not _is_wrapped(line, old.left):
            old = old.left
        new = negative(old)
    if not line.own(old):
        return None
    if isinstance(new, lang.Binary) and isinstance(old, lang.Binary) and _same_operands(old, new):
        return _other_operator(line, old, new)
    if isinstance(old, lang.Binary) and (new is old.left or new is old.right):
        left_out = _without(line, old, new)
        if left_out is not None:
            return left_out
    before, after = line.text(old), line.write(new, 0 if line.enclosed(old) else _needed(line, old))
    column = old.column
    owner = _owner(old)
    if owner is not None and (owner is new or owner is _owner(new)):  # only the method is another one, or is left out
        at = before.rfind(f".{_method_name(old)}")
        after = "" if new is owner else after[after.rfind(f".{_method_name(new)}") :]
        column, before = column + at, before[at:]
    if before == after or len(after) - len(before) > MOST_ADDED:
        return None
    return Repair(column, before, after)


def _narrowed(line: Line, old: lang.Expression, new: lang.Expression) -> tuple[lang.Expression, lang.Expression]:
    """The one part in which the two differ, as far down as there is one."""
    while type(old) is type(new):
        mine, other = list(lang.parts(old)), list(lang.parts(new))
        differ = [n for n, pair in enumerate(zip(mine, other, strict=False)) if pair[0] is not pair[1]]
        if len(mine) != len(other) or len(differ) != 1:
            break
        part, instead = mine[differ[0]], other[differ[0]]
        if line.role(part) != "value" or with_part(old, part, instead) != new:
            break
        old, new = part, instead
    return old, new


def _same_operands(old: lang.Binary, new: lang.Binary) -> bool:
    return new.left is old.left and new.right is old.right


def _other_operator(line: Line, old: lang.Binary, new: lang.Binary) -> Repair | None:
    """`- y` to `+ y`, at the operator itself where nothing has to be put in parentheses"""
    start = line.statement.start
    gap = line.statement.text[old.left.end - start : old.right.column - start]
    at = old.left.end + max(gap.find(old.op), 0)
    if tightness(old) != tightness(new) or not (line.own(old.left) and line.own(old.right)) or old.op not in gap:
        return Repair(old.column, line.text(old), line.write(new, 0 if line.enclosed(old) else _needed(line, old)))
    written = line.statement.text[at - start : old.end - start]
    written = written if len(written) <= MOST_OPERAND else old.op
    return Repair(at, written, new.op + written[len(old.op) :])


def _is_wrapped(line: Line, node: lang.Expression) -> bool:
    return not line.own(node) or line.enclosed(node)


def _needed(line: Line, node: lang.Expression) -> int:
    """How tightly what stands in place of a node must hold together."""
    parent = line.places[id(node)].parent
    if isinstance(parent, lang.Binary):
        right = node is parent.right
        return tightness(parent) + (not right if parent.op == "**" else right)
    if isinstance(parent, lang.Unary):
        return 4 if parent.op == "-" else 5
    if isinstance(parent, lang.Attribute) or (isinstance(parent, lang.Subscript) and node is parent.value):
        return 7
    return 0


def _owner(node: lang.Expression) -> lang.Expression | None:
    """What a method is called on, or `.T` taken of."""
    if isinstance(node, lang.Call):
        node = node.function
    return node.value if isinstance(node, lang.Attribute) and not lang.is_module(node.value) else None


def _method_name(node: Any) -> str:
    return called(node) if isinstance(node, lang.Call) else node.name


def _without(line: Line, old: lang.Binary, new: lang.Expression) -> Repair | None:
    """`*b` rather than `a*b -> a`; what is left keeps its own parentheses"""
    if not (line.own(old.left) and line.own(old.right)):
        return None
    text, start = line.statement.text, line.statement.start
    at = text.find(old.op, old.left.end - start, old.right.column - start)
    if at < 0:
        return None
    if new is old.left:
        return Repair(at + start, text[at : old.end - start], "")
    at += len(old.op)
    at += len(text[at:]) - len(text[at:].lstrip())
    return Repair(old.column, text[old.column - start : at].rstrip(), "")


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

    def __init__(
        self,
        judge: SheetJudge,
        segment: Segment,
        line: Line,
        unit: int,
        before: dict[str, Any],
        point: Any,
        instead: Mapping[tuple[str, int], Tensor] | None = None,
    ):
        super().__init__(judge.outline, point, instead)
        self.limits: Limits = Purse()
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
        self.pure = not (in_place or looped)
        self.placed, self.above = 0, frozenset[int]()  # ids of the place whose slope is asked for, and of what holds it
        self.leaf: Named | None = None
        self.spread: tuple[int, ...] | None = None
        self.alone = len(self.tail) == 1 and self.pure and not line.indexed and _plain_target(line.statement)
        self.plain = self.alone and isinstance(line.statement, lang.Assign)

    def value(self, statement: lang.Statement) -> Tensor | None:
        """The quantity's value at the end of its lines; None where there is none."""
        self.new = statement
        return as_tensor(self._safely(self._through))

    def part(self, node: lang.Expression) -> Any:
        """The value of one part alone, or None."""
        return self._safely(self.evaluate, node) if self.pure else None

    def _safely(self, work: Any, *args: Any) -> Any:
        try:
            self.variables = dict(self.before)
            return work(*args)
        except (ReadingError, Refusal, Located, TorchRefuses, Reads, Cut):
            return None
        except Exception:
            if interpret.STRICT:
                raise
            return None  # our own fault: no repair

    def _through(self) -> Any:
        """From the edited statement to the end of its quantity's lines."""
        if self.plain and isinstance(self.new, lang.Assign):
            return self.evaluate(self.new.value)
        # an edit that makes `=` an update must not reach the truths, which stand among the variables
        changed = set(self.before) if isinstance(self.new, lang.Update) else self.changed
        copies = {id(v): v.clone() for n in changed if isinstance(v := self.before.get(n), Tensor)}
        for name, value in self.before.items() if copies else ():
            if id(value) in copies:  # one tensor under two names stays one
                self.variables[name] = copies[id(value)]
        for unit in self.tail:
            self.statement(unit.statement)
            for touch in unit.touches:
                if (touch.name, unit.position) in self.replace:
                    self.variables[touch.name] = self.replace[touch.name, unit.position].clone()
        return self.variables.get(self.segment.name)

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
        held = self.memo.get(id(node)) if id(node) not in self.above else None
        if held is None:
            if self.operations > 2 * MOST_OPERATIONS:
                raise Refusal("more than a repair may cost")
            held = super().evaluate(node)
            if type(node) not in _FREE:
                self.operations += 1 + _width(node) // 8
            if id(node) in self.kept and id(node) not in self.above:
                self.memo[id(node)] = held
        return self._place(held).tensor if id(node) == self.placed else held

    def _place(self, held: Any, labels: tuple[str, ...] = (), extents: tuple[int, ...] | None = None) -> Named:
        """What stands at the place, from here on a variable of its own."""
        value = as_tensor(held)
        if value is None or self.leaf is not None or (self.line.indexed and extents is None):
            raise Refusal("no place to solve for")
        shape = extents if extents is not None else self.spread
        try:
            value = value if shape is None else value.expand(shape)
        except RuntimeError:
            raise Refusal("no place to solve for") from None
        self.leaf = Named(value.detach().clone().requires_grad_(), labels)
        return self.leaf

    def slope(self, place: lang.Expression, above: frozenset[int], true: Tensor) -> Slope | None:
        """How the line hangs on what stands at a place; where it has another shape than the truth, spread over it."""
        number = all(isinstance(node, (lang.Number, lang.Unary)) for node in lang.walk(place))
        spreads = (None, tuple(true.shape))
        for spread in spreads[::-1] if number else spreads:  # a number may stand for a whole tensor
            self.placed, self.above, self.leaf, self.spread = id(place), above, None, spread
            try:
                with torch.enable_grad():
                    made = self.value(self.line.statement)
                leaf = self.leaf
                if made is not None and leaf is not None and made.requires_grad and made.shape == true.shape:
                    return _slope(made, leaf, true)
            finally:
                self.placed, self.above, self.leaf = 0, frozenset(), None
            if self.line.indexed:
                break
        return None

    def store(self, target: lang.Expression, value: Any) -> None:
        if self.changed and isinstance(value, Tensor):
            value = value.clone()  # a later line may change it, and it is computed only once
        super().store(target, value)


def _width(node: lang.Expression) -> int:
    """How many items a list or an index holds: a long one costs as much as several operations."""
    return len(node.items) if isinstance(node, (lang.Sequence, lang.Subscript)) else 0


_FREE = {lang.Number, lang.Name, lang.Constant, lang.Text}


class Indexing(IndexStyle):
    """With indices; a part means the same wherever its indices run over the same ranges."""

    def evaluate(self, node: lang.Expression) -> Named:
        run = self.run
        assert isinstance(run, Trial)
        if id(node) != run.placed:
            return self._known(run, node)
        labels, extents = tuple(self.extents), tuple(self.extents.values())
        return run._place(self._aligned(self._known(run, node), labels), labels, extents)

    def _known(self, run: Trial, node: lang.Expression) -> Named:
        if type(node) in _FREE:
            return super().evaluate(node)
        key = (id(node), *self.extents.items()) if id(node) in run.kept and id(node) not in run.above else None
        held = None if key is None else run.memo.get(key)
        if held is None:
            held = super().evaluate(node)
            run.operations += INDEX_WEIGHT
            if key is not None:
                run.memo[key] = held
        return held


def _slope(made: Tensor, leaf: Named, true: Tensor) -> Slope | None:
    """Along two directions in which all entries count, the small ones as well."""
    size = true.abs() + made.detach().abs()
    if not bool(size.isfinite().all()):
        return None
    value, rows, consts, needed = leaf.tensor.detach(), [], [], []
    weights = 1 / (size + size.mean()).reshape(-1)
    for turn in (1.7, 2.9):
        along = torch.cos(turn * torch.arange(1, true.numel() + 1, dtype=torch.float64)) * weights
        entry = (made.reshape(-1) * along).sum()
        try:
            (row,) = torch.autograd.grad(entry, leaf.tensor, retain_graph=True, allow_unused=True)
        except RuntimeError:  # torch has no derivative of % by its divisor
            return None
        if row is None or not bool(row.isfinite().all()) or not bool(row.any()):
            return None
        rows.append(row)
        consts.append(float(entry.detach() - (row * value).sum()))
        needed.append(float((true.reshape(-1) * along).sum()))
    return Slope(value, rows, consts, needed, leaf.axes)


def _changes_in_place(line: Line) -> bool:
    return any(isinstance(p.node, lang.Call) and called(p.node).endswith("_") for p in line.order)


def _plain_target(statement: lang.Statement) -> bool:
    if isinstance(statement, lang.Update):
        return isinstance(statement.target, (lang.Name, lang.Attribute))
    if not isinstance(statement, lang.Assign) or len(statement.targets) != 1:
        return False
    return isinstance(statement.targets[0], (lang.Name, lang.Attribute))


# -- the search ---------------------------------------------------------------------------------------------------


@dataclass
class Need:
    """What a part of the line should give, with two entries to look at first."""

    value: Tensor
    exact: bool = True  # its shape as well; else what broadcasts to it will do
    probes: list[tuple[tuple[int, ...], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        flat = self.value.reshape(-1)
        if flat.numel():
            sure = torch.where(flat.isfinite(), flat.abs(), -1.0)
            for place in sure.topk(min(2, flat.numel())).indices.tolist():
                if isfinite(found := float(flat[place])):
                    self.probes.append((_unravelled(place, tuple(self.value.shape)), found))

    def takes(self, value: Tensor) -> bool:
        shape, mine = tuple(value.shape), tuple(self.value.shape)
        if self.exact or len(shape) > len(mine):
            return shape == mine
        return all(a in (b, 1) for a, b in zip(reversed(shape), reversed(mine), strict=False))

    def ratio(self, value: Tensor) -> float | None:
        """value / needed at the probes, where it is the same at both."""
        found: list[float] = []
        for place, needed in self.probes:
            tail = zip(place[len(place) - value.ndim :], value.shape, strict=True)
            given = value[tuple(n if extent > 1 else 0 for n, extent in tail)].item()
            if needed == 0:
                if given != 0:
                    return None
                continue
            found.append(given / needed)
            if not isfinite(found[-1]) or abs(found[-1] - found[0]) > CLOSE * abs(found[0]):
                return None
        return found[0] if found else 1.0


def _unravelled(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    made = []
    for extent in reversed(shape):
        made.append(place % extent)
        place //= extent
    return tuple(reversed(made))


class Search:
    """All that is known of one wrong line, and the candidates tried on it."""

    def __init__(self, judge: SheetJudge, segment: Segment, meaning: Meaning, statement: lang.Statement):
        self.judge, self.segment, self.meaning = judge, segment, meaning
        self.exercise, self.names = judge.exercise, judge.names
        self.line = Line(statement, bool(judge.outline.style.get(id(statement))))
        self.unit = next(u.position for u in judge.outline.units if _holds(u.statement, statement))
        self.share = 1 if statement is segment.statement else 2  # elsewhere than on the line itself: half as much
        # every earlier gradient true: what the line should give is then the truth, whatever it reads
        suspicious = any(
            s.judgement is not None and s.judgement.verdict != "correct" and s.segment.end < segment.end
            for s in judge.states
        )
        self.runs = judge.corrected if suspicious else judge.runs
        self.replaced = judge._truths if suspicious else judge._pinned
        self.trials: dict[int, Trial] = {}
        self.tried = self.confirmed = 0
        self.near: list[Edit] = []
        self._forms: dict[Any, list[tuple[lang.Expression, Tensor]]] = {}
        self.needs: dict[int, Need | None] = {}
        self.truths = [judge.true(meaning, point) for point in judge.points]
        self.first = next((n for n in range(len(judge.points)) if self._telling(n)), None)
        self.targets = [] if self.first is None else [Need(true) for true in self._targets()]

    def _telling(self, n: int) -> bool:
        """Whether a draw has a finite truth, and the learner's value is not it."""
        true = self.truths[n]
        if true is None or true.numel() > MOST_TENSOR or not bool(true.isfinite().all()):
            return False
        given = self._recorded(n)
        return given is None or not self._same(given, n)

    def _recorded(self, n: int) -> Tensor | None:
        return as_tensor(self.runs[n].values.get((self.segment.name, self.segment.end)))

    def _targets(self) -> Iterator[Tensor]:
        assert self.first is not None
        if self.stacked:
            yield torch.stack([t for t in self.truths if t is not None])
            return
        true = self.truths[self.first]
        assert true is not None
        yield true
        if self.meaning.kind == "local":
            diagonal = next(iter(self.judge.points[self.first].compact_locals(self.meaning.of, self.meaning.by)), None)
            if diagonal is not None:
                yield diagonal

    @cached_property
    def stacked(self) -> bool:
        """Scalars: all draws are computed as one."""
        draws = self.judge.points
        sure = all(t is not None and not t.ndim and bool(t.isfinite()) for t in self.truths)
        return sure and self.judge.outline.elementwise and len(draws) > 1 and isinstance(draws, Points)

    @cached_property
    def ready(self) -> bool:
        """Whether the line can be run here as it stands, and is small enough to be run many times."""
        if self.first is None or not self._readable:
            return False
        given, trial = self.given, self.here
        if trial.limits.entries > MOST_ENTRIES // 10 or trial.operations > MOST_OPERATIONS // 4:
            return False
        seen = [self._recorded(n) for n in range(len(self.runs))] if self.stacked else [self._recorded(self.first)]
        if given is None or any(value is None for value in seen):
            return given is None
        found = torch.stack(seen) if self.stacked else seen[0]  # type: ignore[arg-type]
        assert found is not None
        if self.stacked:
            given = given.expand(found.shape) if given.ndim <= 1 else given
        return found.shape == given.shape and bool(((found == given) | (found.isnan() & given.isnan())).all())

    @cached_property
    def given(self) -> Tensor | None:
        """The learner's value."""
        return self.here.value(self.line.statement)

    @property
    def here(self) -> Trial:
        """The first draw, or all draws of scalars."""
        assert self.first is not None
        return self.trial(-1 if self.stacked else self.first)

    def trial(self, n: int) -> Trial:
        if n not in self.trials:
            if n < 0:
                every = range(len(self.judge.points))
                before, instead = (
                    _stacked([self._before(m) for m in every]),
                    _stacked([self._instead(m) for m in every]),
                )
                draw: Any = self.judge.points.stack
            else:
                before, instead, draw = self._before(n), self._instead(n), self.judge.points[n]
            self.trials[n] = Trial(self.judge, self.segment, self.line, self.unit, before, draw, instead)
        return self.trials[n]

    def _before(self, n: int) -> dict[str, Any]:
        return self._held(self.runs[n].values, self.replaced(self.judge.points[n]))

    def _instead(self, n: int) -> dict[tuple[str, int], Tensor]:
        """Gradients that stand between the edited line and the judged one: they are true as well."""
        if self.unit == self.segment.end:
            return {}
        replaced = self.replaced(self.judge.points[n]).items()
        return {(name, at): v for (name, at), v in replaced if name != self.segment.name and at >= self.unit}

    def _held(self, values: Mapping[tuple[str, int], Any], replaced: Mapping[tuple[str, int], Any]) -> dict[str, Any]:
        """The variables as they were before the line."""
        held: dict[str, tuple[int, Any]] = {}
        for (name, unit), value in (*values.items(), *replaced.items()):
            if unit < self.unit and value is not None and unit >= held.get(name, (-1, None))[0]:
                held[name] = (unit, value)
        return {name: value for name, (_, value) in held.items()}

    # -- candidates --

    @cached_property
    def symptom(self) -> str:
        """scaled (by one constant), shape, or values"""
        if self.given is None or not any(self._takes(target, self.given) for target in self.targets):
            return "shape"
        return "values" if self.ratio is None else "scaled"

    def _takes(self, need: Need, value: Tensor) -> bool:
        return need.takes(value) or (self.stacked and not value.ndim)

    @cached_property
    def ratio(self) -> float | None:
        """learner's / true, where it is one constant."""
        if self.given is None:
            return None
        if self.single:
            return self._ratio_of_draws()
        ratios = (t.ratio(self.given) for t in self.targets if self._takes(t, self.given))
        found = next((r for r in ratios if r is not None), None)
        return found if found and abs(found - 1) > 1e-9 else None

    @property
    def single(self) -> bool:
        """One number at each draw, and the draws are computed one by one: a single draw says little."""
        return not self.stacked and all(target.value.numel() == 1 for target in self.targets)

    def _ratio_of_draws(self) -> float | None:
        found: list[float] = []
        for n, true in enumerate(self.truths):
            given = self._recorded(n)
            if true is None or given is None or given.shape != true.shape or not float(true):
                continue
            found.append(float(given) / float(true))
        steady = all(abs(r - found[0]) <= CLOSE * abs(found[0]) for r in found)
        return found[0] if found and steady and found[0] and abs(found[0] - 1) > 1e-9 else None

    def find(self) -> Repair | None:
        for edit in candidates(self):
            found = self._try(edit)
            if found is not None:
                return found
            if self.spent:
                return None
        return self._second_edit() if self.share == 1 else None

    def _second_edit(self) -> Repair | None:
        """What one edit leaves off by one constant, with a constant put right as well."""
        near, self.near = self.near, [Edit(self.line.value.node, self.line.value.node)] * MOST_NEAR
        for edit in near:
            for both in islice(constants_after(self, edit), MOST_SECOND):
                found = self._try(both)
                if found is not None:
                    return found
                if self.spent:
                    return None
        return None

    @property
    def cost(self) -> int:
        """What the search took, in candidates."""
        operations = self.here.operations if self.first is not None else 0
        return SEARCH_WEIGHT + self.tried + operations // OPERATIONS_PER_TRY

    @property
    def spent(self) -> bool:
        trial = self.here
        return (
            self.tried >= MOST_CANDIDATES // self.share
            or trial.operations > MOST_OPERATIONS // self.share
            or trial.limits.entries > MOST_ENTRIES // self.share
            or self.confirmed >= (MOST_SINGLE if self.single else MOST_CONFIRMED)
        )

    def _try(self, edit: Edit) -> Repair | None:
        self.tried += 1
        if not self.line.takes(edit):
            return None
        ratio = self._screen(edit)
        if ratio is None or ratio == 0:
            return None
        if abs(ratio - 1) > CLOSE:
            telling = self.symptom != "scaled" and not self.single
            if len(self.near) < MOST_NEAR and telling and _simple(ratio):
                self.near.append(edit)
            return None
        made = self.line.edited(edit)
        if not self._defined(edit) or not self._confirm(made) or not self._elsewhere(made):
            return None
        found = as_repair(self.line, edit)
        return found if found is not None and self._reads_back(found) else None

    def _defined(self, edit: Edit) -> bool:
        """Not a number is no part of a right line: torch's sign(nan) is 0, and a mask of it False."""
        part = self.here.part(edit.new)
        return not (isinstance(part, Tensor) and bool(part.isnan().any()))

    def _screen(self, edit: Edit) -> float | None:
        """found / needed at the smallest part around the edit of which the needed value is known; nan-free, or None."""
        inside = self.line.places[id(edit.node)].role == "value" and self.value_need is not None
        if edit.op or not inside:
            value = self.here.value(self.line.edited(edit))
            ratios = (t.ratio(value) for t in self.targets if value is not None and self._takes(t, value))
            return next((ratio for ratio in ratios if ratio is not None), None)
        old, new, known = edit.node, edit.new, []
        try:
            while True:
                need = self._need(old)
                if need is not None or self.line.places[id(old)].parent is None:
                    made = self.here.part(new)
                    value = as_tensor(made)
                    if value is None or need is None:
                        return None
                    if self._takes(need, value):
                        return need.ratio(value)
                    self.here.memo[id(new)] = made
                    known.append(new)
                parent = self.line.places[id(old)].parent
                if parent is None:
                    return None
                old, new = parent, with_part(parent, old, new)
        finally:
            for node in known:
                self.here.memo.pop(id(node), None)

    @cached_property
    def value_need(self) -> Need | None:
        """What the right side must give; None where that is not known, as for several lines or indices."""
        statement, trial = self.line.statement, self.here
        if len(self.targets) != 1:
            return None
        if trial.plain:
            return self.targets[0]
        if not isinstance(statement, lang.Update) or statement.op not in _INVERSE or not trial.alone:
            return None
        before = as_tensor(trial.before.get(self.segment.name))
        true = self.targets[0].value
        if before is None or before.shape != true.shape or self.stacked:
            return None
        return Need(_INVERSE[statement.op][1](true, before), False)

    def _need(self, node: lang.Expression) -> Need | None:
        """What a part must give for the line to be right, where that follows: a + ? = true."""
        if id(node) not in self.needs:
            self.needs[id(node)] = self._needed(node)
        return self.needs[id(node)]

    def _needed(self, node: lang.Expression) -> Need | None:
        parent = self.line.places[id(node)].parent
        if parent is None:
            return self.value_need
        if not isinstance(parent, (lang.Binary, lang.Unary)) or parent.op not in _INVERSE:
            return None
        whole = self._need(parent)
        if whole is None:
            return None
        if isinstance(parent, lang.Unary):
            return Need(-whole.value, whole.exact) if parent.op == "-" else None
        left = node is parent.left
        other = self.here.part(parent.right if left else parent.left)
        if isinstance(other, bool) or not isinstance(other, (int, float, Tensor)):
            return None
        other = other.to(torch.float64) if isinstance(other, Tensor) else other
        try:
            value = _INVERSE[parent.op][not left](whole.value, other)
        except (RuntimeError, ZeroDivisionError, OverflowError):
            return None
        self.here.operations += 1
        return Need(value, False) if value.shape == whole.value.shape else None

    def _same(self, value: Tensor, n: int) -> bool:
        return self.judge._same(self.meaning, value, self.judge.points[n]) == "equal"

    def _confirm(self, made: lang.Statement) -> bool:
        """Right at every draw."""
        value = self.here.value(made)
        if value is None:
            return False
        if not self._right(value):
            return False
        self.confirmed += 1
        for n, point in enumerate(self.judge.points):
            if n != self.first and self.truths[n] is not None and not self.stacked:
                other = self.trial(n).value(made)
                if other is None or self.judge._same(self.meaning, other, point) not in ("equal", "unknown"):
                    return False
        return True

    def _reads_back(self, found: Repair) -> bool:
        """Whether the line with the repair put in reads, and is right."""
        statement = self.line.statement
        at = found.column - statement.start
        text = statement.text[:at] + found.new + statement.text[at + len(found.old) :]
        for again in lang.flat(self._read(text)):
            if isinstance(again, type(statement) if found.old[-1:] != "=" else lang.Statement):
                value = None if isinstance(again, (lang.Unreadable, lang.Loop)) else self.here.value(again)
                if value is not None and self._right(value):
                    return True
        return False

    @cached_property
    def _readable(self) -> bool:
        """Whether the learner's text can be read again by itself; a later link of a chain cannot."""
        read = list(lang.flat(self._read(self.line.statement.text)))
        return bool(read) and not any(isinstance(again, lang.Unreadable) for again in read)

    def _read(self, text: str) -> list[lang.Statement]:
        if not getattr(self.line.statement, "latex", False):
            return as_meant(self.exercise, python.read(text)[0]).statements
        from tutor.answers import latex

        return latex.read(text, self.exercise).statements

    def _right(self, value: Tensor) -> bool:
        """At the first draw, or all draws of scalars."""
        if self.stacked:
            return self._right_in_all(value)
        assert self.first is not None
        return self._same(value, self.first)

    def _elsewhere(self, made: lang.Statement) -> bool:
        """Right at other draws too, where a jump lets many formulas agree on a few numbers."""
        if self.targets[0].value.numel() > len(self.judge.points) or not any(_jumps(p.node) for p in self.line.order):
            return True
        seed = self.judge.seed + 1
        for point in self.exercise.cached(("more draws", seed), lambda: _draws(self.exercise, seed)):
            if self.judge.true(self.meaning, point) is None:
                return True
            replaced = self._gradients(point)
            run = Run(self.judge.outline, point, replaced).execute()
            held = self._held(run.values, replaced)
            between = {(name, at): v for (name, at), v in replaced.items() if name != self.segment.name}
            trial = Trial(self.judge, self.segment, self.line, self.unit, held, point, between)
            value = trial.value(made)
            if value is None or self.judge._same(self.meaning, value, point) not in ("equal", "unknown"):
                return False
        return True

    def _gradients(self, point: Point) -> dict[tuple[str, int], Tensor]:
        """Every gradient on the sheet, true at the end of its lines."""
        made = {}
        for state in self.judge.states:
            meaning = self.judge.meaning(state.segment)
            true = self.judge.true(meaning, point) if meaning.kind in ("gradient", "value") else None
            if true is not None:
                made[state.segment.name, state.segment.end] = true
        return made

    def _right_in_all(self, value: Tensor) -> bool:
        true = self.targets[0].value
        if value.shape not in (true.shape, ()):
            return False
        value = value.expand(true.shape)
        if all_close([value], true, true.abs()):
            return True
        if not bool(((value - true).abs() <= CLOSE * (true.abs() + true.abs().max())).all()):
            return False
        return all(self._same(value[n], n) for n in range(len(self.judge.points)))

    # -- what there is to put in --

    @cached_property
    def likely(self) -> dict[str, int]:
        """Every name, by its distance from the quantity along the forward program: 0 stands in the true formula."""
        key = ("names near", self.meaning.name)
        return self.exercise.cached(key, lambda: _names_near(self.exercise, self.meaning))

    def close(self, name: str) -> bool:
        return self.likely.get(name, 99) <= NEAR

    @cached_property
    def offers(self) -> list[tuple[str, Tensor]]:
        """(name, value) of what the line could read, nearest first: forward values, earlier gradients, helpers."""
        own = (self.segment.name, self.meaning.name, *self.names.losses)
        kept = [(name, value) for name, value in self.values.items() if name not in own]
        return sorted(kept, key=lambda nv: self.likely.get(nv[0], 99))

    @cached_property
    def values(self) -> dict[str, Tensor]:
        found = {**self.here.draw.values, **self.here.before}
        return {name: v for name, v in found.items() if isinstance(v, Tensor) and v.is_floating_point()}

    @cached_property
    def functions(self) -> list[str]:
        """Functions of one argument in the exercise's formulas and in the true ones."""
        key = ("functions near", self.meaning.of)
        return self.exercise.cached(key, lambda: _functions(self.exercise, self.meaning))

    @cached_property
    def sizes(self) -> list[str]:
        return list(self.names.sizes)

    # -- what was left out --

    def slope(self, place: Place) -> Slope | None:
        """How the line hangs on a place, at the draw that is looked at."""
        if not self.here.pure or len(self.targets) != 1:
            return None
        above = frozenset(id(node) for node in ancestors(self.line, place.node))
        return self.here.slope(place.node, above, self.targets[0].value)

    @cached_property
    def left_out(self) -> list[tuple[pool.Part, Tensor]]:
        """Parts of the formulas with their values; not the answer itself, nor what the sheet has not given."""
        known = {*self.here.before, *self.here.draw.values}
        true = self.targets[0].value
        return [
            (part, value)
            for part, value in self._parts()
            if part.reads <= known and (len(part.expr.args) < 2 or not _proportional(value, true))
        ]

    def _parts(self) -> Iterable[tuple[pool.Part, Tensor]]:
        if not self.stacked:
            return pool.values(self.exercise, self.here.draw)
        drawn = [dict(pool.values(self.exercise, point)) for point in self.judge.points]
        shared = [part for part in drawn[0] if all(part in one for one in drawn)]
        return [(part, torch.stack([one[part] for one in drawn])) for part in shared]

    def spelled_so(self, node: lang.Expression | None) -> lang.Expression | None:
        """`sin` for `torch.sin`, where the learner writes functions so."""
        if node is None or not self._bare:
            return node
        for part in tuple(lang.parts(node)):
            made = self.spelled_so(part)
            if made is not part and made is not None:
                node = with_part(node, part, made)
        known = isinstance(node, lang.Attribute) and lang.is_module(node.value) and node.name in FUNCTION
        return named(node.name) if known else node  # type: ignore[attr-defined]

    @cached_property
    def _bare(self) -> bool:
        calls = [p.node.function for p in self.line.order if isinstance(p.node, lang.Call)]
        return any(isinstance(f, lang.Name) for f in calls) and not any(lang.is_module(f) for f in calls)

    def forms(self, slope: Slope) -> list[tuple[lang.Expression, Tensor]]:
        """Parts as the learner would write them, with their values spread over a place."""
        key = (slope.labels, tuple(slope.value.shape))
        if key not in self._forms:
            made = _indexed_forms if self.line.indexed else _torch_forms
            self._forms[key] = list(made(self, slope))
        return self._forms[key]

    @cached_property
    def spelled(self) -> dict[str, lang.Expression]:
        """Gradients in the learner's own spelling, `W.grad` for dW."""
        made: dict[str, lang.Expression] = {}
        for unit in self.judge.outline.units:
            for target in lang.targets(unit.statement):
                base = lang.root(target)
                name = self.names.read(base)
                if isinstance(base, lang.Name) and name != base.name:
                    made.setdefault(name or "", named(base.name))
                elif isinstance(base, lang.Attribute) and isinstance(base.value, lang.Name):
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
            return () if self.stacked else tuple(made.shape)
        return () if isinstance(made, (int, float)) else None

    def shape_of(self, value: Tensor) -> tuple[int, ...]:
        return () if self.stacked else tuple(value.shape)

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
        value = self.values.get(name)
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
    def index_sizes(self) -> dict[str, Any]:
        from tutor.symbolic.indices import size

        return {name: size(index) for name, index in self.names.indices.items()}

    @cached_property
    def target_labels(self) -> list[str]:
        target = next((root for root, role in self.line.roots if role == "target"), None)
        items = target.items if isinstance(target, lang.Subscript) else ()
        return [item.name if isinstance(item, lang.Name) else "0" for item in items]

    @cached_property
    def free_labels(self) -> set[str]:
        targets = [root for root, role in self.line.roots if role == "target"]
        return {n.name for t in targets for n in lang.walk(t) if isinstance(n, lang.Name)}


def _holds(outer: lang.Statement, statement: lang.Statement) -> bool:
    if outer is statement:
        return True
    return isinstance(outer, lang.Loop) and any(_holds(inner, statement) for inner in lang.inside(outer))


_JUMPING = ("sign", "where", "heaviside", "Heaviside", "relu", "maximum", "minimum", "clamp", "clip", "Max", "Min",
            "Piecewise", "floor", "ceil")  # fmt: skip


def _jumps(node: lang.Expression) -> bool:
    if isinstance(node, lang.Binary):
        return node.op in ("<", "<=", ">", ">=", "==", "!=")
    return isinstance(node, lang.Call) and called(node) in _JUMPING


def _simple(ratio: float) -> bool:
    near = Fraction(ratio).limit_denominator(60)
    return near != 0 and abs(near.numerator) <= 60 and abs(float(near) - ratio) <= 1e-9 * abs(ratio)


def _proportional(value: Tensor, true: Tensor) -> bool:
    if value.shape != true.shape or not value.numel():
        return False
    at = int(true.abs().argmax())
    ratio = value.reshape(-1)[at] / true.reshape(-1)[at]
    return bool(((value - ratio * true).abs() <= CLOSE * (ratio * true).abs().max()).all())


def _torch_forms(s: Search, slope: Slope) -> Iterator[tuple[lang.Expression, Tensor]]:
    shape = tuple(slope.value.shape)
    own: list[tuple[Any, Tensor]] = [(named(n), v) for n, v in s.offers if n in s.here.before and n not in s.likely]
    for part, value in (*own, *s.left_out):
        if value.numel() > slope.value.numel() or (value.ndim > len(shape)):
            continue
        plain = isinstance(part, lang.Name)
        form = part if plain else s.spelled_so(part.form(s.exercise, False))
        spread = pool.fitted(value, shape)
        if form is not None and spread is not None:
            yield form, spread
        if s.stacked or len(shape) != 2 or form is None:
            continue
        if value.ndim == 1 and value.shape[0] == shape[0]:
            yield picked(form, all_of(), constant(None)), value[:, None].expand(shape)
        if value.ndim == 2 and tuple(value.shape) == shape[::-1]:
            single = isinstance(form, lang.Name)
            turned = attribute(form, "T") if single else s.spelled_so(part.form(s.exercise, False, turned=True))
            if turned is not None:
                yield turned, value.T


def _indexed_forms(s: Search, slope: Slope) -> Iterator[tuple[lang.Expression, Tensor]]:
    """Indices of a part are those of the place that run over the same axes."""
    extents = dict(zip(slope.labels, slope.value.shape, strict=True))
    sizes = {label: s.ranges.get(label, s.index_sizes.get(label)) for label in slope.labels}
    for part, value in s.left_out:
        form = part.form(s.exercise, True)
        chosen: list[tuple[str, ...]] = [()]
        for axis, extent in zip(part.axes, pool.axis_sizes(part), strict=True):
            fit = [label for label in slope.labels if sizes[label] == extent]
            fit.sort(key=lambda label, axis=axis: label != axis.name)  # type: ignore[misc]
            chosen = [(*c, label) for c in chosen for label in fit if label not in c]
        for labels in chosen[:2] if form is not None and value.ndim == len(part.axes) else ():
            order = [labels.index(label) for label in slope.labels if label in labels]
            view = [extents[label] if label in labels else 1 for label in slope.labels]
            spread = value.permute(order).reshape(view).expand(tuple(slope.value.shape))
            renamed = dict(zip((axis.name for axis in part.axes), labels, strict=True))
            yield pool.relabelled(form, renamed), spread  # type: ignore[arg-type]


NEAR = 2
_INVERSE: dict[str, tuple[Any, Any]] = {  # (left, right) part of a whole, from the whole and the other part
    "+": (lambda whole, other: whole - other, lambda whole, other: whole - other),
    "-": (lambda whole, other: whole + other, lambda whole, other: other - whole),
    "*": (lambda whole, other: whole / other, lambda whole, other: whole / other),
    "/": (lambda whole, other: whole * other, lambda whole, other: other / whole),
}


def _draws(exercise: Any, seed: int) -> list[Point]:
    return [Point(exercise, sample(exercise, seed, draw=n)) for n in range(MORE_DRAWS)]


def _stacked(drawn: list[dict[Any, Any]]) -> dict[Any, Any]:
    """Variables of all draws as one; what is not a number everywhere is left as it is."""
    made = {}
    for name, value in drawn[0].items():
        every = [one.get(name) for one in drawn]
        scalars = all(isinstance(v, Tensor) and not v.ndim for v in every)
        failed = next((v for v in every if isinstance(v, Failure)), None)
        made[name] = torch.stack(every) if scalars else value if failed is None else failed  # type: ignore[arg-type]
    return made


def _functions(exercise: Any, meaning: Meaning) -> list[str]:
    from tutor.symbolic.derive import derive

    def used(formula: Any) -> list[str]:
        names = {node.func.__name__ for node in formula.find(lambda n: n.is_Function and len(n.args) == 1)}
        return sorted({"Abs": "abs"}.get(name, name) for name in names if name in FUNCTION)

    gradients = derive(exercise).gradients
    formulas = [gradient.expr for gradient in gradients.values()] + [q.expr for q in exercise.forward]
    all_of_them = exercise.cached("functions used", lambda: [name for formula in formulas for name in used(formula)])
    own = used(gradients[meaning.of].expr) if meaning.of in gradients else []
    return list(dict.fromkeys([*own, *all_of_them]))[:MOST_FUNCTIONS]


def _names_near(exercise: Any, meaning: Meaning) -> dict[str, int]:
    from tutor.symbolic.derive import derive
    from tutor.symbolic.indices import quantities_in

    found: dict[str, int] = {}
    if meaning.kind == "local":
        found.update({meaning.of: 0, meaning.by: 0})
    if meaning.kind == "gradient" and meaning.of in derive(exercise).gradients:
        found.update(dict.fromkeys(sorted(quantities_in(derive(exercise).gradients[meaning.of].expr)), 0))
    if meaning.of not in exercise.quantities:
        return found
    if meaning.kind != "gradient":
        found.update((name, found.get(name, 1)) for name in sorted(exercise[meaning.of].reads))
    edge, distance = [meaning.of], 0
    seen = {meaning.of}
    while edge:
        distance += 1
        consumers = [q for q in exercise.forward if q.reads & set(edge) and q.name not in seen]
        for q in consumers:
            for name in (f"d{q.name}", q.name, *sorted(q.reads)):
                found.setdefault(name, distance)
        edge = [q.name for q in consumers]
        seen.update(edge)
    return found
