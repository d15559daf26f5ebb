"""A report as text: verdict, first divergence and its causes, what to do next, then one line per quantity."""

from __future__ import annotations

from html import escape
from typing import Any

from tutor.shown import shown_shape

# a mark and a word, never colour alone
MARKS = {"correct": "✓", "wrong": "✗", "follows": "~", "undecided": "?", "unreadable": "!"}


def report(r: Any) -> str:
    """The whole report."""
    blocks = [f"{r.exercise}   {r.verdict}   {r.score:g} of {r.max_score:g} points"]
    shown = _shown(r)
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


def _shown(r: Any) -> Any:
    """The line that is looked at closely: the first divergence, or what could not be read."""
    return r.first_divergence or next((line for line in r.lines if line.verdict == r.verdict == "unreadable"), None)


def _divergence(line: Any) -> list[str]:
    """The learner's own text with a caret, then the details."""
    place = f"{line.place}:  " if line.line else ""
    indent = " " * len(place)
    made = [f"{place}{line.text}", indent + " " * _caret(line) + "^"] if place else []
    rows = _details(line)
    width = max(len(label) for label, _ in rows)
    return made + [f"{indent}{label.ljust(width)}   {text}" for label, text in rows]


def _details(line: Any) -> list[tuple[str, str]]:
    """What is wrong, the forward line, shapes, worst entries, the likely mistake, the repair."""
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
    return rows


def _fix(repair: Any) -> str:
    if not repair.new:
        return f"{repair.place}: leave out {repair.old}"
    return f"{repair.place}: {repair.old} -> {repair.new}"


def _caret(line: Any) -> int:
    """Where the fault is in the text, which begins at the statement's first column."""
    here = line.repair is not None and line.repair.line is None
    at = line.repair.column if here else line.column
    start = line.start or line.column
    return max(0, min(at - start, max(len(line.text) - 1, 0)))


def _shapes(line: Any) -> str:
    expected = _shape(line.expected_shape)
    if line.shape is None or tuple(line.shape) == tuple(line.expected_shape):
        return expected
    return f"yours {_shape(line.shape)}, true {expected}"


def _shape(shape: Any) -> str:
    return shown_shape(shape) if shape else "a number"


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


# -- in a notebook ------------------------------------------------------------------------------------

COLOURS = {
    "correct": "#1a7f37",
    "wrong": "#cf222e",
    "unreadable": "#cf222e",
    "follows": "#9a6700",
    "undecided": "#57606a",
}


def fragment(r: Any) -> list[str]:
    """The same as HTML: parts of a page that needs nothing from elsewhere."""
    parts = [
        f"<p><b>{escape(r.exercise)}</b> &nbsp; {escape(r.verdict)} &nbsp; {r.score:g} of {r.max_score:g} points</p>"
    ]
    shown = _shown(r)
    if shown is not None:
        caret = f"\n{' ' * _caret(shown)}^" if shown.line else ""
        text = f"<p>{escape(shown.place)}</p><pre>{escape(shown.text)}{caret}</pre>" if shown.line else ""
        parts.append(text + _table([(f"<b>{escape(label)}</b>", escape(words)) for label, words in _details(shown)]))
    parts.append(f"<p>next: {escape(_next(r))}</p>")
    parts.append(_table([_row(line) for line in r.lines]))
    if r.missing:
        parts.append(f"<p>missing: {escape(', '.join(r.missing))}</p>")
    parts += [f'<p class="why">note: {escape(note)}</p>' for note in r.notes]
    return parts


def _row(line: Any) -> tuple[str, ...]:
    mark = f'<span style="color: {COLOURS[line.verdict]}">{MARKS[line.verdict]} {line.verdict}</span>'
    text = line.text if line.line else ""
    return (
        mark,
        f"<code>{escape(line.quantity or '')}</code>",
        escape(line.place) if line.line else "",
        f"<code>{escape(text)}</code>",
        f'<span class="why">{escape(line.reason)}</span>',
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>" if rows else ""
