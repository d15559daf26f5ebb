"""A report as text: verdict, first divergence and its causes, what to do next, then one line per quantity."""

from __future__ import annotations

from html import escape
from typing import Any

from tutor.language import N_, joined, tr
from tutor.shown import shown_shape
from tutor.views.plain import columns, padded

# a mark and a word, never colour alone
MARKS = {"correct": "✓", "wrong": "✗", "follows": "~", "undecided": "?", "unreadable": "!"}
VERDICTS = {
    "correct": N_("correct"),
    "wrong": N_("wrong"),
    "follows": N_("follows"),
    "undecided": N_("undecided"),
    "unreadable": N_("unreadable"),
    "incomplete": N_("incomplete"),
}


def report(r: Any) -> str:
    """The whole report."""
    blocks = [f"{r.exercise}   {_word(r.verdict)}   {_points(r)}"]
    shown = _shown(r)
    if shown is not None:
        blocks.append("\n".join(_divergence(shown)))
    blocks.append(_next(r))
    if r.lines:
        blocks.append("\n".join(_quantities(r.lines)))
    if r.missing:
        blocks.append(_missing(r))
    if told := notes(r):
        blocks.append("\n".join(told))
    return "\n\n".join(blocks)


def notes(r: Any) -> list[str]:
    """What the report notes, and at the end how it is to be read."""
    return [tr("note: {note}", note=note) for note in (*r.notes, *_explained(r))]


def _explained(r: Any) -> list[str]:
    """What `follows` means, and what it is worth, where something follows."""
    if all(line.verdict != "follows" for line in r.lines):
        return []
    means = tr('"follows" means: not the true value, but sound given those of yours that it reads; it earns its points')
    costs = tr(
        "a mistake costs once: its own points or, where it is not asked for, those of the first asked quantity that "
        "follows from it"
    )
    return [means, costs]


def _shown(r: Any) -> Any:
    """The line that is looked at closely: the first divergence, or what could not be read."""
    return r.first_divergence or next((line for line in r.lines if line.verdict == r.verdict == "unreadable"), None)


def _divergence(line: Any) -> list[str]:
    """The learner's own text with a caret, then the details."""
    place = f"{line.place}{tr(':')}  " if line.line else ""
    indent = " " * columns(place)
    made = [f"{place}{line.text}", indent + " " * _caret(line) + "^"] if place else []
    rows = _details(line)
    width = max(columns(label) for label, _ in rows)
    return made + [f"{indent}{padded(label, width)}   {text}" for label, text in rows]


def _details(line: Any) -> list[tuple[str, str]]:
    """What is wrong, the forward line, shapes, worst entries, the likely mistake, the repair."""
    rows = [(line.quantity or "", f"{_word(line.verdict)}{tr(': ')}{line.reason}")]
    if line.forward:
        rows.append((tr("forward"), line.forward))
    if line.expected_shape is not None:
        rows.append((tr("shape"), _shapes(line)))
    for n, entry in enumerate(line.worst):
        at = "".join(f"[{', '.join(map(str, entry.index))}]" if entry.index else "")
        says = tr("{entry} = {given:.6g}, true is {true:.6g}", entry=f"{line.quantity}{at}", given=entry.given,
                  true=entry.expected)  # fmt: skip
        rows.append(("" if n else tr("worst"), says))
    if line.worst and line.at:
        rows.append(("", f"({line.at})"))
    for n, mistake in enumerate(line.mistakes):
        rows.append(("" if n else tr("likely"), f"{tr(mistake.id)}{tr(': ')}{mistake.message}"))
    if line.repair is not None:
        rows.append((tr("fix"), _fix(line.repair)))
    return rows


def _fix(repair: Any) -> str:
    if not repair.new:
        return tr("{place}: leave out {old}", place=repair.place, old=repair.old)
    return tr("{place}: {old} -> {new}", place=repair.place, old=repair.old, new=repair.new)


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
    return tr("yours {shape}, true {expected}", shape=_shape(line.shape), expected=expected)


def _shape(shape: Any) -> str:
    return shown_shape(shape) if shape else tr("a number")


def _next(r: Any) -> str:
    from tutor.checking.report import NEXT

    what = r.next.render(NEXT)
    return str(what) if r.correct else tr("next: {what}", what=what)


def _word(verdict: str) -> str:
    return tr(VERDICTS[verdict])


def _points(r: Any) -> str:
    return tr("{score:g} of {most:g} points", score=r.score, most=r.max_score)


def _missing(r: Any) -> str:
    return tr("missing: {names}", names=joined(r.missing))


def _quantities(lines: Any) -> list[str]:
    shown = [(_word(line.verdict), line.quantity or "", str(line.place)) for line in lines]
    words, names, places = (max(map(columns, column)) for column in zip(*shown, strict=True))
    return [
        f"  {MARKS[line.verdict]} {padded(word, words)}   {padded(name, names)}   "
        f"{f'{padded(place, places)}   ' if line.line else ''}{line.reason}"
        for line, (word, name, place) in zip(lines, shown, strict=True)
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
    parts = [f"<p><b>{escape(r.exercise)}</b> &nbsp; {escape(_word(r.verdict))} &nbsp; {escape(_points(r))}</p>"]
    shown = _shown(r)
    if shown is not None:
        caret = f"\n{' ' * _caret(shown)}^" if shown.line else ""
        text = f"<p>{escape(str(shown.place))}</p><pre>{escape(shown.text)}{caret}</pre>" if shown.line else ""
        parts.append(text + _table([(f"<b>{escape(label)}</b>", escape(words)) for label, words in _details(shown)]))
    parts.append(f"<p>{escape(_next(r))}</p>")
    parts.append(_table([_row(line) for line in r.lines]))
    if r.missing:
        parts.append(f"<p>{escape(_missing(r))}</p>")
    return parts + [f'<p class="why">{escape(told)}</p>' for told in notes(r)]


def _row(line: Any) -> tuple[str, ...]:
    mark = f'<span style="color: {COLOURS[line.verdict]}">{MARKS[line.verdict]} {_word(line.verdict)}</span>'
    text = line.text if line.line else ""
    return (
        mark,
        f"<code>{escape(line.quantity or '')}</code>",
        escape(str(line.place)) if line.line else "",
        f"<code>{escape(text)}</code>",
        f'<span class="why">{escape(str(line.reason))}</span>',
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>" if rows else ""
