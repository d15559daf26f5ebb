"""A loop whose rounds write one over the other, where what they give is to be added up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tutor.answers import language as lang
from tutor.checking.interpret import Unsure
from tutor.checking.outline import Meaning, Segment
from tutor.checking.report import Mistake
from tutor.checking.sources import Sources
from tutor.language import N_, said

_SAYS = N_(
    "each round of the loop writes over the one before, and the last alone is left: "
    "begin {name} as zeros before the loop, and write {name} += ..."
)


def overwritten(judge: Sources, segment: Segment, meaning: Meaning) -> list[Mistake]:
    """`dW = ...` in a loop, where `dW += ...` would make it right."""
    statement, loop = segment.statement, judge.outline.units[segment.end].statement
    if not segment.looped or not isinstance(loop, lang.Loop) or not _alone(statement):
        return []
    added, counted = _added(statement)
    statements = list(_put_in(judge.sheet.statements, loop, statement, added, counted))
    other = Sources(judge.exercise, replace(judge.sheet, statements=statements), judge.seed, judge.lenient)
    made = next((s.segment for s in other.states if s.segment.statement is added), None)
    if made is None or not _right(other, made, meaning):
        return []
    name = lang.written(statement, added.target) or segment.name
    return [Mistake("missing-path", said(_SAYS, name=name), {"name": name})]


def _right(judge: Sources, segment: Segment, meaning: Meaning) -> bool:
    try:
        return judge.outcome_corrected(segment, meaning) == "equal"
    except Unsure:
        return False


def _alone(statement: lang.Statement) -> bool:
    """Whether one whole name is given a value."""
    if not isinstance(statement, lang.Assign) or statement.latex or len(statement.targets) != 1:
        return False
    return isinstance(statement.targets[0], (lang.Name, lang.Attribute))


def _added(statement: lang.Statement) -> tuple[lang.Update, lang.Assign]:
    """`dW += ...`, and `dW = 0` for before the loop."""
    assert isinstance(statement, lang.Assign)
    (target,) = statement.targets
    place = (statement.line, statement.column, statement.text, statement.start)
    nothing = lang.Number(target.line, target.column, target.end, 0, "0")
    return lang.Update(*place, "+", target, statement.value), lang.Assign(*place, (target,), nothing)


def _put_in(
    statements: list[lang.Statement],
    loop: lang.Statement,
    statement: lang.Statement,
    added: lang.Statement,
    nothing: lang.Statement,
) -> Iterator[lang.Statement]:
    for one in statements:
        if one is loop:
            yield nothing
        yield _with(one, statement, added)


def _with(one: lang.Statement, statement: lang.Statement, added: lang.Statement) -> lang.Statement:
    """A statement, or a loop, with one line in it replaced."""
    if one is statement:
        return added
    if isinstance(one, lang.If) or not isinstance(one, lang.Loop):
        return one
    return replace(one, body=[_with(inner, statement, added) for inner in one.body])
