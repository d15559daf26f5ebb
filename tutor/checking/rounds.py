"""Loops of training: every round is the same step, taken from where the parameters are by then. One is judged."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from tutor.answers import language as lang
from tutor.checking import library
from tutor.checking.outline import names_of, owner
from tutor.checking.report import NOTES, Sentence
from tutor.checking.set_up import moved
from tutor.exercise import Exercise

_JUDGED = ("gradient", "local", "value")


def with_one_round(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """The sheet with the lines of a loop in its place, where rounds differ in the parameters alone, and no answer is
    computed after it from where those have come."""
    if not any(isinstance(statement, lang.Loop) for statement in sheet.statements):
        return sheet
    rounds = _Rounds(exercise, sheet)
    made: list[lang.Statement] = []
    notes = []
    for n, statement in enumerate(sheet.statements):
        if rounds.repeat(statement, sheet.statements[n + 1 :]):
            made += lang.inside(statement)  # type: ignore[arg-type]
            notes.append(Sentence("one-round", {"line": statement.line}).render(NOTES))
        else:
            made.append(statement)
    if not notes:
        return sheet
    return with_one_round(exercise, replace(sheet, statements=made, notes=[*sheet.notes, *notes]))  # a loop in a loop


class _Rounds:
    def __init__(self, exercise: Exercise, sheet: lang.Sheet):
        self.exercise, self.names = exercise, names_of(exercise)
        self.shared: dict[str, set[str]] = {}  # a name -> those that may be names of its tensor, or of a part of it
        for statement in lang.flat(sheet.statements):
            source = self._source(statement)
            if source is not None:
                group = self.shared.get(source, {source}).union(*self._shared(self._targets(statement)))
                self.shared |= dict.fromkeys(group, group)

    def repeat(self, loop: lang.Statement, after: Sequence[lang.Statement]) -> bool:
        """Whether all rounds take parameters the same step.

        Not where a round reads its number, where a gradient hangs on what the round before has left (`dW += ...`), or
        where one is computed later from where the parameters have come.
        """
        if not isinstance(loop, lang.Loop) or isinstance(loop, lang.If):
            return False
        body = list(lang.flat(loop.body))
        moves = set().union(*(moved(self.exercise, each) for each in body))
        if not moves or self.names.meaning(loop.variable).name in set().union(*map(self._reads, body)):
            return False
        left = {name for name in self._left(body) - moves if not self._is_step(name)}
        return not self._reach(left, body, but=moves) and not self._reach(moves, list(lang.flat(after)))

    def _left(self, body: Sequence[lang.Statement]) -> set[str]:
        """What a round finds as the one before has left it: read before it is given anew."""
        given: set[str] = set()
        found: set[str] = set()
        for each in body:
            changed = self._changed(each)
            if not _is_zeroed(each):
                found |= (self._reads(each) | changed) - given
            given |= changed | self._targets(each)
        return found & given

    def _is_step(self, name: str) -> bool:
        """Whether a name is of the forward pass, which hangs on the parameters and on nothing of the round before."""
        return name in self.exercise.quantities and not self.exercise[name].is_leaf

    def _reach(self, names: set[str], lines: Sequence[lang.Statement], but: Collection[str] = ()) -> bool:
        """Whether any answer is computed from names, directly or through others than `but`."""
        reached, before = {*names}, -1
        while before < len(reached):
            before = len(reached)
            for each in lines:
                if not reached.isdisjoint(self._reads(each)):
                    reached |= (self._targets(each) | self._changed(each)).difference(but)
        return any(self.names.meaning(name).kind in _JUDGED for name in reached)

    # -- what a line reads, gives and changes -----------------------------------------------------------------

    def _reads(self, statement: lang.Statement) -> set[str]:
        if isinstance(statement, lang.Assign):
            whole = [target for target in lang.targets(statement) if isinstance(target, lang.Subscript)]
            return self._named([statement.value, *whole])
        if isinstance(statement, lang.Update):
            return self._named([statement.value, statement.target])
        if isinstance(statement, lang.Effect):
            return self._named([statement.call])
        return self._named([statement.over]) if isinstance(statement, lang.Loop) else set()

    def _targets(self, statement: lang.Statement) -> set[str]:
        """The names that a line gives a value as a whole."""
        targets = lang.targets(statement) if isinstance(statement, lang.Assign) else ()
        return {name for target in targets if (name := self.names.read(target)) is not None}

    def _changed(self, statement: lang.Statement) -> set[str]:
        """The names whose tensors a line changes in place, under any of their names."""
        if isinstance(statement, lang.Unreadable):
            return {self.names.meaning(lang.gradient_name(each.name)).name for each in statement.touched}
        nodes = [each for each in lang.targets(statement) if not isinstance(each, lang.Name)]
        nodes += [statement.target] if isinstance(statement, lang.Update) else _in_place(statement)
        names = {name for node in nodes if (name := self.names.read(lang.root(owner(node)))) is not None}
        return set().union(*self._shared(names))

    def _shared(self, names: set[str]) -> Iterator[set[str]]:
        yield from (self.shared.get(name, {name}) for name in names)

    def _source(self, statement: lang.Statement) -> str | None:
        """dW for `g = dW`, `row = dW.T[0]`"""
        node = lang.root(statement.value) if isinstance(statement, lang.Assign) else None
        while isinstance(node, lang.Call) and isinstance(node.function, lang.Attribute):
            method = library.METHOD.get(node.function.name)
            if method is None or not method.shares:
                return None
            node = lang.root(node.function.value)
        return None if node is None else self.names.read(node)

    def _named(self, parts: Sequence[lang.Expression]) -> set[str]:
        nodes = (node for part in parts for node in lang.walk(part))
        return {name for node in nodes if (name := self.names.read(node)) is not None}


def _in_place(statement: lang.Statement) -> list[lang.Expression]:
    """dz in `dz.mul_(2)`, wherever it stands in a line, and in `torch.relu_(dz)`."""
    parts: list[lang.Expression] = [statement.call] if isinstance(statement, lang.Effect) else []
    parts += [statement.value] if isinstance(statement, lang.Assign) else []
    calls = (node for part in parts for node in lang.walk(part) if isinstance(node, lang.Call))
    return [changed for call in calls if _works_in_place(call) for changed in (call.function, *call.arguments[:1])]


def _works_in_place(call: lang.Call) -> bool:
    function = call.function
    return isinstance(function, lang.Attribute) and (function.name.endswith("_") or function.name == "at")


def _is_zeroed(statement: lang.Statement) -> bool:
    """`dw.zero_()`"""
    function = statement.call.function if isinstance(statement, lang.Effect) else None
    return isinstance(function, lang.Attribute) and function.name == "zero_"
