"""A handout as Markdown, HTML, a notebook, and the sheets to fill in.

Formulas stand in the letters of a sheet in Markdown and in the notebook, inside of blocks of plain text: what is handed
in together with the answers is then not taken for one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tutor.answers import blank, documents
from tutor.language import ntr, of_exercise, tr
from tutor.symbolic.notation import LatexWriter, SheetWriter, shape_text
from tutor.views import escaped, html, ipynb
from tutor.views.frame import table
from tutor.views.svg import plain

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.grading.handout import Asking, Handout

STATEMENT, PAGE, NOTEBOOK = "statement.md", "statement.html", "statement.ipynb"
STYLE = """
.tutor .facts { border: 1px solid var(--edge); border-left: 6px solid var(--back); border-radius: 6px;
  padding: 0.1em 1em; margin: 1em 0; }
.tutor .facts p { margin: 0.5em 0; }
.tutor .worth th, .tutor .worth td { border-bottom: 1px solid var(--edge); padding: 0.3em 1.4em 0.3em 0; }
.tutor .worth td:last-child, .tutor .worth th:last-child { text-align: right; padding-right: 0;
  font-variant-numeric: tabular-nums; }
.tutor .worth tr:last-child td { border-bottom: none; font-weight: 600; }
.tutor .own { background: var(--ground); border-radius: 6px; padding: 0.1em 0.8em; }
.tutor .own p { margin: 0.5em 0; } .tutor .own code { padding: 0; font-weight: 600; }
.tutor .points { color: var(--soft); font-weight: 400; font-size: 0.8em; white-space: nowrap; }
.tutor .contents { padding-left: 1.4em; } .tutor h2 { margin-top: 2.2em; }
.tutor .contents li { margin: 0.2em 0; }
"""


def files(h: Handout) -> dict[str, str]:
    """Everything of a bundle, by its name."""
    made = {STATEMENT: markdown(h), PAGE: page(h), NOTEBOOK: notebook(h)}
    return made | {question.sheet: sheet(question) for question in h.questions}


# -- words that every view has ----------------------------------------------------------------------------------


def points(worth: float) -> str:
    return ntr("{points} point", "{points} points", 1 if worth == 1 else 2, points=f"{worth:g}")


def _facts(h: Handout) -> list[tuple[str, str]]:
    found = [(tr("For"), f"{h.person} ({h.learner})" if h.person else h.learner)] if h.learner else []
    found += [(tr("Due"), h.due)] if h.due else []
    return [*found, (tr("Worth"), points(h.points))]


def _own(question: Asking, code: Any) -> list[str]:
    """What is this learner's alone; `code` spells what is typed."""
    made = []
    if question.of_family:
        member = code(question.exercise.id)
        says = tr("Your variant: {member}. Where the text speaks of others too, the forward program is yours.",
                  member=member)  # fmt: skip
        made.append(says)
    if question.sizes:
        sizes = code(", ".join(f"{name}={extent}" for name, extent in question.sizes))
        made.append(tr("Your sizes: {sizes}. The sheet says so in its second line; leave it there.", sizes=sizes))
    if question.numbers:
        numbers = code(", ".join(f"{name}={value}" for name, value in question.numbers))
        made.append(tr("Your numbers: {numbers}. Where the text has other numbers, yours count.", numbers=numbers))
    return made


def _how(h: Handout, code: Any) -> list[str]:
    """How to hand in, then what counts."""
    sheets = [code(question.sheet) for question in h.questions]
    first = ntr(
        "Put your formulas in place of the dots in {sheets}, and hand that file in under this name. Leave its first "
        "line as it is: it says which exercise the sheet is for.",
        "Put your formulas in place of the dots in {sheets}, and hand these files in under these names. Leave their "
        "first lines as they are: they say which exercise a sheet is for.",
        len(sheets),
        sheets=", ".join(sheets),
    )
    other = tr(
        "Or answer in {notebook}, and hand in that. Any text editor will do; nothing that you hand in is run.",
        notebook=code(NOTEBOOK),
    )
    return [first, other]


# -- Markdown ----------------------------------------------------------------------------------------------------


def markdown(h: Handout) -> str:
    """The whole statement."""
    parts = _head(h)
    for number, question in enumerate(h.questions, 1):
        parts += [*_put(number, question), f"{tr('Sheet')}: {escaped.code(question.sheet)}"]
    return "\n\n".join([*parts, *_last(h)]) + "\n"


def _head(h: Handout) -> list[str]:
    return [
        f"# {escaped.line(h.title)}",
        "\n".join(f"* {escaped.line(word)}: {escaped.line(said)}" for word, said in _facts(h)),
    ]


def _put(number: int, question: Asking) -> list[str]:
    """A question in Markdown: its text, the program, what is the learner's own, and what is asked."""
    ex = question.exercise
    facts = _facts_of(ex)
    return [
        f"## {number}. {escaped.line(question.title)} ({points(question.points)})",
        *_own(question, escaped.code),
        *([_inert(of_exercise(ex.statement.strip()))] if ex.statement.strip() else []),
        tr("The forward program in the letters of a sheet, with the shapes:"),
        escaped.block("\n".join(blank.program_rows(ex))),
        *([tr("Facts you may use") + tr(":"), escaped.block("\n".join(facts))] if facts else []),
        f"{_asked_text(question)}{tr(':')}",
        _table(question),
    ]


def _asked_text(question: Asking) -> str:
    return tr("Asked here, whatever the text asks for") if question.chosen else tr("Asked")


def _table(question: Asking) -> str:
    rows = [(tr("asked"), tr("shape"), tr("points")), ("---", "---", "---:")]
    rows += [(escaped.code(a.name), escaped.code(a.shape) if a.shape != "()" else tr("a number"), f"{a.points:g}")
             for a in question.asked]  # fmt: skip
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _last(h: Handout) -> list[str]:
    return [
        f"## {tr('How to hand in')}",
        *_how(h, escaped.code),
        f"## {tr('What counts')}",
        "\n".join(f"* {rule}" for rule in h.rules),
    ]


def _inert(statement: str) -> str:
    """A statement in which a reader of answers finds none: as it stands where that holds, else as plain text."""
    return (
        escaped.block(statement) if any(part.blocks for part in documents.parts(statement, "markdown")) else statement
    )


def _facts_of(ex: Exercise) -> list[str]:
    writer = SheetWriter(ex)
    return [f"{writer.write(fact.left)} = {writer.write(fact.right)}" for fact in ex.facts]


# -- the sheets ----------------------------------------------------------------------------------------------------


def sheet(question: Asking) -> str:
    worth = ", ".join(f"{asked.name} {asked.points:g}" for asked in question.asked)
    advice = [
        *_own(question, str),
        tr("Points: {worth}.", worth=worth),
        tr(
            "Put your formulas in place of the dots, in torch's spelling (x.T @ dz) or with indices; lines for other "
            "gradients may stand in between. Then hand in this file as {name}.",
            name=question.sheet,
        ),
    ]
    return blank.sheet(question.exercise, question.headers, advice, title=" ".join(question.title.split()))


# -- the notebook --------------------------------------------------------------------------------------------------


def notebook(h: Handout) -> str:
    """The statement in text cells, and a cell to answer each question in."""
    answer = tr("Your answer, in place of the dots; it is read and never run:")
    cells = [ipynb.markdown("about", "\n\n".join(_head(h)))]
    for number, question in enumerate(h.questions, 1):
        lines = [*question.headers, *(f"{asked.name} = ..." for asked in question.asked)]
        cells.append(ipynb.markdown(f"question-{number}", "\n\n".join([*_put(number, question), answer])))
        cells.append(ipynb.code(f"answer-{number}", "\n".join(lines)))
    rest = [tr("Save this notebook and hand it in, or the sheets beside it. Leave the first line of a cell as it is."),
            f"## {tr('What counts')}", "\n".join(f"* {rule}" for rule in h.rules)]  # fmt: skip
    cells.append(ipynb.markdown("rules", "\n\n".join(rest)))
    return ipynb.notebook(cells)


# -- HTML ------------------------------------------------------------------------------------------------------------


def page(h: Handout) -> str:
    """The statement as a page that stands alone."""
    facts = "".join(f"<p><b>{plain(word)}</b> &#160; {plain(said)}</p>" for word, said in _facts(h))
    body = [f"<h1>{plain(h.title)}</h1>", f'<div class="facts">{facts}</div>']
    if len(h.questions) > 1:
        body.append(_contents(h.questions))
    for number, question in enumerate(h.questions, 1):
        body += _asked(number, question)
    body.append(f"<h2>{plain(tr('How to hand in'))}</h2>")
    body += [f"<p>{said}</p>" for said in _how(h, _html_code)]
    rules = "".join(f"<li>{plain(str(rule))}</li>" for rule in h.rules)
    body.append(f"<h2>{plain(tr('What counts'))}</h2><ul>{rules}</ul>")
    return html.document(h.title, body, STYLE)


def _html_code(text: str) -> str:
    return f"<code>{plain(text)}</code>"


def _contents(questions: Sequence[Asking]) -> str:
    rows = "".join(
        f'<li><a href="#question-{number}">{plain(question.title)}</a> '
        f'<span class="points">{plain(points(question.points))}</span></li>'
        for number, question in enumerate(questions, 1)
    )
    return f'<ol class="contents">{rows}</ol>'


def _asked(number: int, question: Asking) -> list[str]:
    ex = question.exercise
    worth = f'<span class="points">{plain(points(question.points))}</span>'
    own = _own(question, _html_code)
    return [
        f'<h2 id="question-{number}">{number}. {plain(question.title)} {worth}</h2>',
        f'<div class="own">{"".join(f"<p>{said}</p>" for said in own)}</div>' if own else "",
        html.statement(ex),
        f"<h3>{plain(tr('Forward program'))}</h3>",
        html.program(ex),
        _upstream(ex),
        _html_facts(ex),
        f"<h3>{plain(_asked_text(question))}</h3>",
        _html_table(question),
        f"<p>{plain(tr('Sheet'))}: {_html_code(question.sheet)}</p>",
    ]


def _upstream(ex: Exercise) -> str:
    given = [ex.gradient_quantity(q) for q in ex.ends if q.kind == "output"]
    if not given:
        return ""
    names = ", ".join(f"{_html_code(q.name)} {_html_code(shape_text(q.shape))}" for q in given)
    return f"<p>{plain(tr('Given from above'))}{plain(tr(': '))}{names}</p>"


def _html_facts(ex: Exercise) -> str:
    if not ex.facts:
        return ""
    writer = LatexWriter(ex)
    rows = "".join(
        f"<li>{html.mathml(f'{writer.write(fact.left)} = {writer.write(fact.right)}')}</li>" for fact in ex.facts
    )
    return f"<p>{plain(tr('Facts you may use'))}{plain(tr(':'))}</p><ul>{rows}</ul>"


def _html_table(question: Asking) -> str:
    rows = "".join(
        f"<tr><td>{_html_code(a.name)}</td><td>{_html_code(a.shape) if a.shape != '()' else plain(tr('a number'))}</td>"
        f"<td>{a.points:g}</td></tr>"
        for a in question.asked
    )
    total = f"<tr><td>{plain(tr('in all'))}</td><td></td><td>{question.points:g}</td></tr>"
    return table("worth", (tr("asked"), tr("shape"), tr("points")), [rows, total])
