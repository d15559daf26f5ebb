"""A computation graph as a picture: SVG that stands alone or inside a page, placed by igraph's layered layout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from tutor.language import tr
from tutor.views.graph import MARK, divergence, sentence, sentences, title
from tutor.views.svg import breadth, colours, element, picture, plain

if TYPE_CHECKING:
    from tutor.pictures.graph import Edge, Graph, Node

NAME, SHAPE, SMALL = 14, 11, 12  # font sizes
HEIGHT, LEAST = 42, 58  # of a box; its least width
ASIDE, AHEAD = 22, 34  # gaps between boxes of a layer, and between layers
PORT, PAIR = 13, 4  # between two edges at a box; from the middle to each of a pair
HEAD = 7  # how far a line stays away from the tip of its arrow
PAGE = 680  # what goes further than this is drawn from left to right, if that is narrower
ROUNDS = 500  # of reducing crossings
MARGIN = 14

LOOK = "tutor-graph"
STYLE = (
    f".{LOOK} text{{font:{SMALL}px system-ui,sans-serif;fill:var(--ink)}}"
    f".{LOOK} .name{{font:600 {NAME}px ui-monospace,monospace;text-anchor:middle}}"
    f".{LOOK} .shape{{font:{SHAPE}px ui-monospace,monospace;text-anchor:middle;fill:var(--soft)}}"
    f".{LOOK} path,.{LOOK} rect{{fill:none;stroke:var(--soft);stroke-width:1.3}}"
    f".{LOOK} .box{{fill:var(--ground);stroke:var(--soft)}}"
    f".{LOOK} .parameter,.{LOOK} .loss,.{LOOK} .output{{stroke:var(--ink);stroke-width:2.4}}"
    f".{LOOK} .upstream{{fill:none;stroke:none}}"
    f".{LOOK} .head{{fill:var(--soft);stroke:none}}"
    f".{LOOK} .backward{{stroke:var(--back);stroke-dasharray:6 4;stroke-width:1.5}}"
    f".{LOOK} .backward.tip{{stroke-dasharray:none;stroke-linecap:round;stroke-width:1.8}}"
    f".{LOOK} .diverges{{stroke:var(--bad);stroke-width:3}}"
    f".{LOOK} .badge{{fill:var(--bad);stroke:var(--paper);stroke-width:1.5}}"
    f".{LOOK} .sign{{font:700 13px system-ui,sans-serif;fill:var(--paper);text-anchor:middle}}"
)


def svg(g: Graph, key: str = "graph", alone: bool = True) -> str:
    """The picture; `alone` as a file of its own, with its colours and its ground."""
    drawn = _Drawing(g)
    body = [*drawn.edges(), *drawn.boxes(), *drawn.badges(), *drawn.legend()]
    if alone:
        body.insert(0, element("rect", width="100%", height="100%", style="fill:var(--paper);stroke:none"))
    return picture(
        drawn.width,
        drawn.height,
        body,
        title=title(g),
        desc=" ".join(map(sentence, sentences(g))),
        key=key,
        style=(colours(f".{LOOK}") if alone else "") + STYLE,
        look=LOOK,
    ) + ("\n" if alone else "")


@dataclass
class _Box:
    """A node on the paper: its middle and its size."""

    node: Node
    width: float
    height: float = HEIGHT
    x: float = 0
    y: float = 0


@dataclass
class _Wire:
    """What runs between two nodes: the edges of both directions, and the points on the way."""

    ends: tuple[str, str]
    edges: list[Edge] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class _Place:
    """What stands in a layer: a box, or the bend of a wire that passes by."""

    x: float
    layer: int
    extent: float
    pull: float  # where its neighbours are
    box: _Box | None = None
    points: list[tuple[float, float]] = field(default_factory=list)  # of the wire


class _Drawing:
    """Boxes in layers, placed along the flow (down, or to the right) and across it."""

    def __init__(self, g: Graph):
        self.g = g
        self.nodes = {node.name: _Box(node, _width(node)) for node in g.nodes}
        self.wires = _wires(g)
        self.layers = _layers(g, self.wires)
        self.down = True
        self._place()
        if self.width > PAGE and self._breadth_sideways() < self.width:
            self.down = False
            self._place()

    # -- places ---------------------------------------------------------------------------------------------------

    def _place(self) -> None:
        from igraph import Graph as Drawn

        names = list(self.nodes)
        pairs = [(names.index(a), names.index(b)) for a, b in (wire.ends for wire in self.wires)]
        layout = Drawn(len(names), pairs, directed=True).layout_sugiyama(
            layers=[self.layers[name] for name in names], maxiter=ROUNDS
        )
        self._grow()
        ahead, rows = self._ahead(), self._rows(layout)
        pitch = _pitch(rows, self._gap)
        for row in rows:
            for place, x in zip(row, _apart([p.x * pitch for p in row], row, self._gap), strict=True):
                place.x = x
        for place in (place for row in rows for place in row):
            start, stop = ahead[place.layer]
            if place.box is not None:
                place.box.x, place.box.y = self._turned(place.x, (start + stop) / 2)
            else:  # straight past the boxes of its layer
                place.points += [self._turned(place.x, start), self._turned(place.x, stop)]
        self._shift()
        self._connect()
        self.width, self.height = self._extent()

    def _rows(self, layout: Any) -> list[list[_Place]]:
        """What stands in each layer, boxes and bends, in its order."""
        made: list[list[_Place]] = [[] for _ in range(max(self.layers.values(), default=0) + 1)]
        for (name, box), (x, layer) in zip(self.nodes.items(), layout, strict=True):
            extent = box.width if self.down else box.height
            beside = [layout[n][0] for n in self._beside(name)]
            made[round(layer)].append(_Place(x, round(layer), extent, sum(beside) / max(len(beside), 1), box))
        for wire, route in zip(self.wires, layout.edge_routing, strict=True):
            wire.points = []
            for x, layer in route:
                made[round(layer)].append(_Place(x, round(layer), 2 * PAIR, x, None, wire.points))
        return [sorted(row, key=lambda place: (place.x, place.pull)) for row in made]

    def _beside(self, name: str) -> list[int]:
        """The numbers of the nodes that a node is joined with."""
        names = list(self.nodes)
        return [names.index(b if a == name else a) for a, b in (w.ends for w in self.wires) if name in (a, b)]

    def _gap(self, a: _Place, b: _Place) -> float:
        return (a.extent + b.extent) / 2 + (ASIDE if self.down else 12)

    def _grow(self) -> None:
        """Sideways, a box with many edges needs a side that is long enough."""
        for name, box in self.nodes.items():
            count = max(sum(name == wire.ends[end] for wire in self.wires) for end in (0, 1))
            box.height = HEIGHT if self.down else max(HEIGHT, min(count, 5) * PORT + 8)

    def _ahead(self) -> list[tuple[float, float]]:
        """Where each layer begins and ends, along the flow."""
        layers: list[float] = [0.0] * (max(self.layers.values(), default=0) + 1)
        for name, box in self.nodes.items():
            at = self.layers[name]
            layers[at] = max(layers[at], box.height if self.down else box.width)
        made, edge = [], 0.0
        for extent in layers:
            made.append((edge, edge + extent))
            edge += extent + AHEAD + (0 if self.down else 16)
        return made

    def _breadth_sideways(self) -> float:
        widths: dict[int, float] = defaultdict(float)
        for name, box in self.nodes.items():
            widths[self.layers[name]] = max(widths[self.layers[name]], box.width)
        return sum(widths.values()) + AHEAD * len(widths)

    def _turned(self, across: float, ahead: float) -> tuple[float, float]:
        return (across, ahead) if self.down else (ahead, across)

    def _shift(self) -> None:
        """Everything into the picture."""
        boxes = self.nodes.values()
        points = [p for wire in self.wires for p in wire.points]
        left = min([b.x - b.width / 2 for b in boxes] + [x for x, _ in points]) - MARGIN
        top = min([b.y - b.height / 2 for b in boxes] + [y for _, y in points]) - MARGIN
        for box in boxes:
            box.x, box.y = box.x - left, box.y - top
        for wire in self.wires:
            wire.points = [(x - left, y - top) for x, y in wire.points]

    def _connect(self) -> None:
        """Each wire ends at a place of its own, in the order of where the wires come from."""
        inner = {id(wire): list(wire.points) for wire in self.wires}
        for name, box in self.nodes.items():
            for end in (0, 1):
                mine = [wire for wire in self.wires if wire.ends[end] == name]
                mine.sort(key=lambda wire: self._across(self._next(wire, end, inner[id(wire)])))
                room = (box.width if self.down else box.height) - 16
                step = min(PORT, room / max(len(mine) - 1, 1))
                for number, wire in enumerate(mine):
                    offset = (number - (len(mine) - 1) / 2) * step
                    wire.points.insert(0 if end == 0 else len(wire.points), self._at(box, offset, end))

    def _next(self, wire: _Wire, end: int, inner: list[tuple[float, float]]) -> tuple[float, float]:
        other = self.nodes[wire.ends[1 - end]]
        return (inner[0] if end == 0 else inner[-1]) if inner else (other.x, other.y)

    def _across(self, point: tuple[float, float]) -> float:
        return point[0] if self.down else point[1]

    def _at(self, box: _Box, offset: float, end: int) -> tuple[float, float]:
        """On the far side of a box where an edge begins, on the near one where it ends."""
        side = 1 if end == 0 else -1
        if self.down:
            return box.x + offset, box.y + side * box.height / 2
        return box.x + side * box.width / 2, box.y + offset

    def _extent(self) -> tuple[float, float]:
        boxes = self.nodes.values()
        points = [p for wire in self.wires for p in wire.points]
        right = max([b.x + b.width / 2 for b in boxes] + [x + PORT for x, _ in points]) + MARGIN
        self.bottom = max([b.y + b.height / 2 for b in boxes] + [y for _, y in points]) + MARGIN
        self.rows = _flowed(_legend(self.g), max(right, 300) - 2 * MARGIN)
        widest = max((sum(wide for _, _, wide in row) for row in self.rows), default=0) + 2 * MARGIN
        return max(right, widest), self.bottom + 22 * len(self.rows) + 8

    # -- what is drawn --------------------------------------------------------------------------------------------

    def edges(self) -> list[str]:
        return [self._edge(wire, edge) for wire in self.wires for edge in wire.edges]

    def _edge(self, wire: _Wire, edge: Edge) -> str:
        aside = 0.0 if len(wire.edges) == 1 else -PAIR if edge.flow == "forward" else PAIR
        dx, dy = (aside, 0) if self.down else (0, aside)
        points = [(x + dx, y + dy) for x, y in wire.points]
        ahead = edge.flow == "forward"
        said = _said(edge)
        look = edge.flow + (" diverges" if edge.diverges else "")
        path = element("path", d=_path(points, self.down, aside, ahead), class_=look)
        return element("g", element("title", plain(said)), path, self._tip(points, ahead, look))

    def _tip(self, points: list[tuple[float, float]], ahead: bool, look: str) -> str:
        """Filled forward, open backward."""
        (x, y), size = (points[-1] if ahead else points[0]), 8 if ahead else -8
        if self.down:
            ends = [(x - 4, y - size), (x, y), (x + 4, y - size)]
        else:
            ends = [(x - size, y - 4), (x, y), (x - size, y + 4)]
        shape = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in ends)
        if ahead:
            return element("path", d=shape + "Z", class_="head")
        middle = f"M{x:.1f} {y:.1f}L" + (f"{x:.1f} {y - size:.1f}" if self.down else f"{x - size:.1f} {y:.1f}")
        return element("path", d=shape + middle, class_=f"tip {look}")

    def boxes(self) -> list[str]:
        return [_box(box) for box in self.nodes.values()]

    def badges(self) -> list[str]:
        """A ✗ on what diverges: on the node's corner, and in the middle of each arrow."""
        made = [_badge(b.x + b.width / 2, b.y - b.height / 2) for b in self.nodes.values() if b.node.diverges]
        for wire in self.wires:
            if any(edge.diverges for edge in wire.edges):
                made.append(_badge(*self._middle(wire)))
        return made

    def _middle(self, wire: _Wire) -> tuple[float, float]:
        at = (len(wire.points) - 1) // 2
        (x1, y1), (x2, y2) = wire.points[at], wire.points[at + 1]
        aside = PAIR if len(wire.edges) > 1 else 0
        return (x1 + x2) / 2 + (aside if self.down else 0), (y1 + y2) / 2 + (0 if self.down else aside)

    def legend(self) -> list[str]:
        """What the lines and boxes mean, flowing over as many rows as it takes."""
        made = []
        for number, row in enumerate(self.rows):
            x, y = float(MARGIN), self.bottom + 14 + 22 * number
            for sample, words, wide in row:
                made.append(element("g", _sample(sample, x, y), element("text", plain(words), x=x + 40, y=y + 4)))
                x += wide
        return made


def _width(node: Node) -> float:
    return max(breadth(node.name, NAME, fixed=True) + 26, breadth(node.shape, SHAPE, fixed=True) + 20, LEAST)


def _wires(g: Graph) -> list[_Wire]:
    """An edge and the gradient that comes back along it are one wire; `dO` comes from below, against the flow."""
    made: dict[tuple[str, str], _Wire] = {}
    for edge in g.edges:
        ends = (edge.source, edge.target) if edge.flow == "forward" else (edge.target, edge.source)
        made.setdefault(ends, _Wire(ends)).edges.append(edge)
    return list(made.values())


def _layers(g: Graph, wires: list[_Wire]) -> dict[str, int]:
    """As far from the inputs as a node is; what is given stands right before its first use."""
    into: dict[str, list[str]] = defaultdict(list)
    out_of: dict[str, list[str]] = defaultdict(list)
    for a, b in (wire.ends for wire in wires):
        into[b].append(a)
        out_of[a].append(b)
    made: dict[str, int] = {}
    for node in g.nodes:  # in the order in which they are computed
        made[node.name] = max((made[name] + 1 for name in into[node.name]), default=0)
    for node in g.nodes:
        if not into[node.name] and out_of[node.name]:
            made[node.name] = min(made[name] for name in out_of[node.name]) - 1
    first = min(made.values(), default=0)
    return {name: layer - first for name, layer in made.items()}


def _pitch(rows: list[list[_Place]], gap: Callable[[_Place, _Place], float]) -> float:
    """Pixels for one unit of the layout, so that no two neighbours touch."""
    apart = [(gap(a, b), b.x - a.x) for row in rows for a, b in pairwise(row)]
    return max((need / units for need, units in apart if units > 0.9), default=1.0)


def _apart(wished: list[float], row: list[_Place], gap: Callable[[_Place, _Place], float]) -> list[float]:
    """The places nearest to those wished for at which nothing touches: the layout puts some on one another.

    Without the room that each needs, this is a monotone regression: neighbours that violate it take their mean.
    """
    room = list(accumulate((gap(a, b) for a, b in pairwise(row)), initial=0.0))
    groups: list[list[float]] = []
    for wish, before in zip(wished, room, strict=False):
        groups.append([wish - before])
        while len(groups) > 1 and sum(groups[-2]) / len(groups[-2]) > sum(groups[-1]) / len(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    means = [sum(group) / len(group) for group in groups for _ in group]
    return [mean + before for mean, before in zip(means, room, strict=False)]


def _path(points: list[tuple[float, float]], down: bool, aside: float, ahead: bool) -> str:
    """Smooth through all points, along the flow at each of them; two edges of a pair turn one after the other.

    The line stays inside of its arrowhead: forward that is at its end, backward at its beginning.
    """
    turned = points if down else [(y, x) for x, y in points]
    (x, y), *rest = turned
    made: list[tuple[str, tuple[float, ...]]] = [("M", (x, y + (0 if ahead else HEAD)))]
    for number, (a, b) in enumerate(rest, 1):
        half = (y + b) / 2 - (aside if a > x else -aside) * 1.2
        end = b - (HEAD if ahead and number == len(rest) else 0)
        made.append(("L", (a, end)) if abs(a - x) < 0.5 else ("C", (x, half, a, half, a, end)))
        x, y = a, b
    return "".join(sign + _numbers(part, down) for sign, part in made)


def _numbers(part: tuple[float, ...], down: bool) -> str:
    pairs = list(zip(part[::2], part[1::2], strict=True))
    return " ".join(f"{a:.1f} {b:.1f}" for a, b in (pairs if down else [(q, p) for p, q in pairs]))


def _box(box: _Box) -> str:
    node, left, top = box.node, box.x - box.width / 2, box.y - box.height / 2
    look = f"box {node.kind}" + (" diverges" if node.diverges else "")
    given = node.kind in ("input", "parameter")
    size = {"width": box.width, "height": box.height}
    parts = [
        element("title", plain(_told(node))),
        element("rect", x=left, y=top, rx=HEIGHT / 2 if given else 5, **size, class_=look),
    ]
    if node.kind in ("loss", "output"):
        size = {"width": box.width - 8, "height": box.height - 8}
        parts.append(element("rect", x=left + 4, y=top + 4, rx=2, **size))
    name_at = box.y - 2 if node.shape else box.y + 5
    parts.append(element("text", plain(node.name), x=box.x, y=name_at, class_="name"))
    if node.shape:
        parts.append(element("text", plain(node.shape), x=box.x, y=box.y + 13, class_="shape"))
    return element("g", *parts)


def _told(node: Node) -> str:
    """What a pointer that rests on a node is told."""
    said = node.formula or node.name
    return tr("{formula} (its gradient is asked)", formula=said) if node.asked else said


def _said(edge: Edge) -> str:
    if edge.flow == "forward":
        return tr("{target} is computed from {source}", target=edge.target, source=edge.source)
    return tr("the gradient goes from {source} back to {target}", source=edge.source, target=edge.target)


def _badge(x: float, y: float) -> str:
    disc = element("circle", cx=x, cy=y, r=9, class_="badge")
    return element("g", disc, element("text", MARK, x=x, y=y + 4.5, class_="sign"))


# -- the legend ---------------------------------------------------------------------------------------------------


def _legend(g: Graph) -> list[tuple[str, str]]:
    kinds = {node.kind for node in g.nodes}
    flows = {edge.flow for edge in g.edges}
    entries = [
        ("input", tr("input"), "input" in kinds),
        ("parameter", tr("parameter"), "parameter" in kinds),
        ("step", tr("step"), "step" in kinds),
        ("loss", tr("loss"), "loss" in kinds),
        ("loss", tr("output"), "output" in kinds),
        ("forward", tr("forward"), "forward" in flows),
        ("backward", tr("backward: the gradient"), "backward" in flows),
        ("diverges", divergence(g), g.divergence is not None),
    ]
    return [(sample, words) for sample, words, present in entries if present]


def _flowed(entries: list[tuple[str, str]], width: float) -> list[list[tuple[str, str, float]]]:
    rows: list[list[tuple[str, str, float]]] = [[]]
    used = 0.0
    for sample, words in entries:
        wide = 40 + breadth(words, SMALL) + 18
        if rows[-1] and used + wide > width:
            rows.append([])
            used = 0.0
        rows[-1].append((sample, words, wide))
        used += wide
    return [row for row in rows if row]


def _sample(kind: str, x: float, y: float) -> str:
    if kind == "forward":
        tip = f"M{x + 24:.1f} {y - 4:.1f}L{x + 32:.1f} {y:.1f}L{x + 24:.1f} {y + 4:.1f}Z"
        head = element("path", d=tip, class_="head")
        return element("path", d=f"M{x:.1f} {y:.1f}H{x + 25:.1f}", class_="forward") + head
    if kind == "backward":
        tip = f"M{x + 8:.1f} {y - 4:.1f}L{x:.1f} {y:.1f}L{x + 8:.1f} {y + 4:.1f}"
        line = element("path", d=f"M{x + 2:.1f} {y:.1f}H{x + 32:.1f}", class_="backward")
        return line + element("path", d=tip, class_="backward tip")
    if kind == "diverges":
        return _badge(x + 16, y)
    size = {"x": x + 2, "y": y - 7, "width": 28, "height": 14}
    made = element("rect", **size, rx=7 if kind in ("input", "parameter") else 3, class_=f"box {kind}")
    if kind == "loss":
        made += element("rect", x=x + 5, y=y - 4, width=22, height=8, rx=1)
    return made
