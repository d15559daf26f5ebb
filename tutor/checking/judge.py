"""What sheets and bare tensors share: comparing at all draws, follow-through, wrong lines, the score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import inf
from typing import Any

import torch
from sympy.core.relational import Relational
from torch import Tensor

from tutor.checking import library, mistakes
from tutor.checking.outline import Meaning, names_of
from tutor.checking.report import CREDITS, EARNS, Entry, Heat, LineReport, Mistake, Repair, Report, Sentence
from tutor.checking.truth import Drawn, Point, Points
from tutor.exercise import Exercise
from tutor.language import joined, said
from tutor.numeric import compare
from tutor.numeric.compare import DOUBLE, SINGLE, Tolerance
from tutor.shown import has_shape, shown_shape

JUDGED = ("gradient", "local", "value")
UNTOLD = ("equal", "coarse", "unknown")  # what speaks against no value, the first that was found at a draw
KINKED = 1e-3  # a step of 1e-7 changes smooth gradients by less, of the largest
SLACK = 0.02  # of the width between both sides of a kink
FEW_KINKED = 4
NEARLY = 1e-4  # of the true value: what a small constant does, that was forgotten or added
MANY_CLOSELY = 30  # wrong lines whose entries are shown
TORCH = torch.__version__.split("+")[0]
WHAT = {"gradient": said("gradient"), "local": said("local derivative"), "value": said("value")}


@dataclass
class Judgement:
    """A line's verdict and why, before it becomes a `LineReport`."""

    verdict: str
    sentence: Sentence
    given: Tensor | None = None
    true: Tensor | None = None
    ratio: float | None = None
    mistakes: tuple[Mistake, ...] = ()
    repair: Repair | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    at: str = ""  # where its values are from, if that is no draw
    reads: frozenset[str] = frozenset()  # what a number follows from
    blameless: bool = False  # undecided, and not because of an unreadable line
    helper: str = ""  # one that would put the line right: what reads it may follow from this line


def unreadable(reason: str) -> Judgement:
    return Judgement("unreadable", Sentence("unreadable", {"reason": reason}))


def cut(reason: str) -> Judgement:
    """Stopped by the last guard, or by our own fault."""
    return Judgement("undecided", Sentence("cut", {"reason": reason}), blameless=True)


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def few_digits(dtype: torch.dtype, given: Tensor | None) -> Judgement:
    """A precision in which rounding does as much as a mistake."""
    finer = "float64" if dtype is torch.float32 else said("float32 or float64")
    params = {"dtype": name_of(dtype), "finer": finer}
    return Judgement("undecided", Sentence("few-digits", params), given, blameless=True)


def without_finite_truth(given: Tensor | None) -> Judgement:
    return Judgement("undecided", Sentence("no-truth"), given, blameless=True)


@dataclass
class Judged:
    """One line with its judgement."""

    name: str
    line: int
    column: int
    text: str
    judgement: Judgement
    sources: frozenset[str] = frozenset()
    start: int = 0
    forward: str = ""
    at: str = ""
    helper: str = ""  # the name it has on the sheet, where that is a helper's

    @property
    def verdict(self) -> str:
        return self.judgement.verdict

    def report(self, closely: bool = True) -> LineReport:
        """`closely`: with the entries of a wrong tensor that are off."""
        j = self.judgement
        figures: dict[str, Any] = {}
        if j.given is not None:
            figures["shape"] = tuple(j.given.shape)
        elif j.shapes:
            figures["shape"] = None
        if j.true is not None:
            figures["expected_shape"] = tuple(j.true.shape)
        if j.given is not None and j.true is not None and j.given.shape == j.true.shape:
            right = j.verdict == "correct"
            absolute, relative = (0.0, 0.0) if right else compare.errors(j.given, j.true)
            figures.update(max_abs_error=absolute, max_rel_error=relative)
            if closely and j.verdict == "wrong" and relative > compare.DOUBLE.relative:
                figures["worst"] = tuple(Entry(*found) for found in compare.worst(j.given, j.true))
                figures["heat"] = heat(j.given, j.true)
        return LineReport(
            self.line, self.column, self.text, self.name or None, j.verdict, j.sentence,
            ratio=j.ratio, mistakes=j.mistakes, repair=j.repair, forward=self.forward, at=self.at, start=self.start,
            **figures,
        )  # fmt: skip


class Judge:
    """The parts of judging that need no text."""

    def __init__(
        self, exercise: Exercise, seed: int, lenient: bool, points: list[Point], tolerance: Tolerance = DOUBLE
    ):
        self.exercise, self.seed, self.lenient = exercise, seed, lenient
        self.points = points if isinstance(points, Points) else Points(points)
        self.tolerance = tolerance
        self.names = names_of(exercise)
        self.extra: dict[str, dict[int, Tensor]] = {}  # gradients of the learner's own quantities, by draw
        self.taken_as: dict[str, Meaning] = {}  # what the sheet means by a name, where that is another gradient
        self.by_entry: set[str] = set()  # local derivatives of which only entries are given: dp[i,k]/dz[i,k]
        self.judged: list[Judged] = []
        self._walks: dict[int, tuple[Mapping[str, Tensor], dict[str, Tensor]]] = {}  # id of a point -> R, and the walk
        self.notes: list[str] = []

    def meaning_of(self, name: str) -> Meaning:
        if name in self.extra:
            return Meaning(name, "gradient", name[1:])
        return self.taken_as.get(name) or self.names.meaning(name)

    def true(self, meaning: Meaning, point: Point) -> Tensor | None:
        own = self.extra.get(meaning.name)
        return point.true(meaning) if own is None else own.get(id(point))

    def without_truth(self, meaning: Meaning) -> Judgement:
        """A quantity without a true value: an index, or a local derivative that pinned sizes make too large."""
        if meaning.kind == "local" and self.exercise[meaning.by].domain != "index":
            return Judgement("undecided", Sentence("too-large", {"name": meaning.name}), blameless=True)
        return Judgement("unreadable", Sentence("no-gradient", {"name": meaning.of or meaning.name}))

    def at_first(
        self, verdict: str, sentence: Sentence, meaning: Meaning, given: Sequence[Tensor | None], **more: Any
    ) -> Judgement:
        """With the values of the first draw, which the report's figures are made of."""
        return Judgement(verdict, sentence, given[0], self.true(meaning, self.points[0]), **more)

    def correct(self, meaning: Meaning, given: Sequence[Tensor | None]) -> Judgement:
        """Right, and nothing to be said of it."""
        return Judgement("correct", Sentence("true", {"what": WHAT[meaning.kind]}), given[0], given[0])

    # -- comparing ------------------------------------------------------------

    def outcome(self, meaning: Meaning, given: Sequence[Tensor | None]) -> str:
        """equal at every draw, or the first way in which it is not; "coarse" or "unknown" where no draw decides."""
        if self._clearly_equal(meaning, given):
            return "equal"
        found = set()
        for value, point in zip(given, self.points, strict=True):
            found.add(how := self.same(meaning, value, point))
            if how not in UNTOLD:
                return how
        return next(how for how in UNTOLD if how in found)

    def _clearly_equal(self, meaning: Meaning, given: Sequence[Tensor | None]) -> bool:
        true = self.points.flat(meaning) if meaning.name not in self.extra else None
        if true is None:
            return False
        drawn = given if isinstance(given, Drawn) else Drawn(self.points.groups, {}, dict(enumerate(given)))
        values = drawn.flat(true.shapes)
        return values is not None and bool(compare.clearly(torch.cat(values), true.row, true.leeway).all())

    def same(self, meaning: Meaning, given: Tensor | None, point: Point, true: Tensor | None = None) -> str:
        true = self.true(meaning, point) if true is None else true
        if true is None:
            return "unknown"
        if given is None:
            return "shape"
        how = self._compared(meaning, given, true, point)
        if how == "equal":
            return how
        if how == "finite" and point.on_kinks and self.sides(meaning, given, point) == "elsewhere":
            return "unknown"  # a 0 in the numbers of this draw, not the kink
        other = meaning.kind == "local" and how in ("shape", "different")
        if other and self._is_one_of(given, self.forms(meaning, point)):
            return "equal"
        if how == "shape" and self.lenient and given.squeeze().shape == true.squeeze().shape:
            return self._compared(meaning, given.reshape(true.shape), true, point)
        return how

    def forms(self, meaning: Meaning, point: Point) -> Iterator[Tensor]:
        """All that a local derivative may be: with the other steps held fixed, or through them as well."""
        yield from self.forms_of(meaning, point)
        yield from self.forms_of(replace(meaning, total=not meaning.total), point)

    def forms_of(self, meaning: Meaning, point: Point) -> Iterator[Tensor]:
        """All that it may be in one of these readings; its diagonal, where no more than that is given."""
        yield from point.forms(meaning)
        diagonal = point.diagonal(meaning) if meaning.name in self.by_entry else None
        if diagonal is not None:
            yield diagonal

    def _is_one_of(self, given: Tensor, forms: Iterable[Tensor]) -> bool:
        for form in forms:
            full = spread(given, form)
            if full is not None and compare.same(full, form, lambda: None, self.tolerance) == "equal":
                return True
        return False

    def is_diagonal(self, meaning: Meaning, given: Sequence[Tensor | None]) -> bool:
        """Whether a local derivative that is right is so in the entries where its indices agree, and has others."""
        if meaning.name not in self.by_entry:
            return False
        readings = (meaning, replace(meaning, total=not meaning.total))
        return not all(
            value is not None and self._is_one_of(value, (form for each in readings for form in point.forms(each)))
            for value, point in zip(given, self.points, strict=True)
        )

    def _compared(self, meaning: Meaning, given: Tensor, true: Tensor, point: Point) -> str:
        """As `compare.same`; "coarse" where a lower precision has too few digits, or too small numbers, to tell."""
        how = compare.same(given, true, lambda: self._terms(meaning, point), self.tolerance)
        if self.tolerance is DOUBLE or how in ("shape", "unknown") or point.on_kinks:
            return how
        if how == "equal":
            plain = compare.same(given, true, lambda: point.size_of_zero(meaning), self.tolerance.plainly)
            return "equal" if plain == "equal" else "coarse"
        if how == "finite":
            return how if self.tolerance is SINGLE else "coarse"
        return "coarse" if point.may_cross(self.tolerance.scaled) else how

    def _terms(self, meaning: Meaning, point: Point) -> Tensor | None:
        """What rounding is measured by."""
        return point.scale(meaning) if self.tolerance is DOUBLE else point.moved(meaning)

    def sides(self, meaning: Meaning, given: Tensor, point: Point) -> str:
        """Where a value is not torch's on a kink: "subgradient" where it lies between the gradients on both sides, or
        is not finite there; "outside" of them; "elsewhere" where the kink does not explain it."""
        true = self.true(meaning, point)
        if not point.on_kinks or meaning.name in self.extra or true is None or given.shape != true.shape:
            return "elsewhere"
        low, high = point.beside(meaning)
        width = high - low
        touched = width > KINKED * torch.maximum(low.abs(), high.abs()).max()
        apart = ~self.tolerance.close(given, true, self._terms(meaning, point))
        if bool((apart & ~touched & torch.isfinite(given)).any()) and self._at_an_edge(point):
            return "outside"
        if not bool(apart.any()) or bool((apart & ~touched).any()):
            return "elsewhere"
        # looking around finds the extremes of a few kinks; sums over many reach further than was seen
        slack = width * (SLACK if int(touched.sum()) <= FEW_KINKED else 0.5)
        within = ~torch.isfinite(given) | (given >= low - slack) & (given <= high + slack)
        return "subgradient" if bool((within | ~touched).all()) else "outside"

    def _at_an_edge(self, point: Point) -> bool:
        """On the edge of a case, where both sides may agree and the gradient is one."""
        from tutor.numeric.kinks import hit

        return any(isinstance(k.node, Relational) for k in hit(self.exercise, point.values, point.sizes))

    def other_subgradient(self, meaning: Meaning, given: Sequence[Tensor | None]) -> Point | None:
        """The draw on a kink at which a value that is true elsewhere is another subgradient than torch's."""
        found = None
        for value, point in zip(given, self.points, strict=True):
            if value is None or self.same(meaning, value, point) in ("equal", "coarse"):
                continue
            finite = bool(torch.isfinite(value).all())
            if self.exercise.strict_kinks or not finite or self.sides(meaning, value, point) != "subgradient":
                return None
            found = point
        return found

    def on_kink(self, meaning: Meaning, point: Point, given: Tensor | None, true: Tensor | None, id: str) -> Judgement:
        """Right, with what torch takes on the kink."""
        return self._with_kink("correct", meaning, point, given, true, id)

    def _with_kink(
        self, verdict: str, meaning: Meaning, point: Point, given: Tensor | None, true: Tensor | None, id: str
    ) -> Judgement:
        """With which kink it is, and what torch takes there."""
        from tutor.numeric.kinks import hit, torch_takes
        from tutor.symbolic.notation import Writer

        found = hit(self.exercise, point.values, point.sizes)
        near = [k for k in found if meaning.of in self.exercise[k.quantity].reads]
        near = near or [k for k in found if k.quantity in self._after(meaning.of)] or found
        write = Writer(self.exercise).write
        places = [
            said("(a tie in {node})", node=write(k.node)) if k.tie else " = ".join(map(write, k.sides))
            for k in near[:2]
        ]
        zero = joined(places, said(" and "))
        takes = joined(list(dict.fromkeys(torch_takes(k.node) for k in near[:2])), said("; "))
        sentence = Sentence(id, {"what": WHAT[meaning.kind], "zero": zero, "takes": takes})
        return Judgement(verdict, sentence, given, true, mistakes=(sentence.as_mistake("kink"),))

    def _after(self, name: str) -> set[str]:
        """The forward quantities that hang on one."""
        reached = {name}
        for q in self.exercise.forward:
            if q.reads & reached:
                reached.add(q.name)
        return reached - {name}

    def follows(
        self, meaning: Meaning, given: Sequence[Tensor | None], stops: list[dict[str, Tensor]], places: list[int]
    ) -> bool:
        """Whether walking back, stopped at R, gives the learner's values at these draws."""
        if meaning.kind == "local" or not any(stops):
            return False
        led = ((given[n], self.expected(meaning, stops[n], self.points[n]), self.points[n]) for n in places)
        return self._agree(meaning, led)

    def _agree(self, meaning: Meaning, led: Iterable[tuple[Tensor | None, Tensor | None, Point]]) -> bool:
        """Whether values are the expected ones, of which those that are not finite tell nothing."""
        told = False
        for given, expected, point in led:
            if given is None or expected is None or given.shape != expected.shape:
                return False
            finite = torch.isfinite(expected)
            if not bool(finite.any()):
                continue
            if not bool(finite.all()):
                given, expected = (torch.where(finite, each, 0.0) for each in (given, expected))
            told = True
            if not self._close(meaning, given, expected, point):
                return False
        return told

    def _close(self, meaning: Meaning, given: Tensor, expected: Tensor, point: Point) -> bool:
        return compare.same(given, expected, lambda: self._terms(meaning, point), self.tolerance) == "equal"

    def expected(self, meaning: Meaning, stop: Mapping[str, Tensor], point: Point) -> Tensor | None:
        """The value that follows from R."""
        fitting = self.fitting(stop, point, but=meaning.name)
        return self._walk(fitting, point).get(meaning.name) if fitting else self.true(meaning, point)

    def fitting(self, stop: Mapping[str, Tensor], point: Point, but: str = "") -> dict[str, Tensor]:
        """Those of R that have the shape of the gradient they are named for, or that shape with its axes kept, without
        a line's own quantity."""
        made = {}
        for name, value in stop.items():
            true = None if name == but else point.gradients.get(name)
            if true is not None and value.shape == true.shape:
                made[name] = value
            elif true is not None and value.squeeze().shape == true.squeeze().shape:
                made[name] = value.reshape(true.shape)
        return made

    def walked(self, stop: Mapping[str, Tensor], point: Point) -> Mapping[str, Tensor]:
        """All gradients as they are once those of R are taken as they stand."""
        fitting = self.fitting(stop, point)
        return self._walk(fitting, point) if fitting else point.gradients

    def _walk(self, fitting: Mapping[str, Tensor], point: Point) -> dict[str, Tensor]:
        """The last walk at a point is kept: one line asks for it more than once."""
        held = self._walks.get(id(point))
        if held is None or held[0].keys() != fitting.keys() or any(held[0][n] is not v for n, v in fitting.items()):
            held = self._walks[id(point)] = (fitting, point.walk(fitting))
        return held[1]

    def telling_places(self, stops: list[dict[str, Tensor]]) -> list[int]:
        """The places of the draws at which R says something."""
        return [n for n, stop in enumerate(stops) if self.telling(stop, self.points[n])]

    def telling(self, stop: Mapping[str, Tensor], point: Point) -> bool:
        """R says nothing where it is zero or not finite and the truth is not."""
        for name, value in stop.items():
            meaning = self.meaning_of(name)
            true = self.true(meaning, point)
            if true is None:
                continue
            size = value.abs().sum().item()
            if 0 < size < inf:  # nearly always
                continue
            vain = not bool(torch.isfinite(value).all()) and bool(torch.isfinite(true).all())
            vain = vain or (value.numel() > 0 and not bool(value.any()) and bool(true.any()))
            if vain and self.same(meaning, value, point) != "equal":
                return False
        return True

    # -- wrong lines ------------------------------------------------------------

    def wrong(
        self,
        meaning: Meaning,
        how: str,
        cases: Sequence[mistakes.Case],
        given: Sequence[Tensor | None],
        written: frozenset[int] = frozenset(),
    ) -> Judgement:
        """A wrong line with its causes: `cases` are the learner's values beside what they should be, given R.

        `written` are the numbers that stand in it.
        """
        what, first = WHAT[meaning.kind], given[0]
        true = self.true(meaning, self.points[0])
        if how == "shape" and meaning.kind == "local" and (forms := self._forms_like(meaning, given)):
            how, true = "different", forms[0].true
            cases = forms
        base = Judgement("wrong", Sentence("differs", {"what": what}), first, true)
        if meaning.kind == "gradient" and meaning.of in self.names.ends and meaning.of not in self.names.losses:
            return replace(base, sentence=Sentence("upstream", {"name": meaning.name}))
        kinked = self._only_on_kinks(meaning, given) if how != "shape" else None
        if kinked is not None:
            strict = "kink-strict" if len(self.points) > 1 else "kink-choice"
            id = strict if self.exercise.strict_kinks else "kink-outside"
            return self.wrong_on_kink(meaning, kinked, given[self.points.index(kinked)], id)
        fault = mistakes.Fault(self.exercise, meaning.name, meaning.of, what, cases, written)
        if how == "shape":
            assert first is not None and true is not None
            pairs = [(v, self.true(meaning, p)) for v, p in zip(given, self.points, strict=True)]
            other = next(((v, t) for v, t in pairs if v is not None and t is not None and v.shape != t.shape), None)
            first, true = other or (first, true)
            found = list(self._same_values_another_shape(meaning, cases)) or mistakes.find(fault)
            return replace(base, sentence=other_shape(meaning, first, true), mistakes=tuple(found))
        if how == "finite":
            return replace(base, sentence=Sentence("not-finite", {"what": what}))
        gap = self._small_gap(meaning, given)
        nearly = {"what": what, "gap": f"{gap:.0e}"} if gap is not None else {}
        if nearly and self.may_be_single(meaning, given):
            return replace(base, sentence=Sentence("nearly-single", nearly))
        found = mistakes.find(fault)
        if nearly:
            base = replace(base, sentence=Sentence("nearly", nearly))
        elif first is not None and self.same(meaning, first, self.points[0]) == "equal":
            sizes = ", ".join(f"{name}={extent}" for name, extent in self.points[0].sizes.items())
            where = (
                said("{sizes}, and not in general", sizes=sizes) if sizes else said("some values, and not in general")
            )
            base = replace(base, sentence=Sentence("elsewhere", {"what": what, "sizes": sizes, "where": where}))
        own = true is not None and bool(cases) and not torch.equal(cases[0].true, true)
        return replace(base, mistakes=tuple(found), **self.ratio_of(fault, found, what, own))

    def may_be_single(self, meaning: Meaning, given: Sequence[Tensor | None]) -> bool:
        """Whether float32 somewhere on the way would explain a value; a sheet is computed in float64 throughout."""
        return False

    def _small_gap(self, meaning: Meaning, given: Sequence[Tensor | None]) -> float | None:
        """How far the values are off at most, relative to the largest entry of the truth at the same draw; None where
        that is much."""
        most = 0.0
        for value, point in zip(given, self.points, strict=True):
            true = self.true(meaning, point)
            if value is None or true is None or value.shape != true.shape or not true.numel():
                return None
            largest = float(true.abs().max())
            gap = float((value - true).abs().max()) / largest if largest else inf
            if not gap <= NEARLY:
                return None
            most = max(most, gap)
        return most

    def _forms_like(self, meaning: Meaning, given: Sequence[Tensor | None]) -> list[mistakes.Case]:
        """A local derivative beside the form of it that has the learner's shape; empty where none has."""
        made = []
        for value, point in zip(given, self.points, strict=True):
            forms = self.forms(meaning, point)
            form = next((form for form in forms if value is not None and form.shape == value.shape), None)
            if value is None or form is None:
                return []
            made.append(mistakes.Case(value, form, point.sizes, self.tolerance.relative))
        return made

    def _only_on_kinks(self, meaning: Meaning, given: Sequence[Tensor | None]) -> Point | None:
        """The draw on a kink, where the value is right at every other one (or a subgradient, where there is none)."""
        kinked = None
        for value, point in zip(given, self.points, strict=True):
            if self.same(meaning, value, point) not in UNTOLD:
                if not point.on_kinks:
                    return None
                kinked = point
        if kinked is not None and len(self.points) == 1:
            value = given[0]
            return kinked if value is not None and self.sides(meaning, value, kinked) == "subgradient" else None
        return kinked

    def wrong_on_kink(self, meaning: Meaning, point: Point, given: Tensor | None, id: str) -> Judgement:
        """Right but on the kink: the figures are those of this draw."""
        return self._with_kink("wrong", meaning, point, given, self.true(meaning, point), id)

    def ratio_of(self, fault: mistakes.Fault, found: list[Mistake], what: str, own: bool = False) -> dict[str, Any]:
        """`own`: the factor is that to what the learner's earlier lines lead to, not to the truth."""
        if fault.ratios is None or fault.factor is None:
            return {}
        causes = reduce(_both, (m.cause for m in found if m.id in ("factor", "sign")), "")
        alone, caused = ("own-ratio-alone", "own-ratio") if own else ("ratio-alone", "ratio")
        params = {"ratio": fault.factor.text, "what": what, "causes": causes}
        return {"ratio": fault.ratios[0], "sentence": Sentence(caused if causes else alone, params)}

    def _same_values_another_shape(self, meaning: Meaning, cases: Sequence[mistakes.Case]) -> Iterator[Mistake]:
        led: list[tuple[Tensor, Tensor, Point]] = []
        for case, point in zip(cases, self.points, strict=False):
            if case.given.numel() == 1:  # `dm = 0`, where every entry is 0
                reshaped = case.given.reshape(()).expand(case.true.shape)
            elif case.given.squeeze().shape != case.true.squeeze().shape:
                return
            else:
                reshaped = case.given.reshape(case.true.shape)
            led.append((reshaped, case.true, point))
        if self._agree(meaning, led):
            yield right_values(meaning, cases[0].true)

    # -- the whole ------------------------------------------------------------

    def forward_line(self, meaning: Meaning) -> str:
        """Where the quantity is used, in the exercise's own words: what its gradient comes from."""
        if meaning.kind == "helper" or meaning.of not in self.exercise.quantities:
            return ""
        if meaning.kind == "value" and meaning.of in self.exercise.asked:
            return ""  # its formula is the answer
        return self.exercise.cached(("forward line", meaning), lambda: self._forward_line(meaning))

    def _forward_line(self, meaning: Meaning) -> str:
        from tutor.symbolic.notation import Writer

        writer = Writer(self.exercise)
        quantity = self.exercise[meaning.of]
        shown = (
            [quantity]
            if meaning.kind in ("value", "local")
            else [q for q in self.exercise.forward if meaning.of in q.reads]
        )
        return "; ".join(f"{writer.write(q.entry)} = {writer.write(q.expr)}" for q in shown if q.expr is not None)

    def finish(self) -> Report:
        """The report of what was judged, in the order of the lines."""
        lines = sorted(self.judged, key=lambda j: (j.line, j.column))
        wrong = [j for j in lines if j.verdict == "wrong"]
        if wrong:
            wrong[0].forward = self.forward_line(self.meaning_of(wrong[0].name))
            wrong[0].at = wrong[0].judgement.at or self.drawn
        passing = {id(j) for j in wrong[MANY_CLOSELY:]}
        asked = self.exercise.worth
        credit = self._credit(lines, asked)
        return Report(
            self.exercise.id,
            self.seed,
            TORCH,
            float(sum(worth for name, worth in asked.items() if credit[name] in EARNS)),
            sum(asked.values()),
            tuple(name for name in asked if credit[name] == "missing"),
            tuple(j.report(id(j) not in passing) for j in lines),
            tuple(dict.fromkeys(self.notes)),
            credit,
        )

    @property
    def drawn(self) -> str:
        """Where the values in the report are from; nothing where the learner knows, who gave them."""
        return ""

    def _credit(self, lines: list[Judged], asked: Iterable[str]) -> dict[str, str]:
        """For each asked name why it earns its points, or does not.

        A wrong line for a name that is not asked costs the first asked quantity that follows from it, once.
        """
        credit = {name: _credit_of([j for j in lines if j.name == name]) for name in asked}
        paid = {_mistake_of(j) for j in lines if j.verdict == "wrong" and j.name in credit}
        asked_for = [(n, j) for n, j in enumerate(lines) if j.name in credit]
        follow = [j for _, j in asked_for if j.verdict == "follows"]
        for n, j in enumerate(lines):
            if j.verdict == "wrong" and j.name not in credit and _mistake_of(j) not in paid:
                # what follows from it, then what was computed from it later: what was true before has lost nothing
                after = [*follow, *(other for place, other in asked_for if place > n)]
                earning = (other for other in after if credit[other.name] in EARNS)
                hit = next((other.name for other in earning if self._stems(other, j, lines)), None)
                if hit is not None:
                    credit[hit] = "charged"
                    paid.add(_mistake_of(j))
        return credit

    def _stems(self, line: Judged, origin: Judged, lines: list[Judged]) -> bool:
        """Whether a line reads another one, directly or through others."""
        reached: set[str] = set()
        todo = [line]
        while todo:
            current = todo.pop()
            for name in current.sources - reached:
                reached.add(name)
                todo += [j for j in lines if j.name == name]
        return bool(reached & {origin.name, origin.helper, origin.judgement.helper} - {""})


def _mistake_of(line: Judged) -> tuple[Any, ...]:
    """What makes a line wrong; a change of a tensor that has several names is one mistake."""
    one = line.judgement.sentence.id == "aliasing"
    return ("aliasing", line.line, line.column) if one else (id(line),)


def _credit_of(own: list[Judged]) -> str:
    """What the lines for one asked name come to: the worst of them."""
    found = {"excused" if j.judgement.blameless else j.verdict for j in own} or {"missing"}
    return next(credit for credit in CREDITS if credit in found)


def heat(given: Tensor, true: Tensor) -> Heat | None:
    """Where a tensor is off; a number has no picture, nor has what is right at the draw that is shown."""
    if given.ndim == 0 or not given.numel():
        return None
    panels, block = compare.heat(given, true)
    made = Heat(tuple(given.shape), tuple(tuple(map(tuple, panel)) for panel in panels.tolist()), block)
    return made if any(made.gaps) else None


def _both(cause: str, other: str) -> str:
    return said("{cause} and {other}", cause=cause, other=other) if cause else other


def right_values(meaning: Meaning, true: Tensor) -> Mistake:
    """Of right values in another shape."""
    shape = shown_shape(true.shape)
    return Mistake(
        "wrong-shape", said("the values are right; give {name} the shape {shape}", name=meaning.name, shape=shape)
    )


def other_shape(meaning: Meaning, given: Tensor, true: Tensor) -> Sentence:
    """`has shape (4, 3), but dQ has shape (3, 4)`"""
    params = {"given": has_shape(given.shape), "name": meaning.name, "expected": has_shape(true.shape)}
    return Sentence("shape", params)


def spread(given: Tensor, form: Tensor) -> Tensor | None:
    """Broadcast to a form, as 1 stands for ones; None where that does not fit."""
    try:
        return given.expand(form.shape)
    except RuntimeError:
        return None


def as_tensor(value: Any) -> Tensor | None:
    """A variable's value as float64, or None where it has none."""
    if isinstance(value, Tensor):
        if value.is_complex() or value.layout is not torch.strided or value.is_meta:
            return None
        return value if value.dtype is torch.float64 else value.to(torch.float64)
    if isinstance(value, (int, float)):
        return torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, tuple):
        try:
            return library.array(value).to(torch.float64)
        except (library.Refusal, library.TorchRefuses):
            return None
    return None
