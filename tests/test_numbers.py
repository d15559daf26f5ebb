"""Numbers against the worked instance: what torch prints, and what may stand behind a number on a sheet."""

import re

import pytest
import torch
from sympy import Rational

import tutor
from tutor.exercise import Exercise
from tutor.numeric.autograd import gradients_by_autograd
from tutor.numeric.sample import worked_instance
from tutor.proving import addresses
from tutor.symbolic.notation import sheet_form

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


@pytest.mark.parametrize("address", WORKED)
def test_a_number_in_a_helper_stands_for_the_gradient_that_it_is(address):
    """`dw = dy_pred*x` with `h = -4` instead of dy_pred."""
    exercise = tutor.load(address)
    found = gradients_by_autograd(exercise, worked_instance(exercise, exercise.instances[0]))
    tried = 0
    for name, gradient in tutor.derive(exercise).gradients.items():
        line = gradient.torch or sheet_form(gradient.expr, exercise)
        upstream, *more = [u for u in found if re.search(rf"\bd{u}\b", line)] or [""]
        if name in found and upstream and not more and 0 < found[upstream].numel() <= FEW:
            line = re.sub(rf"\bd{upstream}\b", "h", line)
            for factor, right in ((1, True), (1.01, bool((found[upstream] == 0).all()))):
                value = (found[upstream] * factor).tolist()
                given = value if isinstance(value, float) else f"torch.tensor({value})"
                report = tutor.check(exercise, f"h = {given}\nd{name} = {line}")
                verdicts = {each.verdict for each in report.lines}
                assert (verdicts == {"correct"}) == right, (given, line, verdicts)
                tried += 1
    if not tried:
        pytest.skip("no line of it reads one gradient alone, of few entries")


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
    ("linear-regression", "r = -2\nfor i in range(1):\n    dw = 2*r*2\n    db = 2*r", ["correct", "correct"]),
    ("linear-regression", "r = -2\nif True:\n    dw = 2*r*2", ["correct"]),
    ("linear-regression", "dw = 0\nfor i in range(2):\n    dw += -4", ["correct"]),
    ("linear-regression", "dw = 0\nfor i in range(2):\n    dw += -3", ["wrong"]),
    ("linear-regression", "dw = 0\nfor i in range(2):\n    dw += x", ["wrong"]),
    ("linear-regression", "db = -4\ndw = db\ndw *= 2", ["correct", "correct"]),  # db is a number, and stays
    ("linear-regression", "db = torch.tensor(-4.)\ndw = db\ndw *= 2", ["correct", "correct", "wrong"]),
    ("linear-regression", "dy_pred = -4\nn = dy_pred\nn *= 2\ndw = n\ndb = dy_pred", ["correct"] * 3),
    ("linear-regression", "dw = 8\ndb = dw/2", ["wrong", "follows"]),
    ("linear-regression", "dw = 8\ndb = dw/4", ["wrong", "wrong"]),
    ("linear-regression", "dL = 2\ndy_pred = 2*(2 - 4)*dL", ["wrong", "follows"]),
    ("linear-regression", "dw = 0\ndb = dw/2", ["wrong", "wrong"]),  # from a zero nothing follows
    ("linear-regression", "r = y_pred - y\ndr = -4\ndw = dr*x\ndb = dr", ["correct"] * 3),
    ("linear-regression", "r = y_pred - y\ndr = 4\ndw = dr*x\ndb = dr", ["wrong", "follows", "follows"]),
    ("linear-regression", "r = -2\ndw = 2*r*x\ndb = 2*r", ["correct", "correct"]),  # y_pred - y
    ("linear-regression", "r = 2 - 4\ng = 2*r\ndw = g*x\ndb = g", ["correct", "correct"]),
    ("linear-regression", "r = -2\ndw = 2*r*x*w", ["wrong"]),
    ("linear-regression", "r = -2\ndw = r*x\ndb = 2*r", ["wrong", "correct"]),  # r is right, and dw has lost its 2
    ("linear-regression", "r = -2\ndw = r*x\ndb = r", ["wrong", "follows", "follows"]),  # r is dy_pred without its 2
    ("affine-half-square", "g = -3\ndb = g\ndw = g*x", ["wrong", "follows", "follows"]),
    ("affine-half-square", "g = -3\ndw = g*x\ndb = g", ["wrong", "follows", "follows"]),
    ("linear-regression", "g = -4\ndw = g*w\ndb = g", ["wrong", "correct"]),
    ("linear-regression", "r = 2\ndw = 2*r*x", ["wrong"]),
    ("linear-regression", "r = 2\ndw = -2*r*x", ["correct"]),  # y - y_pred
    ("tanh-neuron", "local = 0.5\ndn = do*local\ndw1 = dn*x1", ["correct", "correct"]),  # 1 - o**2
    ("softmax-regression", "c = 0.5\ndz = c*(p - y)", ["wrong"]),  # 1/N is no value of the instance
    ("mse", "# sizes: N=3\ndq = [0.33333333, 0.33333333, 0.33333333]", ["correct"]),
    ("mse", "# sizes: N=3\ndq = [0.33, 0.33, 0.34]", ["wrong"]),
    ("product", "# sizes: N=3\ndx = torch.zeros(3)\ndx[1] = 6", ["correct"]),
    ("sgd-step", "w_new = 1 - 0.01*(-8)\nw_new = 1 + 0.01*15", ["correct", "wrong"]),
    ("sgd-step", "dw = -16\nw_new = 1 - 0.01*dw", ["wrong", "follows"]),
    ("product", "dx = torch.zeros(3)\ndx[1] = 6", ["correct"]),
    ("product", "dx = torch.zeros(3)\ndx[2] = 6", ["wrong"]),
])  # fmt: skip
def test_where_a_number_comes_from(exercise, sheet, expected):
    assert [line.verdict for line in tutor.check(exercise, sheet).lines] == expected


@pytest.mark.parametrize(("text", "verdict"), [
    ("5 - 0.4", "correct"),  # 0.4 was rounded, and that matters little
    ("5 - 0.5", "wrong"), ("4.6", "correct"), ("0.5*9.2", "correct"), ("0.5*9.3", "wrong"), ("0.4*11.46", "correct"),
    ("0.4*12", "wrong"), ("4.584000", "correct"), ("4.585", "wrong"),
])  # fmt: skip
def test_one_digit_is_rounded_where_that_says_little(text, verdict):
    exercise = Exercise("slope")
    w = exercise.parameter("w")
    exercise.loss("L", w**2 * Rational(573, 250))
    exercise.instance(w=1)  # dw = 4.584
    assert tutor.check(exercise, f"dw = {text}").lines[0].verdict == verdict
