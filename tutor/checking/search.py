"""The candidates for one wrong line, tried likeliest first: screened at one draw, confirmed at all.

Where a part's needed value follows from the truth (a + ? = true) the edited part alone is computed.
"""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.answers import python
from tutor.checking.edits import candidates, constants_after
from tutor.checking.interpret import Run
from tutor.checking.judge import as_tensor
from tutor.checking.library import traits
from tutor.checking.meant import as_meant
from tutor.checking.offers import Offers
from tutor.checking.outline import Meaning, Segment
from tutor.checking.pool import CLOSE
from tutor.checking.repair_text import as_repair
from tutor.checking.report import Repair
from tutor.checking.rewriting import Edit, called, with_part
from tutor.checking.sheet_runs import SheetRuns
from tutor.checking.trials import MOST_ENTRIES, MOST_OPERATIONS, Trial
from tutor.checking.truth import Point
from tutor.checking.wrong_line import Need
from tutor.numeric.compare import DOUBLE, clearly, leeway, simple_fraction
from tutor.numeric.sample import sample

MOST_CANDIDATES = 600
MOST_TEXT = 1_000  # characters of a line, which is read again for each repair
MOST_CONFIRMED = 24  # candidates that are taken to all draws
MOST_SINGLE = 40  # the same where a draw gives one number
MOST_NEAR = 4  # candidates off by one constant, which a second edit may put right
MOST_SECOND = 40  # second edits for each of them
SEARCH_WEIGHT, OPERATIONS_PER_TRY = 100, 6  # what making ready costs, in candidates; and what a candidate costs
MORE_DRAWS = 6  # where a jump lets many formulas agree


class Search(Offers):
    """The search on one line, and what it has taken of its budget."""

    def __init__(self, judge: SheetRuns, segment: Segment, meaning: Meaning, statement: lang.Statement):
        super().__init__(judge, segment, meaning, statement)
        self.share = 1 if statement is segment.statement else 2  # elsewhere than on the line itself: half as much
        self.tried = self.confirmed = 0
        self.near: list[Edit] = []
        self.mended: lang.Statement | None = None  # the line with the repair put in
        self.needs: dict[int, Need | None] = {}

    @cached_property
    def ready(self) -> bool:
        """Whether the line can be run here as it stands, and is small enough to be run many times."""
        if self.first is None or len(self.line.statement.text) > MOST_TEXT or not self._readable:
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
        if found.shape != given.shape:
            return False
        close = DOUBLE.close(found, given, None)  # several draws at once may add up in another order
        return bool((close | (found == given) | (found.isnan() & given.isnan())).all())

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
        if self._constant and self._quotients(edit.new) > self._quotients(edit.node):
            return None  # a number is no quotient of tensors
        made = self.line.edited(edit)
        if not self._defined(edit) or not self._confirm(made) or not self._elsewhere(made):
            return None
        found = as_repair(self.line, edit)
        return found if found is not None and self._reads_back(found) else None

    @cached_property
    def _constant(self) -> bool:
        """Whether the truth is one number everywhere."""
        true = self.targets[0].value
        return true.numel() > 1 and bool((true == true.reshape(-1)[0]).all())

    def _quotients(self, node: lang.Expression) -> int:
        """How often is divided by a quantity of the exercise, or a gradient."""
        quotients = (part for part in lang.walk(node) if isinstance(part, lang.Binary) and part.op == "/")
        names = ([n.name for n in lang.walk(q.right) if isinstance(n, lang.Name)] for q in quotients)
        return sum(any(self.names.meaning(name).kind != "helper" for name in inside) for inside in names)

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

    def _confirm(self, made: lang.Statement) -> bool:
        """Right at every draw, or at as many as prove it."""
        value = self.here.value(made)
        if value is None:
            return False
        if not self._right(value):
            return False
        self.confirmed += 1
        for n in () if self.stacked else self.proving:
            other, point = self.trial(n).value(made), self.judge.points[n]
            if other is None or self.judge.same(self.meaning, other, point) not in ("equal", "unknown"):
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
                    self.mended = again
                    return True
        return False

    @cached_property
    def _readable(self) -> bool:
        """Whether the learner's text can be read again by itself; a later link of a chain cannot."""
        read = list(lang.flat(self._read(self.line.statement.text)))
        return bool(read) and not any(isinstance(again, lang.Unreadable) for again in read)

    def _read(self, text: str) -> list[lang.Statement]:
        if not getattr(self.line.statement, "latex", False):
            return as_meant(self.exercise, python.read(text, self.judge.sheet.file_names)[0]).statements
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
        for point in self.exercise.cached(("more draws", seed), lambda: _more_points(self.exercise, seed)):
            if self.judge.true(self.meaning, point) is None:
                return True
            replaced = self._gradients(point)
            run = Run(self.judge.outline, point, replaced).execute()
            held = self._held(run.values, replaced)
            between = {(name, at): v for (name, at), v in replaced.items() if name != self.segment.name}
            trial = Trial(self.judge.outline, self.segment, self.line, self.unit, held, point, between)
            value = trial.value(made)
            if value is None or self.judge.same(self.meaning, value, point) not in ("equal", "unknown"):
                return False
        return True

    def _gradients(self, point: Point) -> dict[tuple[str, int], Tensor]:
        """Every gradient on the sheet, true at the end of its lines."""
        made = {}
        for state in self.judge.states:
            meaning = self.judge.stands_for(state.segment)
            true = self.judge.true(meaning, point) if meaning.kind in ("gradient", "value") else None
            if true is not None:
                made[state.segment.name, state.segment.end] = true
        return made

    def _right_in_all(self, value: Tensor) -> bool:
        true = self.targets[0].value
        if value.shape not in (true.shape, ()):
            return False
        value = value.expand(true.shape)
        if bool(clearly(value, true, leeway(true)).all()):
            return True
        if not bool(((value - true).abs() <= CLOSE * (true.abs() + true.abs().max())).all()):
            return False
        return all(self._same(value[n], n) for n in range(len(self.judge.points)))


def _jumps(node: lang.Expression) -> bool:
    if isinstance(node, lang.Binary):
        return node.op in ("<", "<=", ">", ">=", "==", "!=")
    return isinstance(node, lang.Call) and traits(called(node)).jumps


def _simple(ratio: float) -> bool:
    near = simple_fraction(ratio, 60)
    return near is not None and abs(float(near) - ratio) <= 1e-9 * abs(ratio)


_INVERSE: dict[str, tuple[Any, Any]] = {  # (left, right) part of a whole, from the whole and the other part
    "+": (lambda whole, other: whole - other, lambda whole, other: whole - other),
    "-": (lambda whole, other: whole + other, lambda whole, other: other - whole),
    "*": (lambda whole, other: whole / other, lambda whole, other: whole / other),
    "/": (lambda whole, other: whole * other, lambda whole, other: other / whole),
}


def _more_points(exercise: Any, seed: int) -> list[Point]:
    return [Point(exercise, sample(exercise, seed, draw=n)) for n in range(MORE_DRAWS)]
