"""The computation graph of an exercise: what each quantity is computed from, and the way the gradients go back.

Decided once, from the exercise and its derivation; the views spell it as a picture, as DOT, as mermaid, as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tutor.exercise import Exercise, Quantity
from tutor.shown import Shown
from tutor.symbolic.derive import Derivation, Gradient, Partial, derive
from tutor.symbolic.indices import name_of
from tutor.symbolic.notation import Writer, shape_text

if TYPE_CHECKING:
    from tutor.checking.report import LineReport, Report

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Node:
    """A named quantity with its shape.

    `kind` is the quantity's own, or `upstream` for the gradient that is given to an output.
    """

    name: str
    kind: str
    shape: str  # `(N, K)`; empty for a number
    formula: str = ""
    asked: bool = False
    diverges: bool = False


@dataclass(frozen=True)
class Edge:
    """`source` goes into `target`; backward, the gradient of `source` goes into that of `target`."""

    source: str
    target: str
    flow: str
    diverges: bool = False


@dataclass(frozen=True)
class Graph(Shown):
    """Nodes in the order in which they are computed; `divergence` is the line at which a sheet leaves the truth.

    Values after the backward pass are no nodes: what they are computed from is part of the answer.
    """

    shown_as = "graph"

    exercise: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    values: tuple[str, ...] = ()
    divergence: LineReport | None = None

    def into(self, name: str, flow: str = FORWARD) -> list[str]:
        """The names that a node is computed from; backward, those whose gradients its own is made of."""
        return [edge.source for edge in self.edges if edge.target == name and edge.flow == flow]

    def __repr__(self) -> str:
        return f"Graph({self.exercise!r}, {len(self.nodes)} nodes, {len(self.edges)} edges)"


def graph(exercise: Exercise | str, wrt: Iterable[str] = ()) -> Graph:
    """The graph of an exercise, with the way back to what it asks for, and to the further quantities of `wrt`."""
    if isinstance(exercise, str):
        import tutor

        exercise = tutor.load(exercise)
    derivation = derive(exercise, _wanted(exercise, wrt))
    writer = Writer(exercise)
    nodes = [_node(exercise, q, writer) for q in exercise if q.kind != "value"]
    nodes += [Node(f"d{q.name}", "upstream", _shape(q)) for q in exercise.ends if q.kind == "output"]
    edges = (*_forward(exercise), *_backward(exercise, derivation))
    return Graph(exercise.id, exercise.title, tuple(nodes), edges, tuple(q.name for q in exercise.values))


def _wanted(exercise: Exercise, wrt: Iterable[str]) -> list[str]:
    """What is asked or read after the backward pass, and what else is wished for."""
    read = [name for name in exercise.quantities for v in exercise.values if f"d{name}" in v.reads]
    found = dict.fromkeys([*exercise.asked, *read, *(name for name in wrt if name in exercise.quantities)])
    return [name for name in found if exercise[name].differentiable] or [exercise.ends[0].name]


def _node(exercise: Exercise, q: Quantity, writer: Writer) -> Node:
    formula = writer.write(q.entry) + ("" if q.expr is None else f" = {writer.write(q.expr)}")
    return Node(q.name, q.kind, _shape(q), formula, q.name in exercise.asked)


def _shape(q: Quantity) -> str:
    return shape_text(q.shape) if q.shape else ""


def _forward(exercise: Exercise) -> Iterator[Edge]:
    for q in exercise.forward:
        yield from (Edge(name, q.name, FORWARD) for name in exercise.quantities if name in q.reads)


def _backward(exercise: Exercise, derivation: Derivation) -> Iterator[Edge]:
    for q in exercise.ends:
        if q.kind == "output":
            yield Edge(f"d{q.name}", q.name, BACKWARD)
    for gradient in derivation.needed:
        for v in consumers(gradient):
            yield Edge(v.name, gradient.name, BACKWARD)


def consumers(gradient: Gradient) -> tuple[Quantity, ...]:
    """The quantities through which one reaches the loss, the last computed first."""
    steps = list(gradient.step.walk())
    names = {step.consumer for step in steps}
    names |= {name_of(p.args[0]) for step in steps for p in step.after.atoms(Partial)}
    return tuple(v for v in reversed(gradient.derivation.exercise.forward) if v.name in names)


# -- where a sheet diverges ---------------------------------------------------------------------------------------


def diverging(exercise: Exercise, report: Report) -> Graph:
    """The graph with the node and the arrows at which the sheet's first wrong line leaves the truth marked."""
    given = [name for line in report.lines if (name := exercise.differentiated(line.quantity or ""))]
    made = graph(exercise, given)
    line = report.first_divergence
    if line is None or line.quantity is None:
        return made
    wrong = _wrong_arrows(exercise, made, line)
    node = exercise.differentiated(line.quantity) or line.quantity
    return replace(
        made,
        nodes=tuple(replace(n, diverges=n.name == node) for n in made.nodes),
        edges=tuple(replace(e, diverges=e in wrong) for e in made.edges),
        divergence=line,
    )


def _wrong_arrows(exercise: Exercise, made: Graph, line: Any) -> list[Edge]:
    """For `dz` the gradients that meet in z, or the one way that was left out; for `dp_dz` the arrow from p to z."""
    back = [edge for edge in made.edges if edge.flow == BACKWARD]
    name = exercise.differentiated(line.quantity)
    if name is None:
        return [edge for edge in back if f"d{edge.source}_d{edge.target}" == line.quantity]
    arrows = [edge for edge in back if edge.target == name]
    likely = line.mistakes[0] if line.mistakes else None
    missing = likely.params.get("v") if likely is not None and likely.id == "missing-path" else None
    return [edge for edge in arrows if edge.source == missing] or arrows
