"""`dy` for dy_pred: the gradient of a target that the sheet uses as the gradient of the prediction beside it.

No gradient is made of that of an input which nobody asks for. A sheet that goes on with one means another name.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from tutor.checking.interpret import Run
from tutor.checking.outline import Meaning, Segment
from tutor.checking.sheet_runs import MANY_STEPS
from tutor.checking.sources import Sources
from tutor.exercise import Quantity
from tutor.numeric import compare


def misnamed(judge: Sources) -> Iterator[tuple[Segment, Meaning]]:
    """Lines whose name is that of an input's gradient and whose use, in the lines after, is that of another one."""
    left = MANY_STEPS // max(judge.cost, 1)  # times that the sheet may be run once more
    for segment, meaning in _suspects(judge):
        readers = _readers(judge, segment)
        for tried in (meaning, *_beside(judge, meaning)) if readers else ():
            left -= 1
            if left < 0:
                return
            if _mended(judge, segment, tried, readers):
                if tried is not meaning:
                    yield segment, tried
                break


def perhaps_misnamed(judge: Sources) -> Iterator[tuple[Segment, Meaning]]:
    """Lines that nothing reads as yet, and that are another gradient than they are called, up to a positive factor."""
    for segment, meaning in _suspects(judge):
        if not _readers(judge, segment):
            other = next((o for o in _beside(judge, meaning) if _scaled(judge, segment, o)), None)
            if other is not None:
                yield segment, other


def _suspects(judge: Sources) -> Iterator[tuple[Segment, Meaning]]:
    """Wrong lines for the gradient of an input that nobody asks for."""
    for state in judge.states:
        segment, meaning = state.segment, judge.meaning(state.segment)
        if meaning.kind != "gradient" or state.number is not None or not _given(judge, meaning):
            continue
        if judge.values_of(segment).whole and judge.outcome_of(segment, meaning) not in ("equal", "unknown"):
            yield segment, meaning


def _readers(judge: Sources, segment: Segment) -> list[Segment]:
    others = (state.segment for state in judge.states if state.segment is not segment)
    return [other for other in others if segment.name in other.sources and judge.failure(other) is None]


def _given(judge: Sources, meaning: Meaning) -> bool:
    """Whether it is the gradient of an input that is not asked for."""
    quantity = judge.exercise.quantities.get(meaning.of)
    return quantity is not None and quantity.kind == "input" and meaning.of not in judge.exercise.asked


def _beside(judge: Sources, meaning: Meaning) -> Iterator[Meaning]:
    """The gradients of the steps that one formula reads together with the input, in the same shape."""
    exercise, own = judge.exercise, judge.exercise[meaning.of]
    on_sheet = {state.segment.name for state in judge.states}
    for q in exercise.forward:
        known = q.kind != "step" or f"d{q.name}" in on_sheet
        if not known and q.shape == own.shape and any(_reads(v, own, q) for v in exercise.forward):
            yield judge.names.meaning(f"d{q.name}")


def _reads(user: Quantity, *names: Quantity) -> bool:
    return {q.name for q in names} <= user.reads


def _mended(judge: Sources, segment: Segment, meaning: Meaning, readers: list[Segment]) -> bool:
    """Whether a line that reads this one is right once it holds the true value of `meaning`, all else being true."""
    runs: list[Run] = []
    for point in judge.points:
        true: Tensor | None = judge.true(meaning, point)
        if true is None:
            return False
        instead = {**judge.truths(point), (segment.name, segment.end): true}
        runs.append(Run(judge.outline, point, instead).execute())
    return any(judge.holds(reader, runs) for reader in readers)


def _scaled(judge: Sources, segment: Segment, meaning: Meaning) -> bool:
    values = judge.values_of(segment)
    if judge.outcome_of(segment, meaning) == "equal":
        return True
    for value, point in zip(values, judge.points, strict=True):
        true = judge.true(meaning, point)
        constant = None if value is None or true is None else compare.ratio(value, true, judge.tolerance.relative)
        if constant is None or constant <= 0:
            return False
    return True
