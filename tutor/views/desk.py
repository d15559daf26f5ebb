"""The learner's desk as text: where one stands, hints, progress. Needs neither sympy nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tutor.language import N_, ntr, of_exercise, tr
from tutor.shown import quoted

if TYPE_CHECKING:
    from tutor.course import Course
    from tutor.desk.sheets import Given
    from tutor.desk.standing import Open, Standing

BAR = 20  # cells of a bar
KEYS = N_("n next   h hint   d derivation   l list   q quit")


def standing(s: Standing) -> str:
    """What is solved, what is open, what to type next."""
    solved = ntr("You have solved 1 of {total} exercises.", "You have solved {number} of {total} exercises.",
                 len(s.solved), number=len(s.solved), total=s.total)  # fmt: skip
    blocks = [solved if s.solved else tr("No exercise is solved yet; there are {total}.", total=s.total)]
    if s.open:
        blocks.append("\n".join(_open(s.open)))
    if s.problem:
        blocks.append(tr("note: {problem}", problem=s.problem))
    blocks.append(_next(s))
    return "\n\n".join(blocks)


def _next(s: Standing) -> str:
    """What to type, and where help is, for what is wrong already."""
    if s.command is None:
        return tr("The course is done.")
    said = tr("next:   {command}", command=s.command)
    if s.open and s.open[0].verdict:
        said += "\n" + tr("stuck:  tutor hint {sheet}", sheet=quoted(s.open[0].path))
    return said


def _open(sheets: Sequence[Open]) -> list[str]:
    paths = max(len(each.path) for each in sheets)
    words = max(len(_verdict(each)) for each in sheets)
    return [f"  {each.path.ljust(paths)}   {_verdict(each).ljust(words)}   {_detail(each)}".rstrip() for each in sheets]


def _verdict(each: Open) -> str:
    return each.verdict or tr("not checked")


def _detail(each: Open) -> str:
    if not each.verdict:
        return ""
    points = tr("{score:g} of {most:g} points", score=each.score, most=each.max_score)
    return tr("{points}, look at {place}", points=points, place=each.place) if each.place else points


def hint(given: Given) -> str:
    """One hint, for what, and how to get the next."""
    line = given.report.first_divergence
    at = given.hint.quantity if line is None or not line.line else f"{line.named}: {given.hint.quantity}"
    head = tr("{sheet}, {at}   (hint {level} of {of})", sheet=given.sheet, at=at, level=given.hint.level,
              of=given.hint.of)  # fmt: skip
    more = tr("next: try it; 'tutor hint {sheet}' says more", sheet=quoted(given.sheet))
    last = tr("this was the last hint; 'tutor derive {exercise}' shows the derivation", exercise=given.report.exercise)
    return "\n\n".join([head, given.hint.text, more if given.hint.level < given.hint.of else last])


def progress(s: Standing, course: Course) -> str:
    """A bar for each track, then what is open."""
    rows = [(of_exercise(track.title), track.exercises) for track in course.tracks]
    if not rows:
        return standing(s)
    wide = min(max(columns(title) for title, _ in rows), 60 - BAR - 12)
    lines = []
    for title, ids in rows:
        done = sum(id in s.solved for id in ids)
        full = round(BAR * done / len(ids)) if ids else 0
        bar = "#" * full + "." * (BAR - full)
        shown = title if columns(title) <= wide else title[: wide - 3] + "..."
        lines.append(f"{shown}{' ' * (wide - columns(shown))}  [{bar}] {done:>2}/{len(ids)}")
    return "\n".join(lines) + "\n\n" + standing(s)


def beginning(s: Standing) -> str:
    """The last line of the welcome."""
    return tr("The course begins with: {following}   (tutor start {following})", following=s.following)


def findings(found: Sequence[Any]) -> str:
    """What the doctor found: a mark and a word, the thing, what it is."""
    marks = {True: "✓", False: "✗", None: "-"}
    return table([(marks[each.well], each.what, each.found) for each in found])


def table(rows: Sequence[tuple[Any, ...]]) -> str:
    """Columns below one another."""
    shown = [[str(cell) for cell in row] for row in rows]
    widths = [max(columns(row[c]) for row in shown) for c in range(len(shown[0]))] if shown else []
    return "\n".join(
        "  ".join(cell + " " * (width - columns(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    )
