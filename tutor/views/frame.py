"""The frame of every page: its look in light, dark and on paper, its policy, how a verdict looks. Needs no sympy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape

from tutor.language import N_, current, tr
from tutor.views.report import MARKS
from tutor.views.svg import colours, plain

TONES = {"correct": "good", "follows": "warn", "undecided": "soft", "incomplete": "warn"}  # the rest is bad
WORDS = {
    "correct": N_("correct"), "wrong": N_("wrong"), "follows": N_("follows"), "undecided": N_("undecided"),
    "unreadable": N_("unreadable"), "incomplete": N_("incomplete"),
}  # fmt: skip

# in a notebook too, whose own colours it keeps
STYLE = """
.tutor { font-family: system-ui, sans-serif; line-height: 1.5; }
.tutor table { border-collapse: collapse; border: none; }
.tutor td, .tutor th { padding: 0.2em 0.8em 0.2em 0; text-align: left; border: none; vertical-align: middle; }
.tutor .why { opacity: 0.8; font-size: 0.9em; }
.tutor .steps { overflow-x: auto; overflow-y: hidden; }
.tutor code, .tutor pre { font-family: ui-monospace, monospace; }
"""
# of a page of its own: light, dark and on paper, from a phone's width up
PAGE = """
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); }
.tutor { max-width: 52rem; margin: 0 auto; padding: 1rem clamp(0.75rem, 3vw, 2rem) 3rem; overflow-wrap: anywhere; }
.tutor h1, .tutor h2, .tutor h3 { line-height: 1.25; margin: 1.6em 0 0.5em; }
.tutor h1 { font-size: 1.6rem; margin-top: 0.5em; }
.tutor h2 { font-size: 1.25rem; padding-top: 0.4em; border-top: 1px solid var(--edge); }
.tutor h3 { font-size: 1.05rem; }
.tutor table { overflow-wrap: normal; }
.tutor a { color: var(--back); }
.tutor .why { opacity: 1; color: var(--soft); }
.tutor :not(pre) > code { background: var(--ground); border-radius: 4px; padding: 0.1em 0.3em; }
.tutor pre { background: var(--ground); border: 1px solid var(--edge); border-radius: 6px; padding: 0.6em 0.8em;
  white-space: pre-wrap; }
.tutor .statement pre { white-space: pre; overflow-x: auto; font-size: 0.9em; }
.tutor .statement th, .tutor .statement td { vertical-align: top; }
.tutor math { font-size: 1.1em; }
.tutor summary { cursor: pointer; color: var(--back); font-weight: 600; padding: 0.4em 0; }
.tutor :focus-visible { outline: 3px solid var(--back); outline-offset: 2px; }
.tutor .scroll { overflow-x: auto; overflow-y: hidden; }
@media (max-width: 44rem) {
  .tutor .steps td { display: block; padding: 0.1em 0; }
  .tutor .steps tr { display: block; padding: 0.4em 0; border-bottom: 1px solid var(--edge); }
  .tutor .program tr { display: flex; flex-wrap: wrap; gap: 0 1em; align-items: center; }
  .tutor .program td:first-child { flex: 0 0 100%; }
  .tutor .steps .why:empty, .tutor .steps td:empty { display: none; }
}
@media print {
  .tutor { max-width: none; padding: 0; font-size: 10pt; }
  .tutor h1, .tutor h2, .tutor h3, .tutor summary { break-after: avoid; }
  .tutor tr, .tutor figure, .tutor pre, .tutor .card { break-inside: avoid; }
  .tutor .steps, .tutor .scroll { overflow: visible; }
  .tutor .steps math { font-size: 0.9em; }
  .tutor details:not([open]) { display: none; }
}
"""
# a sheet with its verdicts, and a card for what matters most
SHEET = """
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); } .soft { color: var(--soft); }
.tutor .verdict { font-weight: 700; white-space: nowrap; }
.tutor .summary { font-size: 1.1rem; }
.tutor .sheet { width: 100%; overflow-wrap: anywhere; }
.tutor .sheet td, .tutor .sheet th { vertical-align: top; padding: 0.15em 0.6em 0.15em 0; }
.tutor .sheet thead th { white-space: nowrap; }
.tutor .sheet .number { color: var(--soft); text-align: right; width: 3ch; font-family: ui-monospace, monospace; }
.tutor .sheet td > code { background: none; padding: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.tutor .sheet .said { width: 42%; }
.tutor .sheet .here { background: var(--blush); box-shadow: inset 4px 0 var(--bad); }
.tutor .fault { text-decoration: underline wavy var(--bad); text-underline-offset: 0.2em; background: none;
  color: inherit; }
.tutor .card { border: 1px solid var(--edge); border-left: 6px solid var(--bad); border-radius: 6px;
  padding: 0.2em 1em 0.6em; margin: 1em 0; }
.tutor .card h2 { border: none; margin-top: 0.6em; }
.tutor .card dt { font-weight: 600; margin-top: 0.6em; } .tutor .card dd { margin: 0; }
.tutor .numbers td, .tutor .numbers th { font-variant-numeric: tabular-nums; padding-right: 1.2em;
  white-space: nowrap; }
.tutor footer { margin-top: 3em; border-top: 1px solid var(--edge); color: var(--soft); font-size: 0.85em; }
@media (max-width: 44rem) {
  .tutor .sheet tr { display: grid; grid-template-columns: 3ch 1fr; column-gap: 0.7em;
    border-bottom: 1px solid var(--edge); }
  .tutor .sheet thead { display: none; }
  .tutor .sheet .said { grid-column: 2; width: auto; } .tutor .sheet .said:empty { display: none; }
}
"""
# nothing is fetched and nothing runs, whatever stands in the page
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def fragment(body: Sequence[str]) -> str:
    return f'<div class="tutor"><style>{STYLE}</style>{"".join(body)}</div>'


def document(title: str, body: Sequence[str], style: str = "") -> str:
    """A page that stands alone."""
    before, after = _around(style, current())
    return f"{before}{escape(title)}{after}{''.join(body)}</main></body></html>\n"


@lru_cache(maxsize=64)
def _around(style: str, language: str) -> tuple[str, str]:
    """What stands before a page's title, and between that and its body: the same for a whole class."""
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/><link rel="icon" href="data:,"/>'
        "<title>",
        f'</title><style>{colours(":root")}{STYLE}{PAGE}{style}</style></head><body><main class="tutor">',
    )


def verdict(found: str) -> str:
    """A mark and a word, in a colour that adds nothing."""
    return _verdict(found, current())


@lru_cache(maxsize=64)
def _verdict(found: str, language: str) -> str:
    mark = MARKS.get(found, "…")
    return f'<span class="verdict {TONES.get(found, "bad")}">{mark} {plain(tr(WORDS[found]))}</span>'


def table(kind: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{plain(word)}</th>' for word in heads)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def sheet(called: str, rows: Iterable[str]) -> str:
    """A sheet line by line, each with what is said of it."""
    return table("sheet", (tr("line"), called, tr("verdict")), rows)


def sheet_line(number: int, text: str, said: str, here: bool) -> str:
    """`said` is HTML; `here` is where to look first."""
    mark = ' class="here"' if here else ""
    return (
        f'<tr{mark}><td class="number">{number}</td>'
        f'<td><code>{plain(text) or "&#160;"}</code></td><td class="said">{said}</td></tr>'
    )


def sheet_cell(number: int) -> str:
    """What stands before the lines of a notebook's cell."""
    return f'<tr><th scope="rowgroup" colspan="3">{plain(tr("cell {number}", number=number))}</th></tr>'
