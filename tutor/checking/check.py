"""Exercise + answer -> Report: every line judged, the first divergence, what follows from it.

A line is compared with the truth at seeded draws. What is not true may still *follow*: R, the learner's earlier
gradients that the line reads, are replaced by the truth, or the walk back from the loss is stopped at R.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tutor.answers import documents
from tutor.answers import language as lang
from tutor.catalogue import load, split_address
from tutor.checking import mistakes, truth
from tutor.checking.cells import in_cells
from tutor.checking.functions import answers_of
from tutor.checking.judge import (
    JUDGED,
    TORCH,
    UNTOLD,
    Judge,
    Judged,
    Judgement,
    as_tensor,
    few_digits,
    name_of,
    unreadable,
    without_finite_truth,
)
from tutor.checking.meant import as_meant
from tutor.checking.outline import Meaning, Names, names_of
from tutor.checking.readings import judged
from tutor.checking.report import LineReport, Report, Sentence
from tutor.checking.truth import Point, met_on_the_way
from tutor.errors import ReadingError, UsageError
from tutor.exercise import Exercise
from tutor.language import Said, said
from tutor.numeric.compare import DOUBLE, SINGLE, tolerance_of
from tutor.numeric.sample import Instance, checked_seed
from tutor.numeric.threads import one_thread

# -- the ways in ------------------------------------------------------------


def check(exercise: Any, answer: Any, *, seed: int = 0, lenient_shapes: bool = False, repairs: bool = True) -> Report:
    """Judge an answer: a sheet's text, a `Path` to it, tensors by name, or a function of an instance.

    Tensors by name are those at the first draw of the seed; `check(t, {"dz": dz})` takes them at the instance t.
    `lenient_shapes` forgives axes of size 1; without `repairs` no edit is looked for that makes a wrong line right.
    """
    __tracebackhide__ = True  # what a learner's function raises is shown without our frames
    if isinstance(exercise, (str, Path)):
        exercise = load(exercise)
    if isinstance(exercise, Instance) and isinstance(answer, Mapping):
        return check_tensors(exercise, answer, lenient_shapes=lenient_shapes)
    if isinstance(exercise, Instance):
        raise UsageError(
            said(
                "an instance judges tensors, as in t.check(dW=...): text and functions are judged for its exercise, "
                "tutor.check(t.exercise, ...)"
            )
        )
    if not isinstance(exercise, Exercise):
        raise UsageError(said("an exercise is an id, a path or an Exercise, not {name}", name=type(exercise).__name__))
    seed = checked_seed(seed)
    if isinstance(answer, (str, Path)):
        answer = read_answer(exercise, answer)
    if isinstance(answer, lang.Sheet):
        return check_sheet(exercise, answer, seed=seed, lenient_shapes=lenient_shapes, repairs=repairs)
    if isinstance(answer, Mapping):
        return _check_values(exercise, [answer], truth.points(exercise, seed)[:1], seed, lenient_shapes)
    if callable(answer):
        return _check_function(exercise, answer, seed, lenient_shapes)
    raise UsageError(
        said("an answer is text, a Path, a dict of tensors or a function, not {name}", name=type(answer).__name__)
    )


@one_thread()
def check_sheet(
    exercise: Exercise,
    sheet: lang.Sheet,
    *,
    seed: int = 0,
    lenient_shapes: bool = False,
    repairs: bool = True,
    fixed_sizes: Mapping[str, int] | None = None,
) -> Report:
    """Judge one sheet that was read already.

    `fixed_sizes` are given where it is graded, with those that its question has: what is right only at sizes of the
    sheet's own choice, which hide a mistake, is wrong then.
    """
    report = judged(exercise, as_meant(exercise, sheet), seed, lenient_shapes, repairs, fixed_sizes)
    return in_cells(report, sheet.cells) if sheet.cells else report


def check_tensors(instance: Any, tensors: Mapping[str, Any], *, lenient_shapes: bool = False) -> Report:
    """Judge tensors at one instance, `check_tensors(t, {"dz": dz})`: the same report without any text."""
    exercise = instance.exercise
    seed = getattr(instance, "seed", 0) or 0
    return _check_values(exercise, [tensors], [Point(exercise, instance)], seed, lenient_shapes)


def unread(exercise: str, why: lang.Unreadable, cells: list[tuple[int, int]], seed: int = 0) -> Report:
    """The report on a part of a file that cannot be judged at all."""
    reason = Sentence("unreadable", {"reason": why.reason})
    line = LineReport(why.line, why.column, why.text, None, "unreadable", reason, start=why.start)
    report = Report(exercise, seed, TORCH, 0.0, 0.0, lines=(line,))
    return in_cells(report, cells) if cells else report


def read_answer(exercise: Exercise, answer: str | Path, kind: str | None = None) -> lang.Sheet:
    """The sheet for an exercise; what cannot be read at all becomes one unreadable line."""
    try:
        if isinstance(answer, Path):
            answer, kind = documents.read(answer), documents.kind_of(answer)
        parts = documents.parts(answer, kind)
        part = _chosen(exercise, parts)
        sheet = part.sheet(exercise)
    except ReadingError as error:
        return lang.Sheet([lang.Unreadable(error.line, error.column, "", 1, error.message)])
    if sheet.exercise and split_address(sheet.exercise)[0] != exercise.name:
        sheet.notes.insert(
            0, said("the sheet is for {exercise}, and is judged as {id}", exercise=sheet.exercise, id=exercise.id)
        )
    if len(parts) > 1:
        others = ", ".join(dict.fromkeys(other.exercise or "-" for other in parts if other is not part))
        sheet.notes.insert(
            0, said("only the part for {id} is judged, not those for {others}", id=exercise.id, others=others)
        )
    return sheet


def _chosen(exercise: Exercise, parts: list[documents.Part]) -> documents.Part:
    """The part for this exercise; the only one, whatever its header says."""
    if len(parts) == 1:
        return parts[0]
    named = [(part.exercise, part) for part in parts if part.exercise]
    fitting = [part for name, part in named if name == exercise.id]
    fitting += [part for name, part in named if split_address(name)[0] == exercise.name]
    if not fitting:
        there = ", ".join(dict.fromkeys(name for name, _ in named))
        raise ReadingError(
            said("the sheet has parts for {there}, and none for {id}: give one of its own", there=there, id=exercise.id)
        )
    return fitting[0]


# -- tensors and functions ------------------------------------------------------------


class ValueJudge(Judge):
    """Tensors without a text: R is every earlier gradient, in the order of the backward pass."""

    def __init__(
        self, exercise: Exercise, answers: list[Mapping[str, Any]], points: list[Point], seed: int, lenient: bool
    ):
        given = [_answers(exercise, answer) for answer in answers]
        self.kinked = given.pop() if len(given) > len(points) else None  # at the draw on kinks
        super().__init__(exercise, seed, lenient, points)
        self.given = given
        self.dtype = torch.float64  # of the tensor that is being judged
        tensors = (v for answer in given for v in answer.values() if isinstance(v, Tensor))
        self.single = any(v.dtype is torch.float32 for v in tensors)  # some were computed in float32
        self.earlier: list[dict[str, Tensor]] = [{} for _ in self.points]  # R: gradients that are not the true ones
        self.rounded: list[dict[str, Tensor]] = [{} for _ in self.points]  # true ones in a lower precision
        self.doubtful: dict[str, torch.dtype] = {}  # of those, the ones that it has too few digits to tell

    def report(self) -> Report:
        order = {name: n for n, name in enumerate(self.points[0].gradients)}
        for name in sorted(self.given[0], key=lambda n: order.get(n, len(order))):
            meaning = self.names.meaning(name)
            raw = [answer.get(name) for answer in self.given]
            stops = self._on_the_way(meaning, self.earlier)
            judgement, given = self._judgement(meaning, raw, stops)
            self.judged.append(Judged(name, 0, 0, name, judgement, frozenset(stops[0])))
            self._keep(name, judgement.verdict, given)
        return self.finish()

    def _keep(self, name: str, verdict: str, given: Sequence[Tensor | None]) -> None:
        """What later gradients may have been computed from."""
        off = verdict in ("wrong", "follows")
        if not off and self.tolerance is DOUBLE:
            return
        if verdict == "undecided":
            self.doubtful[name] = self.dtype
        for stop, value in zip(self.earlier if off else self.rounded, given, strict=True):
            if value is not None:
                stop[name] = value

    def _judgement(
        self, meaning: Meaning, raw: Sequence[Any], stops: list[dict[str, Tensor]]
    ) -> tuple[Judgement, list[Tensor | None]]:
        """In the tensor's own precision; in float32's too, where that was used on the way to it."""
        given = [_detached(value) for value in raw]
        self._judge_as(_coarsest(raw))
        if meaning.kind not in JUDGED or self.true(meaning, self.points[0]) is None:
            return self.without_truth(meaning), given
        for value, read in zip(raw, given, strict=True):
            if read is None:
                return unreadable(_without_value(meaning.name, value)), given
        judgement = self._judge(meaning, given, stops)
        if judgement.verdict == "wrong" and self.tolerance is DOUBLE and (self.single or all(map(_was_single, given))):
            self._judge_as(torch.float32)
            again = self._judge(meaning, given, stops)
            if again.verdict in ("correct", "follows"):
                return again, given
            self._judge_as(torch.float64)
        return judgement, given

    def _judge_as(self, dtype: torch.dtype) -> None:
        self.dtype, self.tolerance = dtype, tolerance_of(dtype)

    def _on_the_way(self, meaning: Meaning, held: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        """Those that walking back from a quantity meets: nothing else of R can have made its gradient what it is."""
        met = met_on_the_way(self.exercise, meaning, frozenset(held[0]))
        return [{name: value for name, value in stop.items() if name in met} for stop in held]

    def _judge(self, meaning: Meaning, given: Sequence[Tensor | None], stops: list[dict[str, Tensor]]) -> Judgement:
        how = self.outcome(meaning, given)
        if how == "equal":
            return self._on_kinks(meaning, given[0]) or self.correct(meaning, given)
        if how == "unknown":
            return without_finite_truth(given[0])
        if how == "coarse":
            return few_digits(self.dtype, given[0])
        kinked = self.other_subgradient(meaning, given)
        if kinked is not None:
            return self.on_kink(meaning, kinked, given[0], self.true(meaning, self.points[0]), "kink")
        rounded = self._on_the_way(meaning, self.rounded)
        if self._follows(meaning, given, rounded):
            doubt = next((dtype for name, dtype in self.doubtful.items() if name in rounded[0]), None)
            return self.correct(meaning, given) if doubt is None else few_digits(doubt, given[0])
        if self._follows(meaning, given, stops):
            names = ", ".join(stops[0])
            return self.at_first("follows", Sentence("follows-values", {"names": names}), meaning, given)
        cases = []
        for value, stop, point in zip(given, stops, self.points, strict=True):
            expected = self.expected(meaning, stop, point)
            if value is not None and expected is not None:
                known = {**point.values, **self.walked(stop, point)}
                cases.append(mistakes.Case(value, expected, point.sizes, self.tolerance.relative, known))
        return self.wrong(meaning, how, cases, given)

    def _follows(self, meaning: Meaning, given: Sequence[Tensor | None], stops: list[dict[str, Tensor]]) -> bool:
        telling = self.telling_places(stops) if any(stops) else []
        return bool(telling) and self.follows(meaning, given, stops, telling)

    def correct(self, meaning: Meaning, given: Sequence[Tensor | None]) -> Judgement:
        right = super().correct(meaning, given)
        if self.tolerance is DOUBLE or self.tolerance is SINGLE:
            return right
        params = {**right.sentence.params, "dtype": name_of(self.dtype)}
        return replace(right, sentence=Sentence("true-coarse", params))

    def may_be_single(self, meaning: Meaning, given: Sequence[Tensor | None]) -> bool:
        if self.tolerance is not DOUBLE:
            return False
        self._judge_as(torch.float32)
        try:
            return self.outcome(meaning, given) in UNTOLD
        finally:
            self._judge_as(torch.float64)

    def _on_kinks(self, meaning: Meaning, value: Tensor | None) -> Judgement | None:
        """What a function's gradient is on kinks, where it is true elsewhere."""
        kinked = self.points.kinked
        given = _detached(self.kinked.get(meaning.name)) if self.kinked is not None else None
        if given is None or kinked is None or self.same(meaning, given, kinked) != "different":
            return None
        side = self.sides(meaning, given, kinked)
        if side == "outside":
            return self.wrong_on_kink(meaning, kinked, given, "kink-outside")
        return self.on_kink(meaning, kinked, value, value, "kink") if side == "subgradient" else None


def _answers(exercise: Exercise, answer: Mapping[str, Any]) -> dict[str, Any]:
    """{"W": ..}, {"dW": ..} and {"W.grad": ..} all name the gradient with respect to W."""
    names = names_of(exercise)
    made: dict[str, Any] = {}
    given_as: dict[str, Any] = {}
    for name, value in answer.items():
        meaning = names.meaning(_without_grad(names, str(name)))
        if meaning.kind == "helper":
            raise UsageError(
                said(
                    "{name} is not a gradient of {id}: it has {names}",
                    name=name,
                    id=exercise.id,
                    names=", ".join(exercise.quantities),
                )
            )
        means = f"d{meaning.of}" if meaning.kind == "forward" else meaning.name
        if means in made:
            raise UsageError(
                said("{one} and {other} are both {name}: give one of them", one=given_as[means], other=name, name=means)
            )
        made[means], given_as[means] = _as_torch(value), name
    return made


def _without_grad(names: Names, name: str) -> str:
    """`W.grad` is the gradient of W; a value that was computed from gradients has none."""
    base = name.removesuffix(".grad")
    return base if names.meaning(base).kind == "forward" else name


def _detached(value: Any) -> Tensor | None:
    if not isinstance(value, Tensor):
        return as_tensor(value)
    return None if value.is_meta else as_tensor(value.detach().cpu())


def _without_value(name: str, value: Any) -> Said:
    """Why something is no tensor that can be judged."""
    if value is None:
        return said(
            "{name} has no value, for no gradient was computed: call backward() first, and retain_grad() on a step "
            "before it",
            name=name,
        )
    if isinstance(value, Tensor) and value.is_meta:
        return said("{name} is a meta tensor, which has a shape and no numbers: compute it on a real device", name=name)
    return said("{name} is no real tensor", name=name)


def _coarsest(values: Sequence[Any]) -> torch.dtype:
    """The lowest precision among a name's tensors, one at each draw."""
    found = (v.dtype for v in values if isinstance(v, Tensor) and v.dtype.is_floating_point)
    return max(found, key=lambda dtype: torch.finfo(dtype).eps, default=torch.float64)


def _was_single(value: Tensor | None) -> bool:
    """Whether all its numbers are float32's: a list of them, or a tensor that was converted."""
    return value is not None and torch.equal(value.to(torch.float32).to(torch.float64), value)


def _as_torch(value: Any) -> Any:
    """numpy's arrays, nested lists and sparse tensors as plain ones of their own precision; all else as it is."""
    if isinstance(value, Tensor) and value.layout is not torch.strided:
        return _dense(value)
    if isinstance(value, (Tensor, bool, int, float)) or not (isinstance(value, list) or hasattr(value, "__array__")):
        return value
    try:
        if isinstance(value, list):
            return torch.tensor(value, dtype=torch.float64)
        return torch.as_tensor(value.copy())  # a copy has no negative strides, which torch refuses
    except (TypeError, ValueError, RuntimeError):
        return value


def _dense(value: Tensor) -> Tensor:
    """What `F.embedding(..., sparse=True)` leaves in `.grad`, with its zeros; as it is where torch knows no way."""
    try:
        return value.detach().to_dense()
    except (RuntimeError, NotImplementedError):
        return value


@one_thread()
def _check_values(
    exercise: Exercise, answers: list[Mapping[str, Any]], points: list[Point], seed: int, lenient: bool
) -> Report:
    return ValueJudge(exercise, answers, points, seed, lenient).report()


def _check_function(exercise: Exercise, function: Callable[..., Any], seed: int, lenient: bool) -> Report:
    """A function of the instance that returns {"W": dW, ...}; trusted code, run here."""
    __tracebackhide__ = True
    points = truth.points(exercise, seed)
    kinked = points.kinked
    judged = points if kinked is None or kinked in points else [*points, kinked]
    answers = answers_of(exercise, function, (point.instance for point in judged))
    return _check_values(exercise, answers, points, seed, lenient)


__all__ = ["check", "check_sheet", "check_tensors", "read_answer", "unread"]
