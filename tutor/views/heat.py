"""Where a tensor is off, entry by entry: blocks for a terminal, squares that grow with the error as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tutor.language import ntr, tr
from tutor.views.svg import colours, element, picture, plain

if TYPE_CHECKING:
    from tutor.checking.report import Heat

MARKS = ".░▒▓█!"  # right, quarters of the largest error, not finite
WIDE = 2  # letters of a cell
CELL, GAP, MARGIN, EDGE = 22, 18, 8, 30  # pixels: a cell, between matrices, around; where the numbers stand
HEAD = 16  # above a matrix
TOLD = 200  # cells up to which each tells its entry to a pointer that rests on it
FEWEST = 3  # cells: below that a picture says no more than the worst entries do

LOOK = "tutor-heat"
STYLE = (
    f".{LOOK} text{{font:11px ui-monospace,monospace;fill:var(--soft);text-anchor:middle}}"
    f".{LOOK} .cell{{fill:var(--ground);stroke:var(--edge)}}"
    f".{LOOK} .off{{fill:var(--bad)}}"
    f".{LOOK} .dot{{fill:var(--soft)}}"
    f".{LOOK} .sign{{font-weight:700;fill:var(--paper)}}"
)


def worth_showing(line: Any) -> bool:
    return line.heat is not None and len(line.heat.gaps) >= FEWEST


def report(r: Any) -> str:
    """The report as text, and below it a map for each wrong tensor."""
    return "\n\n".join([str(r).rstrip("\n"), *(text(line) for line in r if worth_showing(line))])


def text(line: Any) -> str:
    """`dz   |yours - true|` and a block per entry."""
    heat = line.heat
    lines = [title(line)]
    for number, panel in enumerate(heat.panels):
        if len(heat.panels) > 1:
            lines += ["", f"  {_slice(line, number)}"]
        labels = _labels(len(panel), heat.block[0]) if len(heat.shape) > 1 else [""]
        lines.append(f"  {' ' * len(labels[0])}{_numbered(len(panel[0]), heat.block[1])}")
        for label, row in zip(labels, panel, strict=True):
            lines.append(f"  {label}{''.join(MARKS[heat.level(gap)] * WIDE for gap in row)}")
    lines.append(f"  {key(heat)}")
    return "\n".join([*lines, *(f"  {note}" for note in notes(heat))])


def _labels(cells: int, block: int) -> list[str]:
    """Numbers of rows, all of one width."""
    wide = len(str((cells - 1) * block))
    return [f"{n * block:{wide}}  " for n in range(cells)]


def _numbered(cells: int, block: int) -> str:
    """Numbers of columns, each above the left end of its cell; where they need more than a cell, not all of them."""
    step = len(str((cells - 1) * block)) // WIDE + 1  # a space stays between two
    return "".join(str(c * block).ljust(WIDE * step) for c in range(0, cells, step)).rstrip()


def title(line: Any) -> str:
    return tr("{name}: |yours - true| of each entry, at most {most}", name=line.quantity, most=_figure(line.heat))


def _figure(heat: Heat) -> str:
    return f"{heat.largest:.3g}" if heat.largest else tr("not finite")


def key(heat: Heat) -> str:
    """What the marks mean, those that occur."""
    levels = {heat.level(gap) for gap in heat.gaps}
    made = [tr("{mark} right", mark=MARKS[0])] if 0 in levels else []
    for level in range(1, heat.LEVELS + 1):
        if level in levels:
            most = heat.largest * level / heat.LEVELS
            made.append(tr("{mark} up to {most}", mark=MARKS[level], most=f"{most:.2g}"))
    if heat.LEVELS + 1 in levels:
        made.append(tr("{mark} not finite", mark=MARKS[-1]))
    return "   ".join(made)


def notes(heat: Heat) -> list[str]:
    made = []
    if heat.block != (1, 1):
        made.append(tr("each cell is the largest of {count} entries", count=heat.block[0] * heat.block[1]))
    if heat.left_out:
        more = "{number} more matrix is not shown", "{number} more matrices are not shown"
        made.append(ntr(*more, heat.left_out, number=heat.left_out))
    return made


def _slice(line: Any, panel: int) -> str:
    """`dP[1]`"""
    index = line.heat.index(panel, 0, 0)[:-2]
    return f"{line.quantity}[{', '.join(map(str, index))}]"


# -- as a picture -------------------------------------------------------------------------------------------------


def svg(line: Any, key: str = "heat", alone: bool = True) -> str:
    """A square in each cell that grows with the error; a dot where the entry is right."""
    heat = line.heat
    body, width, y = [], 0.0, float(MARGIN)
    for number, panel in enumerate(heat.panels):
        if len(heat.panels) > 1:
            name = element("text", plain(_slice(line, number)), x=MARGIN, y=y + 11, style="text-anchor:start")
            body.append(name)
            y += 16
        body += _panel(line, number, panel, y)
        width = max(width, 2 * MARGIN + EDGE + CELL * len(panel[0]))
        y += HEAD + CELL * len(panel) + GAP
    if alone:
        body.insert(0, element("rect", width="100%", height="100%", style="fill:var(--paper)"))
    look = (colours(f".{LOOK}") if alone else "") + STYLE
    desc = described(line)
    return picture(width, y - GAP + MARGIN, body, title=title(line), desc=desc, key=key, style=look, look=LOOK)


def described(line: Any) -> str:
    """The picture in words."""
    heat = line.heat
    right = sum(not gap for gap in heat.gaps)
    said = tr("{right} of {count} cells are right.", right=right, count=len(heat.gaps))
    worst = [f"{_entry(line, entry.index)}: {abs(entry.given - entry.expected):.3g}" for entry in line.worst]
    return " ".join([said, tr("The largest errors: {worst}.", worst="; ".join(worst)), *notes(heat)])


def _entry(line: Any, index: tuple[int, ...]) -> str:
    return f"{line.quantity}[{', '.join(map(str, index))}]"


def _panel(line: Any, number: int, panel: Any, top: float) -> list[str]:
    """Numbers at the edges, the grid as one path, then what is in the cells."""
    heat = line.heat
    left = MARGIN + (EDGE if len(heat.shape) > 1 else 0)
    rows, columns = len(panel), len(panel[0])
    made = [_grid(left, top + HEAD, rows, columns)]
    for c in range(columns):
        made.append(element("text", str(c * heat.block[1]), x=left + CELL * (c + 0.5), y=top + 11))
    for r in range(rows) if len(heat.shape) > 1 else ():
        made.append(element("text", str(r * heat.block[0]), x=MARGIN + EDGE / 2, y=top + HEAD + CELL * (r + 0.5) + 4))
    for r, row in enumerate(panel):
        for c, gap in enumerate(row):
            told = f"{_entry(line, heat.index(number, r, c))}: {gap:.3g}" if len(heat.gaps) <= TOLD else ""
            made.append(_cell(heat, gap, left + CELL * (c + 0.5), top + HEAD + CELL * (r + 0.5), told))
    return made


def _grid(left: float, top: float, rows: int, columns: int) -> str:
    lines = [f"M{left} {top + CELL * r:g}h{CELL * columns}" for r in range(rows + 1)]
    lines += [f"M{left + CELL * c} {top:g}v{CELL * rows}" for c in range(columns + 1)]
    size = {"x": left, "y": top, "width": CELL * columns, "height": CELL * rows}
    return element("rect", **size, class_="cell") + element("path", d="".join(lines), class_="cell")


def _cell(heat: Heat, gap: float, x: float, y: float, told: str) -> str:
    """A square around the middle of the cell, or a dot."""
    inner = (element("title", plain(told)),) if told else ()
    level = heat.level(gap)
    if level == 0:
        return element("circle", *inner, cx=x, cy=y, r=1.5, class_="dot")
    share = 1.0 if level > heat.LEVELS else (gap / heat.largest) ** 0.5
    side = 4 + (CELL - 6) * share
    made = element("rect", *inner, x=x - side / 2, y=y - side / 2, width=side, height=side, class_="off")
    return made + (element("text", MARKS[-1], x=x, y=y + 4, class_="sign") if level > heat.LEVELS else "")
