"""Closed forms as printed are graded correct; printed torch is torch. (Steps as printed: test_certificate.py.)"""

from __future__ import annotations

import pytest
import sympy

import tutor
from tutor.proving import addresses
from tutor.symbolic.notation import sheet_form
from tutor.symbolic.torch_form import torch_form

VARIANTS = addresses()


def shown(ex):
    """Gradients in backward order, without the loss itself and what is given from above."""
    ends = {q.name for q in ex.ends}
    return [g for g in ex.derive().gradients.values() if g.name not in ends]


def index_line(gradient, expr):
    left = sheet_form(gradient.entry, gradient.derivation.exercise)
    return f"{left} = {sheet_form(expr, gradient.derivation.exercise)}"


def everything_correct(ex, lines):
    report = tutor.check(ex, "\n".join(lines))
    bad = [(line.text, line.verdict, line.reason) for line in report.lines if line.verdict != "correct"]
    assert not bad
    assert {line.quantity for line in report.lines} >= {line.split()[0].split("[")[0] for line in lines}


@pytest.mark.parametrize("address", VARIANTS)
def test_every_closed_form_reads_back(address):
    ex = tutor.load(address)
    gradients = shown(ex)
    everything_correct(ex, [index_line(g, g.closed) for g in gradients])
    forms = [(g, torch_form(g.closed, g.indices, ex)) for g in gradients]
    everything_correct(ex, [f"{g.symbol_name} = {form}" for g, form in forms if form])


@pytest.mark.parametrize("address", VARIANTS)
def test_printed_torch_is_torch(address):
    """The line runs as it stands in Python, with the instance's tensors as its only names."""
    import torch
    import torch.nn.functional as F

    ex = tutor.load(address)
    instance = ex.sample(seed=1)
    names = {"torch": torch, "F": F, "pi": torch.pi, "range": range, **instance.sizes, **instance.values}
    from tutor.numeric.evaluate import compile_program

    true = compile_program(ex.derive().program).run(dict(instance.values), instance.sizes)
    for gradient in shown(ex):
        value = eval(gradient.torch, {"__builtins__": {}}, names)
        names[gradient.symbol_name] = true[gradient.symbol_name]
        value = torch.as_tensor(value, dtype=torch.float64)
        assert value.shape == true[gradient.symbol_name].shape, gradient.torch
        assert torch.allclose(value, true[gradient.symbol_name], rtol=1e-6), gradient.torch


DIAGONALS = {
    "turned": lambda x, i, j, n: x[n - 1 - i, i],
    "halved": lambda x, i, j, n: x[sympy.floor(i / 2), i],
    "shifted": lambda x, i, j, n: sympy.Piecewise((x[i - 1, i], i >= 1), (0, True)),
    "plain": lambda x, i, j, n: x[i, i],
}


@pytest.mark.parametrize("name", DIAGONALS)
def test_an_index_that_stands_twice_has_a_right_torch_form_or_none(name):
    """`x[N - 1 - i, i]` is no flipped diagonal."""
    import torch

    ex = tutor.Exercise("diagonal")
    n = ex.sizes("N")
    i, j = ex.indices(i=n, j=n)
    x, w = ex.parameter("x", i, j), ex.parameter("w", i)
    ex.loss("L", sympy.Sum(w[i] * DIAGONALS[name](x, i, j, n), i))
    t = ex.sample(seed=1)
    for gradient in shown(ex):
        if gradient.torch is not None:
            names = {"torch": torch, "F": torch.nn.functional, "range": range, **t.sizes, **t.values, **t.after}
            found = eval(gradient.torch, {"__builtins__": {}}, names)
            assert torch.allclose(torch.as_tensor(found, dtype=torch.float64), t.after[gradient.symbol_name])
