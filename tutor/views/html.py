"""HTML that stands alone: MathML for the mathematics, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from tutor.symbolic.notation import LatexWriter, shape_text
from tutor.views.page import JUDGES, Line, Section, closed_lines, formula, page, sentences, verification_rows

if TYPE_CHECKING:
    from tutor.exercise import Exercise
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient

STYLE = """
.tutor { font-family: system-ui, sans-serif; line-height: 1.5; }
.tutor table { border-collapse: collapse; border: none; }
.tutor td, .tutor th { padding: 0.2em 0.8em 0.2em 0; text-align: left; border: none; vertical-align: middle; }
.tutor .why { opacity: 0.75; font-size: 0.9em; }
.tutor .steps { overflow-x: auto; overflow-y: hidden; }
.tutor code { font-family: ui-monospace, monospace; }
"""


def mathml(latex: str) -> str:
    from latex2mathml.converter import convert

    return convert(latex)


def fragment(body: Sequence[str]) -> str:
    return f'<div class="tutor"><style>{STYLE}</style>{"".join(body)}</div>'


def document(title: str, body: Sequence[str]) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title></head><body>{fragment(body)}</body></html>\n"
    )


def _rows(lines: Sequence[Line], writer: LatexWriter) -> str:
    rows = []
    for line in lines:
        left = mathml(r"\displaystyle " + writer.write(line.left)) if line.left is not None else ""
        right = mathml(r"\displaystyle = " + writer.write(line.right))
        reason = sentences(line.reasons, writer, mathml)
        rows.append(f'<tr><td>{left}</td><td>{right}</td><td class="why">{reason}</td></tr>')
    return f'<div class="steps"><table>{"".join(rows)}</table></div>'


def _section(s: Section, writer: LatexWriter) -> str:
    uses = "; ".join(
        f"{mathml(writer.name(s.gradient.name))} is used by {mathml(formula(v, writer))}" for v in s.consumers
    )
    torch = f"<p>torch <code>{escape(s.torch)}</code>, shape <code>{escape(s.shape)}</code></p>" if s.torch else ""
    head = f"<h3>{s.number}. <code>{escape(s.gradient.symbol_name)}</code></h3>"
    return f"{head}<p>{uses}</p>{_rows(s.lines, writer)}{torch}"


def _derivation(d: Derivation, closed: bool) -> list[str]:
    content = page(d)
    writer = LatexWriter(d.exercise)
    parts = [f"<h2>{escape(d.exercise.title)}</h2><p>{escape(content.headline)}</p>"]
    parts += [_section(s, writer) for s in content.sections]
    parts += [f"<p>{mathml(formula(q, writer))}</p>" for q in content.values]
    if closed:
        parts += [_closed(d.gradient(name), writer) for name in d.wrt if name in d.gradients]
    return parts


def derivation(d: Derivation, verification: Any = None, closed: bool = False) -> str:
    return document(d.exercise.title, _derivation(d, closed))


def _closed(g: Gradient, writer: LatexWriter) -> str:
    return f"<h3>Closed form of <code>{escape(g.symbol_name)}</code></h3>{_rows(closed_lines(g), writer)}"


def closed(c: ClosedForm) -> str:
    return fragment([_closed(c.gradient, LatexWriter(c.gradient.derivation.exercise))])


def gradient(g: Gradient) -> str:
    torch = f"<p>torch <code>{escape(g.symbol_name)} = {escape(g.torch)}</code></p>" if g.torch else ""
    return fragment([f"<p>{mathml(g.latex)}</p>{torch}"])


def derivation_fragment(d: Derivation) -> str:
    return fragment(_derivation(d, closed=False))


def exercise_fragment(ex: Exercise) -> str:
    writer = LatexWriter(ex)
    shapes = ", ".join(f"{mathml(writer.write(q.entry))} {escape(shape_text(q.shape))}" for q in ex.leaves)
    steps = "".join(
        f"<tr><td>{mathml(formula(q, writer))}</td><td><code>{escape(shape_text(q.shape))}</code></td></tr>"
        for q in ex.forward
    )
    asked = ", ".join(f"<code>{escape(n if ex[n].kind == 'value' else 'd' + n)}</code>" for n in ex.asked)
    statement = f"<pre>{escape(ex.statement.strip())}</pre>" if ex.statement else ""
    return fragment([
        f"<h2>{escape(ex.title)}</h2>{statement}<p>Given: {shapes}</p>",
        f'<div class="steps"><table>{steps}</table></div><p>Asked: {asked}</p>',
    ])  # fmt: skip


def exercise(ex: Exercise) -> str:
    return document(ex.title, [exercise_fragment(ex)])


def verification_fragment(v: Any) -> str:
    heads = "".join(f"<th>{h}</th>" for h in ("quantity", *JUDGES, ""))
    rows = []
    for r in verification_rows(v):
        cells = [f"<code>{escape(r.quantity)}</code>", *r.errors, "ok" if r.agrees else "<b>DIFFERS</b>"]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    notes = "".join(f"<p>{escape(note)}</p>" for note in v.notes)
    verdict = "agrees" if v.agrees else "DISAGREES"
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


# what a notebook cell shows: the same without the frame of a page
FRAGMENTS: dict[str, Callable[[Any], str]] = {
    "exercise": exercise_fragment,
    "gradient": gradient,
    "derivation": derivation_fragment,
    "closed": closed,
    "verification": verification_fragment,
    "report": report_fragment,
}
