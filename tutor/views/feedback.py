"""What a learner is told of a grade: text, Markdown, a page of its own, plain data. It adds nothing to a `Feedback`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tutor.language import current, in_its_language, tr
from tutor.shown import json_text
from tutor.views import escaped
from tutor.views.frame import SHEET, WORDS, document, sheet, sheet_cell, sheet_line, table, verdict
from tutor.views.plain import columns, padded
from tutor.views.report import MARKS
from tutor.views.svg import plain

if TYPE_CHECKING:
    from tutor.grading.feedback import Feedback, LineShown, QuestionShown

SCHEMA = "tutor.feedback/1"
STYLE = (
    SHEET
    + """
.tutor .points { font-size: 1.5rem; font-weight: 700; margin: 0.3em 0; }
.tutor .points small { font-size: 1rem; font-weight: 400; color: var(--soft); }
.tutor h2 .worth { float: right; font-weight: 400; font-size: 1rem; padding-left: 1em; }
.tutor .asked { margin: 1em 0; } .tutor .asked td, .tutor .asked th { vertical-align: top; }
.tutor .sheet { margin: 1em 0; } .tutor .said .first { display: block; font-weight: 700; }
.tutor .asked th { font-weight: 600; }
.tutor .asked .number { white-space: nowrap; font-variant-numeric: tabular-nums; }
.tutor .said ul { margin: 0.1em 0 0.3em; padding-left: 1.2em; }
.tutor .card.told { border-left-color: var(--back); } .tutor .card.told p { margin: 0.4em 0; }
.tutor .card.told h3 { margin-top: 0.5em; }
"""
)


def number(points: float) -> str:
    """`2`, `2.5`, `0.33`"""
    return f"{points:.2f}".rstrip("0").rstrip(".")


def points_of(points: float | None, most: float) -> str:
    """`2.5 of 3 points`"""
    if points is None:
        return tr("not known yet, of {most} points", most=number(most))
    return tr("{score} of {most} points", score=number(points), most=number(most))


def _place(line: LineShown) -> str:
    from tutor.grading.feedback import place

    return place(line.line, line.cell)


def _word(line: LineShown) -> str:
    return "" if line.verdict is None else f"{MARKS[line.verdict]} {tr(WORDS[line.verdict])}"


# -- text ------------------------------------------------------------------------------------------------------------


@in_its_language
def text(f: Feedback) -> str:
    """Everything, for a terminal or a system that shows plain text."""
    head = f"{f.title}   {points_of(f.points, f.max_points)}"
    blocks = [head + (f"\n{f.person or f.learner}" if f.person or f.learner else "")]
    if f.notes:
        blocks.append("\n".join(f.notes))
    if f.problems:
        blocks.append("\n".join([tr("About your files:"), *(f"  {name}{tr(': ')}{what}" for name, what in f.problems)]))
    return "\n\n".join([*blocks, *(block for question in f.questions for block in _text(question))]) + "\n"


def _text(q: QuestionShown) -> Iterator[str]:
    name = "" if q.title == q.question else f"{q.question}   "
    head = [f"{name}{q.title}   {points_of(q.points, q.max_points)}"]
    if q.file:
        head.append(q.file)
    yield "\n".join([*head, *q.notes])
    if q.comment:
        yield tr("Your teacher writes: {comment}", comment=q.comment)
    if rows := _asked(q):
        yield _columns(rows)
    if q.lines:
        yield "\n".join(line for each in q.lines for line in _text_line(each))
    if q.derivation:
        yield tr("The derivation is on the page of this grade.")


def _columns(rows: Sequence[tuple[str, str, str]]) -> str:
    widths = [max(columns(row[c]) for row in rows) for c in range(3)]
    made = ("   ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"  {row.rstrip()}" for row in made)


def _asked(q: QuestionShown) -> list[tuple[str, str, str]]:
    """(asked name, what it has earned, why not all of it)"""
    if not q.earned:
        return []
    return [
        (name, points_of(q.earned.get(name, 0.0), q.worth[name]), q.reasons.get(name, ""))
        if name in q.worth
        else (name, number(q.earned[name]), q.reasons.get(name, ""))
        for name in dict.fromkeys([*q.worth, *q.earned])
    ]


def _text_line(line: LineShown) -> Iterator[str]:
    if line.diverges:
        yield "> " + tr("the first line that diverges:")
    yield f"  {_place(line)}{tr(': ')}{line.text}"
    said = [part for part in (_word(line), line.reason) if part]
    if said:
        yield f"      {tr(': ').join(said)}"
    yield from (f"      - {mistake}" for mistake in line.mistakes)


# -- Markdown --------------------------------------------------------------------------------------------------------


@in_its_language
def markdown(f: Feedback) -> str:
    """The same as Markdown; what learners and teachers wrote has no meaning in it."""
    made = [f"# {escaped.text(f.title)}", f"**{points_of(f.points, f.max_points)}**"]
    if f.person or f.learner:
        made.append(escaped.text(f.person or f.learner))
    made += [escaped.text(note) for note in f.notes]
    if f.problems:
        made.append("\n".join(f"- {escaped.code(name)}{tr(': ')}{escaped.text(what)}" for name, what in f.problems))
    for question in f.questions:
        made += _markdown(question)
    return "\n\n".join(made) + "\n"


def _markdown(q: QuestionShown) -> Iterator[str]:
    yield f"## {escaped.text(q.title)}{tr(': ')}{points_of(q.points, q.max_points)}"
    yield from (escaped.text(note) for note in q.notes)
    if q.comment:
        yield "> " + escaped.text(tr("Your teacher writes: {comment}", comment=q.comment)).replace("\n", "\n> ")
    if rows := _asked(q):
        made = (
            f"- {escaped.code(name)}{tr(': ')}{had}" + (f" ({escaped.text(why)})" if why else "")
            for name, had, why in rows
        )
        yield "\n".join(made)
    for line in q.lines:
        said = tr(": ").join(escaped.text(part) for part in (_word(line), line.reason) if part)
        first = f" **{escaped.text(tr('the first line that diverges'))}**" if line.diverges else ""
        shown = f"{escaped.text(_place(line))}{tr(': ')}{escaped.code(line.text)}{first}"
        yield "\n".join(
            [f"- {shown}", *([f"  {said}"] if said else []), *(f"  - {escaped.text(m)}" for m in line.mistakes)]
        )
    if q.derivation:
        yield escaped.text(tr("The derivation is on the page of this grade."))


# -- a page ----------------------------------------------------------------------------------------------------------


@in_its_language
def html(f: Feedback) -> str:
    """A page that stands alone: nothing is fetched, and nothing runs."""
    who = f"<p>{plain(f.person)} <code>{plain(f.learner)}</code></p>" if f.person else f"<p>{plain(f.learner)}</p>"
    body = [f"<h1>{plain(f.title)}</h1>", who, _points(f)]
    body += [f"<p>{plain(sentence(note))}</p>" for note in f.notes]
    if f.problems:
        rows = "".join(
            f"<li><code>{plain(name)}</code>{plain(tr(': '))}{plain(what)}</li>" for name, what in f.problems
        )
        body.append(f'<section class="card told"><h2>{plain(tr("About your files"))}</h2><ul>{rows}</ul></section>')
    for question in f.questions:
        body += _question(question)
    return document(f.title, body, STYLE)


def _points(f: Feedback) -> str:
    if f.points is None:
        return f'<p class="points">{plain(points_of(None, f.max_points))}</p>'
    of = plain(tr("of {most} points", most=number(f.max_points)))
    return f'<p class="points">{number(f.points)} <small>{of}</small></p>'


def sentence(text: str) -> str:
    """As it stands alone."""
    return text[:1].upper() + text[1:]


def _question(q: QuestionShown) -> Iterator[str]:
    worth = f'<span class="worth">{plain(points_of(q.points, q.max_points))}</span>'
    yield f"<section><h2>{worth}{plain(q.title)}</h2>"
    shown = [verdict(q.verdict)] if q.verdict else []
    shown += [f"<code>{plain(q.exercise)}</code>"]
    shown += [plain(tr("file: {name}", name=q.file))] if q.file else []
    yield f"<p>{' &#160; '.join(shown)}</p>"
    yield from (f"<p>{plain(sentence(note))}</p>" for note in q.notes)
    if q.comment:
        words = "".join(f"<p>{plain(part)}</p>" for part in q.comment.split("\n") if part.strip())
        yield f'<div class="card told"><h3>{plain(tr("Your teacher writes"))}</h3>{words}</div>'
    yield _asked_table(q)
    yield _sheet(q)
    if q.derivation:
        yield f"<details><summary>{plain(tr('The derivation, step by step'))}</summary>{q.derivation}</details>"
    yield "</section>"


def _asked_table(q: QuestionShown) -> str:
    rows = "".join(
        f'<tr><th scope="row"><code>{plain(name)}</code></th><td class="number">{plain(had)}</td>'
        f"<td>{plain(why)}</td></tr>"
        for name, had, why in _asked(q)
    )
    heads = (tr("asked"), tr("earned"), tr("why")) if any(q.reasons.values()) else (tr("asked"), tr("earned"))
    return table("asked", heads, [rows]) if rows else ""


def _sheet(q: QuestionShown) -> str:
    """The lines of the sheet that something is said of, those of a notebook by its cells."""
    if not q.lines:
        return ""
    rows = []
    for cell, lines in groupby(q.lines, key=lambda line: line.cell):
        if cell is not None:
            rows.append(sheet_cell(cell))
        rows += [_row(list(same)) for _, same in groupby(lines, key=lambda line: (line.line, line.text))]
    return sheet(tr("your sheet"), rows)


def _row(lines: Sequence[LineShown]) -> str:
    said = "<br/>".join(map(_said, lines))
    return sheet_line(lines[0].line, lines[0].text, said, here=any(line.diverges for line in lines))


def _said(line: LineShown) -> str:
    named = "" if line.quantity is None or line.text.startswith(line.quantity) else line.quantity
    return _told(line.diverges, line.verdict, named, line.reason, line.mistakes, current())


@lru_cache(maxsize=4096)
def _told(diverges: bool, found: str | None, named: str, reason: str, mistakes: tuple[str, ...], language: str) -> str:
    """What is said of a line, which is the same for many; `named` is a quantity that the line does not say itself."""
    first = plain(sentence(tr("the first line that diverges")))
    parts = [f'<span class="first">{first}</span>'] if diverges else []
    parts += [verdict(found)] if found else []
    if named:
        parts.append(f"<code>{plain(named)}</code>")
    if reason:
        parts.append(f'<span class="why">{plain(reason)}</span>')
    listed = "".join(f"<li>{plain(mistake)}</li>" for mistake in mistakes)
    return " ".join(parts) + (f"<ul>{listed}</ul>" if listed else "")


# -- data ------------------------------------------------------------------------------------------------------------


def to_dict(f: Feedback) -> dict[str, Any]:
    """Plain data, in the assignment's language."""
    return {
        "schema": SCHEMA,
        "assignment": f.assignment,
        "title": f.title,
        "learner": f.learner,
        "person": f.person,
        "language": f.language,
        "points": f.points,
        "max_points": f.max_points,
        "notes": list(f.notes),
        "problems": [{"file": name, "message": what} for name, what in f.problems],
        "questions": [_question_dict(question) for question in f.questions],
    }


def _question_dict(q: QuestionShown) -> dict[str, Any]:
    return {
        "question": q.question,
        "title": q.title,
        "exercise": q.exercise,
        "points": q.points,
        "max_points": q.max_points,
        "earned": dict(q.earned),
        "worth": dict(q.worth),
        "reasons": dict(q.reasons),
        "attempts": list(q.attempts),
        "file": q.file,
        "verdict": q.verdict,
        "lines": [_line_dict(line) for line in q.lines],
        "missing": list(q.missing),
        "notes": list(q.notes),
        "comment": q.comment,
        "derivation": q.derivation,
    }


def _line_dict(line: LineShown) -> dict[str, Any]:
    return {
        **({} if line.cell is None else {"cell": line.cell}),
        "line": line.line,
        "text": line.text,
        "quantity": line.quantity,
        "verdict": line.verdict,
        "reason": line.reason,
        "mistakes": list(line.mistakes),
        "diverges": line.diverges,
    }


def json(f: Feedback) -> str:
    return json_text(to_dict(f)) + "\n"
