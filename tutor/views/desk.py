"""The learner's desk as text: where one stands, hints, progress. Needs neither sympy nor torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tutor.language import N_, joined, ntr, of_exercise, said, tr
from tutor.shown import quoted
from tutor.views.plain import columns, cut, padded

if TYPE_CHECKING:
    from tutor.checking.report import Report
    from tutor.course import Course
    from tutor.desk.sheets import Given
    from tutor.desk.standing import Open, Standing

BAR, NARROW, WIDE = 20, 60, 80  # cells of a bar, of the narrowest terminal, and where there is none
MOST = 10  # open sheets that are shown
KEYS = N_("n next   h hint   d derivation   l list   q quit")
WELCOME = N_("""\
A tutor for gradients: it derives them step by step, checks them against
torch.autograd, and names the first line of your derivation that is wrong.

  tutor demo                         all of it on one example
  tutor list                         the exercises
  tutor show linear-regression       one exercise
  tutor start linear-regression      a sheet to fill in
  tutor check linear-regression.py   your sheet, line by line
  tutor watch                        the same at every save
  tutor hint linear-regression.py    what to look at next
  tutor drill linear-regression      find one planted mistake
  tutor derive "(w*x + b - y)**2"    any formula, step by step

'tutor --help' lists all commands, 'tutor COMMAND --help' explains one;
'tutor help syntax' says what a sheet may contain.""")


def beginning(s: Standing) -> str:
    """For who begins: what there is, and the first thing to type."""
    return f"{tr(WELCOME)}\n\n{tr('The course begins with {id}.', id=s.following)}\n\n{following(s)}"


def standing(s: Standing, keys: bool = False) -> str:
    """What is solved, what is open, what to type next; not that where keys are pressed instead."""
    solved = ntr("You have solved 1 of {total} exercises.", "You have solved {number} of {total} exercises.",
                 len(s.solved), number=len(s.solved), total=s.total)  # fmt: skip
    blocks = [solved if s.solved else tr("No exercise is solved yet; there are {total}.", total=s.total)]
    if s.open:
        blocks.append("\n".join(_open(s.open)))
    if s.problem:
        blocks.append(tr("note: {problem}", problem=s.problem))
    if not keys:
        blocks.append(following(s))
    return "\n\n".join(blocks)


def following(s: Standing) -> str:
    """What to type, and where help is, for what is wrong already."""
    if s.command is None:
        return tr("The course is done.")
    if s.open and s.open[0].verdict:
        stuck = tr("stuck:  tutor hint {sheet}", sheet=quoted(s.open[0].path))
        return tr("next:   {command}", command=s.command) + "\n" + stuck
    return tr("next: {what}", what=s.command)


def _open(sheets: Sequence[Open]) -> list[str]:
    lines = table([("", each.path, _verdict(each), _detail(each)) for each in sheets[:MOST]]).split("\n")
    more = len(sheets) - MOST
    return lines if more <= 0 else [*lines, "  " + ntr("and 1 more", "and {number} more", more, number=more)]


def _verdict(each: Open) -> str:
    return tr(each.verdict) if each.verdict else tr("not checked")


def _detail(each: Open) -> str:
    if not each.verdict:
        return ""
    points = tr("{score:g} of {most:g} points", score=each.score, most=each.max_score)
    return tr("{points}, look at {place}", points=points, place=_place(each.place)) if each.place else points


def _place(kept: str) -> str:
    """`line 3`, as progress keeps it, in the language in use."""
    found = re.fullmatch(r"line (\d+)(?: of cell (\d+))?", kept)
    if found is None:
        return kept
    line, cell = found.groups()
    return tr("line {number}", number=line) if cell is None else tr("line {line} of cell {cell}", line=line, cell=cell)


def hint(given: Given, keys: bool = False) -> str:
    """One hint, for what, and how to get the next, with a key where `keys` are pressed; or why there is none."""
    report, found = given.report, given.hint
    if found is None:
        return _no_hint(report)
    line = report.first_divergence
    at = found.quantity if line is None or not line.line else f"{line.named}{tr(': ')}{found.quantity}"
    head = tr("{sheet}, {at}   (hint {level} of {of})", sheet=given.sheet, at=at, level=found.level, of=found.of)
    more = tr("next: try it; 'tutor hint {sheet}' says more", sheet=quoted(given.sheet))
    if keys:
        more = tr("next: try it; h says more")
    last = tr("this was the last hint; 'tutor derive {exercise}' shows the derivation", exercise=report.exercise)
    blocks = [head, str(found.text), more if found.level < found.of else last]
    if given.problem:
        blocks.append(tr("note: {problem}", problem=given.problem))
    return "\n\n".join(blocks)


def _no_hint(report: Report) -> str:
    if report.correct:
        return tr("{exercise} is solved: it needs no hint", exercise=report.exercise)
    line = next((line for line in report.lines if line.verdict in ("unreadable", "undecided")), None)
    reason = joined(report.notes, said("; ")) if line is None else f"{line.named}{tr(': ')}{line.reason}"
    return tr("the sheet cannot be judged yet: {reason}", reason=reason)


def progress(s: Standing, course: Course, width: int | None = None) -> str:
    """A bar for each track, then what is open; `width` is the terminal's."""
    rows = [(of_exercise(track.title), track.exercises) for track in course.tracks]
    if not rows:
        return standing(s)
    wide = min(max(columns(title) for title, _ in rows), max(width or WIDE, NARROW) - BAR - 12)
    lines = []
    for title, ids in rows:
        done = sum(id in s.solved for id in ids)
        full = BAR * done // len(ids) if ids else 0
        bar = "#" * full + "." * (BAR - full)
        lines.append(f"{padded(cut(title, wide), wide)}  [{bar}] {done:>2}/{len(ids)}")
    return "\n".join(lines) + "\n\n" + standing(s)


def findings(found: Sequence[Any]) -> str:
    """What the doctor found: a word, the thing, what it is."""
    words = {True: tr("ok"), False: tr("BAD"), None: "-"}
    return table([(words[each.well], each.what, each.found) for each in found])


def table(rows: Sequence[tuple[Any, ...]]) -> str:
    """Columns below one another."""
    shown = [[str(cell) for cell in row] for row in rows]
    widths = [max(columns(row[c]) for row in shown) for c in range(len(shown[0]))] if shown else []
    return "\n".join(
        "   ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown
    )
