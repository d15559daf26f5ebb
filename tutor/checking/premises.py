"""What a sheet says is given: sizes it pins, worked values, and data, which all make no quantity of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from tutor.answers import language as lang
from tutor.checking.literals import literal
from tutor.checking.report import NOTES, Sentence
from tutor.errors import UsageError
from tutor.exercise import Exercise
from tutor.language import said
from tutor.numeric.evaluate import number
from tutor.numeric.sample import checked_sizes

MOST_PINNED = 250_000  # entries of the forward values at sizes that a sheet pins
# what gives an input values that are data: numbers drawn or read from a file, which no sheet can, or written down
_DRAWN = set(
    "randn rand randint randperm normal standard_normal uniform random random_sample integers choice bernoulli "
    "multinomial rand_like randn_like randint_like load loadtxt genfromtxt fromfile read_csv".split()
)
_WRITTEN = set(
    "tensor array asarray as_tensor from_numpy FloatTensor LongTensor zeros ones full eye linspace arange".split()
)
_GENERATORS = ("Generator", "default_rng", "RandomState")


def without_worked_values(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """`w = 1`, `x = 2` of the worked instance say what is given: the lines are judged for every value."""
    for values in exercise.instances:
        given = [
            statement
            for statement in sheet.statements
            if (name := _leaf_of(exercise, statement)) is not None and _is_value(statement, values.get(name))
        ]
        if given:
            names = ", ".join(dict.fromkeys(statement.text.strip() for statement in given[:6]))  # `x = 1; y = 2` once
            params = {"line": given[0].line, "given": names}
            kept = [statement for statement in sheet.statements if statement not in given]
            notes = [*sheet.notes, Sentence("worked-values", params).render(NOTES)]
            return replace(sheet, statements=kept, notes=notes)
    return sheet


def without_data(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """`x = torch.randn(5)` and `N = 5` set a notebook up: the lines are judged for every value and every size."""
    set_up: list[lang.Statement] = []
    notes = []
    for found, note in ((_data(exercise, sheet), "data"), (_sized(exercise, sheet), "sizes-set")):
        given = list(found)
        if given:
            names = ", ".join(dict.fromkeys(statement.text.strip()[:60] for statement in given[:6]))
            notes.append(Sentence(note, {"line": given[0].line, "given": names}).render(NOTES))
            set_up += given
    if not set_up:
        return sheet
    kept = [statement for statement in sheet.statements if not any(statement is each for each in set_up)]
    return replace(sheet, statements=kept, notes=[*sheet.notes, *notes])


def _data(exercise: Exercise, sheet: lang.Sheet) -> Iterator[lang.Statement]:
    """Lines that give inputs and parameters values of their own, and those that make what draws them."""
    constant = {*exercise.size_symbols, *lang.MODULES, "pd", "random"}
    for statement in sheet.statements:
        names = _names(statement)
        if not isinstance(statement, lang.Assign) or not names:
            continue
        called, read = _calls_and_names(statement.value)
        if all(name in exercise.quantities and exercise[name].is_leaf for name in names):
            if read <= constant and (called & _DRAWN or (called & _WRITTEN and not _changed(sheet, names))):
                constant.update(names)
                yield statement
        elif read <= constant and not any(name in exercise.quantities for name in names):
            constant.update(names)
            if called & {*_GENERATORS}:
                yield statement
        else:
            constant.difference_update(names)


def _names(statement: lang.Statement) -> list[str]:
    """The names that an assignment gives a value as a whole; none where it is another statement, or gives entries."""
    names = [target.name if isinstance(target, lang.Name) else "" for target in lang.targets(statement)]
    return names if isinstance(statement, lang.Assign) and all(names) else []


def _calls_and_names(value: lang.Expression) -> tuple[set[str], set[str]]:
    """The functions that an expression calls, by the last part of their names, and the names that it reads."""
    nodes = lang.walk(value)
    functions = [node.function for node in nodes if isinstance(node, lang.Call)]
    called = {function.name for function in functions if isinstance(function, (lang.Name, lang.Attribute))}
    bare = [function for function in functions if isinstance(function, lang.Name)]
    return called, {n.name for n in nodes if isinstance(n, lang.Name) and not any(n is each for each in bare)}


def _changed(sheet: lang.Sheet, names: list[str]) -> bool:
    """Whether zeros that an input is given are filled, line by line: then it is a name of the learner's."""
    for statement in lang.flat(sheet.statements):
        changed = [lang.variable(lang.root(t)) for t in lang.targets(statement) if not isinstance(t, lang.Name)]
        if isinstance(statement, lang.Update):
            changed.append(lang.variable(lang.root(statement.target)))
        elif isinstance(statement, lang.Effect):
            changed += [lang.variable(part) for part in lang.walk(statement.call)]
        elif isinstance(statement, lang.Unreadable):
            changed += [each.name for each in statement.touched]
        elif isinstance(statement, lang.Assign):
            changed += _calls_and_names(statement.value)[1] & {*_names(statement)}
        if any(name in names for name in changed):
            return True
    return False


def _sized(exercise: Exercise, sheet: lang.Sheet) -> Iterator[lang.Statement]:
    """`N = 5` and `N, D = 32, 10`, where a size is given one number: it is a size's value, and no other name's."""
    given: dict[str, set[int | float]] = {name: {size} for name, size in sheet.sizes.items()}
    found = []
    for statement in sheet.statements:
        names, numbers = _names(statement), _whole_numbers(statement)
        sizes = all(name in exercise.size_symbols for name in names)
        if numbers and sizes and not sheet.sizes.keys() >= {*names}:  # what is pinned may be said again
            found.append((statement, names))
            for name, number in zip(names, numbers, strict=True):
                given.setdefault(name, set()).add(number)
    yield from (statement for statement, names in found if all(len(given[name]) == 1 for name in names))


def _whole_numbers(statement: lang.Statement) -> list[int]:
    """The positive whole number that each name of an assignment is given; none where any is given something else."""
    if not isinstance(statement, lang.Assign):
        return []
    made: list[int] = []
    for target in statement.targets:
        names = len(target.items) if isinstance(target, lang.Sequence) else 0
        several = isinstance(statement.value, lang.Sequence)
        values = statement.value.items if isinstance(statement.value, lang.Sequence) else (statement.value,)
        numbers = [v.value for v in values if isinstance(v, lang.Number) and isinstance(v.value, int) and v.value > 0]
        if len(numbers) != len(values) or several != bool(names) or len(numbers) != (names or 1):
            return []
        made += numbers
    return made


def _leaf_of(exercise: Exercise, statement: lang.Statement) -> str | None:
    if not isinstance(statement, lang.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    name = target.name if isinstance(target, lang.Name) else ""
    return name if name in exercise.quantities and exercise[name].is_leaf else None


def _is_value(statement: lang.Statement, value: Any) -> bool:
    number = literal(statement)
    if number is None or value is None:
        return False
    known = torch.as_tensor(value, dtype=torch.float64)
    return number.value.numel() == known.numel() and bool((number.value.reshape(-1) == known.reshape(-1)).all())


def with_sizes_checked(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """The sheet, with sizes that cannot be pinned as an unreadable line."""
    if not sheet.sizes:
        return sheet
    try:
        sizes = checked_sizes(exercise, sheet.sizes, 0)
        entries = sum(math.prod(number(extent, sizes) for extent in q.shape) for q in exercise)
        if entries <= MOST_PINNED:
            return sheet
        reason: str = said(
            "these sizes make {entries} entries; at most {most} are computed", entries=entries, most=MOST_PINNED
        )
    except UsageError as error:
        reason = error.says
    line = sheet.sizes_line
    refused = lang.Unreadable(line, 1, f"# sizes: {', '.join(f'{k}={v}' for k, v in sheet.sizes.items())}", 1, reason)
    return replace(sheet, statements=[refused, *sheet.statements], sizes={})
