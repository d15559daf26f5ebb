"""A teacher's answer key as text, Markdown, HTML and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tutor.grading.handout import spelt
from tutor.language import N_, for_programs, joined, tr
from tutor.shown import json_text
from tutor.views import escaped
from tutor.views.frame import table
from tutor.views.handout import points
from tutor.views.plain import padded
from tutor.views.svg import plain

if TYPE_CHECKING:
    from tutor.grading.key import Answer, AnswerKey, Line, Numbers

FORMS = {"torch": "torch", "index": N_("indices"), "latex": "LaTeX"}
STYLE = """
.tutor .worth { color: var(--soft); }
.tutor .forms td { vertical-align: top; } .tutor .forms code { white-space: pre-wrap; overflow-wrap: anywhere; }
.tutor .forms td:nth-child(2) { color: var(--soft); white-space: nowrap; }
.tutor .forms th { padding-top: 0.8em; }
.tutor .numbers td, .tutor .numbers th { border-bottom: 1px solid var(--edge); font-variant-numeric: tabular-nums; }
@media (max-width: 44rem) {
  .tutor .forms tr { display: block; padding: 0.3em 0; } .tutor .forms td, .tutor .forms th { display: block;
  padding: 0.1em 0; }
}
"""


def _head(key: AnswerKey) -> str:
    title = tr("Answer key: {title}", title=key.title)
    return f"{title}   ({key.learner})" if key.learner else title


def _worth(answer: Answer) -> str:
    return ", ".join(f"{asked.name} {asked.points:g}" for asked in answer.asked)


def _left_out(key: AnswerKey) -> list[str]:
    return [
        tr("{question}: {count} further variants are not listed; --learner ID shows one's own", question=name,
           count=count)
        for name, count in (key.left_out or {}).items()
    ]  # fmt: skip


def _groups(answer: Answer) -> Iterator[tuple[str, list[Line]]]:
    """The lines of each name together: as steps, and then by themselves."""
    for closed in (False, True):
        names = dict.fromkeys(line.name for line in answer.lines if line.closed is closed)
        for name in names:
            lines = [line for line in answer.lines if line.name == name and line.closed is closed]
            given = joined(lines[0].reads)
            if closed and not given:
                head = tr("{name} by itself", name=name)
            elif given:
                head = tr("{name}, given {names}", name=name, names=given)
            else:
                head = name
            yield head, lines


def _numbers(numbers: Numbers) -> tuple[str, str]:
    """What was drawn or is given, and the values there."""
    sizes = ", ".join(f"{name}={extent}" for name, extent in numbers.sizes.items())
    given = ", ".join(f"{name}={spelt(value)}" for name, value in numbers.given.items())
    values = ", ".join(f"{name} = {_value(value)}" for name, value in numbers.values.items())
    return "; ".join(filter(None, (sizes, given))), values


def _value(value: Any) -> str:
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, list) else f"{value + 0.0:.6g}"  # no -0


def _rows(answer: Answer) -> list[tuple[str, str]]:
    return [row for row in map(_numbers, answer.variants) if any(row)]


# -- text --------------------------------------------------------------------------------------------------------------


def text(key: AnswerKey, width: int | None = None) -> str:
    from tutor.views import text as view

    blocks = [_head(key)]
    for number, answer in enumerate(key.answers, 1):
        head = f"{number}. {answer.question}   {answer.title}   {answer.exercise.id}"
        blocks.append(f"{head}\n{'=' * len(head)}\n\n{points(answer.points)}{tr(': ')}{_worth(answer)}")
        blocks.append(view.derivation(answer.derivation, closed=True, width=width))
        blocks.append(tr("Right lines") + tr(":"))
        for said, lines in _groups(answer):
            rows = [f"    {padded(tr(FORMS[line.form]), 8)}   {line.text}" for line in lines]
            blocks.append("\n".join([f"  {said}", *rows]))
        rows = [f"  {given}" + (f"   ->   {values}" if values else "") for given, values in _rows(answer)]
        if rows:
            blocks.append("\n".join([tr("Variants and their numbers") + tr(":"), *rows]))
    return "\n\n".join([*blocks, *_left_out(key)])


# -- Markdown ----------------------------------------------------------------------------------------------------------


def markdown(key: AnswerKey) -> str:
    from tutor.views import markdown as view

    parts = [f"# {escaped.line(_head(key))}"]
    for number, answer in enumerate(key.answers, 1):
        parts.append(f"# {number}. {escaped.line(answer.title)}")
        parts.append(f"{escaped.code(answer.exercise.id)}, {points(answer.points)}{tr(': ')}{_worth(answer)}")
        parts.append(view.derivation(answer.derivation, closed=True).strip())
        parts.append(f"## {tr('Right lines')}")
        for said, lines in _groups(answer):
            parts.append(f"{said}{tr(':')}")
            parts += [f"```{'latex' if line.form == 'latex' else 'python'}\n{line.text}\n```" for line in lines]
        rows = [f"| {given} | {values} |" for given, values in _rows(answer)]
        if rows:
            parts.append("\n".join([f"| {tr('variant')} | {tr('values')} |", "| --- | --- |", *rows]))
    return "\n\n".join([*parts, *_left_out(key)]) + "\n"


# -- HTML --------------------------------------------------------------------------------------------------------------


def html(key: AnswerKey) -> str:
    from tutor.views import html as view

    body = [f"<h1>{plain(_head(key))}</h1>"]
    for number, answer in enumerate(key.answers, 1):
        worth = f"{points(answer.points)}{tr(': ')}{_worth(answer)}"
        body.append(f"<h2>{number}. {plain(answer.title)}</h2>")
        body.append(f'<p><code>{plain(answer.exercise.id)}</code> <span class="worth">{plain(worth)}</span></p>')
        body.append(view.program(answer.exercise))
        body.append(f"<h3>{plain(tr('Derivation'))}</h3>")
        body += view.steps(answer.derivation, closed=True)
        body.append(f"<h3>{plain(tr('Right lines'))}</h3>")
        rows = []
        for said, lines in _groups(answer):
            rows.append(f'<tr><th colspan="2" scope="rowgroup">{plain(said)}</th></tr>')
            rows += [f"<tr><td><code>{plain(line.text)}</code></td><td>{plain(tr(FORMS[line.form]))}</td></tr>"
                     for line in lines]  # fmt: skip
        body.append(f'<table class="forms">{"".join(rows)}</table>')
        body.append(_table(answer))
    body += [f"<p>{plain(said)}</p>" for said in _left_out(key)]
    return view.document(_head(key), body, STYLE)


def _table(answer: Answer) -> str:
    rows = [f"<tr><td>{plain(given)}</td><td>{plain(values)}</td></tr>" for given, values in _rows(answer)]
    made = table("numbers", (tr("variant"), tr("values")), rows)
    head = f"<h3>{plain(tr('Variants and their numbers'))}</h3>"
    return f'{head}<div class="scroll">{made}</div>' if rows else ""


# -- JSON --------------------------------------------------------------------------------------------------------------


@for_programs()
def json(key: AnswerKey) -> str:
    from tutor.views import json as view

    answers = [
        {
            "question": answer.question,
            "exercise": answer.exercise.id,
            "points": {asked.name: asked.points for asked in answer.asked},
            "shapes": {asked.name: asked.shape for asked in answer.asked},
            "lines": [{"name": line.name, "form": line.form, "text": line.text, "reads": list(line.reads),
                       "closed": line.closed} for line in answer.lines],
            "variants": [{"sizes": dict(v.sizes), "instance": dict(v.given), "values": dict(v.values)}
                         for v in answer.variants],
            "derivation": view.derivation_data(answer.derivation, closed=True),
        }
        for answer in key.answers
    ]  # fmt: skip
    document = {"schema": "tutor.answer-key/1", "assignment": key.assignment, "title": key.title,
                "learner": key.learner or None, "left_out": dict(key.left_out or {}), "answers": answers}  # fmt: skip
    return json_text(document) + "\n"
