"""Tensors by name: the ways to give them, and what follows from which."""

from __future__ import annotations

import pytest
import torch

import tutor
from tutor.errors import UsageError


def verdicts(report):
    return {line.quantity: line.verdict for line in report.lines}


def test_two_names_for_one_gradient_are_refused_in_either_order():
    t = tutor.load("softmax-regression").sample()
    dW = t.x.T @ ((t.p - t.y) / t.N)
    for answer in ({"dW": 2 * dW, "W": dW}, {"W": dW, "dW": 2 * dW}, {"W.grad": dW, "dL_dW": dW}):
        one, other = answer
        with pytest.raises(UsageError, match=f"{one} and {other} are both dW: give one of them"):
            t.check(**answer)
    with pytest.raises(UsageError, match="are both dW"):
        tutor.check("softmax-regression", lambda t: {"W": t.W, "grad_W": t.W})


def test_a_dotted_grad_names_a_gradient():
    t = tutor.load("softmax-regression").sample()
    dz = (t.p - t.y) / t.N
    assert t.check(**{"W.grad": t.x.T @ dz, "b.grad": dz.sum(0), "z.grad": dz}).correct
    with pytest.raises(UsageError, match=r"W\.data is not a gradient"):
        t.check(**{"W.data": dz})


def test_sparse_gradients_are_judged_with_their_zeros():
    t = tutor.load("embedding").sample()
    E = t.E.clone().requires_grad_()
    picked = torch.nn.functional.embedding(t["t"], E, sparse=True)
    torch.nn.functional.mse_loss(picked, t.y).backward()
    assert E.grad.is_sparse and t.check(dE=E.grad).lines[0].verdict == "correct"
    assert t.check(dE=(2 * E.grad)).lines[0].mistakes[0].id == "factor"


def test_what_has_no_numbers_is_told_apart():
    t = tutor.load("softmax-regression").sample()
    reason = {
        "no gradient was computed: call backward() first": None,
        "dW is a meta tensor": torch.empty(5, 4, device="meta"),
        "dW is no real tensor": torch.zeros(5, 4) + 1j,
    }
    for says, value in reason.items():
        line = t.check(dW=value).lines[0]
        assert line.verdict == "unreadable" and says in line.reason
    assert "whole numbers" in tutor.load("embedding").sample().check(t=None).lines[0].reason


def test_what_follows_from_an_upstream_gradient_of_one_s_own_follows():
    t = tutor.load("affine").sample()
    u = 2 * (t.dY + 1)
    report = t.check(dY=u, dX=u @ t.W.T, dW=t.X.T @ u, db=u.sum(0))
    assert verdicts(report) == {"dY": "wrong", "dX": "follows", "dW": "follows", "db": "follows"}
    assert report.score == 2  # one mistake costs once, as it does on a sheet
    spoilt = t.check(dY=u, dX=u @ t.W.T, dW=3 * t.X.T @ u)
    assert verdicts(spoilt) == {"dY": "wrong", "dX": "follows", "dW": "wrong"}


def test_only_gradients_on_the_way_are_named_and_asked():
    t = tutor.load("softmax-regression").sample()
    dz = 2 * (t.p - t.y) / t.N
    for dW in (3 * t.x.T @ dz, torch.zeros(5, 4)):  # wrong beside dz, and nothing to db
        db = t.check(dz=dz, dW=dW, db=dz.sum(0)).lines[2]
        assert db.verdict == "follows" and db.reason == "sound, given dz as you have it"


@pytest.mark.parametrize(("dtype", "factor"), [
    (torch.bfloat16, -1.0), (torch.float16, -1.0), (torch.float16, 30.0), (torch.float32, 1.01),
], ids=str)  # fmt: skip
def test_what_cancellation_leaves_is_no_licence(dtype, factor):
    """1 - o**2 is 1.4e-4 of terms of size 2: a few digits of those tell nothing of it, nor of what follows from it."""
    t = tutor.sample(tutor.load("tanh-neuron"), seed=3)
    true = 1 - torch.tanh(t.n) ** 2
    bad = (factor * true).to(dtype)
    report = t.check(n=bad, w1=bad.double() * t.x1, b=bad.double())
    assert [line.verdict for line in report.lines] == ["undecided"] * 3
    assert tutor.check(t, {"n": factor * true, "b": factor * true}).line("dn").verdict == "wrong"
