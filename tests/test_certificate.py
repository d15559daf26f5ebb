"""Certificates: an exercise that hides a mistake is refused with the reason; those of the catalogue hold."""

from __future__ import annotations

import math

import pytest
from sympy import Sum, exp, log

import tutor
from tutor.certificate import answer, certify
from tutor.exercise import Exercise
from tutor.proving import Task, addresses, proofs


@pytest.mark.parametrize("address", addresses())
def test_every_exercise_is_certified(address):
    certificate = certify(tutor.load(address))
    assert certificate.agrees, str(certificate)
    assert certificate.told and certificate.scores == dict.fromkeys(certificate.scores, certificate.points)
    assert certificate.empty == 0


def summed(weigh: bool) -> Exercise:
    """L = sum of q[i] = (w*x[i])**2: its upstream gradient is 1 in every entry unless the terms are weighed."""
    ex = Exercise("summed")
    (i,) = (ex.indices(i=ex.sizes("N")),)
    x, w = ex.input("x", i), ex.parameter("w")
    c = ex.input("c", i) if weigh else None
    q = ex.step("q", [i], (w * x[i]) ** 2)
    ex.loss("L", Sum(q[i] * c[i] if weigh else q[i], i))
    return ex


def test_an_upstream_gradient_of_ones_is_refused():
    certificate = certify(summed(weigh=False))
    assert not certificate.agrees
    assert any("missing-upstream" in r and "dq is 1 in every entry" in r for r in certificate.refusals)
    assert "REFUSED" in str(certificate)
    assert certify(summed(weigh=True)).agrees


def test_a_softmax_whose_entries_are_added_up_is_refused():
    """Its rows sum to 1 whatever z is: an answer of zero would pass."""
    ex = Exercise("ones")
    i, k = ex.indices(i=ex.sizes("N"), k=ex.sizes("K"))
    z = ex.parameter("z", i, k)
    e = ex.step("e", [i, k], exp(z[i, k]))
    s = ex.step("s", [i], Sum(e[i, k], k))
    p = ex.step("p", [i, k], e[i, k] / s[i])
    ex.loss("L", Sum(p[i, k], i, k))
    assert any("exactly zero" in reason for reason in certify(ex).refusals)


def test_a_batch_of_one_is_refused():
    ex = Exercise("one")
    i, j = ex.indices(i=1, j=ex.sizes("D"))
    x, w, y = ex.input("x", i, j), ex.parameter("w", j), ex.input("y", i)
    p = ex.step("p", [i], Sum(x[i, j] * w[j], j))
    ex.loss("L", Sum((p[i] - y[i]) ** 2, i))
    assert any("sums over i, which has one entry" in reason for reason in certify(ex).refusals)


def test_a_mistake_that_passes_for_rounding_is_refused():
    ex = Exercise("small")
    w, x, y = ex.parameter("w"), ex.input("x"), ex.input("y")
    h = ex.step("h", [], w * x)
    a, b = ex.step("a", [], h**2), ex.step("b", [], h / 10**8)
    ex.loss("L", (a - y) ** 2 + b * y)
    assert any("in dh" in reason and "passes for rounding" in reason for reason in certify(ex).refusals)


def test_where_a_form_breaks_is_computed():
    ex = tutor.load("logsumexp:form=naive")
    [where] = certify(ex).breaks
    assert "is not finite in this form" in where
    ex.fails_at(z=[0.5, 1.0])
    assert any("all of it is finite there" in reason for reason in certify(ex).refusals)


def test_a_reference_that_breaks_as_well_is_no_reference():
    ex = Exercise("naive")
    k = ex.indices(k=ex.sizes("K"))
    z = ex.parameter("z", k)
    ex.loss("L", log(Sum(exp(z[k]), k)))
    ex.fails_at(z=[1000.0, 0.0])

    @ex.reference
    def forward(t):
        return t.z.exp().sum().log()

    assert any("the reference fails too" in reason for reason in certify(ex).refusals)


def test_an_exact_zero_is_listed():
    certificate = certify(tutor.load("makemore-mlp"))
    assert certificate.zeros == ["b1", "logit_maxes"] and "db1" in str(certificate)


def test_the_forms_are_different_texts():
    ex = tutor.load("softmax-regression")
    texts = {form: "\n".join(answer(ex, form)) for form in ("torch", "index", "LaTeX")}
    assert "x.T @ dz" in texts["torch"] and "Sum(" in texts["index"] and r"\sum" in texts["LaTeX"]


def test_the_change_of_a_mistake_is_measured_against_the_values():
    certificate = certify(tutor.load("linear-regression"))
    assert all(math.isinf(p.change) or p.change > 0 for p in certificate.told)
    assert certificate.least == min(p.change for p in certificate.told)


def test_many_are_proved_side_by_side_in_their_order():
    todo = ["linear-regression", "mlp:layers=1", "nothing-of-that-name", "sgd-step", "deep-chain"]
    found = list(proofs(todo, Task(full=False, certificate=True), jobs=2))
    assert [proof.address for proof in found] == todo
    assert [proof.agrees for proof in found] == [True, True, False, True, True]
    assert "no exercise" in str(found[2].error) and found[0].certificate.told
