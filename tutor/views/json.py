"""JSON: the same results for programs, in English unless a language was chosen. Documents name their schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tutor.language import for_programs, of_exercise_as_data, tr
from tutor.shown import json_text
from tutor.symbolic.notation import SheetWriter, Writer, shape_text
from tutor.views.page import closed_gradients, closed_lines, page, sentence

if TYPE_CHECKING:
    from tutor.exercise import Exercise, Quantity
    from tutor.symbolic.closed import ClosedForm
    from tutor.symbolic.derive import Derivation, Gradient, Step


def dumps(document: Any) -> str:
    return json_text(document) + "\n"


def _quantity(q: Quantity, writer: SheetWriter) -> dict[str, Any]:
    found = {"name": q.name, "kind": q.kind, "indices": [i.name for i in q.indices], "shape": shape_text(q.shape)}
    if q.expr is not None:
        found["formula"] = writer.write(q.expr)
    if q.is_leaf:
        found["domain"] = q.domain
    return found


@for_programs()
def exercise(ex: Exercise) -> str:
    writer = SheetWriter(ex)
    return dumps({
        "schema": "tutor.exercise/1",
        "id": ex.id,
        "title": of_exercise_as_data(ex.title),
        "level": ex.level,
        "tags": list(ex.tags),
        "requires": list(ex.requires),
        "statement": of_exercise_as_data(ex.statement),
        "quantities": [_quantity(q, writer) for q in ex],
        "asked": ex.asked,
    })  # fmt: skip


def _step(step: Step, writer: SheetWriter) -> dict[str, Any]:
    return {
        "rule": step.rule,
        "consumer": step.consumer,
        "before": Writer(writer.exercise).write(step.before),
        "after": writer.write(step.after)
        if not step.after.has(*_partial())
        else Writer(writer.exercise).write(step.after),
        "messages": [{"id": m.id, "text": sentence(m, Writer(writer.exercise))} for m in step.messages],
        "steps": [_step(s, writer) for s in step.steps],
    }


def _partial() -> tuple[type, ...]:
    from tutor.symbolic.derive import Partial

    return (Partial,)


def _gradient(g: Gradient, writer: SheetWriter) -> dict[str, Any]:
    return {
        "quantity": g.name,
        "name": g.symbol_name,
        "indices": [i.name for i in g.indices],
        "shape": shape_text(g.shape),
        "formula": writer.write(g.expr),
        "torch": g.torch,
        "latex": g.latex,
        "step": _step(g.step, writer),
    }


@for_programs()
def gradient(g: Gradient) -> str:
    return dumps({"schema": "tutor.gradient/1", **_gradient(g, SheetWriter(g.derivation.exercise))})


def _closed(g: Gradient, writer: SheetWriter) -> dict[str, Any]:
    plain = Writer(writer.exercise)
    steps = [
        {"formula": plain.write(line.right), "reasons": [sentence(m, plain) for m in line.reasons]}
        for line in closed_lines(g)
    ]
    return {"quantity": g.name, "formula": writer.write(g.closed), "steps": steps}


@for_programs()
def closed(c: ClosedForm) -> str:
    return dumps({"schema": "tutor.closed/1", **_closed(c.gradient, SheetWriter(c.gradient.derivation.exercise))})


def derivation(d: Derivation, verification: Any = None, closed: bool = False) -> str:
    return dumps(derivation_data(d, closed))


@for_programs()
def derivation_data(d: Derivation, closed: bool = False) -> dict[str, Any]:
    content = page(d)
    writer = SheetWriter(d.exercise)
    document: dict[str, Any] = {
        "schema": "tutor.derivation/1",
        "exercise": d.exercise.id,
        "given": [g.symbol_name for g in content.given],
        "gradients": [_gradient(s.gradient, writer) for s in content.sections],
        "values": [_quantity(q, writer) for q in content.values],
    }
    if closed:
        document["closed"] = [_closed(g, writer) for g in closed_gradients(d)]
    return document


def verification(v: Any) -> str:
    return dumps(verification_data(v))


@for_programs()
def verification_data(v: Any) -> dict[str, Any]:
    rows = [
        {
            "quantity": r.quantity,
            "shape": shape_text(r.shape),
            "autograd": r.autograd,
            "reference": r.reference,
            "differences": r.differences,
            "agrees": r.agrees,
        }
        for r in v.rows
    ]
    head = {"schema": "tutor.verification/1", "exercise": v.exercise, "agrees": v.agrees}
    return {**head, "rows": rows, "notes": [tr(note) for note in v.notes]}


def certificate(c: Any) -> str:
    return dumps(certificate_data(c))


@for_programs()
def certificate_data(c: Any) -> dict[str, Any]:
    return {
        "schema": "tutor.certificate/1", "exercise": c.exercise, "agrees": c.agrees, "mistakes": dict(c.by_mistake),
        "least_change": c.least, "without_effect": len(c.same), "points": c.points, "scores": c.scores,
        "empty_score": c.empty, "zeros": list(c.zeros), "breaks": list(map(tr, c.breaks)),
        "refusals": list(map(tr, c.refusals)),
    }  # fmt: skip
