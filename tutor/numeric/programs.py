"""An exercise's programs, each compiled once: the forward pass, our gradients, their magnitudes, the facts."""

from __future__ import annotations

from sympy import Expr, Idx

from tutor.exercise import Exercise
from tutor.numeric.compare import magnitude
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


def backward_program(exercise: Exercise) -> list[tuple[str, tuple[Idx, ...], Expr]]:
    """Our gradients, and then the values computed from them, as one straight-line program."""

    def make() -> list[tuple[str, tuple[Idx, ...], Expr]]:
        from tutor.symbolic.derive import derive

        return [*derive(exercise).program, *((q.name, q.indices, q.expr) for q in exercise.values)]

    return exercise.cached("backward program", make)


def backward_plan(exercise: Exercise) -> Plan:
    """The backward program as one plan."""
    return exercise.cached("backward", lambda: compile_program(backward_program(exercise)))


def backward_steps(exercise: Exercise) -> list[tuple[str, Plan]]:
    """The backward program, a plan for each of its names."""
    program = backward_program(exercise)
    return exercise.cached("backward steps", lambda: [(line[0], compile_program([line])) for line in program])


def magnitude_plan(exercise: Exercise, name: str = "") -> Plan:
    """`|dW|`: the sum of the absolute values of an entry's terms, for every computed name or for one alone."""

    def make() -> Plan:
        program = [*((q.name, q.indices, q.expr) for q in exercise.forward), *backward_program(exercise)]
        return compile_program([(f"|{n}|", axes, magnitude(expr)) for n, axes, expr in program if name in ("", n)])

    return exercise.cached(("magnitudes", name), make)


def fact_plan(exercise: Exercise) -> Plan:
    """left - right of every fact."""
    program = [
        (f"fact {n}", ordered_indices(fact.left - fact.right), fact.left - fact.right)
        for n, fact in enumerate(exercise.facts)
    ]
    return exercise.cached("facts", lambda: compile_program(program))
