"""Numbers against the worked instance: what torch prints, and what may stand behind a number on a sheet."""

import pytest
import torch

import tutor
from tutor.numeric.autograd import gradients_by_autograd
from tutor.numeric.sample import worked_instance
from tutor.proving import addresses

WORKED = [address for address in addresses() if tutor.load(address).instances]
FEW = 40  # entries that somebody pastes


def printed(gradient, dtype):
    """As Python and as torch show it."""
    yield repr(gradient.tolist())
    if dtype is torch.float32:
        yield str(gradient).replace("\n", "")


@pytest.mark.parametrize("address", WORKED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_torch_prints_is_right_and_one_percent_more_is_not(address, dtype):
    exercise = tutor.load(address)
    found = gradients_by_autograd(exercise, worked_instance(exercise, exercise.instances[0]).to(dtype))
    ends = {q.name for q in exercise.ends}
    for name, gradient in found.items():
        if name in ends or gradient.numel() > FEW:
            continue
        for text in printed(gradient, dtype):
            assert tutor.check(exercise, f"d{name} = {text}").line(f"d{name}").verdict == "correct", (name, text)
        if bool(gradient.any()):
            more = repr((gradient * 1.01).tolist())
            line = tutor.check(exercise, f"d{name} = {more}").line(f"d{name}")
            assert line.verdict == "wrong" or "subgradient" in line.reason, (name, more)


@pytest.mark.parametrize(("exercise", "sheet", "expected"), [
    ("linear-regression", "m = torch.tensor(-8.)\nn = m\nn += 1\ndw = m", ["wrong"]),  # one tensor
    ("linear-regression", "m = -8\nn = m\nn += 1\ndw = m", ["correct"]),  # two numbers
    ("linear-regression", "m = torch.tensor(-8.)\nn = m.clone()\nn += 1\ndw = m", ["correct"]),
    ("linear-regression", "m = torch.tensor([-9.])\nn = m.view(1)\nn += 1\ndw = m", ["correct"]),
    ("linear-regression", "m = -8\nm = 3*(y_pred - y)*x\ndw = m", ["wrong"]),
    ("linear-regression", "exp = 3\ndw = exp*(-8)/3", ["correct"]),
    ("linear-regression", "x = 2\ndw = -4*x", ["wrong"]),  # a formula of x is one for every x
    ("linear-regression", "w, x = 1, 2\ny_pred = w*x + b\ndw = 2*(y_pred - y)*x", ["correct"]),
    ("linear-regression", "y_pred = 3\ndw = 2*(y_pred - y)*x", ["wrong"]),
    ("linear-regression", "dw = -8\nfor i in range(2):\n    db = -4", ["correct", "correct"]),
    ("sgd-step", "w_new = 1 - 0.01*(-8)\nw_new = 1 + 0.01*15", ["correct", "wrong"]),
    ("sgd-step", "dw = -16\nw_new = 1 - 0.01*dw", ["wrong", "follows"]),
    ("product", "dx = torch.zeros(3)\ndx[1] = 6", ["correct"]),
    ("product", "dx = torch.zeros(3)\ndx[2] = 6", ["wrong"]),
])  # fmt: skip
def test_where_a_number_comes_from(exercise, sheet, expected):
    assert [line.verdict for line in tutor.check(exercise, sheet).lines] == expected
