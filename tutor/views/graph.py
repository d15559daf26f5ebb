"""A computation graph as text, as DOT and as mermaid; as a picture in `drawing.py`.

Forward edges are solid, backward arrows dashed, and the place where a sheet diverges bears a ✗: never colour alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from tutor.language import ntr, of_exercise, tr
from tutor.views.plain import columns, padded

if TYPE_CHECKING:
    from tutor.pictures.graph import Edge, Graph, Node

MARK = "✗"


def title(g: Graph) -> str:
    return tr("Computation graph of {exercise}", exercise=g.exercise)


def label(node: Node) -> str:
    """`z (N, K)`, with a ✗ where the sheet diverges."""
    return " ".join(part for part in (MARK if node.diverges else "", node.name, node.shape) if part)


def sentences(g: Graph) -> list[str]:
    """The graph in words, for those who do not see it."""
    given = [node.name for node in g.nodes if not g.into(node.name)]
    said = [ntr("{names} is given", "{names} are given", len(given), names=", ".join(given))]
    said += [tr("{name} comes from {names}", name=n.name, names=", ".join(into)) for n, into in _into(g, "forward")]
    for node, into in _into(g, "backward"):
        names = ", ".join(_gradients(g, into))
        if names != f"d{node.name}":
            said.append(tr("the gradient d{name} comes from {names}", name=node.name, names=names))
    if divergence(g):
        said.append(divergence(g))
    return said


def sentence(text: str) -> str:
    """With its full stop."""
    return tr("{sentence}.", sentence=text)


def divergence(g: Graph) -> str:
    """`the sheet diverges at dz (line 2)`"""
    if g.divergence is None:
        return ""
    if not g.divergence.line:
        return tr("the answer diverges at {name}", name=g.divergence.quantity)
    return tr("the sheet diverges at {name} ({place})", name=g.divergence.quantity, place=g.divergence.place)


def left_out(g: Graph) -> str:
    names = ", ".join(g.values)
    return tr("not in the picture, since computed from the gradients: {names}", names=names) if g.values else ""


def _into(g: Graph, flow: str) -> list[tuple[Node, list[str]]]:
    return [(node, into) for node in g.nodes if (into := g.into(node.name, flow))]


def _gradients(g: Graph, names: list[str]) -> list[str]:
    """`dz` for z; the upstream gradient `dO` by its own name."""
    upstream = {node.name for node in g.nodes if node.kind == "upstream"}
    return [name if name in upstream else f"d{name}" for name in names]


def text(g: Graph) -> str:
    """A line per quantity: shape, what it is computed from, and what its gradient is made from."""
    rows = [(tr("quantity"), tr("shape"), tr("forward, from"), tr("backward, from"))]
    for node in g.nodes:
        back = _gradients(g, g.into(node.name, "backward"))
        rows.append((_plain_name(node), node.shape, ", ".join(g.into(node.name)), ", ".join(back)))
    widths = [max(columns(row[c]) for row in rows) for c in range(4)]
    lines = ["   ".join(padded(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    below = [f"\n{part}" for part in (divergence(g), left_out(g)) if part]
    return "\n".join([f"{g.exercise}   {of_exercise(g.title)}", "", *(f"  {line}" for line in lines), *below])


def _plain_name(node: Node) -> str:
    return f"{MARK} {node.name}" if node.diverges else node.name


# -- DOT ----------------------------------------------------------------------------------------------------------

_DOT_NODES = {
    "input": "shape=box, style=rounded",
    "parameter": 'shape=box, style="rounded,bold"',
    "step": "shape=box",
    "loss": "shape=box, peripheries=2",
    "output": "shape=box, peripheries=2",
    "upstream": "shape=plaintext",
}


def dot(g: Graph) -> str:
    """For Graphviz and what reads its language."""
    lines = [f"digraph {_quoted(g.exercise)} {{", f"  label={_quoted(title(g))};", "  labelloc=t;"]
    lines += [
        f"  {_quoted(n.name)} [label={_quoted(_two_lines(n))}, {_DOT_NODES[n.kind]}"
        f"{', color=firebrick, penwidth=3' if n.diverges else ''}, tooltip={_quoted(n.formula or n.name)}];"
        for n in g.nodes
    ]
    lines += [f"  {_quoted(e.source)} -> {_quoted(e.target)}{_dot_edge(e)};" for e in g.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_edge(edge: Edge) -> str:
    if edge.flow == "forward":
        return ""
    marked = f', color=firebrick, penwidth=3, label="{MARK}"' if edge.diverges else ""
    return f" [style=dashed, arrowhead=vee, constraint=false{marked}]"


def _two_lines(node: Node) -> str:
    return "\n".join(part for part in (f"{MARK} {node.name}" if node.diverges else node.name, node.shape) if part)


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


# -- mermaid ------------------------------------------------------------------------------------------------------

_MERMAID_NODES = {
    "input": ("([", "])"),
    "parameter": ("[(", ")]"),
    "step": ("[", "]"),
    "loss": ("[[", "]]"),
    "output": ("[[", "]]"),
    "upstream": ("[/", "/]"),
}


def mermaid(g: Graph) -> str:
    """For pages and notebooks that draw mermaid."""
    ids = {node.name: f"n{number}" for number, node in enumerate(g.nodes)}
    lines = ["flowchart TD", f"  accTitle: {title(g)}"]
    for node in g.nodes:
        left, right = _MERMAID_NODES[node.kind]
        lines.append(f'  {ids[node.name]}{left}"{_two_lines(node).replace(chr(10), "<br>")}"{right}')
    for edge in g.edges:
        arrow = "-->" if edge.flow == "forward" else f"-. {MARK} .->" if edge.diverges else "-.->"
        lines.append(f"  {ids[edge.source]} {arrow} {ids[edge.target]}")
    wrong = [str(number) for number, edge in enumerate(g.edges) if edge.diverges]
    if wrong:
        lines.append(f"  linkStyle {','.join(wrong)} stroke:#b3261e,stroke-width:3px")
    lines += [f"  style {ids[n.name]} stroke:#b3261e,stroke-width:3px" for n in g.nodes if n.diverges]
    return "\n".join(lines) + "\n"


def _svg(g: Graph) -> str:
    from tutor.views.drawing import svg

    return svg(g)


FORMS: dict[str, Callable[[Graph], str]] = {"text": text, "svg": _svg, "dot": dot, "mermaid": mermaid}
