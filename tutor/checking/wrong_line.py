"""All that is known of one wrong line: what it gives, what it should give, and how it hangs on its parts.

Every earlier gradient is the true one here: what the line should give is then the truth, whatever it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from tutor.answers import language as lang
from tutor.checking.interpret import Failure
from tutor.checking.judge import as_tensor
from tutor.checking.outline import Meaning, Segment
from tutor.checking.pool import CLOSE, Slope
from tutor.checking.rewriting import Line, Place
from tutor.checking.sheet_runs import SheetRuns
from tutor.checking.trials import MOST_TENSOR, Trial
from tutor.numeric.compare import unravelled

MOST_PROVING = 6  # draws


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
                    self.probes.append((unravelled(place, self.value.shape), found))

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


class WrongLine:
    """The line, its truths at every draw, and the draw at which candidates are looked at first."""

    def __init__(self, judge: SheetRuns, segment: Segment, meaning: Meaning, statement: lang.Statement):
        self.judge, self.segment, self.meaning = judge, segment, meaning
        self.exercise, self.names = judge.exercise, judge.names
        self.line = Line(judge.exercise, statement, bool(judge.outline.style.get(id(statement))))
        self.unit = next(u.position for u in judge.outline.units if _holds(u.statement, statement))
        # every earlier gradient true: what the line should give is then the truth, whatever it reads
        suspicious = judge.any_charged or any(
            s.judgement is not None and s.judgement.verdict != "correct" and s.segment.end < segment.end
            for s in judge.states
        )
        self.runs = judge.corrected if suspicious else judge.runs
        self.replaced = judge.truths if suspicious else judge.pinned
        self.trials: dict[int, Trial] = {}
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
            point = self.judge.points[self.first]
            diagonal = point.diagonal(self.meaning) if self.meaning.name in self.judge.by_entry else None
            yield from point.forms(self.meaning)[1:2] if diagonal is None else [diagonal]

    @cached_property
    def stacked(self) -> bool:
        """Scalars: all draws are computed as one."""
        sure = all(t is not None and not t.ndim and bool(t.isfinite()) for t in self.truths)
        return sure and self.judge.outline.elementwise and len(self.judge.points) > 1

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
                before = _stacked([self._before(m) for m in every])
                instead = _stacked([self._instead(m) for m in every])
                draw: Any = self.judge.points.stack
            else:
                before, instead, draw = self._before(n), self._instead(n), self.judge.points[n]
            self.trials[n] = Trial(self.judge.outline, self.segment, self.line, self.unit, before, draw, instead)
        return self.trials[n]

    @cached_property
    def proving(self) -> list[int]:
        """The draws, beside the first, that a candidate is taken to: all, or where each has many values, of every kind.

        The last ones are those beside kinks and the worked instance.
        """
        others = [n for n, true in enumerate(self.truths) if n != self.first and true is not None]
        if self.single or len(others) <= MOST_PROVING:
            return others
        sizes = {places[0] for places in self.judge.points.groups}
        chosen = [n for n in others if n in sizes] + others[-2:]
        return list(dict.fromkeys([*chosen, *others]))[:MOST_PROVING]

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
        units: dict[str, list[int]] = {}
        for name, unit in (*values, *replaced):
            if unit < self.unit:
                units.setdefault(name, []).append(unit)
        held = {}
        for name, given in units.items():
            for unit in sorted(given, reverse=True):
                value = replaced[name, unit] if (name, unit) in replaced else values[name, unit]
                if value is not None:
                    held[name] = value
                    break
        return held

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

    def _same(self, value: Tensor, n: int) -> bool:
        return self.judge.same(self.meaning, value, self.judge.points[n]) == "equal"

    def slope(self, place: Place) -> Slope | None:
        """How the line hangs on a place, at the draw that is looked at."""
        if not self.here.pure or len(self.targets) != 1:
            return None
        above = frozenset(id(node) for node in self.line.ancestors(place.node))
        return self.here.slope(place.node, above, self.targets[0].value)

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


def _holds(outer: lang.Statement, statement: lang.Statement) -> bool:
    if outer is statement:
        return True
    return isinstance(outer, lang.Loop) and any(_holds(inner, statement) for inner in lang.inside(outer))


def _stacked(drawn: list[dict[Any, Any]]) -> dict[Any, Any]:
    """Variables of all draws as one; what is not a number everywhere is left as it is."""
    made = {}
    for name, value in drawn[0].items():
        every = [one.get(name) for one in drawn]
        scalars = all(isinstance(v, Tensor) and not v.ndim for v in every)
        failed = next((v for v in every if isinstance(v, Failure)), None)
        made[name] = torch.stack(every) if scalars else value if failed is None else failed  # type: ignore[arg-type]
    return made
