"""What a reader of the code found: each a verdict, a limit or an error that was not as it should be."""

import threading
from pathlib import Path

import mpmath
import pytest
import torch
from sympy import Abs, Piecewise, Sum, exp

import tutor
from tutor.checking.digits import ManyDigits
from tutor.errors import NotFoundError
from tutor.exercise import Exercise


def squares():
    """L = sum x**2 / 2, so dx = x"""
    ex = Exercise("squares")
    N, D = ex.sizes("N D")
    i, j = ex.indices(i=N, j=D)
    x = ex.parameter("x", i, j)
    ex.loss("L", Sum(x[i, j] ** 2, i, j) / 2)
    return ex


def on_a_kink():
    ex = Exercise("kinked")
    w, b, x, y = ex.parameter("w"), ex.parameter("b"), ex.input("x"), ex.input("y")
    ex.loss("L", Abs(w * x + b - y))
    ex.instance(w=0.1, b=0, x=3, y=0.3)  # 0.1*3 is not 0.3 in floats
    return ex


@pytest.mark.parametrize("line", [
    "dx = x + (torch.var(x, axis=0) - ((x - x.mean(0))**2).sum(0)/(N - 1))",
    "dx = x + (np.var(x, axis=0) - ((x - x.mean(0))**2).sum(0)/N)",
    "dx = x + (x.var(axis=0) - ((x - x.mean(0))**2).sum(0)/N)",
    "dx = torch.clone(x) + (x.var(axis=0) - ((x - x.mean(0))**2).sum(0)/(N - 1))",
    "m = torch.max(x, axis=0).values\ndx = x + m - m",
    "dx = x.squeeze(dim=0)", "dx = x.flip(dims=(0,)).flip(dims=[0])", "dx = x.permute(dims=(1, 0)).T",
    "dx = x.transpose(dim0=0, dim1=1).T", "dx = x.reshape(shape=(N, D))", "dx = x + torch.zeros(size=(N, D))",
    "dx = x + torch.zeros(N, D, requires_grad=True)", "dx = x + x.new_zeros((N, D), dtype=torch.float64)",
    "dx = x.roll(shifts=1, dims=0).roll(shifts=-1, dims=0)", "dx = x.clamp_min(0) + x.clamp_max(0)",
    "dx = x + 0*np.squeeze(x[:1], axis=0)", "dx = np.transpose(x, axes=(1, 0)).T",
    "dx = torch.tensordot(x, torch.eye(D), dims=([1], [0]))",
    "dx = x + (torch.linalg.norm(x) - torch.sqrt((x*x).sum()))",
])  # fmt: skip
def test_torch_as_people_write_it(line):
    assert tutor.check(squares(), line).verdict == "correct"


@pytest.mark.parametrize(("line", "verdict", "says"), [
    ("dx = x + (torch.linalg.norm(x, 2) - torch.sqrt((x*x).sum()))", "unreadable", "another norm"),
    ("dx = torch.zeros_like(x)\ntorch.add.at(dx, 0, x)", "unreadable", "not a function"),
    ("dx = torch.diag(x.sum(0), 30000)", "unreadable", "entries"),
    ("h = int(inf)\ndx = x*h", "unreadable", "finite"),
    ("dx[i, j] = x[i, j]*Sum(1, (q, 0, inf))", "unreadable", "finite"),
    ("dx = x + x.var(5)", "wrong", "no axis 5"),
])  # fmt: skip
def test_what_is_not_so(line, verdict, says):
    report = tutor.check(squares(), line)
    assert report.verdict == verdict and any(says in found.reason for found in report.lines)


@pytest.mark.parametrize("line", ["dw = 0e400", "dw = 0e9", "dw = 0"])
def test_the_last_digit_of_zero_is_not_its_exponent(line):
    ex = Exercise("product")
    w, x = ex.parameter("w"), ex.input("x")
    ex.loss("L", w * x)
    ex.instance(w=2, x=3)
    assert tutor.check(ex, line).lines[0].verdict == "wrong"


def test_a_kink_by_rounding_is_named():
    (line,) = tutor.check(on_a_kink(), "dw = 0").lines
    assert line.verdict == "correct" and "on the kink w·x + b = y" in line.reason


def guarded():
    ex = Exercise("guarded")
    N, M = ex.sizes("N M")
    i = ex.indices(i=N)
    ex.example(N=5, M=7)
    w, y, x = ex.parameter("w", i), ex.input("y", i), ex.input("x", ex.indices(m=M))
    z = ex.step("z", [i], w[i] * Piecewise((exp(x[i]), i < M), (0, True)))
    ex.loss("L", Sum((z[i] - y[i]) ** 2, i) / 2)
    return ex


def test_a_part_that_has_a_value_at_some_sizes_only():
    ex = guarded()
    assert tutor.check(ex, "dz = z - y").lines[0].verdict == "correct"
    first = tutor.check(ex, "# sizes: N=7, M=3\ndz = z - y\ndw = dz")
    again = tutor.check(guarded(), "# sizes: N=7, M=3\ndz = z - y\ndw = dz")
    assert [line.verdict for line in first.lines] == ["correct", "wrong"] and first.to_dict() == again.to_dict()
    assert tutor.check(guarded(), "q = exp(x[:3])\ndq = q").verdict


def test_what_an_exercise_is_told_later_counts():
    ex = Exercise("step")
    w, x, eta = ex.parameter("w"), ex.input("x"), ex.input("eta")
    ex.loss("L", w * x)
    ex.value("wn", [], w - eta * ex.gradient("w"))
    assert tutor.check(ex, "dw = x").verdict == "correct"
    ex.ask("wn")
    assert tutor.check(ex, "wn = w - eta*dw").verdict == "correct"
    ex.instance(w=1, x=2, eta=0.5)
    assert tutor.check(ex, "wn = 0").verdict == "correct"


def test_threads_have_their_own_digits():
    seen = {}

    def work(digits):
        with torch.no_grad(), ManyDigits(digits) as many:
            for _ in range(200):
                third = many.read(many.exact(1) / 3)[0]
            seen[digits] = abs(third * 3 - 1) < mpmath.mpf(10) ** (2 - digits)

    before = mpmath.mp.dps
    threads = [threading.Thread(target=work, args=(digits,)) for digits in (30, 200, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {30: True, 60: True, 200: True} and mpmath.mp.dps == before


def test_a_path_that_cannot_be_opened(tmp_path):
    for path, says in (
        (Path("/nowhere.py"), "no sheet /nowhere.py: 'tutor start ID' makes one"),
        (tmp_path, "cannot open"),
    ):
        with pytest.raises(NotFoundError, match=says):
            tutor.check(squares(), path)


# -- what learners found ---------------------------------------------------------------------------------------


def verdicts(exercise, sheet):
    report = tutor.check(exercise, sheet)
    return report.score, [line.verdict for line in report.lines]


def test_a_function_that_works_in_place_changes_its_own_tensors_only():
    ex = tutor.load("softmax-regression")
    assert tutor.check(ex, lambda t: {"dz": t.p.sub_(t.y).div_(t.N)}).lines[0].verdict == "correct"
    assert tutor.check(ex, lambda t: {"dz": (t.p - t.y) / t.N}).lines[0].verdict == "correct"
    assert tutor.check(ex, "dz = (p - y)/N").lines[0].verdict == "correct"


def test_a_function_is_looked_at_on_kinks_too():
    ex = tutor.load("linear-regression:loss=mae")

    def gradient(at):
        return lambda t: {"db": torch.where(t.y_pred == t.y, at, torch.sign(t.y_pred - t.y))}

    assert [tutor.check(ex, gradient(at)).lines[0].verdict for at in (0.0, 1.0, -0.5, 5.0)] == [
        "correct", "correct", "correct", "wrong"]  # fmt: skip


@pytest.mark.parametrize(("line", "verdict"), [
    ("dp_dz = torch.diag_embed(p) - p[:, :, None]*p[:, None, :]", "correct"),  # row by row
    ("dp_dz = torch.diag_embed(p) + p[:, :, None]*p[:, None, :]", "wrong"),
    ("dp_de = 1/s[:, None]", "correct"), ("ds_de = 1", "correct"), ("ds_de = 2", "wrong"),
    ("ds_de = torch.ones_like(e)", "correct"), ("de_dz = e", "correct"), ("de_dz = z", "wrong"),
])  # fmt: skip
def test_local_derivatives_in_compact_forms(line, verdict):
    assert tutor.check("softmax-regression", line).lines[0].verdict == verdict


def test_a_local_derivative_in_a_form_of_ones_own_is_a_helper():
    sheet = "dz = (p - y)/N\ndz_dW = {}\ndW = dz_dW.T @ dz\ndb = dz.sum(0)"
    assert verdicts("softmax-regression", sheet.format("x")) == (2, ["correct"] * 3)
    assert verdicts("softmax-regression", sheet.format("2*x")) == (1, ["correct", "wrong", "correct"])


@pytest.mark.parametrize("sheet", [
    "x = 2\ny = 4\nw = 1\nb = 0\ny_pred = w*x + b\ndw = 2*(y_pred - y)*x\ndb = 2*(y_pred - y)",
    "x = torch.tensor([2.0])\ny = torch.tensor([4.0])\ndw = 2*(y_pred - y)*x\ndb = 2*(y_pred - y)",
])  # fmt: skip
def test_the_worked_values_written_out_change_nothing(sheet):
    report = tutor.check("linear-regression", sheet)
    assert report.verdict == "correct" and "worked instance" in report.notes[0]
    assert tutor.check("linear-regression", sheet.replace("2*(y_pred - y)", "(y_pred - y)")).verdict == "wrong"


@pytest.mark.parametrize(("exercise", "line", "verdict"), [
    ("deep-chain", "dx = 0", "wrong"), ("linear-regression", "dw = -1e1", "wrong"),
    ("linear-regression", "db = 0e2", "wrong"), ("linear-regression", "dw = -8", "correct"),
    ("sgd-step", "w_new = 1", "wrong"), ("sgd-step", "w_new = 1.1", "correct"), ("sgd-step", "w_new = 1.08", "correct"),
])  # fmt: skip
def test_few_digits_are_no_licence(exercise, line, verdict):
    assert tutor.check(exercise, line).lines[0].verdict == verdict


VARIANCE = "v = ((x + 1e8)**2).mean(1) - (x + 1e8).mean(1)**2\ndgamma = (dy*(x - x.mean(1, keepdim=True))/"


@pytest.mark.parametrize(("exercise", "sheet", "verdict"), [
    ("layer-norm", VARIANCE + "torch.sqrt(v + 1e-5)[:, None]).sum(0)", "correct"),
    ("layer-norm", VARIANCE + "torch.sqrt(1e-5 - v)[:, None]).sum(0)", "wrong"),
    ("linear-regression:loss=mae", "r = y_pred - y\ndb = r/sqrt((r + 1e9)**2 - 2e9*r - 1e18)", "correct"),
    ("makemore-mlp", "db1 = bndiff.sum(0)", "correct"),  # both are 0, but for rounding
    ("makemore-mlp", "db1 = bnraw.sum(0) + 1e-9", "wrong"),
])  # fmt: skip
def test_digits_lost_on_the_way_are_not_the_learners(exercise, sheet, verdict):
    assert tutor.check(exercise, sheet).lines[-1].verdict == verdict


@pytest.mark.parametrize(("loss", "sheet", "verdict"), [
    ("mae", "db = torch.where(y_pred - y > 0.03, 1.0, -1.0)", "wrong"),
    ("mae", "db = torch.where(y_pred - y > -0.03, 1.0, -1.0)", "wrong"),
    ("huber", "r = y_pred - y\ndb = torch.where(r.abs() < 1.005, r, r.sign())", "wrong"),
    ("huber", "r = y_pred - y\ndb = r*(r.abs() < 1) + 1.0*(r > 1) - 1.0*(r < -1)", "wrong"),  # 0 at 1
    ("huber", "r = y_pred - y\ndb = r*(r.abs() <= 1) + 1.0*(r >= 1) - 1.0*(r <= -1)", "wrong"),  # 2 at 1
    ("huber", "r = y_pred - y\ndb = r*(r.abs() <= 1) + 1.0*(r > 1) - 1.0*(r < -1)", "correct"),
    ("huber", "db = (y_pred - y).clamp(-1, 1)", "correct"),
])  # fmt: skip
def test_thresholds_and_edges(loss, sheet, verdict):
    assert tutor.check(f"linear-regression:loss={loss}", sheet).lines[0].verdict == verdict


def test_what_cancels_names_the_mistake_not_the_messenger():
    sheet = "dp = -y/p\nds = -(dp*e).sum(1)/s**2\nde = dp/s[:, None] + ds[:, None]\ndz = de*e\ndW = x.T @ dz/N"
    line = tutor.check("softmax-regression", sheet).lines[-1]
    assert line.verdict == "correct" and "line 1" in line.reason


def test_aliasing_that_changes_nothing_is_a_note():
    sheet = "dlogits = dnorm_logits\ndlogits += 1e-13*dlogits"
    before = "dlogprobs = -F.one_hot(Yb, V)/n\ndprobs = dlogprobs/probs\n"
    after = "dcounts_sum_inv = (counts*dprobs).sum(1, keepdim=True)\ndcounts = counts_sum_inv*dprobs\n" \
            "dcounts_sum = -counts_sum**-2*dcounts_sum_inv\ndcounts += dcounts_sum\ndnorm_logits = counts*dcounts\n"  # fmt: skip
    report = tutor.check("makemore-mlp", before + after + sheet)
    assert not [line for line in report.lines if line.verdict == "wrong"]
    assert any("same tensor" in note for note in report.notes)


def test_imaginary_parts_are_not_dropped():
    t = tutor.load("softmax-regression").sample()
    assert t.check(dz=(t.p - t.y) / t.N + 1j).lines[0].verdict == "unreadable"
