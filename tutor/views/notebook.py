"""How results show themselves in a notebook: full plain text, beside HTML with MathML.

The HTML needs nothing from elsewhere and runs nothing. Its look, light and dark, comes with it in a style element. Some
frontends strip that and the MathML (JupyterLab, in a notebook that is not trusted): then the plain text is shown and
what was typeset is not, since only the style displays it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tutor.language import N_, of_exercise, tr
from tutor.shown import shown_shape
from tutor.symbolic.notation import LatexWriter, shape_text
from tutor.views import html, latex, numbers
from tutor.views.page import JUDGES, Line, closed_lines, formula, indexed_name, page, sentences, verification_rows

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.shown import Shown

LIGHT = "--soft:#57606a;--ground:#f6f8fa;--edge:#d0d7de;--good:#1a7f37;--bad:#b3261e;--warn:#8a5a00;--blush:#ffebe9"
DARK = "--soft:#9da7b3;--ground:#1c2128;--edge:#3d444d;--good:#56d364;--bad:#ff8f87;--warn:#e3b341;--blush:#3a1a1a"
# how JupyterLab, VS Code and Colab say that their theme is dark
IN_THE_DARK = ('[data-jp-theme-light="false"]', ".vscode-dark", ".vscode-high-contrast", "html[theme=dark]")
# doubled classes win over the frontend's own rules for tables
STYLE = """
.tutor.nb { LIGHT; font-family: system-ui, "Noto Sans CJK SC", sans-serif; line-height: 1.5; }
DARKNESS { DARK; }
.tutor.nb > .typeset { display: block !important; } .tutor.nb > .plain { display: none; }
.tutor.nb h3 { font-size: 1.25em; margin: 0.2em 0 0.5em; } .tutor.nb h4 { font-size: 1.05em; margin: 1em 0 0.2em; }
.tutor.nb p { margin: 0.4em 0; }
.tutor.nb table { border-collapse: collapse; border: none; margin: 0.3em 0; font-size: 1em; table-layout: auto; }
.tutor.nb tr, .tutor.nb tr:nth-child(even), .tutor.nb tr:hover { background: none; border: none; }
.tutor.nb td, .tutor.nb th { padding: 0.2em 1.2em 0.2em 0; text-align: left; border: none; max-width: none;
  vertical-align: middle; white-space: normal; }
.tutor.nb math { font-size: 1.12em; }
.tutor.nb .wide { overflow-x: auto; overflow-y: hidden; }
.tutor.nb .why { color: var(--soft); font-size: 0.92em; }
.tutor.nb code, .tutor.nb pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 0.92em; }
.tutor.nb :not(pre) > code { background: var(--ground); border-radius: 4px; padding: 0.1em 0.3em; }
.tutor.nb pre { background: var(--ground); border-radius: 6px; padding: 0.6em 0.8em; overflow-x: auto;
  white-space: pre; word-break: normal; }
.tutor.nb pre code { background: none; padding: 0; font-size: 1em; }
.tutor.nb .numbers td { padding: 0 0 0 1.2em; text-align: right; font-variant-numeric: tabular-nums;
  font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 0.88em; }
.tutor.nb .good { color: var(--good); } .tutor.nb .bad { color: var(--bad); } .tutor.nb .warn { color: var(--warn); }
.tutor.nb .soft { color: var(--soft); } .tutor.nb .verdict { font-weight: 600; white-space: nowrap; }
.tutor.nb .card { border-left: 4px solid var(--bad); padding-left: 1em; margin: 0.8em 0; }
.tutor.nb .lines td { vertical-align: baseline; }
.tutor.nb .lines td:first-child { border-left: 4px solid var(--tone, var(--edge)); padding-left: 0.6em; }
.tutor.nb .lines tr.good { --tone: var(--good); } .tutor.nb .lines tr.bad { --tone: var(--bad); }
.tutor.nb .lines tr.warn { --tone: var(--warn); } .tutor.nb .lines tr { color: inherit; }
.tutor.nb .lines code { white-space: pre-wrap; overflow-wrap: anywhere; }
.tutor.nb summary { cursor: pointer; }
@media (max-width: 44rem) {
  .tutor.nb .flow tr { display: flex; flex-wrap: wrap; align-items: center; padding: 0.2em 0; }
  .tutor.nb .flow td { padding: 0.1em 0.6em 0.1em 0; } .tutor.nb .flow .why { flex-basis: 100%; }
  .tutor.nb .flow td:empty { display: none; } .tutor.nb .lines td { padding-left: 0.6em; }
}
"""
STYLE = STYLE.replace("LIGHT", LIGHT).replace("DARKNESS", ", ".join(f"{at} .tutor.nb" for at in IN_THE_DARK))
STYLE = STYLE.replace("DARK", DARK)
_NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML"'  # HTML needs none
_LARGE = re.compile(r"\\(sum|prod)_")
# words that reach `tr` as a verdict, a kind or a domain
WORDS = (
    N_("correct"), N_("follows"), N_("wrong"), N_("undecided"), N_("unreadable"), N_("incomplete"),
    N_("input"), N_("parameter"), N_("step"), N_("loss"), N_("output"), N_("value"), N_("upstream"),
    N_("positive"), N_("fraction"), N_("probability"), N_("one-hot"), N_("index"), N_("mask"),
    N_("sign"), N_("constant"), N_("fixed"),
)  # fmt: skip
TONES = {"correct": "good", "follows": "warn", "undecided": "soft", "incomplete": "warn"}  # the rest is bad


def bundle(result: Shown) -> dict[str, str]:
    """The mime bundle of a result: what a view does not show is left to the plain text."""
    found = {"text/plain": str(result)}
    typeset = TYPESET.get(result.shown_as)
    other = html.FRAGMENTS.get(result.shown_as)
    if typeset is not None:
        found["text/html"] = framed(typeset(result), found["text/plain"])
    elif other is not None:
        found["text/html"] = other(result)
    if result.shown_as == "gradient":
        found["text/latex"] = f"$${latex.gradient(result)}$$"  # type: ignore[arg-type]
    return found


def framed(parts: Iterable[str], plain: str) -> str:
    """What is typeset, with its look, and the plain text for where that look is stripped."""
    body = "".join(parts)
    fallback = f'<pre class="plain">{escape(plain)}</pre>'
    typeset = f'<div class="typeset" hidden="hidden" style="display: none">{body}</div>'
    return f'<div class="tutor nb"><style>{STYLE}</style>{typeset}{fallback}</div>'


# -- pieces ------------------------------------------------------------------------------------------------------


def _inline(source: str) -> str:
    return html.mathml(source).replace(_NAMESPACE, "")


def _math(source: str) -> str:
    """In display style, with the indices of a sum below it."""
    return _inline(r"\displaystyle " + _LARGE.sub(r"\\\1\\limits_", source))


def _code(text: object) -> str:
    return f"<code>{escape(str(text))}</code>"


def _said(text: object) -> str:
    return escape(str(text))


def _table(rows: Iterable[Sequence[str]], kind: str = "flow", heads: Sequence[str] = ()) -> str:
    """A table that scrolls by itself where it is too wide; the last cell of `flow` rows is a remark."""
    made = []
    if heads:
        made.append("<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>")
    for row in rows:
        *first, last = row
        remark = ' class="why"' if kind == "flow" else ""
        made.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in first) + f"<td{remark}>{last}</td></tr>")
    return f'<div class="wide"><table class="{kind}">{"".join(made)}</table></div>' if made else ""


def _steps(lines: Sequence[Line], writer: LatexWriter) -> str:
    return _table(
        (
            _math(writer.write(line.left)) if line.left is not None else "",
            _math("= " + writer.write(line.right)),
            sentences(line.reasons, writer, _inline),
        )
        for line in lines
    )


def _torch(name: str, form: str | None, shape: str = "") -> str:
    if form is None:
        return ""
    shape = f", {tr('shape {shape}', shape=_code(shape))}" if shape else ""
    return f'<p class="why">torch {_code(f"{name} = {form}")}{shape}</p>'


# -- exercises and derivations -----------------------------------------------------------------------------------


def exercise(ex: Exercise) -> list[str]:
    """Statement, what is given, the forward program, what is asked; the graph, where one is drawn."""
    writer = LatexWriter(ex)
    rows = [(_math(writer.write(q.entry)), _code(shape_text(q.shape)), _domain(q)) for q in ex.leaves]
    steps = [(_math(formula(q, writer)), _code(shape_text(q.shape)), "") for q in ex.forward]
    asked = ", ".join(_code(name) for name in ex.worth)
    return [
        f"<h3>{_said(of_exercise(ex.title))}</h3>",
        statement(ex),
        f"<h4>{_said(tr('Given'))}</h4>{_table(rows)}",
        f"<h4>{_said(tr('Forward program'))}</h4>{_table(steps)}",
        f"<p>{_said(tr('Asked:'))} {asked}</p>",
        _graph(ex),
    ]


def _domain(q: Any) -> str:
    kind = _said(tr(q.kind))
    if q.domain == "index":
        return kind + ", " + _said(tr("integers from 0 to {last}", last=f"{q.below} - 1"))
    return kind if q.domain == "real" else f"{kind}, {_said(tr(q.domain))}"


def statement(ex: Exercise) -> str:
    """The exercise's Markdown; HTML inside it stays text, and pictures, which would be fetched, are left out."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    said = "\n\n".join(of_exercise(part) for part in ex.statement.strip().split("\n\n"))
    return reader.render(said) if said else ""


def _graph(ex: Exercise) -> str:
    """The computation graph as SVG, if the view that draws it is there."""
    try:
        made = import_module("tutor.pictures.graph").graph(ex)
    except ModuleNotFoundError:
        return ""
    drawn = html.FRAGMENTS.get(made.shown_as)
    if drawn is None:
        return ""
    return f"<details><summary>{_said(tr('The computation graph'))}</summary>{drawn(made)}</details>"


def derivation(d: Any) -> list[str]:
    content = page(d)
    writer = LatexWriter(d.exercise)
    parts = [f"<h3>{_said(of_exercise(d.exercise.title))}</h3><p>{_said(content.headline)}</p>"]
    for s in content.sections:
        used = [
            f"{_inline(writer.name(s.gradient.name))} {_said(tr('is used by'))} {_inline(formula(v, writer))}"
            for v in s.consumers
        ]
        parts.append(f"<h4>{s.number}. {_code(s.gradient.symbol_name)}</h4><p>{tr('; ').join(used)}</p>")
        parts.append(_steps(s.lines, writer) + _torch(s.gradient.symbol_name, s.gradient.torch, s.shape))
    return [*parts, *(f"<p>{_math(formula(q, writer))}</p>" for q in content.values)]


def gradient(g: Any) -> list[str]:
    return [f'<div class="wide">{_math(g.latex)}</div>', _torch(g.symbol_name, g.torch, shape_text(g.shape))]


def closed(c: Any) -> list[str]:
    g = c.gradient
    head = tr("Closed form of {name}", name=_code(g.symbol_name))
    return [f"<h4>{head}</h4>", _steps(closed_lines(g), LatexWriter(g.derivation.exercise))]


# -- numbers --------------------------------------------------------------------------------------------------------


def verification(v: Any) -> list[str]:
    rows = []
    for row in verification_rows(v):
        verdict = _verdict("good", "✓ ok") if row.agrees else _verdict("bad", f"✗ {_said(tr('DIFFERS'))}")
        rows.append((_code(row.quantity), *row.errors, verdict))
    whole = _verdict("good", _said(tr("agrees"))) if v.agrees else _verdict("bad", _said(tr("DISAGREES")))
    what = _said(tr("largest relative error of our gradient against each judge"))
    return [
        f"<p><b>{_said(v.exercise)}</b> {whole} <span class='why'>{what}</span></p>",
        _table(rows, "judges", (_said(tr("quantity")), *JUDGES, "")),
        *(f'<p class="why">{_said(note)}</p>' for note in v.notes),
    ]


def _numbers(value: Any) -> str:
    """A tensor's entries as a table; a number as it is."""
    if value.dim() == 0:
        return f"<span class='numbers'>{numbers.number(value.item())}</span>"
    made = []
    for label, rows in numbers.slices(value):
        cells = "".join("<tr>" + "".join(f"<td>{word}</td>" for word in row) + "</tr>" for row in rows)
        made.append((f"<p class='why'>{label}</p>" if label else "") + f'<table class="numbers">{cells}</table>')
    return f'<div class="wide">{"".join(made)}</div>'


def forward(f: Any) -> list[str]:
    writer = LatexWriter(f.exercise)
    sizes = ", ".join(f"{name}={extent}" for name, extent in f.instance.sizes.items())
    parts = [f"<h3>{_said(of_exercise(f.exercise.title))}</h3>"]
    parts.append(f"<p>{_said(tr('the forward pass in numbers'))} {_code(sizes) if sizes else ''}</p>")
    given = [(indexed_name(q, writer), q, value) for q, value in f.given]
    steps = [(formula(q, writer), q, value) for q, value in f.steps]
    for head, rows in ((tr("Given"), given), (tr("Forward program"), steps)):
        parts.append(f"<h4>{_said(head)}</h4>")
        scalars = [(source, value) for source, _, value in rows if not value.dim()]
        cells = [(_math(source), "=&nbsp;" + _numbers(value)) for source, value in scalars]
        if rows is steps and len(scalars) < len(rows):  # in the order of the program
            parts += [_valued(*row) for row in rows]
            continue
        parts += [_table(cells, "values"), *(_valued(*row) for row in rows if row[2].dim())]
    return parts


def _valued(source: str, q: Any, value: Any) -> str:
    if not value.dim():
        return f"<p>{_math(source)} =&nbsp;{_numbers(value)}</p>"
    shape = f'<span class="why">{_code(f"{shape_text(q.shape)} = {shown_shape(value.shape)}")}</span>'
    return f"<p>{_math(source)} &ensp; {shape}</p>{_numbers(value)}"


def instance(t: Any) -> list[str]:
    """Name, kind, shape and numbers of all that an instance holds."""
    kinds = {q.name: q.kind for q in t.exercise}
    rows = [
        (_code(name), _said(tr(kinds.get(name, "upstream"))), _code(shown_shape(value.shape)), _numbers(value))
        for name, value in t.values.items()
    ]
    return [f"<p>{_code(repr(t))}</p>", _table(rows, "values")]


def contrast(c: Any) -> list[str]:
    """Two programs side by side; what differs is marked by a sign and a colour."""
    from tutor.views.contrast import HEADS, _number, _point, _summary

    rows: list[tuple[str, ...]] = []
    for kind, head in HEADS.items():
        of_kind = [row for row in c.rows if row.kind == kind and (kind != "forward" or not row.same_formula)]
        if of_kind:
            rows.append((f"<b>{_said(tr(head))}</b>", "", "", ""))
        for row in of_kind:
            marks = [_mark(same) if row.shared else "" for same in (row.same_formula, row.same_value)]
            for n, mark in enumerate(marks):
                cells = [_side(side, n, _number) for side in (row.left, row.right)]
                rows.append(("" if n else _code(row.name), cells[0], mark, cells[1]))
    summary = "".join(f"<p>{_said(line)}</p>" for line in [*_summary(c).splitlines(), *c.notes] if line)
    heads = ("", _code(c.left.id), "", _code(c.right.id))
    return [f'<p class="why">{_said(_point(c))}</p>', _table(rows, "sides", heads), summary]


def _side(side: Any, number: int, shown: Callable[[Any], str]) -> str:
    if side is None:
        return "" if number else "-"
    return f'<span class="numbers">{_said(shown(side))}</span>' if number else _said(side.formula)


def _mark(same: bool) -> str:
    return _verdict("good", "=") if same else _verdict("warn", "≠")


# -- reports ------------------------------------------------------------------------------------------------------


def _verdict(tone: str, words: str) -> str:
    return f'<span class="verdict {tone}">{words}</span>'


def report(r: Any) -> list[str]:
    """The whole report: the first divergence in full, what to do next, then a line for each of the learner's."""
    from tutor.views import report as words

    points = tr("{score} of {most} points", score=f"{r.score:g}", most=f"{r.max_score:g}")
    whole = _verdict(TONES.get(r.verdict, "bad"), _said(tr(r.verdict)))
    parts = [f"<p><b>{_said(r.exercise)}</b> &ensp; {whole} &ensp; {_said(points)}</p>"]
    shown = words._shown(r)
    if shown is not None:
        caret = f"\n{' ' * words._caret(shown)}^" if shown.line else ""
        text = f"<p>{_said(shown.place)}</p><pre>{_said(shown.text)}{caret}</pre>" if shown.line else ""
        rows = [(f"<b>{_said(label)}</b>", _said(told)) for label, told in words._details(shown)]
        parts.append(f'<div class="card">{text}{_table(rows, "details")}</div>')
    parts.append(f"<p><b>{_said(tr('next:'))}</b> {_said(words._next(r))}</p>")
    parts.append(_lines(r.lines, words.MARKS))
    if r.missing:
        parts.append(f"<p>{_said(tr('missing:'))} {', '.join(map(_code, r.missing))}</p>")
    return [*parts, *(f'<p class="why">{_said(told)}</p>' for told in words.notes(r))]


def _lines(lines: Sequence[Any], marks: dict[str, str]) -> str:
    rows = []
    for line in lines:
        tone = TONES.get(line.verdict, "bad")
        cells = (
            _verdict(tone, f"{marks[line.verdict]} {_said(tr(line.verdict))}"),
            _code(line.quantity or ""),
            _said(line.place) if line.line else "",
            _code(line.text) if line.line else "",
        )
        said = f'<td class="why">{_said(line.reason)}</td>'
        rows.append(f'<tr class="{tone}">' + "".join(f"<td>{cell}</td>" for cell in cells) + f"{said}</tr>")
    return f'<div class="wide"><table class="flow lines">{"".join(rows)}</table></div>' if rows else ""


# what is typeset, by the name that the other views have for it
TYPESET: dict[str, Callable[[Any], list[str]]] = {
    "exercise": exercise,
    "derivation": derivation,
    "gradient": gradient,
    "closed": closed,
    "verification": verification,
    "instance": instance,
    "forward": forward,
    "contrast": contrast,
    "report": report,
}
