"""What a line means in this exercise, where its text alone does not say it.

`dL/dz` on a right side is the gradient dz and no quotient; `Sum(x[i], (i, 1, N))` runs over the whole axis; `x^T` is a
transpose unless the exercise has a T, and `e**z` no exponential where it has an e. What could mean two things is
refused with both spellings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from tutor.answers import language as lang
from tutor.checking.outline import names_of
from tutor.errors import ReadingError
from tutor.exercise import Exercise
from tutor.language import said
from tutor.symbolic.indices import size

# only such lines are looked at
_SUSPECT = re.compile(r"/\s*d\w|,\s*[01]\s*,|\wd\w+\s*\[|\^\s*\{?\s*T|\.grad|\be\s*(?:\*\*|\^)")
_POWER_T = re.compile(r"\^\s*\{?\s*T\b")
_SUMS = ("Sum", "Mean", "Product")
_DIVIDED_BY = ("shape", "size", "numel", "ndim", "dim", "norm")


def as_meant(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """The sheet, its lines read with the exercise's names known."""
    if not any(_SUSPECT.search(_text(statement)) for statement in sheet.statements):
        return sheet
    reader = Meant(exercise, sheet.notes)
    statements = reader.all(sheet.statements)
    return replace(sheet, statements=statements, notes=[*sheet.notes, *reader.notes])


def _text(statement: lang.Statement) -> str:
    return "^T" if isinstance(statement, lang.Loop) else statement.text  # a loop's body is looked at in any case


class Meant:
    """Statements of one sheet, in their order."""

    def __init__(self, exercise: Exercise, said: Sequence[str] = ()):
        self.names = names_of(exercise)
        self.notes: list[str] = []
        self.by_entry: set[str | None] = set()  # local derivatives of which only `dp_dz[i, k, i, k]` is given
        self.said = said  # the notes of those who read before
        self.given = {f"d{q.name}" for q in exercise.ends if q.kind == "output"}  # gradients that there are by then

    def all(self, statements: Iterable[lang.Statement]) -> list[lang.Statement]:
        return [self.statement(statement) for statement in statements]

    def statement(self, statement: lang.Statement) -> lang.Statement:
        made = statement
        if isinstance(statement, lang.If):
            made = replace(statement, body=self.all(statement.body), other=self.all(statement.other))
        elif isinstance(statement, lang.Loop):
            made = replace(statement, body=self.all(statement.body))
        elif _SUSPECT.search(statement.text) and not getattr(statement, "latex", False):
            made = self._read(statement)
        self._remember(statement)
        return made

    def _read(self, statement: lang.Statement) -> lang.Statement:
        try:
            self._power(statement)
            if isinstance(statement, lang.Assign):
                self._own_gradient(statement)
                value = self._changed(statement.value)
                return replace(statement, targets=tuple(map(self._entries, statement.targets)), value=value)
            if isinstance(statement, lang.Update):
                return replace(statement, value=self._changed(statement.value))
            if isinstance(statement, lang.Effect):
                call = self._changed(statement.call)
                assert isinstance(call, lang.Call)
                return replace(statement, call=call)
        except ReadingError as error:
            names = self._targets(statement)
            touched = tuple(self._touched(statement))
            at = error.line, error.column, statement.text, statement.start
            return lang.Unreadable(*at, error.message, names[0] if names else None, touched)
        return statement

    def _targets(self, statement: lang.Statement) -> list[str]:
        return [name for target in lang.targets(statement) if (name := self.names.read(lang.root(target)))]

    def _touched(self, statement: lang.Statement) -> Iterator[lang.Touched]:
        value = statement.value if isinstance(statement, lang.Assign) else None
        read = {self.names.read(node) for node in lang.walk(value)} if value is not None else set()
        for target in lang.targets(statement):
            name = self.names.read(lang.root(target))
            if name is None:
                continue
            anew = value is not None and name not in read
            items = target.items if isinstance(target, lang.Subscript) else ()
            labels = tuple(item.name for item in items if isinstance(item, lang.Name))
            whole = anew and len(set(labels)) == len(items)
            yield lang.Touched(name, anew and not items, labels=labels if whole else ())

    def _remember(self, statement: lang.Statement) -> None:
        given = self._targets(statement)
        self.given.update(given)
        entries = {self.names.read(lang.root(t)) for t in lang.targets(statement) if self._entries(t) is not t}
        self.by_entry = (self.by_entry - set(given)) | entries

    def _entries(self, target: lang.Expression) -> lang.Expression:
        """`dp_dz[i, k]` for `dp_dz[i, k, i, k]`, which gives p[i,k] by z[i,k] and no more."""
        if not isinstance(target, lang.Subscript):
            return target
        meaning = self.names.meaning(self.names.read(target.value) or "")
        half = len(target.items) // 2
        names = [item.name if isinstance(item, lang.Name) else "" for item in target.items]
        if meaning.kind != "local" or names != names[:half] * 2 or len({*names} - {""}) != half:
            return target
        same = half == len(self.names.quantities[meaning.of].indices)
        return replace(target, items=target.items[:half]) if same else target

    # -- what stands for another thing ---------------------------------------------------------------------

    def _power(self, statement: lang.Statement) -> None:
        found = _POWER_T.search(statement.text)
        if found and ("T" in self.names.quantities or "T" in self.names.sizes or "T" in self.given):
            reason = said("^T may be the transpose or a power here, since T is a name: write x.T, or x**T")
            raise ReadingError(reason, statement.line, statement.start + found.start())

    def _own_gradient(self, statement: lang.Assign) -> None:
        """`dW = W.grad` asks autograd, which is what the learner is asked."""
        value = statement.value
        if isinstance(value, lang.Attribute) and value.name == "grad" and isinstance(value.value, lang.Name):
            name = self.names.read(value)
            if name in self._targets(statement) and name not in self.given:
                reason = said(
                    "{name}.grad is {name2} itself, and nothing computes it here: write its formula",
                    name=value.value.name,
                    name2=name,
                )
                raise ReadingError(reason, value.line, value.column)

    def _changed(self, node: lang.Expression) -> lang.Expression:
        return _mapped(node, self._one)

    def _one(self, node: lang.Expression) -> lang.Expression:
        if isinstance(node, lang.Binary) and node.op == "/":
            return self._derivative(node) or node
        if isinstance(node, lang.Binary) and node.op == "**":
            self._own_e(node)
        if isinstance(node, lang.Subscript) and self.names.read(node.value) in self.by_entry:
            return self._entries(node)
        if isinstance(node, lang.Call) and isinstance(node.function, lang.Name) and node.function.name in _SUMS:
            return replace(node, arguments=(*node.arguments[:1], *(self._limits(node, a) for a in node.arguments[1:])))
        return node

    def _derivative(self, node: lang.Binary) -> lang.Expression | None:
        """`dL/dz`, also as the last factors of `x.T @ dL/dz.sum(0)`, as Python reads it; None for a true quotient."""
        last, first = _last_factor(node.left), _first_part(node.right)
        if last is None or first is None or last.name == first.name:
            return None
        name = f"{last.name}_{first.name}"
        meant = self.names.meaning(name)
        above = self.names.meaning(last.name).kind == "gradient" or last.name not in self.given
        if meant.kind not in ("gradient", "local") or not above:
            return None
        if meant.kind == "local" and name not in self.given and self._both_given(last.name, first.name):
            return None  # a division of two gradients
        says = f": {last.name}/{first.name} is read as "
        if not any(says in note for note in (*self.said, *self.notes)):
            self.notes.append(
                said("line {line}: {quotient} is read as {meant}", line=node.line, quotient=f"{last.name}/{first.name}",
                     meant=meant.name)
            )  # fmt: skip
        made = lang.Name(last.line, last.column, first.end, name)
        return _exchanged(node.left, last, _exchanged(node.right, first, made))

    def _own_e(self, node: lang.Binary) -> None:
        """`e**z` is meant as the exponential; where the exercise has a quantity e it would be that to a power."""
        own = "e" in self.names.quantities and "e" not in self.given
        e = own and isinstance(node.left, lang.Name) and node.left.name == "e"
        named = (part.name for part in lang.walk(node.right) if isinstance(part, lang.Name))
        if e and any(self.names.meaning(name).kind != "helper" for name in named):
            reason = said("e is a quantity of this exercise: for the exponential write exp(...)")
            raise ReadingError(reason, node.line, node.column)

    def _both_given(self, *names: str) -> bool:
        return all(self.names.meaning(name).name in self.given for name in names)

    def _limits(self, call: lang.Call, given: lang.Expression) -> lang.Expression:
        """`(i, 1, N)` and `(i, 0, N - 1)` are the whole axis; `(i, 0, N)` is one too many."""
        if not (isinstance(given, lang.Sequence) and len(given.items) == 3 and isinstance(given.items[0], lang.Name)):
            return given
        label, low, high = given.items
        assert isinstance(label, lang.Name)
        if not (isinstance(low, lang.Number) and isinstance(high, lang.Name)):
            return given
        if low.value not in (0, 1) or self._extents(label.name, call.arguments[0]) != {high.name}:
            return given
        if low.value == 1 and _only_an_index(label.name, call.arguments[0]):
            self.notes.append(
                said(
                    "line {line}: ({name}, 1, {name2}) is read as the whole axis of {name}",
                    line=given.line,
                    name=label.name,
                    name2=high.name,
                )
            )
            return label
        reason = said(
            "{name} runs from 0 to {name2} - 1: write {name} alone, as in Sum(..., {name})",
            name=label.name,
            name2=high.name,
        )
        raise ReadingError(reason, given.line, given.column)

    def _extents(self, label: str, body: lang.Expression) -> set[str]:
        """The size of an index; of a dummy those of the axes at which it stands."""
        if label in self.names.indices:
            return {str(size(self.names.indices[label]))}
        made = set()
        for node in lang.walk(body):
            if isinstance(node, lang.Subscript):
                meaning = self.names.meaning(self.names.read(node.value) or "")
                quantity = self.names.quantities.get(meaning.of) if meaning.kind != "local" else None
                axes = quantity.indices if quantity is not None else ()
                items = zip(node.items, axes, strict=False)
                made |= {str(size(axis)) for item, axis in items if isinstance(item, lang.Name) and item.name == label}
        return made


def _last_factor(node: lang.Expression) -> lang.Name | None:
    """dL in `x.T @ dL` and `-dL`: what is divided by dz in `x.T @ dL/dz` on paper."""
    if isinstance(node, lang.Unary) and node.op in "+-":
        return _last_factor(node.operand)
    if isinstance(node, lang.Binary) and node.op in "*@":
        return _last_factor(node.right)
    return node if isinstance(node, lang.Name) else None


def _first_part(node: lang.Expression) -> lang.Name | None:
    """dz in `dz`, `dz[i, k]`, `dz.T`, `dz.sum(0)` and `dz**2`; nothing in `dz.shape[0]`, which one divides by."""
    if isinstance(node, lang.Binary) and node.op == "**":
        return _first_part(node.left)
    while isinstance(node, (lang.Subscript, lang.Attribute, lang.Call)):
        if isinstance(node, lang.Attribute) and node.name in _DIVIDED_BY:
            return None
        node = node.function if isinstance(node, lang.Call) else node.value
    return node if isinstance(node, lang.Name) else None


def _exchanged(node: lang.Expression, old: lang.Expression, new: lang.Expression) -> lang.Expression:
    """The expression with one part of it, told by its identity, exchanged."""
    return _mapped(node, lambda part: new if part is old else part)


def _only_an_index(label: str, body: lang.Expression) -> bool:
    """Whether the label stands in brackets alone and nowhere else, so that its numbers do not count."""
    plain = everywhere = 0
    for node in lang.walk(body):
        everywhere += isinstance(node, lang.Name) and node.name == label
        if isinstance(node, lang.Subscript):
            plain += sum(isinstance(item, lang.Name) and item.name == label for item in node.items)
    return plain == everywhere


def _mapped(node: lang.Expression, change: Callable[[lang.Expression], lang.Expression]) -> lang.Expression:
    """The expression with every part, innermost first, replaced by what `change` makes of it."""
    made: dict[str, Any] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        new = _part(value, change)
        if new is not value:
            made[field.name] = new
    return change(replace(node, **made) if made else node)


def _part(value: Any, change: Callable[[lang.Expression], lang.Expression]) -> Any:
    if isinstance(value, lang.Expression):
        return _mapped(value, change)
    if isinstance(value, tuple):
        new = tuple(_part(item, change) for item in value)
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    return value
