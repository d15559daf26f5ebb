"""What a reader of the code found: each a verdict, a limit or an error that was not as it should be."""

import threading
from pathlib import Path

import mpmath
import pytest
import torch
from sympy import Abs, Piecewise, Sum, exp

import tutor
from tutor.checking.check import check_sheet, read_answer
from tutor.checking.digits import ManyDigits
from tutor.checking.truth import points
from tutor.errors import NotFoundError
from tutor.exercise import Exercise
from tutor.numeric.compare import DOUBLE


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


def test_a_gradient_that_is_reshaped_is_no_helper():
    """`dda` would be the gradient of da, which is one itself."""
    assert [line.verdict for line in tutor.check("attention", "dda = da = a.mT").lines] == ["wrong"]


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
    ("softmax-regression", "# sizes: N=50 D=200 K=400\ndz = ((p + 1e12) - 1e12 - y)/N", "undecided"),
    ("softmax-regression", "# sizes: N=50 D=200 K=400\ndz = ((p + 1e12) - 1e12 + y)/N", "wrong"),
    ("softmax-regression", "# sizes: N=50 D=200 K=400\ndz = ((p + 1e3) - 1e3 - 1.00001*y)/N", "wrong"),
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
    after = (
        "dcounts_sum_inv = (counts*dprobs).sum(1, keepdim=True)\ndcounts = counts_sum_inv*dprobs\n"
        "dcounts_sum = -counts_sum**-2*dcounts_sum_inv\ndcounts += dcounts_sum\ndnorm_logits = counts*dcounts\n"
    )
    report = tutor.check("makemore-mlp", before + after + sheet)
    assert not [line for line in report.lines if line.verdict == "wrong"]
    assert any("same tensor" in note for note in report.notes)


def test_imaginary_parts_are_not_dropped():
    t = tutor.load("softmax-regression").sample()
    assert t.check(dz=(t.p - t.y) / t.N + 1j).lines[0].verdict == "unreadable"


# -- what cannot be read leaves no value that could be wrong ------------------------------------------------

MLP = """g = 2*(y_pred - y)/(N*D2)
dW2 = h1.T @ g
db2 = g.sum(0)
dz1 = g @ W2.T
{}
dW1 = x.T @ dz1
db1 = dz1.sum(0)"""
BATCH = "r = y_pred - y\ndw = X.T @ r\n{}\ndb = r.mean()"


def by_quantity(report):
    return {line.quantity: line.verdict for line in report.lines}


@pytest.mark.parametrize("block", [
    "for i in range(N):\n    for j in range(D1):\n        while z1[i, j] <= 0:\n            dz1[i, j] = 0",
    "with torch.autocast('cpu'):\n    dz1 = dz1*(z1 > 0)",
    "try:\n    dz1[z1 <= 0] = 0\nexcept ValueError:\n    pass",
    "dz1 *= [float(a > 0) for a in z1]", "dz1 = [a for a in dz1]", "m = z1 <= 0\ndz1[m] = lambda: 0",
    "dz1 = dz1 (z1 > 0",
    "torch.mul(dz1, z1 > 0, out=dz1)", "q = torch.mul(dz1, z1 > 0, out=dz1)", "np.putmask(dz1, z1 <= 0, 0)",
    "np.copyto(dz1, dz1*(z1 > 0))", "print(dz1.mul_(z1 > 0))", "torch.nn.init.zeros_(dz1)", "torch.relu_(dz1)",
    "F.relu(dz1, inplace=True)", "dz1.view(-1)[:3].mul_(x for x in y)", "dz1.__imul__(z1 > 0)",
])  # fmt: skip
def test_what_cannot_be_read_changes_what_it_names(block):
    report = tutor.check("mlp", MLP.format(block))
    found = by_quantity(report)
    assert found["dW2"] == found["db2"] == "correct" and report.verdict == "unreadable"
    assert found["dW1"] == found["db1"] == "undecided" and "wrong" not in found.values()


@pytest.mark.parametrize("block", [
    "while N > 1: dw /= N", "torch.div(dw, N, out=dw)", "np.divide(dw, N, out=dw)", "with a as dw:\n    dw = dw/N",
    "def half(q):\n    q /= N\n    return q\ndw = half(dw)", "dw = half(dw)", "dw /= float(a for a in r)",
])  # fmt: skip
def test_a_line_that_is_built_up_is_not_judged_before(block):
    report = tutor.check("linear-regression-batch", BATCH.format(block))
    assert by_quantity(report) == by_quantity(report) | {"dw": "unreadable", "db": "correct"} and report.score == 1


EMBEDDING = "demb = 2*(emb - y)/(N*D)\ndE = torch.zeros_like(E)\n{}"
SOFTMAX = """dz = torch.zeros(N, K)
for i in range(N):
    for k in range(K):
        for m in range(K):
            {}
dW = x.T @ dz
db = dz.sum(0)"""
SAME = "dz[i, k] += -y[i, m]*(1 - p[i, k])/N"
OTHER = "dz[i, k] += y[i, m]*p[i, k]/N"


ENTRIES = "for i in range(N):\n    for j in range(D1):\n        "
ELIF = "if m < k: {0}\n            elif m == k:\n                {1}\n            else:\n                {0}"


@pytest.mark.parametrize(("exercise", "sheet"), [
    ("mlp", MLP.format(ENTRIES + "if z1[i, j] <= 0:\n            dz1[i, j] = 0")),
    ("mlp", MLP.format(ENTRIES + "if z1[i, j] <= 0: dz1[i, j] = 0\n        else: dz1[i, j] *= 1")),
    ("softmax-regression", SOFTMAX.format(f"if m == k: {SAME}\n            else: {OTHER}")),
    ("softmax-regression", SOFTMAX.format(ELIF.format(OTHER, SAME))),
    ("embedding", EMBEDDING.format("for i, v in enumerate(t):\n    dE[v] += demb[i]")),
    ("embedding", EMBEDDING.format("for v, g in zip(t, demb):\n    dE[v] += g")),
    ("embedding", EMBEDDING.format("for k, (v, g) in enumerate(zip(t, demb)):\n    dE[v] += g")),
    ("embedding", EMBEDDING.format("for i, v in zip(range(100), t):\n    dE[v] += demb[i]")),
    ("embedding", EMBEDDING.format("i = 0\nfor v in t:\n    dE[v] += demb[i]\n    i += 1")),
    ("embedding", EMBEDDING.format("for v in range(V):\n  for i in range(N):\n    if t[i] == v: dE[v] += demb[i]")),
    ("linear-regression-batch", BATCH.format("if N > 1: dw /= N")),
    ("linear-regression-batch", BATCH.format("if N > 1:\n    dw = dw/N\nelse:\n    dw = X.T @ r")),
    ("linear-regression-batch", "r = y_pred - y\ndw = 0*w\nfor a, s in zip(X, r):\n    dw += a*s/N\ndb = r.mean()"),
    ("linear-regression-batch", "r = y_pred - y\ndw = X.T @ r/N\nif q > 2:\n    print(dw)\ndb = r.mean()"),
])  # fmt: skip
def test_branches_and_rows_are_read(exercise, sheet):
    report = tutor.check(exercise, sheet)
    assert report.verdict == "correct", str(report)


@pytest.mark.parametrize(("block", "says"), [
    ("for row, m in zip(dz1, z1):\n    row[m <= 0] = 0", "a row of a tensor"),
    ("for row, m in zip(dz1, z1):\n    row.mul_(m > 0)", "a row of a tensor"),
    ("if z1 > 0:\n    dz1 = dz1*1", "one yes or no"), ("if q > 0:\n    dz1 = dz1*1", "q is not a name"),
    ("if N > 1:\n    dz1 *= z1 > 0\nelse:\n    dz1 = [a for a in dz1]", "comprehension"),
    ("if N < 1:\n    dz1 = [a for a in dz1]\nelif N === 1:\n    dz1 *= z1 > 0", "cannot be read"),
    ("for i in range(2):\n    dz1 *= 1\nelse:\n    dz1 *= z1 > 0", "else is not part"),
    ("if N > 1 and D1 > 1:\n    dz1 *= z1 > 0", "and, or are not part"),
])  # fmt: skip
def test_branches_and_rows_that_are_not_read(block, says):
    report = tutor.check("mlp", MLP.format(block))
    found = by_quantity(report)
    assert (found["dz1"], found["dW1"], found["db1"]) == ("unreadable", "undecided", "undecided")
    assert any(says in line.reason for line in report.lines)


@pytest.mark.parametrize(("block", "id"), [
    ("for i, v in enumerate(t):\n    dE[v] = demb[i]", "missing-scatter"),
    ("for v, g in zip(t, demb):\n    dE[v] -= g", "sign"),
    ("for i, v in enumerate(t):\n    if i >= 0:\n        dE[v] += 2*demb[i]", "factor"),
])  # fmt: skip
def test_mistakes_in_branches_and_rows_are_named(block, id):
    line = tutor.check("embedding", EMBEDDING.format(block)).lines[-1]
    assert line.verdict == "wrong" and id in [mistake.id for mistake in line.mistakes] and line.repair is not None


def test_what_a_condition_reads_is_read():
    sheet = "dy_pred = y - y_pred\ns = -1\nif dy_pred > 0:\n    s = 1\ndb = 2*s*(y_pred - y).abs()"
    assert by_quantity(tutor.check("linear-regression", sheet)) == {"dy_pred": "wrong", "db": "follows"}


def test_another_name_of_what_cannot_be_read():
    block = "q = dz1\nwhile N > 1:\n    dz1[z1 <= 0] = 0\ndW1 = x.T @ q"
    assert by_quantity(tutor.check("mlp", MLP.format(block)))["dW1"] == "undecided"


def test_every_quantity_of_a_block_has_its_entry():
    sheet = "def back(r):\n    dw = X.T @ r/N\n    db = r.mean()\n    return dw, db"
    report = tutor.check("linear-regression-batch", sheet)
    assert by_quantity(report) == {"dw": "unreadable", "db": "unreadable"} and not report.missing


def test_what_a_def_calls_its_own_is_its_own():
    body = "    w = 3\n    dw = X.T @ r/N\n    return dw\n"
    sheet = f"def back(r):\n{body}r = y_pred - y\ndw = X.T @ r/N + 0*w\ndb = r.mean()"
    report = tutor.check("linear-regression-batch", sheet)
    assert report.score == 2 and [line.quantity for line in report.lines] == [None, "dw", "db"]


def test_wrong_lines_beside_a_block_are_wrong():
    sheet = "r = y_pred - y\ndw = X.T @ r\ndb = r.sum()\nwhile N > 1:\n    dw /= N"
    report = tutor.check("linear-regression-batch", sheet)
    assert by_quantity(report) == {"db": "wrong", "dw": "unreadable"}


def test_nothing_follows_from_what_is_changed_unreadably():
    sheet = "dh1 = 2*(y_pred - y) @ W2.T\ndz1 = dh1*(z1 > 0)\ndW1 = x.T @ dz1\nwhile N > 1:\n    dz1 /= N*D2"
    assert by_quantity(tutor.check("mlp", sheet))["dW1"] == "undecided"


def test_hostile_lines_are_looked_at_in_no_time():
    import time

    from tutor.answers.touched import touched

    started = time.process_time()
    for text in ("a,", "a.", "(", "a[(", "a=", "a.b_", "[a]", "out=", "a[b,", ";a=", "a_(", "__a__("):
        touched([(0, text * (4_000 // len(text)))])
    assert time.process_time() - started < 1


# -- formulas in a sentence ------------------------------------------------------------------------------------


def of_markdown(exercise, text):
    return check_sheet(tutor.load(exercise), read_answer(tutor.load(exercise), text, "markdown"))


def test_gradients_in_a_sentence_are_read():
    weight = "So $\\frac{\\partial L}{\\partial w} = 2(y_{pred} - y)x$ by the chain rule."
    report = of_markdown("linear-regression", f"{weight}\n\n**Bias:** $db = y_{{pred}} - y$ too.\n")
    assert [(line.line, line.column, line.quantity, line.verdict) for line in report.lines] == [
        (1, 5, "dw", "correct"), (3, 12, "db", "wrong")]  # fmt: skip


@pytest.mark.parametrize(("formula", "says"), [
    (r"\frac{\partial L}{\partial w} = \frac{\partial L}{\partial y_{pred}} \frac{\partial y_{pred}}{\partial w}",
     "dy_pred has no line of its own before"),
    (r"\frac{df}{dx} = f'", "on the left"), ("dw = 0", "0 alone"), (r"dw = \foo", "not part of an answer"),
    ("dw = 2(y_{pred} - y)", "a line of its own gives it"),
])  # fmt: skip
def test_what_else_a_sentence_says_is_no_answer(formula, says):
    answer = "$$dw = 2(y_{pred} - y)x$$\n\n$$db = 2(y_{pred} - y)$$"
    report = of_markdown("linear-regression", f"Now ${formula}$ here, $N = 3$:\n\n{answer}")
    assert report.verdict == "correct" and len(report.lines) == 2
    assert len(report.notes) == 1 and says in report.notes[0] and "line 1: passed over" in report.notes[0]


@pytest.mark.parametrize(("zeros", "verdict"), [
    ("torch.zeros_like(y)", "correct"), ("np.zeros_like(-1)", "correct"), ("torch.zeros_like(-1)", "wrong"),
    ("torch.zeros_like([1, 2])", "wrong"), ("torch.full_like(1, 0)", "wrong"), ("np.ones_like(1)*0", "correct"),
])  # fmt: skip
def test_in_torch_a_number_has_no_shape_to_copy(zeros, verdict):
    line = tutor.check("losses:of=hinge", f"df = torch.where(m < 1, 1 - 2*y, {zeros})/N").line("df")
    assert (line.verdict, "has none" in line.reason) == (verdict, verdict == "wrong")


def test_of_numbers_each_draw_tells_of_one_case():
    """The sign differs at few of the draws on one side of the kink."""
    exercise = tutor.load("linear-regression:loss=huber")
    for wrong in ("torch.sign(w + b - y)", "torch.sign(w*x - y)", "torch.sign(b - y)", "torch.sign(w*x + b)"):
        for seed in range(5):
            sheet = f"db = torch.where(torch.abs(y_pred - y) <= 1, y_pred - y, {wrong})"
            assert tutor.check(exercise, sheet, seed=seed, repairs=False).line("db").verdict == "wrong"


@pytest.mark.parametrize(("zeros", "verdicts"), [
    ("torch.zeros(N)", ["correct"]), ("torch.zeros(1 .size(0))", ["wrong", "correct"]),
    ("torch.zeros_like(2)", ["wrong", "correct"]),
])  # fmt: skip
def test_zeros_that_are_never_filled_are_reported_where_they_have_no_value(zeros, verdicts):
    report = tutor.check("mse", f"dr = {zeros}\ndr = 2*r/N")
    assert [line.verdict for line in report.lines] == verdicts


def test_no_tolerance_allows_what_is_not_finite():
    inf, nan = torch.tensor([torch.inf]), torch.tensor([torch.nan])
    for given, true in ((inf, -inf), (inf, inf), (inf, torch.ones(1)), (torch.ones(1), inf), (nan, nan)):
        assert not bool(DOUBLE.close(given, true, None).any())
        assert not DOUBLE.allows(abs(given.item() - true.item()), max(abs(given.item()), abs(true.item())))


# -- sizes that hide mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("exercise", "sheet", "verdict", "note"), [
    # a batch of one, as a course writes it; 1/N is not there, and need not be
    ("softmax-regression", "# sizes: N=1\ndz = p - y\ndW = torch.outer(x[0], dz[0])\ndb = dz[0]", "correct",
     "lines 2, 3, 4: right at N=1 alone"),
    ("softmax-regression", "# sizes: N=1\ndz = (p - y).view(1, K)", "incomplete", "line 2: right at N=1 alone"),
    ("softmax-regression", "# sizes: N=1\ndz = (p - y)/N\ndW = x.T @ dz\ndb = dz.sum(0)", "correct", ""),
    ("softmax-regression", "# sizes: N=2\nr = p - y\ndz = torch.stack([r[0], r[1]])/2", "incomplete", ""),
    ("linear-regression-batch", "# sizes: N=4 D=4\ndw = X.T @ (y_pred - y)/4", "incomplete", "right at N=4, D=4 alone"),
    ("linear-regression-batch", "# sizes: N=4 D=4\ndw = X.T @ (y_pred - y)/N", "incomplete", ""),
    ("linear-regression-batch", "# sizes: N=32 D=7\ndw = X.T @ (y_pred - y)*0.03125", "incomplete", ""),
    ("linear-regression-batch", "# sizes: N=32 D=7\ndw = X.T @ (y_pred - y)", "wrong", ""),
    ("attention", "# sizes: N=5 M=4 D=4\ndV = P.T @ dO/sqrt(M)*sqrt(D)", "incomplete", "right at M=4, D=4 alone"),
])  # fmt: skip
def test_pinned_sizes_hold_and_what_they_hide_is_said(exercise, sheet, verdict, note):
    report = tutor.check(exercise, sheet)
    assert report.verdict == verdict
    assert any(note in said for said in report.notes) if note else not report.notes


def test_without_a_number_on_the_line_no_pin_makes_it_right_in_general():
    ex = Exercise("mean-square")
    N, D = ex.sizes("N D")
    i, j = ex.indices(i=N, j=D)
    x, y = ex.parameter("x", i, j), ex.input("y", i, j)
    ex.loss("L", Sum((x[i, j] - y[i, j]) ** 2, i, j) / N)
    for line, alone in (("x - y", True), ("2*(x - y)/2", False), ("2*(x - y)/N", False), ("1.0*(x - y)", True)):
        report = tutor.check(ex, f"# sizes: N=2\ndx = {line}")
        assert report.verdict == "correct"
        assert report.notes == (("line 2: right at N=2 alone: such sizes hide mistakes that show at others",) * alone)


@pytest.mark.parametrize(("sheet", "expected"), [
    ("r = -2\ndw = 2*r*2\ndb = 2*r", ["correct", "correct"]),
    ("y_pred = 2\ndy_pred = -4\ndw = dy_pred*2\ndb = dy_pred*1", ["correct", "correct", "correct"]),
    ("r = -2.0\nr = -3\ndb = 2*r", ["wrong"]),
    ("dy_pred = 2\ndw = dy_pred*2\ndb = dy_pred", ["wrong", "follows", "follows"]),
    ("r = -2\ndw = 2*r*x", ["correct"]),  # r is y_pred - y
    ("r = -2\ndw = 4*r", ["correct"]),
    ("r = -2\ndw = r*x", ["wrong"]),  # as with r = y_pred - y
])  # fmt: skip
def test_numbers_through_names(sheet, expected):
    assert [line.verdict for line in tutor.check("linear-regression", sheet).lines] == expected


# -- small things --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [
    "dE = torch.zeros(V, D).index_put((t,), demb, accumulate=True)",
    "dE = torch.zeros(V, N).scatter(0, t[None], 1.0) @ demb",
    "dE = torch.scatter(torch.zeros(V, N), 0, t[None], 1) @ demb",
    "dE = torch.zeros(V, D).index_add(0, t, 2*(emb - y)/y.size)",
])  # fmt: skip
def test_scatter_out_of_place_and_size(line):
    assert tutor.check("embedding", f"demb = 2*(emb - y)/y.size\n{line}").verdict == "correct"


@pytest.mark.parametrize(("line", "column", "part"), [
    ("dw = X.T @ r/N = X.T @ (y_pred - y)/N", 6, "X.T @ r/N is a formula"),
    ("dw = w = f(a=1) = 3", 10, "f(a=1) is a formula"),
])  # fmt: skip
def test_a_chain_says_which_part_takes_no_value(line, column, part):
    (found,) = tutor.check("linear-regression-batch", line).lines
    assert (found.verdict, found.column) == ("unreadable", column)
    assert part in found.reason and "line dw = ..." in found.reason


def chained():
    ex = Exercise("ratio")
    w, x = ex.parameter("w"), ex.input("x")
    s = ex.step("s", [], w * x)
    ex.loss("L", ex.step("p", [], s**2) * 3)
    return ex


@pytest.mark.parametrize(("sheet", "note"), [
    ("dp = 3\nds = dp*2*s\nq = dp/ds\ndw = 12*s*s*q*x", ""), ("dp = 3\nds = 6*s\ndw = dp*dp/ds*4*s*s*x", ""),
    ("dp = 3\ndp_ds = 2*s\nds = dp*dp_ds\ndw = dp*dp/ds*x", "dp/ds is read as dp_ds"),
    ("dp_ds = 2*s\nds = 3*dp/ds\ndw = ds*x", "dp/ds is read as dp_ds"),
    ("dL = 1\nds = 6*s\ndw = dL/ds*x", "dL/ds is read as ds"),
])  # fmt: skip
def test_a_quotient_of_two_given_gradients_is_one(sheet, note):
    report = tutor.check(chained(), sheet)
    assert report.verdict == "correct"
    assert any(note in said for said in report.notes) if note else not report.notes


def test_a_sheet_on_stdout(tmp_path, monkeypatch, capsys):
    from tutor.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["start", "linear-regression", "-"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# exercise: linear-regression") and out.endswith("db = ...\n")
    assert not list(tmp_path.iterdir())


def test_a_truth_that_lost_its_digits_two_steps_back_is_not_held_against_a_line():
    """`1 - o**2` has none left where o is near 1, `1/cosh(n)**2` has them all; a product that reads it adds nothing."""
    report = tutor.check(tutor.load("tanh-neuron"), "dn = 1/cosh(n)**2\ndw1 = dn*x1\ndx2 = w2/cosh(n)**2")
    assert [line.verdict for line in report.lines] == ["correct"] * 3
    assert tutor.check(tutor.load("tanh-neuron"), "dw1 = x1/cosh(n)").verdict == "wrong"


ONE_CLASS = ["softmax-regression", "softmax", "log-softmax", "image-classifier", "word2vec-softmax"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("exercise", ONE_CLASS)
def test_one_class_has_no_gradient(exercise, seed):
    """Rounding is all that is left of ours then, and 0 is right."""
    made = tutor.load(exercise)
    size = next(str(s) for s in made.size_symbols if str(s) in ("K", "C", "V"))
    first = points(made, seed, {size: 1})[0]
    zero = [name for name, value in first.gradients.items() if value.numel() and value.abs().max() < 1e-15]
    lines = [f"{name} = torch.zeros_like({name[1:]})" for name in zero]
    report = tutor.check(made, "\n".join([f"# sizes: {size}=1", *lines]), seed=seed)
    assert zero and {line.verdict for line in report.lines} == {"correct"}


def test_a_formula_that_fails_at_the_worked_instance_is_not_right():
    """All other factors, not the product over the own one: an entry may be 0, though none is that was drawn."""
    product = tutor.load("product")
    assert tutor.check(product, "dx = f/x").verdict == "wrong"
    assert tutor.check(product, "dx[i] = Product(where(k != i, x[k], 1), k)").verdict == "correct"
    assert product.derive().gradient("x").latex.endswith(r"\prod_{i_{1} \ne i} x_{i_{1}}")


@pytest.mark.parametrize(("exercise", "sheet", "says"), [
    ("softmax-regression", "dz = p; dz -= y; dz /= N\ndb = ((p - y)/N).sum(0)", "write dz = p.clone()"),
    ("linear-regression", "dw, db = -7, -4", "-7 is not"),
    ("linear-regression", "dw = -8; db = -3", "-3 is not"),
    ("linear-regression", "dw = 0\nfor i in range(2):\n    dw += -3", "-6 is not"),
])  # fmt: skip
def test_a_line_of_several_statements_is_quoted_by_its_parts(exercise, sheet, says):
    assert says in tutor.check(exercise, sheet).first_divergence.reason


def test_a_neighbours_decimals_are_no_licence():
    ex = Exercise("slope")
    w, v = ex.parameter("w"), ex.parameter("v")
    ex.loss("L", w * 6.45 + 2 * v)
    ex.instance(w=1, v=1)
    for sheet in ("dw = 6", "dw = 6; dv = 2.0", "dw, dv = 6, 2.0", "dw = torch.tensor(6)"):
        assert tutor.check(ex, sheet).line("dw").verdict == "wrong"
