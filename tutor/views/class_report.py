"""A class report as text for a terminal, and as a page that stands alone: tables of numbers with bars beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tutor.grading.class_report import ELSEWHERE, MANY, ordered
from tutor.language import N_, in_its_language, joined, ntr, tr
from tutor.shown import json_text
from tutor.views.feedback import number, sentence
from tutor.views.frame import SHEET, document, table, verdict
from tutor.views.plain import columns, cut, padded
from tutor.views.svg import plain

if TYPE_CHECKING:
    from tutor.grading.class_report import Bin, Bounded, ClassReport, Look, QuestionSummary, Scores

BAR = 24  # cells of the longest bar in a terminal
WIDEST = 40  # cells of a name in a terminal
SHORT = 14  # letters of a name that stays on one line
LEVELS = 5  # of heat
MOST_OPEN = 25  # entries of a list that is not folded
CAUSES = 3  # mistakes that are named where people leave the path
SHOWN = 12  # quantities, mistakes and looks in a terminal

WHY = {
    "points": N_("its points are not known yet"),
    "undecided": N_("a part of it could not be decided"),
    "unreadable": N_("a part of it could not be read"),
    "unplaced": N_("it does not say which question it is for"),
}
PROBLEMS = {
    "unknown-learner": N_("from somebody who is not on the roster"),
    "duplicate": N_("a further sheet for a question: an attempt of its own"),
    "wrong-exercise": N_("for an exercise, or a variant, that was not asked"),
    "unplaced": N_("does not say which question it is for"),
    "unreadable": N_("could not be read"),
    "empty": N_("empty"),
    "too-large": N_("too large"),
    "not-a-sheet": N_("not a sheet"),
    "unsafe": N_("not opened: its path or its archive is not safe"),
    "undecided": N_("could not be judged to the end"),
}
POLICIES = {
    "best": N_("the best attempt counts"),
    "last": N_("the last attempt counts"),
    "average": N_("attempts count on average"),
}

STYLE = (
    SHEET
    + """
.tutor { max-width: 60rem; }
.tutor .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 0.7rem;
  margin: 1.2rem 0; }
.tutor .tiles div { border: 1px solid var(--edge); border-radius: 6px; padding: 0.5rem 0.8rem; }
.tutor .tiles dt { color: var(--soft); font-size: 0.85em; }
.tutor .tiles dd { margin: 0; font-size: 1.5rem; font-weight: 700; font-variant-numeric: tabular-nums;
  line-height: 1.3; }
.tutor .tiles dd small { font-size: 0.85rem; font-weight: 400; color: var(--soft); }
.tutor .bars { width: 100%; } .tutor .bars td, .tutor .bars th { padding: 0.12em 0.8em 0.12em 0; font-weight: 400; }
.tutor .bars thead th, .tutor .heat thead th, .tutor .looks thead th, .tutor .overview thead th { color: var(--soft);
  font-size: 0.85em; font-weight: 600; }
.tutor .bars .name { white-space: nowrap; width: 1%; }
.tutor .bars .words { white-space: normal; width: 38%; line-height: 1.3; overflow-wrap: break-word; }
.tutor .bars .long code { white-space: normal; overflow-wrap: anywhere; }
.tutor .bars .causes { width: 42%; line-height: 1.3; }
.tutor .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; width: 1%; }
.tutor td.share { color: var(--soft); }
.tutor .bar { display: block; height: 1em; min-width: 1px; background: var(--back); border-radius: 0 3px 3px 0; }
.tutor .bar.none { background: none; } .tutor .bars td.track { padding-right: 0.8em; }
.tutor .heat th, .tutor .heat td, .tutor .overview th, .tutor .overview td { padding: 0.3em 0.6em; }
.tutor .heat td { text-align: right; font-variant-numeric: tabular-nums; border: 2px solid var(--paper);
  min-width: 3.2em; }
.tutor .heat thead th { vertical-align: bottom; text-align: right; min-width: 4.5em; max-width: 9em;
  overflow-wrap: break-word; }
.tutor .heat thead th:first-child { text-align: left; }
.tutor .heat thead th:first-child, .tutor .overview thead th:first-child { padding-left: 0; }
.tutor .heat th[scope=row] { position: sticky; left: 0; background: var(--paper); font-weight: 400; padding-left: 0;
  max-width: 22em; line-height: 1.3; }
.tutor .heat th small { color: var(--soft); } .tutor .heat .sum { font-weight: 700; }
.tutor .h0 { color: var(--soft); } .tutor .h1 { background: color-mix(in srgb, var(--back) 8%, var(--paper)); }
.tutor .h2 { background: color-mix(in srgb, var(--back) 15%, var(--paper)); }
.tutor .h3 { background: color-mix(in srgb, var(--back) 22%, var(--paper)); }
.tutor .h4 { background: color-mix(in srgb, var(--back) 29%, var(--paper)); }
.tutor .h5 { background: color-mix(in srgb, var(--back) 36%, var(--paper)); font-weight: 700; }
.tutor .overview { width: 100%; } .tutor .overview th[scope=row] { padding-left: 0; min-width: 9em;
  overflow-wrap: break-word; }
.tutor .overview tbody tr, .tutor .looks tbody tr { border-top: 1px solid var(--edge); }
.tutor .looks { width: 100%; overflow-wrap: anywhere; }
.tutor .looks td { vertical-align: top; padding: 0.3em 0.8em 0.3em 0; }
.tutor .names { columns: 14em; margin: 0.4em 0; padding-left: 1.2em; overflow-wrap: anywhere; }
.tutor .bar, .tutor .heat td { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
.tutor .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 0 2.5rem; }
.tutor .two > * { min-width: 0; }
.tutor h4 { margin: 1em 0 0.3em; font-size: 0.95rem; }
@media (max-width: 44rem) {
  .tutor .looks thead { display: none; } .tutor .looks tr { display: block; padding: 0.5em 0; }
  .tutor .looks td { display: block; padding: 0; }
  .tutor .heat th[scope=row] { min-width: 10em; max-width: 10em; font-size: 0.85em; }
  .tutor .heat th small { display: none; }
  .tutor .bars .causes { display: none; }
}
@media print { .tutor .heat th[scope=row] { position: static; } .tutor .heat, .tutor .bars { font-size: 0.9em; } }
"""
)


def count(n: int) -> str:
    """`5,000`"""
    return f"{n:,}"


def share(n: int, of: int) -> str:
    """`38 %`; what is little is not nothing, and what is nearly all is not all."""
    if not of:
        return ""
    percent = 100 * n / of
    if 0 < percent < 1:
        return "< 1 %"
    return "> 99 %" if 99 < percent < 100 else f"{percent:.0f} %"


def _range(each: Bin, last: bool) -> str:
    """`3`, or `2.5 to 3`: from the first to below the second, the last one with it."""
    if each.low == each.high:
        return number(each.low)
    if last:
        return tr("{low} to {high}", low=number(each.low), high=number(each.high))
    return tr("{low} to below {high}", low=number(each.low), high=number(each.high))


def _causes(q: QuestionSummary, quantity: str) -> str:
    """`sign 12, factor 3`: the mistakes that were made there, the most frequent first."""
    found = [(id, n) for id, n in ordered(q.causes.get(quantity, {})) if id]
    return joined([f"{tr(id)} {count(n)}" for id, n in found[:CAUSES]])


def _divergences(q: QuestionSummary) -> list[tuple[str, int]]:
    return ordered(q.divergences)


def _quantity(name: str) -> str:
    return tr("another") if name == ELSEWHERE else name


def _problems(r: ClassReport) -> list[tuple[str, int]]:
    return [(tr(said), r.problems[id]) for id, said in PROBLEMS.items() if r.problems[id]]


def _attempts(n: int) -> str:
    if n >= MANY:
        return tr("{number} or more attempts", number=MANY)
    return ntr("1 attempt", "{number} attempts", n, number=n)


def _more(listed: Bounded) -> str:
    more = listed.left_out
    return ntr("and 1 more", "and {number} more", more, number=count(more)) if more > 0 else ""


def _figures(r: ClassReport) -> list[tuple[str, str, str]]:
    """(what, the figure, beside it)"""
    known, most = r.scores, number(r.scores.most)
    of = tr("of {most}", most=most)
    made = [
        (tr("learners"), count(r.learners), ""),
        (tr("handed in"), count(r.handed_in), share(r.handed_in, r.learners)),
        (tr("mean"), "–" if known.mean is None else number(known.mean), of if known.number else ""),
        (tr("median"), "–" if known.median is None else number(known.median), of if known.number else ""),
        (tr("all points"), count(known.full), share(known.full, known.number)),
        (tr("to look at"), count(r.to_look_at.number), ""),
    ]
    return made


def _excluded(r: ClassReport) -> str:
    """Who is not in the figures of points."""
    if not r.waiting:
        return ""
    return ntr(
        "1 learner's sum is not known yet, and is not counted here",
        "the sums of {number} learners are not known yet, and are not counted here",
        r.waiting, number=count(r.waiting),
    )  # fmt: skip


# -- a terminal ------------------------------------------------------------------------------------------------------


@in_its_language
def text(r: ClassReport) -> str:
    """The summary in a terminal."""
    figures = "   ".join(f"{what} {figure}{f' ({beside})' if beside else ''}" for what, figure, beside in _figures(r))
    blocks = [f"{r.title}\n{figures}"]
    if not r.handed_in:
        blocks.append(tr("nothing was handed in"))
    if r.scores.number:
        note = _excluded(r)
        blocks.append("\n".join([tr("Points"), *_text_bins(r.scores), *([f"  {note}"] if note else [])]))
    blocks += [block for q in r.questions.values() for block in _text_question(q)]
    if r.mistakes:
        blocks.append("\n".join([tr("Mistakes, by learners who made them"), *_text_mistakes(r)]))
    if r.to_look_at.number:
        blocks.append("\n".join([tr("To look at by hand"), *_text_looks(r)]))
    if problems := _problems(r):
        blocks.append("\n".join([tr("Files with a problem"), *_bars(problems)]))
    for head, listed in ((tr("Not handed in"), r.absent), (tr("Not on the roster"), r.unknown)):
        if listed.number:
            names = joined([who for who, _ in listed.entries[:SHOWN]])
            more = listed.number - min(listed.number, SHOWN)
            rest = f" {ntr('and 1 more', 'and {number} more', more, number=count(more))}" if more else ""
            blocks.append(f"{head}{tr(': ')}{count(listed.number)}\n  {names}{rest}")
    return "\n\n".join(blocks) + "\n"


def _bars(rows: Sequence[tuple[str, int]], notes: Sequence[str] = ()) -> list[str]:
    """`dz  ######  12`"""
    most = max((n for _, n in rows), default=0)
    names = [cut(name, WIDEST) for name, _ in rows]
    wide, digits = max(map(columns, names), default=0), len(count(most))
    made = []
    for place, (name, (_, n)) in enumerate(zip(names, rows, strict=True)):
        bar = "#" * (max(round(BAR * n / most), 1) if n else 0)
        note = notes[place] if place < len(notes) else ""
        made.append(f"  {padded(name, wide)}  {count(n):>{digits}}  {bar:{BAR}}  {note}".rstrip())
    return made


def _text_bins(scores: Scores) -> list[str]:
    bins = scores.bins
    return _bars([(_range(each, each is bins[-1]), each.number) for each in bins])


def _text_question(q: QuestionSummary) -> Iterator[str]:
    mean = "–" if q.scores.mean is None else number(q.scores.mean)
    head = tr("{title}: mean {mean} of {most}; {answered} answered, {full} with all points", title=q.title, mean=mean,
              most=number(q.scores.most), answered=count(q.answered), full=count(q.scores.full))  # fmt: skip
    if not q.divergences:
        yield head
        return
    found = _divergences(q)[:SHOWN]
    rows = [(_quantity(name), n) for name, n in found]
    yield "\n".join([head, "  " + tr("where the path is left"), *_bars(rows, [_causes(q, name) for name, _ in found])])


def _text_mistakes(r: ClassReport) -> list[str]:
    return _bars([(tr(id), n) for id, n in r.mistakes[:SHOWN]])


def _text_looks(r: ClassReport) -> Iterator[str]:
    for look in r.to_look_at.entries[:SHOWN]:
        where = joined([part for part in (look.question, look.file) if part])
        yield f"  {look.learner}{tr(': ')}{where}{tr(': ')}{tr(WHY[look.why])}"
    more = r.to_look_at.number - SHOWN
    if more > 0:
        yield "  " + ntr("and 1 more", "and {number} more", more, number=count(more))


# -- a page ----------------------------------------------------------------------------------------------------------


@in_its_language
def html(r: ClassReport) -> str:
    """The page: self-contained, without a script, for any screen and for paper."""
    tiles = "".join(
        f"<div><dt>{plain(what)}</dt><dd>{figure}{f' <small>{plain(beside)}</small>' if beside else ''}</dd></div>"
        for what, figure, beside in _figures(r)
    )
    body = [f"<h1>{plain(r.title)}</h1>", f"<p>{plain(tr('Class report'))}</p>", f'<dl class="tiles">{tiles}</dl>']
    if not r.handed_in:
        body.append(f"<p>{plain(tr('Nothing was handed in yet.'))}</p>")
    body += [part for make in (_points, _overview, _heat, _looked, _files) for part in make(r)]
    body += [part for q in r.questions.values() if q.answered for part in _question(q, r)]
    body += [*_people(tr("Not handed in"), r.absent), *_people(tr("Not on the roster"), r.unknown)]
    return document(tr("Class report: {title}", title=r.title), body, STYLE)


def _section(head: str, *inner: str) -> str:
    return f"<section><h2>{plain(head)}</h2>{''.join(inner)}</section>"


def _scroll(inner: str, said: str) -> str:
    return f'<div class="scroll" role="region" aria-label="{plain(said)}" tabindex="0">{inner}</div>'


def _bar_table(heads: Sequence[str], rows: Sequence[tuple[str, int, str]], of: int, code: bool = False) -> str:
    """Name, bar, number and share, and what else is said of each."""
    most = max((n for _, n, _ in rows), default=0)
    more = any(said for _, _, said in rows)
    titles = [*heads[:1], "", heads[1], tr("share"), *(heads[2:] if more else [])]
    kinds = [_name_kind([name for name, _, _ in rows], code), "track", "n", "n", "causes"]
    head = "".join(
        f'<th scope="col" class="{kind}">{plain(title)}</th>' if title else f'<td class="{kind}"></td>'
        for title, kind in zip(titles, kinds, strict=False)
    )
    made = []
    for name, n, said in rows:
        width = f"{100 * n / most:.1f}%" if n else "0"
        shown = f"<code>{plain(name)}</code>" if code else plain(name)
        bar = f'<span class="bar{"" if n else " none"}" style="width:{width}"></span>'
        last = f'<td class="causes why">{plain(said)}</td>' if more else ""
        made.append(
            f'<tr><th scope="row" class="{kinds[0]}">{shown}</th><td class="track">{bar}</td>'
            f'<td class="n">{count(n)}</td><td class="n share">{plain(share(n, of))}</td>{last}</tr>'
        )
    return f'<table class="bars"><thead><tr>{head}</tr></thead><tbody>{"".join(made)}</tbody></table>'


def _name_kind(names: Sequence[str], code: bool) -> str:
    """How names are laid out: on one line where all of them are short."""
    if max(map(columns, names), default=0) <= SHORT:
        return "name"
    return "words long" if code else "words"


def _bins(scores: Scores) -> str:
    bins = scores.bins
    rows = [(_range(each, each is bins[-1]), each.number, "") for each in bins]
    return _bar_table([tr("points"), tr("learners")], rows, scores.number)


def _points(r: ClassReport) -> Iterator[str]:
    if r.scores.number:
        note = sentence(_excluded(r))
        yield _section(tr("Points"), f"<p>{plain(note)}</p>" if note else "", _bins(r.scores))


def _overview(r: ClassReport) -> Iterator[str]:
    """A row for each question."""
    if not r.handed_in:
        return
    heads = [tr("question"), tr("mean"), tr("of"), tr("all points"), tr("no points"), tr("answered"), tr("left out")]
    waiting = any(q.waiting for q in r.questions.values())
    heads += [tr("not known yet")] if waiting else []
    head = "".join(f'<th scope="col"{"" if n == 0 else _RIGHT}>{plain(word)}</th>' for n, word in enumerate(heads))
    rows = []
    for q in r.questions.values():
        mean = "–" if q.scores.mean is None else number(q.scores.mean)
        cells = [mean, number(q.scores.most), count(q.scores.full), count(q.scores.none), count(q.answered)]
        cells += [count(q.unanswered), *([count(q.waiting)] if waiting else [])]
        name = f"{plain(q.title)}<br/><small><code>{plain(q.question)}</code></small>"
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(f"<td{_RIGHT}>{cell}</td>" for cell in cells)}</tr>')
    made = f'<table class="overview"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    yield _section(tr("Questions"), _scroll(made, tr("questions, scrolls sideways where it is wide")))


_RIGHT = ' class="n"'


def _heat(r: ClassReport) -> Iterator[str]:
    """Mistakes down, questions across, in each cell how many learners made it."""
    from tutor.grading.feedback import MISTAKES

    if not r.mistakes:
        return
    asked = list(r.questions.values())
    hottest = max(q.mistakes[id] for q in asked for id, _ in r.mistakes)
    several = len(asked) > 1
    heads = [tr("mistake"), *(q.question for q in asked), *([tr("together")] if several else [])]
    rows = []
    for id, total in r.mistakes:
        cells = "".join(_cell(q.mistakes[id], hottest) for q in asked)
        cells += f'<td class="sum">{count(total)}</td>' if several else ""
        name = f"{plain(tr(MISTAKES[id]))} <small>({plain(tr(id))})</small>"
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    said = tr("How many learners made a mistake in the sheet that is shown, whichever line it is on; of several causes "
              "that fit a line the likeliest counts.")  # fmt: skip
    yield _section(
        tr("Mistakes"), f"<p>{plain(said)}</p>", _scroll(table("heat", heads, rows), tr("mistakes by question"))
    )


def _cell(n: int, hottest: int) -> str:
    level = -(-LEVELS * n // hottest) if n else 0
    return f'<td class="h{level}">{count(n)}</td>'


def _looked(r: ClassReport) -> Iterator[str]:
    if not r.to_look_at.number:
        return
    heads = (tr("learner"), tr("question"), tr("file"), tr("why"))
    rows = (f"<tr>{_look(look)}</tr>" for look in r.to_look_at.entries)
    yield _listed(tr("To look at by hand"), r.to_look_at, table("looks", heads, rows))


def _listed(head: str, listed: Bounded, inner: str) -> str:
    """A list: open where it is short, so that it is printed as well."""
    more = f"<p>{plain(_more(listed))}</p>" if listed.left_out else ""
    is_open = ' open=""' if listed.number <= MOST_OPEN else ""
    shown, number = count(len(listed.entries)), count(listed.number)
    said = ntr("{number} entry", "{number} entries", listed.number, number=number)
    if more:
        said = tr("the first {shown} of {number} entries", shown=shown, number=number)
    return _section(head, f"<details{is_open}><summary>{plain(sentence(said))}</summary>{inner}{more}</details>")


def _look(look: Look) -> str:
    who = f"{plain(look.person)} <code>{plain(look.learner)}</code>" if look.person else plain(look.learner)
    file = f"<code>{plain(look.file)}</code>" if look.file else ""
    return f"<td>{who}</td><td>{plain(look.question)}</td><td>{file}</td><td>{plain(tr(WHY[look.why]))}</td>"


def _files(r: ClassReport) -> Iterator[str]:
    if problems := _problems(r):
        rows = [(said, n, "") for said, n in problems]
        yield _section(
            tr("Files with a problem"), _bar_table([tr("problem"), tr("files")], rows, sum(r.problems.values()))
        )


def _question(q: QuestionSummary, r: ClassReport) -> Iterator[str]:
    """One question closely: verdicts, points, where the path is left, attempts."""
    shown = " &#160; ".join(
        f"{verdict(each)} {count(q.verdicts[each])} <small>({plain(share(q.verdicts[each], q.answered))})</small>"
        for each in ("correct", "incomplete", "undecided", "unreadable", "wrong")
        if q.verdicts[each]
    )
    made = [f"<p><code>{plain(q.exercise)}</code></p>", f"<p>{shown}</p>" if shown else ""]
    if q.divergences:
        heads = [tr("first wrong line"), tr("learners"), tr("likeliest mistakes there")]
        rows = [(_quantity(name), n, _causes(q, name)) for name, n in _divergences(q)]
        made.append(f"<h3>{plain(tr('Where the path is left'))}</h3>{_bar_table(heads, rows, q.answered, code=True)}")
    left = [f"<h3>{plain(tr('Points'))}</h3>{_bins(q.scores)}"] if q.scores.number else []
    if set(q.attempts) - {1}:
        rows = [(_attempts(n), q.attempts[n], "") for n in sorted(q.attempts)]
        bars = _bar_table([tr("attempts"), tr("learners")], rows, q.answered)
        left.append(f"<h3>{plain(tr('Attempts'))}</h3><p>{plain(sentence(tr(POLICIES[r.policy])))}</p>{bars}")
    made.append(f'<div class="two">{"".join(f"<div>{part}</div>" for part in left)}</div>')
    if q.overrides:
        said = ntr("1 learner's points were set by hand", "the points of {number} learners were set by hand",
                   q.overrides, number=count(q.overrides))  # fmt: skip
        made.append(f"<p>{plain(sentence(said))}</p>")
    yield _section(q.title, *made)


def _people(head: str, listed: Bounded) -> Iterator[str]:
    if not listed.number:
        return
    names = "".join(
        f"<li>{plain(person)} <code>{plain(who)}</code></li>" if person else f"<li>{plain(who)}</li>"
        for who, person in listed.entries
    )
    yield _listed(head, listed, f'<ul class="names">{names}</ul>')


def json(r: ClassReport) -> str:
    return json_text(r.to_dict()) + "\n"
