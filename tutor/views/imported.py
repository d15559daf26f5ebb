"""What `tutor import` made of a model: what stands in it, how well it agrees, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sympy import Integer

from tutor.language import ntr, tr
from tutor.shown import quoted
from tutor.symbolic.notation import shape_text
from tutor.views.plain import columns

SHOWN, FEW = 6, 4  # names in a row; of them with shapes


def summary(brought: Any, path: Path | None) -> str:
    exercise = brought.exercise
    rows = [
        (tr("steps"), _program(exercise)),
        (tr("loss"), _loss(brought)),
        (tr("sizes"), ", ".join(f"{name}={number}" for name, number in _sizes(exercise).items()) or tr("none")),
        (tr("pinned"), _some(_pinned(exercise))),
        (tr("inputs"), _named(exercise, "input")),
        (tr("asked"), _asked(exercise)),
        (tr("agrees"), _agreement(brought.verification)),
    ]
    wide = max(columns(name) for name, text in rows if text)
    lines = [f"{exercise.name}   {_origin(brought)}", ""]
    lines += [f"  {name}{' ' * (wide - columns(name))}   {text}" for name, text in rows if text]
    lines += [f"  {tr('note: {note}', note=note)}" for note in brought.notes]
    if path is not None:
        lines += ["", *_next(exercise, path)]
    return "\n".join(lines)


def _origin(brought: Any) -> str:
    if brought.guessed:
        return tr("from {origin} (no name was given)", origin=brought.origin)
    return tr("from {origin}", origin=brought.origin)


def _program(exercise: Any) -> str:
    steps = sum(1 for q in exercise if q.kind in ("step", "loss", "output"))
    parameters = [q for q in exercise if q.kind == "parameter"]
    text = ntr("{number} step", "{number} steps", steps, number=steps)
    if not parameters:
        return text
    sizes = {exercise.size_symbols[name]: number for name, number in _sizes(exercise).items()}
    entries = sum(int(math.prod(Integer(1) * n for n in q.shape).subs(sizes)) if q.shape else 1 for q in parameters)
    count = len(parameters)
    return f"{text}, " + ntr(
        "{number} parameter with {entries:,} entries", "{number} parameters with {entries:,} entries", count,
        number=count, entries=entries,
    )  # fmt: skip


def _loss(brought: Any) -> str:
    if brought.loss == "none":
        ends = [q for q in brought.exercise.ends if q.kind == "output"]
        if not ends:
            return tr("{name}, which the model computes itself", name=brought.exercise.ends[0].name)
        upstream = ", ".join(f"d{q.name}" for q in ends)
        return tr("none: a layer, given from above: {upstream}", upstream=upstream)
    return tr(brought.loss)


def _sizes(exercise: Any) -> dict[str, int]:
    return exercise.full_sizes[0] if exercise.full_sizes else {}


def _pinned(exercise: Any) -> list[str]:
    """Axes with a number instead of a size: the model works with no other."""
    return [
        f"{q.name} {shape_text(q.shape)}"
        for q in exercise
        if q.is_leaf and any(n.is_Integer and n > 1 for n in q.shape)
    ]


def _named(exercise: Any, kind: str) -> str:
    return _some([f"{q.name} {shape_text(q.shape)}" for q in exercise if q.kind == kind])


def _asked(exercise: Any) -> str:
    """With shapes where they are few."""
    few = len(exercise.asked) <= FEW
    return _some([f"d{name} {shape_text(exercise[name].shape)}" if few else f"d{name}" for name in exercise.asked])


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (", " + tr("and {count} more", count=more) if more > 0 else "")


def _agreement(verification: Any) -> str:
    """The largest errors over all quantities."""
    if verification is None:
        return ""
    ours = [error for row in verification.rows for error in (row.autograd, row.reference) if error is not None]
    slopes = [row.differences for row in verification.rows if row.differences is not None]
    parts = [tr("with torch's autograd to {error:.1e}", error=max(ours))] if ours else []
    parts += [tr("with finite differences to {error:.1e}", error=max(slopes))] if slopes else []
    return ", ".join(parts)


def _next(exercise: Any, path: Path) -> list[str]:
    file, asked = quoted(path), next(iter(exercise.asked), "")
    commands = [f"tutor show {file}", f"tutor derive {file} --wrt {asked}", f"tutor start {file}"]
    return [tr("written: {path}", path=file), "", *(f"  {command}" for command in commands)]
