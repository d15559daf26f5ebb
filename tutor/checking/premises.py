"""What a sheet says is given: sizes it pins, worked values, and data, which all make no quantity of their own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from tutor.answers import language as lang
from tutor.checking.literals import literal
from tutor.checking.report import NOTES, Sentence
from tutor.checking.rounds import with_one_round
from tutor.checking.set_up import without_data
from tutor.errors import UsageError
from tutor.exercise import Exercise
from tutor.language import said
from tutor.numeric.evaluate import number
from tutor.numeric.sample import checked_sizes

MOST_PINNED = 250_000  # entries of the forward values at sizes that a sheet pins


def prepared(exercise: Exercise, sheet: lang.Sheet) -> lang.Sheet:
    """The sheet without the lines that only say what is given, and with one round of what is done again and again."""
    sheet = with_one_round(exercise, with_sizes_checked(exercise, sheet))
    return without_data(exercise, without_worked_values(exercise, sheet))


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
