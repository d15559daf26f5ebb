"""An exercise's programs, each compiled once: the forward pass, our gradients, the facts."""

from __future__ import annotations

from tutor.exercise import Exercise
from tutor.numeric.evaluate import Plan, compile_program
from tutor.symbolic.indices import ordered_indices


def forward_plan(exercise: Exercise, distinct: bool = False) -> Plan:
    """Steps, then the loss or outputs."""
    program = [(q.name, q.indices, q.expr) for q in exercise.forward]
    return exercise.cached(("forward", distinct), lambda: compile_program(program, distinct=distinct))


def step_plans(exercise: Exercise) -> list[Plan]:
    """The forward pass, a plan for each of its lines."""
    lines = [(q.name, q.indices, q.expr) for q in exercise.forward]
    return exercise.cached("steps", lambda: [compile_program([line], distinct=True) for line in lines])


def backward_plan(exercise: Exercise) -> Plan:
    """Our gradients, and then the values computed from them."""

    def make() -> Plan:
        from tutor.symbolic.derive import derive

        values = [(q.name, q.indices, q.expr) for q in exercise.values]
        return compile_program([*derive(exercise).program, *values])

    return exercise.cached("backward", make)


def fact_plan(exercise: Exercise) -> Plan:
    """left - right of every fact."""
    program = [
        (f"fact {n}", ordered_indices(fact.left - fact.right), fact.left - fact.right)
        for n, fact in enumerate(exercise.facts)
    ]
    return exercise.cached("facts", lambda: compile_program(program))
