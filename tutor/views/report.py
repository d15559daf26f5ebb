"""A report as text: verdict, first divergence and its causes, what to do next, then one line per quantity."""

from __future__ import annotations

from typing import Any

# a mark and a word, never colour alone
MARKS = {"correct": "✓", "wrong": "✗", "follows": "~", "undecided": "?", "unreadable": "!"}


def report(r: Any) -> str:
    """The whole report."""
    blocks = [f"{r.exercise}   {r.verdict}   {r.score:g} of {r.max_score:g} points"]
    shown = r.first_divergence or next((line for line in r.lines if line.verdict == r.verdict == "unreadable"), None)
    if shown is not None:
        blocks.append("\n".join(_divergence(shown)))
    blocks.append(f"next: {_next(r)}")
    if r.lines:
        blocks.append("\n".join(_quantities(r.lines)))
    if r.missing:
        blocks.append(f"missing: {', '.join(r.missing)}")
    if r.notes:
        blocks.append("\n".join(f"note: {note}" for note in r.notes))
    return "\n\n".join(blocks)


def _divergence(line: Any) -> list[str]:
    """The learner's own text with a caret, the forward line, shapes, worst entries, the likely mistake, the repair."""
    place = f"{line.place}:  " if line.line else ""
    made = [f"{place}{line.text}"]
    indent = " " * len(place)
    if place:
        made.append(indent + " " * _caret(line) + "^")
    rows = [(line.quantity or "", f"{line.verdict}: {line.reason}")]
    if line.forward:
        rows.append(("forward", line.forward))
    if line.expected_shape is not None:
        rows.append(("shape", _shapes(line)))
    for n, entry in enumerate(line.worst):
        at = "".join(f"[{', '.join(map(str, entry.index))}]" if entry.index else "")
        rows.append(("" if n else "worst", f"{line.quantity}{at} = {entry.given:.6g}, true is {entry.expected:.6g}"))
    for n, mistake in enumerate(line.mistakes):
        rows.append(("" if n else "likely", f"{mistake.id}: {mistake.message}"))
    if line.repair is not None:
        rows.append(("fix", _fix(line.repair)))
    width = max(len(label) for label, _ in rows)
    return made + [f"{indent}{label.ljust(width)}   {text}" for label, text in rows]


def _fix(repair: Any) -> str:
    if not repair.new:
        return f"column {repair.column}: leave out {repair.old}"
    return f"column {repair.column}: {repair.old} -> {repair.new}"


def _caret(line: Any) -> int:
    """Where the fault is in the text, which begins at the statement's first column."""
    at = line.repair.column if line.repair is not None else line.column
    start = line.start or line.column
    return max(0, min(at - start, max(len(line.text) - 1, 0)))


def _shapes(line: Any) -> str:
    expected = _shape(line.expected_shape)
    if line.shape is None or tuple(line.shape) == tuple(line.expected_shape):
        return expected
    return f"yours {_shape(line.shape)}, true {expected}"


def _shape(shape: Any) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})" if shape else "a number"


def _next(r: Any) -> str:
    from tutor.checking.report import NEXT

    return r.next.render(NEXT)


def _quantities(lines: Any) -> list[str]:
    words = max(len(line.verdict) for line in lines)
    names = max(len(line.quantity or "") for line in lines)
    numbers = max(len(line.place) for line in lines)
    return [
        f"  {MARKS[line.verdict]} {line.verdict.ljust(words)}   {(line.quantity or '').ljust(names)}   "
        f"{f'{line.place.ljust(numbers)}   ' if line.line else ''}{line.reason}"
        for line in lines
    ]
