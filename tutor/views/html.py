"""HTML that stands alone: MathML for the mathematics, no script, nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from html import escape, unescape
from typing import TYPE_CHECKING, Any

from tutor.language import N_, of_exercise, tr
from tutor.symbolic.notation import LatexWriter, shape_text
from tutor.views.frame import document, fragment
from tutor.views.page import (
    JUDGES,
    Line,
    Section,
    closed_gradients,
    closed_lines,
    formula,
    page,
    sentences,
    used_by,
    verification_rows,
)

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient

_NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML"'
_LETTER = r'<mi mathvariant="normal">(?:&#x0*[0-9A-Fa-f]+;|[^<&])</mi>'
_WORD = re.compile(rf"{_LETTER}(?:(?:<mn>\d</mn>)*{_LETTER})+")  # a digit inside of a name, too


@lru_cache(maxsize=4096)
def mathml(latex: str) -> str:
    from latex2mathml.converter import convert

    return _WORD.sub(_one_name, convert(latex)).replace(_NAMESPACE, "")


def _one_name(letters: re.Match[str]) -> str:
    """`y_pred` as one identifier, which is upright, where the converter makes one of each letter."""
    return f"<mi>{escape(unescape(re.sub('<[^>]*>', '', letters[0])))}</mi>"


def displayed(latex: str) -> str:
    """As on a line of its own: large sums, their indices below them."""
    return mathml(r"\displaystyle " + re.sub(r"\\(sum|prod)(?=[_^])", r"\\\1\\limits", latex))


def _rows(lines: Sequence[Line], writer: LatexWriter) -> str:
    rows = []
    for line in lines:
        left = displayed(writer.write(line.left)) if line.left is not None else ""
        right = displayed("= " + writer.write(line.right))
        reason = sentences(line.reasons, writer, mathml)
        rows.append(f'<tr><td>{left}</td><td>{right}</td><td class="why">{reason}</td></tr>')
    return f'<div class="steps"><table>{"".join(rows)}</table></div>'


def _section(s: Section, writer: LatexWriter) -> str:
    uses = tr("; ").join(used_by(mathml(writer.name(s.gradient.name)), mathml(formula(v, writer))) for v in s.consumers)
    code, shape = (f"<code>{escape(text or '')}</code>" for text in (s.torch, s.shape))
    torch = f"<p>{tr('torch {code}, shape {shape}', code=code, shape=shape)}</p>" if s.torch else ""
    head = f"<h3>{s.number}. <code>{escape(s.gradient.symbol_name)}</code></h3>"
    return f'{head}<p class="scroll">{uses}</p>{_rows(s.lines, writer)}{torch}'


def steps(d: Derivation, closed: bool) -> list[str]:
    """The headline, then a section for each gradient."""
    content = page(d)
    writer = LatexWriter(d.exercise)
    parts = [f"<p>{escape(content.headline)}</p>"]
    parts += [_section(s, writer) for s in content.sections]
    parts += [f'<p class="scroll">{mathml(formula(q, writer))}</p>' for q in content.values]
    if closed:
        parts += [_closed(g, writer) for g in closed_gradients(d)]
    return parts


def derivation(d: Derivation, verification: Any = None, closed: bool = False) -> str:
    """A page to hand out: the exercise, then every step."""
    ex = d.exercise
    title = of_exercise(ex.title)
    head = [f"<h1>{escape(title)}</h1>", statement(ex), f"<h2>{escape(tr('Forward program'))}</h2>", program(ex)]
    return document(title, [*head, f"<h2>{escape(tr('Derivation'))}</h2>", *steps(d, closed)])


def statement(ex: Exercise) -> str:
    """The exercise's Markdown; HTML inside it stays text, and pictures, which would be fetched, are left out."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True}).enable("table").disable("image")
    reader.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>\n')
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")
    said = of_exercise(ex.statement.strip())
    return f'<div class="statement">{reader.render(said)}</div>' if said else ""


def program(ex: Exercise) -> str:
    """A row per quantity: formula and shape."""
    writer = LatexWriter(ex)
    rows = [(writer.write(q.entry), q, tr(q.kind) if q.domain == "real" else _domain(q)) for q in ex.leaves]
    rows += [(formula(q, writer), q, "") for q in ex.forward]
    cells = "".join(
        f"<tr><td>{displayed(said)}</td><td>{_shape(q)}</td><td>{escape(kind)}</td></tr>" for said, q, kind in rows
    )
    return f'<div class="steps program"><table>{cells}</table></div>'


def _shape(q: Any) -> str:
    return f"<code>{escape(shape_text(q.shape))}</code>" if q.shape else escape(tr("a number"))


def _domain(q: Any) -> str:
    return f"{tr(q.kind)}, {tr(q.domain)}"


def _closed(g: Gradient, writer: LatexWriter) -> str:
    head = tr("Closed form of {name}", name=f"<code>{escape(g.symbol_name)}</code>")
    return f"<h3>{head}</h3>{_rows(closed_lines(g), writer)}"


def closed(c: ClosedForm) -> str:
    return fragment([_closed(c.gradient, LatexWriter(c.gradient.derivation.exercise))])


def gradient(g: Gradient) -> str:
    torch = f"<p>torch <code>{escape(g.symbol_name)} = {escape(g.torch)}</code></p>" if g.torch else ""
    return fragment([f"<p>{mathml(g.latex)}</p>{torch}"])


def derivation_fragment(d: Derivation) -> str:
    return fragment([f"<h2>{escape(of_exercise(d.exercise.title))}</h2>", *steps(d, closed=False)])


def exercise_fragment(ex: Exercise) -> str:
    writer = LatexWriter(ex)
    shapes = ", ".join(f"{mathml(writer.write(q.entry))} <code>{escape(shape_text(q.shape))}</code>" for q in ex.leaves)
    rows = "".join(
        f"<tr><td>{mathml(formula(q, writer))}</td><td><code>{escape(shape_text(q.shape))}</code></td></tr>"
        for q in ex.forward
    )
    asked = ", ".join(f"<code>{escape(name)}</code>" for name in ex.worth)
    statement = f"<pre>{escape(of_exercise(ex.statement.strip(), 80))}</pre>" if ex.statement else ""
    return fragment([
        f"<h2>{escape(of_exercise(ex.title))}</h2>{statement}<p>{tr('Given: {shapes}', shapes=shapes)}</p>",
        f'<div class="steps"><table>{rows}</table></div><p>{tr("Asked: {names}", names=asked)}</p>',
    ])  # fmt: skip


def exercise(ex: Exercise) -> str:
    return document(of_exercise(ex.title), [exercise_fragment(ex)])


def verification_fragment(v: Any) -> str:
    heads = "".join(f"<th>{tr(h)}</th>" for h in (N_("quantity"), *JUDGES, ""))
    rows = []
    for r in verification_rows(v):
        cells = [f"<code>{escape(r.quantity)}</code>", *r.errors, "ok" if r.agrees else f"<b>{tr('DIFFERS')}</b>"]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    notes = "".join(f"<p>{escape(tr(note))}</p>" for note in v.notes)
    verdict = tr("agrees") if v.agrees else tr("DISAGREES")
    return fragment(
        [f"<p><b>{escape(v.exercise)}</b>: {verdict}</p><table><tr>{heads}</tr>{''.join(rows)}</table>{notes}"]
    )


def verification(v: Any) -> str:
    return document(str(v.exercise), [verification_fragment(v)])


def report_fragment(r: Any) -> str:
    from tutor.views.report import fragment as parts

    return fragment(parts(r))


def report(r: Any) -> str:
    return document(str(r.exercise), [report_fragment(r)])


def report_page(p: Any) -> str:
    from tutor.views.report_page import report_page as view

    return view(p)


def graph_fragment(g: Any) -> str:
    from tutor.views.drawing import svg

    return svg(g)


# what a notebook cell shows: the same without the frame of a page
FRAGMENTS: dict[str, Callable[[Any], str]] = {
    "exercise": exercise_fragment,
    "gradient": gradient,
    "derivation": derivation_fragment,
    "closed": closed,
    "verification": verification_fragment,
    "report": report_fragment,
    "report_page": report_page,
    "graph": graph_fragment,
}
