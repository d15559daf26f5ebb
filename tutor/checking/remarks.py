"""What is said beside the lines' own verdicts: other names for one tensor, misspelt names, changed values."""

from __future__ import annotations

from typing import Any

from tutor.answers import language as lang
from tutor.checking.judge import JUDGED, Judged, Judgement, as_tensor
from tutor.checking.outline import Meaning, Outline, Segment, owner
from tutor.checking.report import NOTES, Sentence
from tutor.checking.sheet_runs import SegmentState
from tutor.checking.sources import Sources
from tutor.numeric.compare import alike


def aliases(judge: Sources) -> None:
    """What an update changed under another name: a remark, or a wrong line where that was a gradient given before."""
    seen: set[str] = set()
    for name, unit, changed in judge.runs[0].disturbed:
        meaning = judge.names.meaning(name)
        if name in seen or meaning.kind == "helper":
            continue
        statement = next(t.statement for t in judge.outline.units[unit].touches if t.name == changed)
        params = {
            "name": name,
            "changed": changed,
            "line": statement.line,
            "copy": copy_of(judge.outline, name, changed),
        }
        if meaning.kind in JUDGED:
            _disturbed(judge, meaning, unit, statement, params, seen)
        else:
            seen.add(name)
            judge.notes.append(Sentence("aliasing", params).render(NOTES))


def copy_of(outline: Outline, name: str, changed: str) -> str:
    """What leaves a name as it is when another one is changed: `dw = m.clone()`, after `dw = m`."""
    for unit in outline.units:
        statement = unit.statement
        if not isinstance(statement, lang.Assign) or len(statement.targets) != 1 or statement.latex:
            continue
        target, source = (outline.names.read(_whole(part)) for part in (statement.targets[0], statement.value))
        if {target, source} == {name, changed}:
            left, right = (lang.written(statement, part) for part in (statement.targets[0], statement.value))
            return f"{left} = {right}.clone()" if left and right else f"{target} = {source}.clone()"
    return f"{changed} = {name}.clone()"


def _whole(node: lang.Expression) -> lang.Expression:
    """The tensor that `dz[0]`, `dz.T` and `dz.view(N, C)[0]` are of."""
    inner = lang.root(owner(node))
    return node if inner is node else _whole(inner)


def _disturbed(
    judge: Sources, meaning: Meaning, unit: int, statement: lang.Statement, params: dict[str, Any], seen: set[str]
) -> None:
    """A gradient changed after its own last line, through another name; one that is given has no line of its own."""
    own = [s.segment.end for s in judge.states if s.segment.name == meaning.name]
    if own and own[-1] >= unit:
        return
    change = judge.change(meaning.name, unit, own[-1] if own else None)
    if change == "right":  # nothing that counts was added
        judge.notes.append(Sentence("aliasing", params).render(NOTES))
    if change != "off":
        return
    seen.add(meaning.name)
    if not own and not any(_misled(judge, state, meaning.name) for state in judge.states):
        judge.notes.append(Sentence("aliasing", params).render(NOTES))  # nothing reads it any more
        return
    sentence = Sentence("aliasing", params)
    true, mistake = judge.true(meaning, judge.points[0]), sentence.as_mistake("aliasing")
    after = as_tensor(judge.runs[0].values.get((meaning.name, unit)))
    judgement = Judgement("wrong", sentence, after, true, mistakes=(mistake,))
    judge.judged.append(Judged(meaning.name, statement.line, statement.column, statement.text, judgement))


def _misled(judge: Sources, state: SegmentState, name: str) -> bool:
    """Whether a line that is not the true gradient reads another one as it was changed later."""
    amiss = state.judgement is not None and state.judgement.verdict in ("wrong", "follows")
    return amiss and name in judge.read_later(state.segment)


def names(judge: Sources) -> None:
    """Helpers that look like a misspelt gradient, and forward values that were changed on the way."""
    wanted = set(judge.exercise.worth)
    given = {j.name for j in judge.judged}
    for state in judge.states:
        segment, meaning = state.segment, judge.meaning(state.segment)
        line = segment.statement.line
        if (meaning.kind == "forward" and state in judge.pins) or (
            segment.name,
            segment.end,
        ) in judge.of_worked_instance:
            params = {"line": line, "given": segment.statement.text.strip()}
            judge.notes.append(Sentence("worked-values", params).render(NOTES))
        elif meaning.kind == "helper":
            close = next((w for w in wanted - given if w.lower() == segment.name.lower()), None)
            if close is not None:
                judge.notes.append(Sentence("typo", {"line": line, "name": segment.name, "meant": close}).render(NOTES))
        elif meaning.kind == "forward" and judge.exercise[meaning.name].kind != "parameter":
            _changed_forward(judge, segment, meaning, line)
        elif meaning.kind == "forward":
            _moved(judge, segment, line)


def _moved(judge: Sources, moved: Segment, line: int) -> None:
    """A parameter that takes its step is no mistake, but what reads it after that is another gradient."""
    for state in judge.states:
        after = any(u > moved.end and moved.name in judge.outline.units[u].reads for u in state.segment.units)
        if after and state.judgement is not None and state.judgement.verdict == "wrong":
            params = {"line": state.segment.statement.line, "name": moved.name, "changed": line}
            judge.notes.append(Sentence("moved", params).render(NOTES))
            return


def _changed_forward(judge: Sources, segment: Segment, meaning: Meaning, line: int) -> None:
    value = judge.value(judge.runs[0], segment)
    true = judge.points[0].values[meaning.name]
    if value is not None and not alike(value, true):
        judge.notes.append(Sentence("forward", {"line": line, "name": meaning.name}).render(NOTES))
