"""Local derivatives d<v>_d<u>: with the other steps held fixed, and through them as well; what reads either of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import tutor
from tutor.checking.outline import names_of
from tutor.checking.truth import Point
from tutor.numeric.evaluate import compile_program
from tutor.proving import addresses

SMALL = 40  # quantities of an exercise, all pairs of which are looked at


def meaning(exercise, v, u, total):
    return replace(names_of(exercise).meaning(f"d{v}_d{u}"), total=total)


def pairs(exercise):
    """(v, u) where v's own formula uses u, and u is no index."""
    for v in exercise.forward:
        for u in sorted(v.reads):
            if names_of(exercise).meaning(f"d{v.name}_d{u}").kind == "local" and exercise[u].domain != "index":
                yield v.name, u


def by_autograd(exercise, point, v, u, steps):
    """dv/du of a program in which u is given and each of `steps` is computed."""
    plan = compile_program([(q.name, q.indices, q.expr) for q in steps if q.name != u], distinct=True)

    def forward(x):
        return plan.run({**point.values, u: x}, point.sizes)[v]

    return torch.autograd.functional.jacobian(forward, point.values[u].clone())


@pytest.mark.parametrize("address", addresses())
def test_both_readings_are_those_of_autograd(address):
    exercise = tutor.load(address)
    if len(exercise.quantities) > SMALL:
        pytest.skip("many pairs of many quantities")
    point = Point(exercise, exercise.sample(seed=3))
    for v, u in pairs(exercise):
        direct = by_autograd(exercise, point, v, u, [exercise[v]])
        through = by_autograd(exercise, point, v, u, exercise.forward)  # all that comes after u, whatever hangs on it
        got = point.true(meaning(exercise, v, u, False))
        if got is None:
            continue  # too large
        assert torch.allclose(got, direct, rtol=1e-9, atol=1e-12), (v, u)
        total = point.true(meaning(exercise, v, u, True))
        if total is None:
            assert torch.allclose(through, direct, rtol=1e-9, atol=1e-12), (v, u)  # there is no other way
        else:
            assert torch.allclose(total, through, rtol=1e-9, atol=1e-12), (v, u)
