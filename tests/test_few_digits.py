"""Gradients in lower precisions: what rounding makes of right ones is right, and a slip is still a slip."""

from __future__ import annotations

import pytest
import torch

import tutor
from tutor.numeric.autograd import reference
from tutor.numeric.compare import tolerance_of
from tutor.proving import addresses

HALVES = (torch.float16, torch.bfloat16)


def gradients(t, dtype=torch.float32):
    """What torch computes in this precision, through the exercise's native reference."""
    return reference(t.exercise, t.to(dtype)).gradients


def verdicts(report):
    return {line.quantity: line.verdict for line in report.lines}


@pytest.mark.parametrize("address", addresses())
def test_torch_s_own_gradients_in_float32_are_right_and_off_by_a_percent_are_wrong(address):
    exercise = tutor.load(address)
    for seed in (100, 101):
        t = exercise.sample(seed=seed)
        assert set(verdicts(t.check(**gradients(t))).values()) == {"correct"}
    assert set(verdicts(tutor.check(exercise, gradients, seed=100)).values()) == {"correct"}
    for name, gradient in gradients(t).items():
        true = t.after[f"d{name}"]
        if not bool((true.abs() > 1e-9).any()):  # 0 but for rounding: a percent of that is nothing
            continue
        off = gradient.clone().reshape(-1)
        off[off.abs().argmax()] *= 1.01
        assert verdicts(t.check(**{name: off.reshape(gradient.shape)})) == {f"d{name}": "wrong"}


@pytest.mark.parametrize(
    "address", ["mlp:layers=8,activation=tanh", "image-classifier:layers=4", "huber", "rnn:steps=8"]
)
def test_deep_networks_and_zeros_at_many_draws(address):
    exercise = tutor.load(address)
    for seed in range(102, 115):
        t = exercise.sample(seed=seed)
        for dtype in (torch.float32, torch.float64):
            assert set(verdicts(t.check(**gradients(t, dtype))).values()) == {"correct"}


def test_what_float32_cannot_tell_is_neither_right_nor_wrong():
    t = tutor.load("tanh-neuron").sample(seed=103)  # saturated: 1 - o**2 has lost all but a few digits
    report = t.check(**gradients(t))
    assert set(verdicts(report).values()) == {"undecided"}
    assert "float32 has too few digits" in str(report) and "give float64" in str(report)
    assert t.check(w1=2 * gradients(t)["w1"]).lines[0].verdict == "wrong"
    assert set(verdicts(t.check(**gradients(t, torch.float64))).values()) == {"correct"}


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("address", ["softmax-regression", "gru-cell", "mlp:layers=8", "conv2d", "batch-norm", "huber"])
def test_half_precision_is_right_or_undecided_and_never_wrong(address, dtype):
    t = tutor.load(address).sample(seed=101)
    assert set(verdicts(t.check(**gradients(t, dtype))).values()) <= {"correct", "undecided"}


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_judged_by_its_own_digits(dtype):
    t, name = tutor.load("softmax-regression").sample(), str(dtype).removeprefix("torch.")
    dz = (t.p - t.y) / t.N
    right = t.check(dW=(t.x.T @ dz).to(dtype))
    assert f"as far as the digits of {name} tell" in str(right) and right.lines[0].verdict == "correct"
    wrong = t.check(dW=2 * (t.x.T @ dz).to(dtype)).lines[0]
    assert wrong.verdict == "wrong" and wrong.mistakes[0].id == "factor"
    close = (t.x.T @ dz) * (1 + 3 * tolerance_of(dtype).most)
    assert t.check(dW=close.to(dtype)).lines[0].verdict in ("undecided", "wrong")
    beside = t.check(dW=(t.x.T @ dz).to(dtype), db=1.001 * dz.sum(0))
    assert beside.lines[1].verdict == "wrong"  # float64 is not excused


def test_what_is_computed_from_a_rounded_gradient_is_right():
    t = tutor.load("softmax-regression").sample()
    rounded = ((t.p - t.y) / t.N).bfloat16()
    dz = rounded.double()
    assert t.check(dz=rounded, dW=t.x.T @ dz, db=dz.sum(0)).correct
    assert t.check(dz=rounded, dW=2 * t.x.T @ dz).lines[1].verdict == "wrong"
    assert t.check(dW=t.x.T @ dz).lines[0].verdict == "wrong"


def test_float32_on_the_way_is_not_called_a_constant():
    t = tutor.load("softmax-regression").sample()
    dW = t.x.T @ ((t.p - t.y) / t.N)
    assert t.check(dW=dW.float().tolist()).lines[0].verdict == "correct"
    assert t.check(dW=dW.float().double()).lines[0].verdict == "correct"
    mixed = t.x.T @ ((t.p - t.y).float() / t.N).double()
    assert t.check(dW=mixed, db=dW.sum(0).float()).lines[0].verdict == "correct"  # beside one in float32
    for off in (mixed, dW * (1 + 1e-7)):
        line = t.check(dW=off).lines[0]
        assert line.verdict == "wrong" and not line.mistakes
        assert "as values computed in float32 are" in line.reason and "not rounding" not in line.reason
    beyond = t.check(dW=(dW + 3e-5 * dW.abs().max()).float()).lines[0]
    assert beyond.verdict == "wrong" and "not rounding" in beyond.reason


def test_ties_are_not_broken_by_looking_at_rounding():
    t = tutor.load("kinks:of=amax").sample(seed=101)
    dx = gradients(t)["x"]
    assert t.check(x=dx).correct and t.check(x=1.01 * dx).lines[0].verdict == "wrong"
