"""The page of a report: self-contained HTML without a script, for a screen of any width and for paper."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from tutor import __version__, language
from tutor.checking.report import NEXT
from tutor.language import joined, tr
from tutor.shown import shown_shape
from tutor.symbolic.notation import LatexWriter
from tutor.views import drawing, heat
from tutor.views import graph as graph_view
from tutor.views.frame import SHEET, document, sheet, sheet_cell, sheet_line, verdict
from tutor.views.html import displayed, program, statement, steps
from tutor.views.page import formula
from tutor.views.report import notes
from tutor.views.svg import plain

if TYPE_CHECKING:
    from tutor.checking.report import LineReport, Repair, Report
    from tutor.pictures.page import Judged, Part, ReportPage

MOST_ASIDE = 6  # lines of comments that stand as they are

STYLE = (
    SHEET
    + drawing.STYLE
    + heat.STYLE
    + """
.tutor .beside { display: flex; flex-wrap: wrap; gap: 0 2.5em; align-items: start; }
.tutor .beside > * { min-width: 0; } .tutor .beside figure { max-width: 24em; }
.tutor figure { margin: 1em 0; } .tutor figcaption { color: var(--soft); font-size: 0.9em; }
.tutor figure svg { display: block; height: auto; width: 100%; }
@media print { .tutor figure svg { max-height: 22cm; } }
"""
)


def report_page(p: ReportPage) -> str:
    """The whole page."""
    title = language.of_exercise(p.parts[0].exercise.title)
    if len(p.parts) > 1:
        title = p.name or tr("Report")
    body = [f"<h1>{plain(title)}</h1>"]
    for number, part in enumerate(p.parts):
        body += _part(part, f"p{number}", p.name, alone=len(p.parts) == 1)  # the key makes ids differ
    torch = p.parts[0].report.torch
    made = tr("derivation tutor {version}, torch {torch}", version=__version__, torch=torch)
    return document(tr("Report: {title}", title=title), [*body, f"<footer><p>{plain(made)}</p></footer>"], STYLE)


def _part(part: Part, key: str, name: str, alone: bool) -> list[str]:
    made = [] if alone else [f"<h2>{plain(language.of_exercise(part.exercise.title))}</h2>"]
    made.append(_summary(part.report))
    if part.looked_at is not None:
        made.append(_divergence(part, key))
    made += _sheet(part, name)
    made += _others(part, key)
    made += _notes(part.report)
    made += _graph(part, key)
    made += _exercise(part)
    return made + _derivation(part)


def _summary(r: Report) -> str:
    points = tr("{score} of {most} points", score=f"{r.score:g}", most=f"{r.max_score:g}")
    said = tr("next: {next}", next=r.next.render(NEXT))
    return (
        f'<p class="summary">{verdict(r.verdict)} &#160; {plain(points)} &#160; <code>{plain(r.exercise)}</code></p>'
        f"<p>{plain(said)}</p>"
    )


# -- the first divergence -----------------------------------------------------------------------------------------


def _divergence(part: Part, key: str) -> str:
    line = part.looked_at
    assert line is not None
    if line.verdict == "wrong":
        said = tr("The first line that diverges: {place}", place=line.place)
    else:
        said = tr("What could not be read: {place}", place=line.place)
    head = plain(said if line.line else tr("What diverges: {name}", name=line.quantity))
    return f'<section class="card"><h2>{head}</h2>{_explained(part, line, key)}</section>'


def _explained(part: Part, line: LineReport, key: str) -> str:
    """The line, why, where its gradient comes from, the entries that are off, what may have happened, what mends it."""
    parts = [f"<pre>{_marked(line.text, line)}</pre>"] if line.line else []
    parts.append(f"<p>{verdict(line.verdict)} &#160; {_code(line.quantity)} {plain(line.reason)}</p>")
    rows = [(tr("likely"), "<br/>".join(f"{plain(m.message)} <small>({plain(m.id)})</small>" for m in line.mistakes))]
    if line.repair is not None:
        rows.append((tr("fix"), _fix(line.repair)))
    if line is part.looked_at and part.uses:
        writer = LatexWriter(part.exercise)
        formulas = (f'<div class="scroll">{displayed(formula(q, writer))}</div>' for q in part.uses)
        rows.append((tr("where it is used in the forward program"), "".join(formulas)))
    if line.expected_shape is not None:
        rows.append((tr("shape"), _shapes(line)))
    parts.append("<dl>" + "".join(f"<dt>{plain(word)}</dt><dd>{said}</dd>" for word, said in rows if said) + "</dl>")
    drawn = _heat(line, key) if line is part.looked_at else ""  # one picture is enough: a page has to stay small
    return "".join([*parts, f'<div class="beside">{_numbers(line)}{drawn}</div>'])


def _code(name: str | None) -> str:
    return f"<code>{plain(name)}</code>" if name else ""


def _marked(text: str, line: LineReport) -> str:
    """The learner's text, the part that a repair on this line replaces underlined."""
    start = _column(line)
    length = len(line.repair.old) if start is not None and line.repair is not None else 0
    if start is None or not length or text[start : start + length] != line.repair.old:  # type: ignore[union-attr]
        return plain(text)
    here = plain(text[start : start + length])
    return f'{plain(text[:start])}<mark class="fault">{here}</mark>{plain(text[start + length :])}'


def _column(line: LineReport) -> int | None:
    """Where the repair begins in the line's text."""
    if line.repair is None or line.repair.line is not None:
        return None
    return line.repair.column - (line.start or line.column)


def _fix(repair: Repair) -> str:
    place = plain(f"{repair.place}{tr(': ')}")
    old, new = f"<code>{plain(repair.old)}</code>", f"<code>{plain(repair.new)}</code>"
    if not repair.new:
        return f"{plain(tr('{place}: leave out', place=repair.place))} {old}"
    return f"{place}{old} → {new}" if repair.old else f"{place}{new}"


def _shapes(line: LineReport) -> str:
    expected = _shape(line.expected_shape)
    if line.shape is None or line.shape == line.expected_shape:
        return plain(expected)
    return plain(tr("yours {shape}, true {expected}", shape=_shape(line.shape), expected=expected))


def _shape(shape: Sequence[int] | None) -> str:
    return shown_shape(shape) if shape else tr("a number")


def _numbers(line: LineReport) -> str:
    if not line.worst:
        return ""
    head = "".join(f'<th scope="col">{plain(word)}</th>' for word in (tr("entry"), tr("yours"), tr("true")))
    rows = []
    for entry in line.worst:
        at = f"[{', '.join(map(str, entry.index))}]" if entry.index else ""
        cells = f"<td>{entry.given:.6g}</td><td>{entry.expected:.6g}</td>"
        rows.append(f"<tr><td><code>{plain(f'{line.quantity}{at}')}</code></td>{cells}</tr>")
    caption = plain(tr("the entries that are furthest off"))
    return (
        f'<div class="scroll"><table class="numbers"><caption style="text-align:left">{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _heat(line: LineReport, key: str) -> str:
    if line.heat is None or not heat.worth_showing(line):
        return ""
    drawn = heat.svg(line, f"{key}-heat-{line.line}-{line.column}", alone=False)
    said = " ".join([tr("A square grows with the error; a dot is a right entry."), *heat.notes(line.heat)])
    return _figure(drawn, f"{graph_view.sentence(heat.title(line))} {said}")


def _figure(drawn: str, caption: str) -> str:
    """A picture that is never wider than itself, nor so small that nobody can read it: it scrolls before that."""
    width = float(drawn.split('width="', 1)[1].split('"', 1)[0])
    size = f"max-width:{width:.0f}px;min-width:{min(width, max(0.62 * width, 300)):.0f}px"
    drawn = drawn.replace("<svg ", f'<svg style="{size}" ', 1)
    title = plain(tr("picture, scrolls sideways where it is wide"))
    region = f'<div class="scroll" role="region" aria-label="{title}" tabindex="0">{drawn}</div>'
    return f"<figure>{region}<figcaption>{plain(caption)}</figcaption></figure>"


# -- the sheet ----------------------------------------------------------------------------------------------------


def _sheet(part: Part, name: str) -> list[str]:
    """Every line as it stands in the file, with its marks."""
    if not any(judged.row.text.strip() for judged in part.lines):
        return []
    rows = []
    for cell, lines in groupby(part.lines, key=lambda judged: judged.row.cell):
        if cell is not None:
            rows.append(sheet_cell(cell))
        for aside, group in groupby(lines, key=_is_aside):
            run = list(group)
            rows += [_folded(run)] if aside and len(run) > MOST_ASIDE else [_line(part, judged) for judged in run]
    title = tr("Your lines") + (f"{tr(': ')}{name}" if name else "")
    return [f"<h2>{plain(title)}</h2>", sheet(tr("the sheet"), rows)]


def _is_aside(judged: Judged) -> bool:
    """A comment or an empty line, of which nothing is said."""
    text = judged.row.text.strip()
    return not judged.verdicts and (not text or text.startswith("#"))


def _folded(run: Sequence[Judged]) -> str:
    """Many comments in one row, to be unfolded: what `tutor start` writes is read once."""
    first, last = run[0].row.number, run[-1].row.number
    text = plain("\n".join(judged.row.text for judged in run))
    said = plain(tr("comments, lines {first} to {last}", first=first, last=last))
    return (
        f'<tr><td class="number">{first}</td><td colspan="2"><details><summary>{said}</summary><pre>{text}</pre>'
        "</details></td></tr>"
    )


def _line(part: Part, judged: Judged) -> str:
    said = "<br/>".join(
        f'{verdict(line.verdict)} {_code(line.quantity)} <span class="why">{plain(line.reason)}</span>'
        for line in judged.verdicts
    )
    here = part.looked_at is not None and part.looked_at in judged.verdicts
    return sheet_line(judged.row.number, judged.row.text, said, here=here)


def _others(part: Part, key: str) -> list[str]:
    """The further wrong lines, each to be unfolded."""
    if not part.others:
        return []
    made = [f"<h2>{plain(tr('Further lines to look at'))}</h2>"]
    for line in part.others:
        said = f"{plain(line.place)} &#160; <code>{plain(line.quantity or line.text)}</code>"
        made.append(f"<details><summary>{said}</summary>{_explained(part, line, key)}</details>")
    return made


def _notes(r: Report) -> list[str]:
    made = [tr("missing: {names}", names=joined(r.missing))] if r.missing else []
    made += notes(r)
    return [f"<ul>{''.join(f'<li>{plain(said)}</li>' for said in made)}</ul>"] if made else []


# -- the graph, the exercise, the derivation ----------------------------------------------------------------------


def _graph(part: Part, key: str) -> list[str]:
    g = part.graph
    drawn = drawing.svg(g, f"{key}-graph", alone=False)
    caption = tr("Solid arrows compute, dashed ones with an open head carry the gradient back; each box has its shape.")
    said = [text for text in (graph_view.divergence(g), graph_view.left_out(g)) if text]
    words = "".join(f"<li>{plain(text)}</li>" for text in graph_view.sentences(g))
    return [
        f"<h2>{plain(tr('Computation graph'))}</h2>",
        _figure(drawn, " ".join([caption, *(graph_view.sentence(f"{text[0].upper()}{text[1:]}") for text in said)])),
        f"<details><summary>{plain(tr('The graph in words'))}</summary><ul>{words}</ul></details>",
    ]


def _exercise(part: Part) -> list[str]:
    ex = part.exercise
    asked = ", ".join(_code(name) for name in ex.worth)
    return [
        f"<h2>{plain(tr('The exercise'))}</h2>",
        statement(ex),
        f"<h3>{plain(tr('Forward program'))}</h3>",
        program(ex),
        f"<p>{plain(tr('Asked:'))} {asked}</p>",
    ]


def _derivation(part: Part) -> list[str]:
    if part.derivation is None:
        return []
    head = plain(tr("The derivation"))
    inside = "".join(steps(part.derivation, closed=False))
    return [f"<h2>{head}</h2><details><summary>{plain(tr('Show every step'))}</summary>{inside}</details>"]
