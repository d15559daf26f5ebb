"""Judging: right answers in many spellings, the first divergence, what follows from it, and what is nobody's fault."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import torch
from sympy import Sum, Symbol, exp

import tutor
from tutor.checking import interpret
from tutor.checking.check import check, check_tensors, read_answer
from tutor.checking.sheets import check_sheets
from tutor.errors import NotFoundError, UsageError
from tutor.exercise import Exercise


@pytest.fixture(autouse=True)
def our_own_bugs_are_raised(monkeypatch):
    monkeypatch.setattr(interpret, "STRICT", True)


def judged(exercise, text, **options):
    return check(tutor.load(exercise) if isinstance(exercise, str) else exercise, text, **options)


def verdicts(report):
    return [(line.line, line.quantity, line.verdict) for line in report.lines]


def mistakes(line):
    return [mistake.id for mistake in line.mistakes]


# -- right answers ---------------------------------------------------------------------------------------

RIGHT = {
    "linear-regression": [
        "dw = 2*(y_pred - y)*x\ndb = 2*(y_pred - y)",
        "dw = 2*(w*x + b - y)*x\ndb = 2*(w*x + b - y)",
        "dw = -2*x*(y - w*x - b)\ndb = dw/x",
        "dL_dw = 2*x*(w*x + b) - 2*x*y\ngrad_b = 2*w*x + 2*b - 2*y",
        "w.grad = 2*(y_pred - y)*x\nb.grad = w.grad/x",
        "dw = -8\ndb = -4",
        "dw = -8.0\ndb = -4.00",
        "dw = 2*(2 - 4)*2\ndb = 2*(2 - 4)",
        "dw = torch.tensor(-8.)\ndb = torch.tensor([-4.])",
        "r = y_pred - y\ndr = 2*r\ndw = dr*x\ndb = dr",
        "r = y - y_pred\ndr = 2*r\ndw = -dr*x\ndb = -dr",
        "dy_pred = 2*(y_pred - y)\ndy_pred_dw = x\ndw = dy_pred*dy_pred_dw\ndb = dy_pred*1",
        "dw = 2（y_pred − y）×x".replace("2（", "2*（") + "\ndb ＝ 2×（y_pred − y）",
        "dw = 2*x*(y_pred-y)^1\ndb = dw*x^(-1)",
        "dw = dL*2*(y_pred - y)*x\ndb = dL*2*(y_pred - y)",
    ],
    "linear-regression:loss=mae": [
        "dw = sign(y_pred - y)*x\ndb = torch.sign(y_pred - y)",
        "dw = torch.where(y_pred > y, x, -x)\ndb = (y_pred > y)*1 - (y_pred < y)*1",
        "dw = (y_pred - y)/abs(y_pred - y)*x\ndb = np.sign(y_pred - y)",
    ],
    "linear-regression:loss=log-cosh": ["dw = tanh(y_pred - y)*x\ndb = sinh(y_pred - y)/cosh(y_pred - y)"],
    "linear-regression-batch": [
        "dr = r/N\ndw = X.T @ dr\ndb = dr.sum()",
        "dw = X.T @ (X @ w + b - y) / N\ndb = (X @ w + b - y).mean()",
        "dw = np.dot(X.T, r)/len(y)\ndb = np.mean(r)",
        "dw = (X * r[:, None]).mean(0)\ndb = r.sum()/X.shape[0]",
        "dw = torch.einsum('ij,i->j', X, r)/N\ndb = Sum(r[i], i)/N",
        "dw[j] = Sum(X[i,j]*r[i], i)/N\ndb = Sum(r[i], (i, 0, N-1))/N",
        "dw = torch.zeros_like(w)\nfor i in range(N):\n    dw += X[i]*r[i]/N\ndb = 0\n"
        "for i in range(N):\n    db += r[i]/N",
        "dr = r/N\ndw = torch.zeros(D)\nfor j in range(D):\n    dw[j] = (X[:, j]*dr).sum()\ndb = dr.sum()",
        "res = X @ w + b - y\ndres = res/N\ndw = X.T @ dres\ndb = dres.sum()",
    ],
    "softmax-regression": [
        "dz = (p - y) / N\ndW = x.T @ dz\ndb = dz.sum(0)",
        "dp = -y/(N*p)\nds = -(dp*e).sum(1)/s**2\nde = dp/s[:, None] + ds[:, None]\ndz = de*e\n"
        "dW = x.T @ dz\ndb = dz.sum(0)",
        "dz[i,k] = (p[i,k] - y[i,k])/N\ndW[j,k] = Sum(x[i,j]*dz[i,k], i)\ndb[k] = Sum(dz[i,k], i)",
        "dW[a,c] = Sum(x[n,a]*(p[n,c] - y[n,c]), n)/N\ndb[c] = Sum(p[n,c] - y[n,c], n)/N",
        "q = F.softmax(x @ W + b, dim=1)\ng = (q - y)/N\ndW = torch.matmul(x.T, g)\ndb = g.sum(dim=0)",
        "dz = p.clone()\ndz[range(N), y.argmax(1)] -= 1\ndz /= N\ndW = x.t() @ dz\ndb = torch.sum(dz, 0)",
        "dscores = p\ndscores[range(N), y.argmax(1)] -= 1\ndscores /= N\ndW = x.T @ dscores\ndb = dscores.sum(0)",
        "dz = p/N\ndz -= y/N\ndW = x.T @ dz\ndb = dz.sum(0)",
        "dz = torch.zeros_like(z)\nfor i in range(N):\n    dz[i] = (p[i] - y[i])/N\ndW = x.T @ dz\ndb = dz.sum(0)",
        "dW, db = x.T @ (p - y)/N, (p - y).mean(0)",
        "dz = db_rows = (p - y)/N\ndW = x.T @ dz\ndb = db_rows.sum(0)",
        "dp_ds = -e/s[:, None]**2\ndp = -y/p/N\nds = (dp*dp_ds).sum(1)\nde_dz = exp(z)\n"
        "de = dp/s[:, None] + ds[:, None]\n"
        "dz = de*de_dz\ndW = x.T @ dz\ndb = dz.sum(0)",
        "import torch\nwith torch.no_grad():\n    W.grad = x.T @ (p - y) / N\n"
        "    b.grad = (p - y).mean(0)\n    W -= 0.1*W.grad\n"
        "W.grad.zero_()\nb.grad = None\nprint('done')",
        "# sizes: N=32, D=4, K=6\ndz = (p - y)/32\ndW = x.T @ dz\ndb = dz.sum(0)",
    ],
    "layer-norm": [
        "dbeta = dy.sum(0)\ndgamma = (dy*xhat).sum(0)\nq = dy*gamma\n"
        "dx = istd[:, None]*(q - q.mean(1, keepdim=True) - xhat*(q*xhat).mean(1, keepdim=True))",
        "dbeta = np.sum(dy, axis=0)\ndgamma = np.sum(dy*xhat, axis=0)\nq = dy*gamma\n"
        "dx = (q - q.mean(axis=1, keepdims=True) - xhat*np.mean(q*xhat, axis=1, keepdims=True))*istd[:, np.newaxis]",
        "dbeta[j] = Sum(dy[i,j], i)\ndgamma[j] = Sum(dy[i,j]*xhat[i,j], i)\n"
        "dx[i,j] = istd[i]*(dy[i,j]*gamma[j] - Sum(dy[i,j]*gamma[j], j)/D "
        "- xhat[i,j]*Sum(dy[i,j]*gamma[j]*xhat[i,j], j)/D)",
    ],
    "attention": [
        "dV = P.T @ dO\ndP = dO @ V.T\nda = P*(dP - (dP*P).sum(1, keepdim=True))\n"
        "dQ = da @ K/math.sqrt(D)\ndK = da.T @ Q/D**0.5",
        "dV[m,c] = Sum(P[n,m]*dO[n,c], n)\ndP[n,m] = Sum(dO[n,c]*V[m,c], c)\n"
        "da[n,m] = P[n,m]*(dP[n,m] - Sum(dP[n,m]*P[n,m], m))\ndQ[n,d] = Sum(da[n,m]*K[m,d], m)/sqrt(D)\n"
        "dK[m,d] = Sum(da[n,m]*Q[n,d], n)/sqrt(D)",
    ],
    "embedding": [
        "demb = 2*(emb - y)/(N*D)\ndE = torch.zeros_like(E).index_add_(0, t, demb)",
        "demb = 2*(emb - y)/emb.numel()\ndE = F.one_hot(t, V).T @ demb",
        "demb = 2*(emb - y)/(N*D)\ndE = np.zeros_like(E)\nnp.add.at(dE, t, demb)",
        "demb = 2*(emb - y)/(N*D)\ndE = torch.zeros((V, D))\nfor i in range(len(t)):\n    dE[t[i]] += demb[i]",
        "demb[n,d] = 2*(emb[n,d] - y[n,d])/(N*D)\ndE[v,d] = Sum(KroneckerDelta(v, t[n])*demb[n,d], n)",
        "demb[p,q] = 2*(emb[p,q] - y[p,q])/(N*D)\ndE = torch.zeros(V, D)\ndE[t[p],q] += demb[p,q]",
        "demb = 2*(emb - y)/(N*D)\ndE = torch.zeros_like(E)\ndE.index_put_((t,), demb, accumulate=True)",
        "demb = 2*(emb - y)/(N*D)\ndE = torch.zeros_like(E).scatter_add(0, t[:, None].expand(N, D), demb)",
    ],
    "sgd-step": [
        "dw = 2*(y_pred - y)*x\ndb = 2*(y_pred - y)\nw_new = w - eta*dw\nb_new = b - eta*b.grad\n"
        "y_pred_new = w_new*x + b_new\n"
        "gw_new = 2*(y_pred_new - y)*x\ngb_new = 2*(y_pred_new - y)\n"
        "w_second = w_new - eta*gw_new\nb_second = b_new - eta*gb_new\n"
        "w_accumulated = w_new - eta*(dw + gw_new)\nb_accumulated = b_new - eta*(db + gb_new)",
    ],
    "mlp": [
        "dy_pred = 2*(y_pred - y)/y.numel()\ndW2 = h1.T @ dy_pred\ndb2 = dy_pred.sum(0)\ndh1 = dy_pred @ W2.T\n"
        "dz1 = dh1*(z1 > 0)\ndW1 = x.T @ dz1\ndb1 = dz1.sum(0)",
        "dy_pred = 2*(y_pred - y)/y.numel()\ndW2 = h1.T @ dy_pred\ndb2 = dy_pred.sum(0)\ndz1 = dy_pred @ W2.T\n"
        "dz1[z1 <= 0] = 0\ndW1 = x.T @ dz1\ndb1 = dz1.sum(0)",
    ],
}


@pytest.mark.parametrize(("exercise", "text"), [(e, t) for e, texts in RIGHT.items() for t in texts])
def test_right_answers_are_correct_however_they_are_written(exercise, text):
    report = judged(exercise, text)
    assert report.verdict == "correct", str(report)
    assert report.score == report.max_score
    assert report.first_divergence is None and report.missing == ()


def test_the_seed_changes_the_values_and_not_the_verdict():
    text = RIGHT["softmax-regression"][1]
    assert {judged("softmax-regression", text, seed=seed).verdict for seed in range(4)} == {"correct"}


# -- the first divergence --------------------------------------------------------------------------------------


def test_the_tutorials_own_numbers():
    report = judged("linear-regression", "dw = 4\ndb = 2")
    assert verdicts(report) == [(1, "dw", "wrong"), (2, "db", "wrong")]
    first = report.first_divergence
    assert (first.ratio, first.line) == (-0.5, 1)
    assert first.reason == (
        "exactly -1/2 times the true gradient: the factor 2 of the power rule is lost and the sign is flipped"
    )
    assert set(mistakes(first)) == {"factor", "sign"}
    assert (report.verdict, report.score) == ("wrong", 0)


@pytest.mark.parametrize(
    ("exercise", "text", "ratio", "ids", "match"),
    [
        ("linear-regression", "dw = (y_pred - y)*x", 0.5, ["factor"], "2 of the power rule is lost"),
        ("linear-regression", "dw = -2*(y_pred - y)*x", -1, ["sign"], "sign is flipped"),
        ("linear-regression", "dw = 4*(y_pred - y)*x", 2, ["factor"], "a factor 2 too much"),
        ("linear-regression-batch", "dw = X.T @ r", 5, ["factor"], "exactly N times .* the factor 1/N is lost"),
        ("linear-regression-batch", "dw = X.T @ r/N**2", 0.2, ["factor"], "exactly 1/N times .* a factor 1/N too much"),
        ("linear-regression-batch", "dw = 2*X.T @ r/N", 2, ["factor"], "factor"),
        ("linear-regression-batch", "dw = -2*X.T @ r", -10, ["factor", "factor", "sign"], r"exactly -2\*N times"),
        ("softmax-regression", "dz = p - y", 3, ["factor"], "the factor 1/N is lost"),
        ("softmax-regression", "dz = (y - p)/N", -1, ["sign"], "sign"),
        ("embedding", "demb = (emb - y)/N", 1.5, ["factor", "factor"], "D/2"),
        ("linear-regression", "dw = 2.000002*(y_pred - y)*x", 1.000001, ["factor"], "1.000001"),
    ],
)
def test_a_constant_ratio_is_named(exercise, text, ratio, ids, match):
    line = judged(exercise, text).first_divergence
    assert line.ratio == pytest.approx(ratio)
    assert [found for found in mistakes(line) if found in ("factor", "sign")] == ids
    assert re.search(match, line.reason), line.reason


def test_a_wrong_line_has_figures():
    report = judged("softmax-regression", "dz = p/N")
    line = report.first_divergence
    assert line.shape == line.expected_shape == (3, 4)
    assert line.max_abs_error == pytest.approx(1 / 3)
    assert len(line.worst) == 3 and line.worst[0].given - line.worst[0].expected == pytest.approx(1 / 3)
    assert "exp(z[i,k])" in line.forward


# -- follow-through --------------------------------------------------------------------------------------------


def test_one_mistake_costs_once():
    report = judged("softmax-regression", "dz = p - y\ndW = x.T @ dz\ndb = dz.sum(0)")
    assert verdicts(report) == [(1, "dz", "wrong"), (2, "dW", "follows"), (3, "db", "follows")]
    assert report.score == 1  # dz is not asked: it costs the first asked quantity that follows from it


def test_a_wrong_line_whose_points_are_its_own():
    report = judged("softmax-regression", "dz = (p - y)/N\ndW = x.T @ dz*2\ndb = dz.sum(0)")
    assert verdicts(report) == [(1, "dz", "correct"), (2, "dW", "wrong"), (3, "db", "correct")]
    assert report.score == 1


def test_following_through_helpers_and_updates():
    text = "dz = (y - p)/N\ng = 2*dz\ng = g/2\ndW = torch.zeros_like(W)\ndW += x.T @ g\ndb = g.sum(0)"
    report = judged("softmax-regression", text)
    assert verdicts(report) == [(1, "dz", "wrong"), (5, "dW", "follows"), (6, "db", "follows")]


def test_following_by_the_walk_back_where_the_formula_is_another():
    # db = dz.sum(0) written through another gradient: true only by the value that R leads to
    text = "dp = -2*y/(N*p)\ndz = 2*(p - y)/N"
    report = judged("softmax-regression", text)
    assert verdicts(report) == [(1, "dp", "wrong"), (2, "dz", "wrong")]  # dz reads no gradient of the learner's
    text = "dp = -2*y/(N*p)\nds = -(dp*e).sum(1)/s**2\ndz = 2*(p - y)/N + 0*dp"
    assert verdicts(judged("softmax-regression", text))[2] == (3, "dz", "follows")


def test_a_second_mistake_under_the_first_is_found_and_named_relative_to_it():
    report = judged("linear-regression", "dy_pred = y_pred - y\ndw = -dy_pred*x\ndb = dy_pred")
    assert verdicts(report) == [(1, "dy_pred", "wrong"), (2, "dw", "wrong"), (3, "db", "follows")]
    assert mistakes(report.lines[1]) == ["sign"] and report.lines[1].ratio == -1


def test_two_mistakes_that_cancel_are_both_seen():
    report = judged("linear-regression", "dy_pred = -2*(y_pred - y)\ndw = -dy_pred*x\ndb = -dy_pred")
    assert verdicts(report) == [(1, "dy_pred", "wrong"), (2, "dw", "correct"), (3, "db", "correct")]
    assert "cancel" in report.lines[1].reason and "line 1" in report.lines[1].reason
    assert report.verdict == "wrong"


def test_zero_carries_no_credit():
    report = judged("softmax-regression", "dz = 0*z\ndW = x.T @ dz\ndb = dz.sum(0)")
    assert [v for *_, v in verdicts(report)] == ["wrong", "wrong", "wrong"]
    report = judged("softmax-regression", "dz = z/0.\ndW = x.T @ dz\ndb = dz.sum(0)")
    assert "follows" not in [v for *_, v in verdicts(report)]


def test_infinite_values_are_never_right():
    report = judged("softmax-regression", "dW = x.T @ ((p - y)/N) + 1/(W - W)")
    assert verdicts(report) == [(1, "dW", "wrong")] and "finite" in report.lines[0].reason


def test_a_gradient_read_before_its_last_update_is_stale():
    report = judged("softmax-regression", "dz = p/N\ndW = x.T @ dz\ndb = dz.sum(0)\ndz -= y/N")
    assert verdicts(report) == [(2, "dW", "wrong"), (3, "db", "wrong"), (4, "dz", "correct")]
    assert mistakes(report.lines[0]) == ["stale-value"] and "line 4" in report.lines[0].reason


def test_a_sum_completed_later_is_not_wrong():
    report = judged("softmax-regression", "dz = p/N\ndz -= y/N\ndW = x.T @ dz\ndb = dz.sum(0)")
    assert verdicts(report)[0] == (2, "dz", "correct")


def test_successive_lines_of_a_derivation_must_each_hold():
    text = "dz = -y/N + p*(y.sum(1, keepdim=True))/N\ndz = p - y\ndz = (p - y)/N\ndW = x.T @ dz\ndb = dz.sum(0)"
    report = judged("softmax-regression", text)
    assert [v for *_, v in verdicts(report)] == ["correct", "wrong", "correct", "correct", "correct"]


def test_numbers_follow_from_numbers():
    report = judged("linear-regression", "dy_pred = 2\ndw = 4\ndb = 2")
    assert verdicts(report) == [(1, "dy_pred", "wrong"), (2, "dw", "follows"), (3, "db", "follows")]
    report = judged("linear-regression", "dy_pred = 2\ndw = dy_pred*x\ndb = 3")
    assert [v for *_, v in verdicts(report)] == ["wrong", "follows", "wrong"]


def test_numbers_are_as_exact_as_their_digits():
    assert judged("linear-regression", "dw = -7.9\ndb = -4").lines[0].verdict == "wrong"
    assert judged("linear-regression", "dw = -8.04\ndb = -4").lines[0].verdict == "wrong"
    ex = Exercise("thirds")
    w = ex.parameter("w")
    ex.loss("L", w**3 / 9)
    ex.instance(w=1)
    right = (
        "0.33",
        "0.3333",
        "1/3",
        "0.3",
        "0.333333334",
        "1.0/3",
        "0.5*2/3",
        "0.333333343267441",
    )  # the last: float32
    assert [judged(ex, f"dw = {t}").verdict for t in right] == ["correct"] * len(right)
    wrong = ("0.34", "0.333334", "0.1*3", "0.35*1.0", "0.3333 + 1e-3")
    assert [judged(ex, f"dw = {t}").verdict for t in wrong] == ["wrong"] * len(wrong)


# -- helpers ----------------------------------------------------------------------------------------------------


def test_a_helper_that_is_a_part_of_a_formula_has_a_gradient():
    report = judged("linear-regression", "r = y_pred - y\ndr = r\ndw = dr*x\ndb = dr")
    assert verdicts(report) == [(2, "dr", "wrong"), (3, "dw", "follows"), (4, "db", "follows")]
    assert report.score == 1
    report = judged("linear-regression", "r = y - y_pred\ndr = -2*r\ndw = -dr*x\ndb = -dr")
    assert verdicts(report)[0] == (2, "dr", "wrong")


def test_a_helper_that_is_a_gradient_in_disguise_takes_the_blame():
    report = judged("softmax-regression", "delta = p - y\ndW = x.T @ delta\ndb = delta.sum(0)")
    assert verdicts(report) == [(1, "dz", "wrong"), (2, "dW", "follows"), (3, "db", "follows")]
    assert "1/N is lost" in report.lines[0].reason and report.score == 1


def test_a_free_helper_is_not_judged():
    report = judged("softmax-regression", "n = N\nneg = (y - p)/n\ndW = -x.T @ neg\ndb = -neg.sum(0)")
    assert verdicts(report) == [(3, "dW", "correct"), (4, "db", "correct")]


def test_a_helper_that_is_a_true_gradient_takes_no_blame():
    report = judged("linear-regression:loss=mae", "t2 = torch.sign(y_pred - y)\ndw = -x*t2")
    assert verdicts(report) == [(2, "dw", "wrong")] and mistakes(report.lines[0]) == ["sign"]


@pytest.mark.parametrize(("text", "expected"), [
    ("r = y_pred - y\ndw = x*r", [(2, "dw", "wrong")]),  # r is what it is: a part of the formula
    ("r = y_pred - y\ndw = x*r\ndb = 2*r", [(2, "dw", "wrong"), (3, "db", "correct")]),
    ("r = y_pred - y\ndw = x*r\ndb = r", [(1, "dy_pred", "wrong"), (2, "dw", "follows"), (3, "db", "follows")]),
])  # fmt: skip
def test_a_helper_takes_the_blame_where_no_line_proves_it_right(text, expected):
    assert verdicts(judged("linear-regression", text)) == expected


@pytest.mark.parametrize(("text", "expected"), [
    # each is a gradient but for a mistake of its own, once the one before it is put right
    ("delta2 = 2*(y_pred - y)/N\ndelta1 = delta2 @ W2.T\ndW1 = x.T @ delta1\ndb1 = delta1.sum(0)",
     [(1, "dy_pred", "wrong"), (2, "dz1", "wrong"), (3, "dW1", "follows"), (4, "db1", "follows")]),
    # one mistake on each line tells more than a mistake and a constant on the last one
    ("delta2 = (y_pred - y)/(N*D2)\ndelta1 = delta2 @ W2.T\ndW1 = x.T @ delta1\ndb1 = delta1.sum(0)",
     [(1, "dy_pred", "wrong"), (2, "dz1", "wrong"), (3, "dW1", "follows"), (4, "db1", "follows")]),
    # a sign that is put right on the next line is none
    ("delta2 = 2*(y - y_pred)/(N*D2)\ndelta1 = -delta2 @ W2.T\ndW1 = x.T @ delta1\ndb1 = delta1.sum(0)",
     [(2, "dz1", "wrong"), (3, "dW1", "follows"), (4, "db1", "follows")]),
    # what another line proves right stays out of it
    ("delta2 = (y_pred - y)/N\ndelta1 = delta2 @ W2.T\ndW1 = x.T @ delta1\ndb1 = delta1.sum(0)\n"
     "db2 = 2*delta2.sum(0)/D2",
     [(3, "dW1", "wrong"), (4, "db1", "follows"), (5, "db2", "correct")]),
    # a line with a mistake of its own follows from nothing
    ("delta2 = 2*(y_pred - y)/N\ndelta1 = delta2 @ W2.T\ndW1 = x.T @ delta1\ndb1 = delta1.mean(0)",
     [(3, "dW1", "wrong"), (4, "db1", "wrong")]),
])  # fmt: skip
def test_a_mistake_on_each_of_two_helpers_is_charged_there(text, expected):
    assert verdicts(judged("mlp", text)) == expected


@pytest.mark.parametrize(("lines", "expected"), [
    ("dW1 = x.T @ delta1\ndb1 = delta1.sum(0)", ["follows", "follows"]),
    ("dW1 = x.T @ delta1\ndb1 = delta1.mean(0)", ["undecided", "undecided"]),
    ("dW1 = x.T @ delta1", ["undecided"]),  # one line alone fits nearly any gradient
])  # fmt: skip
def test_what_reads_a_helper_that_torch_refuses_follows_where_it_is_one_gradient(lines, expected):
    report = judged("mlp", "delta2 = 2*(y_pred - y)/(N*D2)\ndelta1 = delta2 @ W2\n" + lines)
    assert verdicts(report)[0] == (2, "delta1", "wrong")
    assert [line.verdict for line in report.lines[1:]] == expected


def test_a_line_follows_from_the_helper_that_it_reads():
    text = "delta2 = 2*(y_pred - y)/N\ndelta1 = delta2 @ W2.T\nm = 2*delta1\n"
    text += "dW2 = h1.T @ delta2\ndW1 = x.T @ delta1\ndb1 = m.sum(0)/2"
    report = judged("mlp", text)
    given = [(line.quantity, line.reason) for line in report.lines if line.verdict == "follows"]
    assert given == [
        ("dW2", "sound, given delta2 as it stands on line 1"),
        ("dW1", "sound, given delta1 as it stands on line 2"),
        ("db1", "sound, given delta1 as it stands on line 2"),
    ]


def test_a_helper_that_another_line_proves_right_takes_no_blame():
    report = judged("softmax-regression", "delta = p - y\ndW = x.T @ delta\ndb = delta.sum(0)/N")
    assert verdicts(report) == [(2, "dW", "wrong"), (3, "db", "correct")]


@pytest.mark.parametrize(("text", "expected"), [
    ("dr = torch.zeros_like(r)\ndr = r/N", [(2, "dr", "correct")]),
    ("dr = torch.zeros(N)\ndr = -r/N", [(2, "dr", "wrong")]),
    ("dr = torch.zeros_like(r)\ndr += r/N", [(2, "dr", "correct")]),
    ("dr = r/N\ndr = torch.zeros_like(r)", [(1, "dr", "correct"), (2, "dr", "wrong")]),
    ("dr = torch.zeros_like(r)\ndw = X.T @ dr\ndr = r/N", [(2, "dw", "wrong"), (3, "dr", "correct")]),
    ("dr = torch.zeros_like(r)", [(1, "dr", "wrong")]),
])  # fmt: skip
def test_zeros_before_a_quantity_is_given_are_no_answer(text, expected):
    assert verdicts(judged("linear-regression-batch", text)) == expected


def test_what_is_zero_at_one_draw_says_nothing_there_alone():
    text = "dh1 = 2*(y_pred - y) @ W2.T/(N*D2)\ndz1 = dh1*(b1 > 0).float()\ndb1 = dz1.sum(0)"
    assert [v for *_, v in verdicts(judged("mlp", text))] == ["correct", "wrong", "follows"]


def test_a_true_zero_says_as_much_as_it_should():
    text = """
dcounts = counts_sum_inv*(-1 - F.one_hot(Yb, V)/probs)/n
dnorm_logits = dcounts*torch.exp(logits - logit_maxes)
dlogit_maxes = torch.zeros(n, 1)
dh = (F.one_hot(logits.argmax(1), V)*dlogit_maxes + dnorm_logits) @ W2.T"""
    report = judged("makemore-mlp", text)
    assert [v for *_, v in verdicts(report)] == ["wrong", "follows", "correct", "follows"]


def test_what_reads_an_unreadable_line_is_undecided_whatever_its_dummies_are_called():
    report = judged("linear-regression-batch", "dy_pred[i] = dr[j]\ndb = Sum(dy_pred[q], q)")
    assert [v for *_, v in verdicts(report)] == ["unreadable", "undecided"]


def test_what_torch_refuses_on_the_way_is_wrong_there():
    text = "db1 = torch.multiply(1 - h1.T**2, W2 @ (2*(y_pred - y)).T).sum(2)\ndb1 = db1/(N*D2)\ndb2 = db1"
    report = judged("mlp:activation=tanh", text)
    assert verdicts(report)[0] == (1, "db1", "wrong") and "no axis 2" in report.lines[0].reason
    text = "g = x @ (p - y)\ng = g/N\ndW = g"
    assert verdicts(judged("softmax-regression", text)) == [(1, "g", "wrong"), (3, "dW", "follows")]


def test_a_condition_is_a_mask():
    for condition, verdict in [("z1 > 0", "correct"), ("(z1 > 0) * (z1 > 0)", "correct"), ("2*(z1 > 0)", "wrong"),
                               ("(z1 > 0) - (z1 < 0)", "wrong"), ("-(z1 > 0)", "wrong")]:  # fmt: skip
        report = judged("mlp", f"dh1 = 2*(y_pred - y) @ W2.T/(N*D2)\ndz1 = torch.where({condition}, dh1, 0.0)")
        assert (report.lines[1].verdict, "torch refuses" in report.lines[1].reason) == (verdict, verdict == "wrong")


# -- overflow and cancellation -------------------------------------------------------------------------------


UNSTABLE = [  # the line, the true value, the verdict
    ("(x + 100000000) - 100000000", x_ := Symbol("x", real=True), "correct"),
    ("exp(x + 800)/exp(800)", exp(x_), "correct"),
    ("exp(1000*x)/(1 + exp(1000*x))", 1/(1 + exp(-1000*x_)), "correct"),
    ("(x + 100000000) - 100000001", x_, "wrong"),
    ("(1.000001*x + 10000) - 10000", x_, "wrong"),
    ("exp(x + 800)/exp(801)", exp(x_), "wrong"),
    ("exp(x)/(x - x)", exp(x_), "wrong"),
    ("x/0", x_, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "true", "verdict"), UNSTABLE)
def test_overflow_and_cancellation_are_not_mistakes_of_the_learner(text, true, verdict):
    ex = Exercise("pair")
    x, y = ex.parameter("x"), ex.parameter("y")
    ex.loss("L", x * y)
    ex.value("v", [], true.subs(x_, x))
    (line,) = judged(ex, f"v = {text}").lines
    assert line.verdict == (verdict or "wrong")
    if verdict == "correct":
        assert mistakes(line) == ["unstable"] and "overflows" in line.reason


@pytest.mark.parametrize(("text", "verdict"), [
    ("(p - y + 1e12)/N - 1e12/N", "correct"),
    ("(p - y + 1e12)/N - 1e12*(1/N)", "correct"),
    ("(p - y + 1e14/3)/N - 1e14/(3*N)", "correct"),
    ("(p - y + 1e12)/N - 1000000000001/N", "wrong"),
    ("(p + y + 1e6)/N - 1e6/N", "wrong"),
    ("(p - y)/N*(1 + 1e-6)", "wrong"),
    ("(torch.exp(z + 1000)/torch.exp(z + 1000).sum(1, keepdim=True) - y)/N", "correct"),
    ("(torch.exp(300*z)**(1/300)/(torch.exp(300*z)**(1/300)).sum(1, keepdim=True) - y)/N", "correct"),
    ("(torch.exp(z + 1000)/torch.exp(z + 1000).sum(1, keepdim=True) + y)/N", "wrong"),
    ("(torch.exp(z + 1000)/torch.exp(z + 1001).sum(1, keepdim=True) - y)/N", "wrong"),
    ("(torch.exp(torch.exp(torch.exp(z + 9)))*0 + p - y)/N", "undecided"),  # no arithmetic holds such numbers
    ("(p - y)/(N*(p > 2))", "wrong"),
    ("torch.log(-p)", "wrong"),
    ("p > y", "wrong"),
    ("(-p)**1.98", "wrong"),
    ("(p - y)*(z == z.max(1, keepdim=True).values*1.0)", "wrong"),
])  # fmt: skip
def test_tensors_that_lose_their_digits_are_looked_at_with_more(text, verdict):
    report = judged("softmax-regression", f"dz = {text}\ndW = (p - y).T\ndb = (p - y).mean(0)")
    assert [line.verdict for line in report.lines] == [verdict, "wrong", "correct"]
    if verdict == "correct":
        assert mistakes(report.lines[0]) == ["unstable"]
        report = judged("softmax-regression", f"dz = {text}\ndW = x.T @ dz\ndb = dz.sum(0)")
        assert [line.verdict for line in report.lines] == ["correct"] * 3 and report.verdict == "correct"
    if verdict == "undecided":
        assert "loses all its digits" in report.lines[0].reason and report.score == 1


def test_what_follows_from_an_unstable_line_is_correct_as_well():
    text = "dy_pred = 2*((y_pred + 1e9) - (y + 1e9))\ndw = dy_pred*x\ndb = 2*dy_pred"
    assert [v for *_, v in verdicts(judged("linear-regression", text))] == ["correct", "correct", "wrong"]


def test_a_misspelt_gradient_is_pointed_out():
    report = judged("softmax-regression", "dw = x.T @ (p - y)/N\ndb = (p - y).mean(0)")
    assert report.missing == ("dW",) and any('did you mean "dW"' in note for note in report.notes)


# -- local derivatives -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exercise", "text", "verdict"),
    [
        ("softmax-regression", "de_dz = e", "correct"),
        ("softmax-regression", "de_dz = z", "wrong"),
        ("softmax-regression", "dp_ds = -e/s[:, None]**2", "correct"),
        ("softmax-regression", "dp_ds = e/s[:, None]**2", "wrong"),
        ("softmax-regression", "dp_dz = p*(1 - p)", "wrong"),  # not elementwise
        (
            "softmax-regression",
            "dp_dz = torch.zeros(N, K, N, K)\nfor i in range(N):\n"
            "    dp_dz[i, :, i, :] = torch.diag(p[i]) - torch.outer(p[i], p[i])",
            "correct",
        ),
        ("linear-regression", "dy_pred_dw = x", "correct"),
        ("linear-regression", "dL_dy_pred = 2*(y_pred - y)", "correct"),
        ("layer-norm", "dxhat_distd = xc", "correct"),
        ("mlp:activation=tanh", "dh1_dz1 = 1 - h1**2", "correct"),
        ("mlp:activation=tanh", "dh1_dz1 = 1 - z1**2", "wrong"),
    ],
)
def test_local_derivatives_are_judged_themselves(exercise, text, verdict):
    assert judged(exercise, text).lines[-1].verdict == verdict


def test_a_wrong_local_derivative_costs_once():
    text = (
        "dy_pred = 2*(y_pred - y)/y.numel()\ndh1 = dy_pred @ W2.T\ndh1_dz1 = 1 - z1**2\ndz1 = dh1*dh1_dz1\n"
        "dW1 = x.T @ dz1"
    )
    report = judged("mlp:activation=tanh", text)
    assert [v for *_, v in verdicts(report)] == ["correct", "correct", "wrong", "follows", "follows"]


# -- what torch refuses, and what cannot be read ---------------------------------------------------


def test_shapes_that_do_not_fit_are_wrong_and_the_rest_follows():
    text = "dp = -y/(N*p)\nds = -(dp*e).sum(1)/s**2\nde = dp/s + ds[:, None]\ndz = de*e\ndW = x.T @ dz\ndb = dz.sum(0)"
    report = judged("softmax-regression", text)
    assert [v for *_, v in verdicts(report)] == ["correct", "correct", "wrong", "follows", "follows", "follows"]
    line = report.first_divergence
    assert "dp has shape (3, 4) and s (3,), which do not broadcast" in line.reason
    assert (line.repair.old, line.repair.new, line.repair.column) == ("s", "s[:, None]", 9)


def test_a_helper_that_torch_refuses_is_wrong_in_its_own_place():
    report = judged("softmax-regression", "g = x @ (p - y)\ndW = g/N\ndb = (p - y).mean(0)")
    assert verdicts(report) == [(1, "g", "wrong"), (2, "dW", "follows"), (3, "db", "correct")]
    assert report.score == 1.0  # what follows from it earns nothing, once


def test_right_values_in_another_shape():
    report = judged("softmax-regression", "db = (p - y).mean(0, keepdim=True)")
    assert mistakes(report.lines[0]) == ["wrong-shape"] and report.lines[0].shape == (1, 4)
    assert (
        judged("softmax-regression", "db = (p - y).mean(0, keepdim=True)", lenient_shapes=True).lines[0].verdict
        == "correct"
    )
    assert "wrong-shape" not in mistakes(judged("softmax-regression", "db = p.mean(0, keepdim=True)").lines[0])


def test_a_number_where_a_tensor_belongs():
    sheet = "dW = 0\ndb = 2*torch.ones(())"
    made = check(tutor.load("softmax-regression"), sheet)
    assert made.line("dW").reason == "is a number, but dW has shape (5, 4)"


def test_shape_comes_before_value():
    ex = Exercise("broadcast")
    n = ex.sizes("N")
    (i, o) = ex.indices(i=n, o=1)
    w = ex.parameter("w", i)
    g = ex.parameter("g", o, i)
    ex.loss("L", Sum(w[i] ** 2 + g[0, i] ** 2, i))
    assert [line.verdict for line in judged(ex, "dw = 2*g*w/g\ndg = 2*g").lines] == ["wrong", "correct"]


def test_an_unreadable_line_leaves_its_readers_undecided():
    report = judged("softmax-regression", "dz = p - - \ndW = x.T @ dz\ndb = (p - y).mean(0)")
    assert verdicts(report) == [(1, "dz", "unreadable"), (2, "dW", "undecided"), (3, "db", "correct")]
    assert (report.verdict, report.score) == ("unreadable", 1)


@pytest.mark.parametrize("text", ["", "\n\n# nothing\n", "dW = ...\ndb = None", "print('hello')", "g = p - y"])
def test_nothing_given_is_incomplete(text):
    report = judged("softmax-regression", text)
    assert (report.verdict, report.missing, report.score) == ("incomplete", ("dW", "db"), 0)


def test_precedence():
    wrong, unreadable, right = "dW = x.T @ p", "db = (", "db = (p - y).mean(0)"
    assert judged("softmax-regression", f"{wrong}\n{unreadable}").verdict == "wrong"
    assert judged("softmax-regression", f"{unreadable}").verdict == "unreadable"
    assert judged("softmax-regression", f"g = 2x\ndW = g\n{right}").verdict == "unreadable"
    assert judged("softmax-regression", right).verdict == "incomplete"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("dE = 1\ndt = 3", "no gradient"),
        ("dE = demb", "no value yet"),
        ("# sizes: Q=3\ndE = 1", "no size Q"),
        ("# sizes: N=1000000, D=100000\ndE = 1", "entries"),
        ("dE = dE", "no value yet"),
        ("dE = E.grad", "E.grad is dE itself, and nothing computes it here"),
        ("dE = dL_dE", "no value yet"),
        ("dE = x.max(1)", "not a name"),
        ("dE = emb.max(1)", "pair"),
        ("dE = (1, (2, 3))", "no tensor"),
    ],
)
def test_more_that_cannot_be_read(text, match):
    report = judged("embedding", text)
    assert any(line.verdict == "unreadable" and re.search(match, line.reason) for line in report.lines), str(report)


def test_nobody_gets_the_true_gradient_by_asking_for_it():
    for text in ("dW = W.grad", "g = W.grad\ndW = g", "dW = dW", "dW = grad_W + 0", "W -= W.grad\ndW = W"):
        assert judged("softmax-regression", text).lines[0].verdict == "unreadable"


def test_an_exercise_that_asks_for_values_alone_gives_the_gradients():
    ex = Exercise("update")
    w, x = ex.parameter("w"), ex.input("x")
    ex.loss("L", (w * x) ** 2)
    ex.value("w_new", [], w - ex.gradient("w") / 100)
    ex.ask("w_new")
    assert judged(ex, "w_new = w - 0.01*dw").verdict == "correct"
    assert judged(ex, "w_new = w + 0.01*w.grad").verdict == "wrong"


# -- aliasing ----------------------------------------------------------------------------------------------------------


def test_a_gradient_changed_through_another_name():
    report = judged("softmax-regression", "dz = (p - y)/N\ng = dz\ng *= 2\ndW = x.T @ dz\ndb = dz.sum(0)")
    assert verdicts(report) == [(1, "dz", "correct"), (3, "dz", "wrong"), (4, "dW", "follows"), (5, "db", "follows")]
    assert mistakes(report.lines[1]) == ["aliasing"] and "g = dz.clone()" in report.lines[1].reason
    assert "line 3" in report.lines[2].reason


def test_a_forward_value_changed_through_another_name_is_noted():
    report = judged("softmax-regression", "d = p\nd -= y\ndW = x.T @ d/N\ndb = d.mean(0)")
    assert report.verdict == "correct" and any("same tensor" in note for note in report.notes)


def test_forward_values_given_anew_are_noted_when_they_differ():
    assert judged("softmax-regression", "z = x @ W + b\ndb = (p - y).mean(0)").notes == ()
    report = judged("softmax-regression", "p = z.softmax(0)\ndb = (p - y).mean(0)")
    assert any("p gets another value" in note for note in report.notes) and report.lines[0].verdict == "wrong"


def test_an_upstream_gradient_changed_through_another_name():
    """It has no line of its own: the line that changed it is the wrong one, and what reads it afterwards follows."""
    report = judged("affine", "g = dY\ng /= N\nh = dY.T\ndW = X.T @ h.T\ndX = dY @ W.T\ndb = dY.sum(0)")
    follows = [(4, "dW", "follows"), (5, "dX", "follows"), (6, "db", "follows")]
    assert verdicts(report) == [(2, "dY", "wrong"), *follows]
    assert mistakes(report.lines[0]) == ["aliasing"] and "g = dY.clone()" in report.lines[0].reason
    assert (report.score, report.max_score) == (2, 3)
    assert judged("affine", "g = dY.clone()\ng /= N\ndW = X.T @ dY\ndX = dY @ W.T\ndb = dY.sum(0)").notes == ()


@pytest.mark.parametrize("helper", ["a", "z"])  # whichever comes first, one of the two reads it before it is changed
def test_what_reads_an_upstream_gradient_before_and_after_it_was_changed_follows(helper):
    report = judged("broadcast-gain", f"{helper} = dY\n{helper} *= X\ndb = {helper}.sum(0) + dY.sum(0)\ndX = dY*b")
    assert verdicts(report) == [(2, "dY", "wrong"), (3, "db", "follows"), (4, "dX", "follows")]


def test_an_upstream_gradient_that_nothing_reads_any_more_may_be_changed():
    before = "dgamma = (dy*xhat).sum(0)\ndbeta = dy.sum(0)\n"
    report = judged("layer-norm", before + "dxhat = dy\ndxhat *= gamma")
    assert {line.verdict for line in report.lines} == {"correct"}
    assert any("same tensor" in note for note in report.notes)


def test_a_line_wrong_by_itself_follows_from_no_change():
    report = judged("affine", "g = dY\ng /= N\ndX = -dY @ W.T\ndW = X.T @ dY\ndb = dY.sum(0)")
    assert verdicts(report)[:3] == [(2, "dY", "wrong"), (3, "dX", "wrong"), (4, "dW", "follows")]
    assert report.score == 1


def test_one_change_of_a_tensor_with_many_names_costs_once():
    report = judged("residual-block", "df = dy\ndz = df\ndz *= 1 - f**2\ndW = x.T @ dz\ndx = dy + dz @ W.T")
    assert [line.quantity for line in report.lines if line.verdict == "wrong"] == ["dy", "df"]
    assert report.score == 2  # dx, which is worth 2, follows; dz and dW were right when the tensor was changed


def test_a_forward_value_changed_while_a_line_is_built_up():
    report = judged("reused-scalar", "da = a\nda += a\nda = da + 1 + cos(a)")
    assert mistakes(report.lines[0]) == ["aliasing"] and "da = a.clone()" in report.lines[0].reason


ADAM = """dw = 2*(p - y)*x
m1 = (1 - beta1)*dw
v1 = (1 - beta2)*dw**2
w1 = w - eta*dw/(abs(dw) + eps)
g2 = 2*(w1*x - y)*x
m2 = beta1*m1 + (1 - beta1)*g2
v2 = -beta2*v1 - (1 - beta2)*g2**2
"""


@pytest.mark.parametrize(
    "line, verdict",
    [
        ("w2 = sqrt(v2)", "wrong"),
        ("w2 = log(v2) + 7", "wrong"),
        ("w2 = w1 + eta*(m2/(1 - beta1**2))/((v2/(1 - beta2**2)).sqrt() + eps)", "wrong"),
        ("w2 = w1 - eta*(m2/(1 - beta1**2))/((v2/(1 - beta2**2)).sqrt() + eps)", "follows"),
    ],
)
def test_what_is_not_finite_equals_nothing(line, verdict):
    """Only the truth in place of v2 tells whether a line is sound whose v2 leads to no number."""
    assert judged("adam", ADAM + line).lines[-1].verdict == verdict


# -- tensors and functions -------------------------------------------------------------------------


def test_tensors_are_judged_without_any_text():
    ex = tutor.load("softmax-regression")
    t = ex.sample(seed=3)
    dz = (t.p - t.y) / t.N
    report = check_tensors(t, {"dz": dz, "dW": t.x.T @ dz, "db": dz.sum(0)})
    assert report.verdict == "correct" and all(line.line == 0 for line in report.lines)
    wrong = t.check(dz=t.p - t.y, dW=t.x.T @ (t.p - t.y), db=(t.p - t.y).sum(0))
    assert {line.quantity: line.verdict for line in wrong.lines} == {"dz": "wrong", "dW": "follows", "db": "follows"}
    assert t.check(dW=(t.x.T @ dz).float()).lines[0].verdict == "correct"
    assert t.check(dW=(t.x.T @ dz) * (1 + 1e-7)).lines[0].verdict == "wrong"
    assert t.check(db=dz.sum(0, keepdim=True)).lines[0].mistakes[0].id == "wrong-shape"


def test_a_function_of_the_instance_is_judged():
    ex = tutor.load("softmax-regression")

    def backward(t):
        dz = (t.p - t.y) / t.N
        return {"W": t.x.T @ dz, "b": dz.sum(0)}

    assert check(ex, backward).verdict == "correct"
    assert check(ex, lambda t: {"W": t.W, "b": t.b}).verdict == "wrong"
    with pytest.raises(UsageError, match="return"):
        check(ex, lambda t: 3)
    with pytest.raises(UsageError, match="tutor.check\\(t.exercise, ...\\)"):
        tutor.check(tutor.load("mse").sample(), "dw = 12")
    with pytest.raises(UsageError, match="not a gradient"):
        check(ex, {"foo": 3})


def test_an_autograd_function_is_judged():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w, b, x, y):
            ctx.save_for_backward(w, b, x, y)
            return (w * x + b - y) ** 2

        @staticmethod
        def backward(ctx, upstream):
            w, b, x, y = ctx.saved_tensors
            r = 2 * (w * x + b - y) * upstream
            return r * x, r, r * w, -r

    assert check(tutor.load("linear-regression"), Square).verdict == "correct"


# -- files -----------------------------------------------------------------------------------------


def test_a_path_is_a_file_and_a_string_is_text(tmp_path):
    path = tmp_path / "sheet.py"
    path.write_text("# exercise: linear-regression\ndw = -8\ndb = -4\n", encoding="utf-8-sig")
    assert check("linear-regression", path).verdict == "correct"
    path.write_bytes(b"dw = \xff\xfe\n")
    assert check("linear-regression", Path(path)).verdict == "unreadable"
    held = read_answer(tutor.load("linear-regression"), "x" * 10**6)
    assert held.statements[0].reason.startswith("the text has 1000000")
    assert check("linear-regression", "x" * 10**6).verdict == "unreadable"


def test_the_sheet_for_the_exercise_is_chosen_from_several():
    text = "# exercise: softmax-regression\ndW = 1\n# exercise: linear-regression\ndw = -8\ndb = -4\n"
    assert check("linear-regression", text).verdict == "correct"
    assert check("linear-regression", text).notes == (
        "only the part for linear-regression is judged, not those for softmax-regression",
    )
    assert "judged as" in check("embedding", "# exercise: mlp\ndE = 1").notes[0]
    none = check("embedding", text)
    assert none.verdict == "unreadable" and none.score == 0
    assert none.lines[0].reason.startswith("the sheet has parts for softmax-regression, linear-regression, and none")


@pytest.mark.parametrize("kind", ["python", "markdown", "latex"])
def test_a_slip_in_one_header_does_not_withhold_the_other_parts(kind):
    mark, fence = {"python": ("# ", ("", "")), "markdown": ("# ", ("```", "```")), "latex": ("% ", ("", ""))}[kind]
    right = {"latex": "\\[ dw = -8 \\]"}.get(kind, "dw = -8")
    text = "\n".join([fence[0], f"{mark}exercise: linear-regression", right, f"{mark}exercise: meks", right, fence[1]])
    first, second = check_sheets(text, kind=kind)
    assert (first.exercise, first.lines[0].verdict) == ("linear-regression", "correct")
    assert (second.exercise, second.verdict, second.score, second.max_score) == ("meks", "unreadable", 0, 0)
    [line] = second.lines
    assert line.text[line.column - line.start :] == "meks"
    assert text.split("\n")[line.line - 1] == f"{mark}exercise: meks" and 'no exercise "meks"' in line.reason
    schema = json.loads(Path(interpret.__file__).with_name("report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(second.to_dict(), schema)
    with pytest.raises(NotFoundError, match='no exercise "meks"'):
        check_sheets(f"{mark}exercise: meks\n{right}", kind=kind)


def test_a_header_that_names_nothing_is_unreadable_where_it_stands():
    later = "dw = 4\n# exercise: meks\ndw = 4\n# exercise: ../x.py\ndw = 4\n# exercise: mlp:layers=0\ndw = 4"
    places = [(r.exercise, r.verdict, r.lines[0].line, r.lines[0].text) for r in check_sheets(later)]
    assert places == [
        ("meks", "unreadable", 2, "# exercise: meks"),
        ("", "unreadable", 4, "# exercise: ../x.py"),
        ("mlp:layers=0", "unreadable", 6, "# exercise: mlp:layers=0"),
    ]


def test_a_file_that_cannot_be_read_has_a_report_where_its_exercise_is_known():
    [report] = check_sheets('{"cells": [}', "linear-regression", "notebook")
    assert report.verdict == "unreadable" and report.exercise == "linear-regression"
    assert report.to_dict() == check("linear-regression", '{"cells": [}').to_dict()


def test_torch_is_left_as_it_was():
    state, threads, dtype = torch.random.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    judged("softmax-regression", RIGHT["softmax-regression"][0])
    assert torch.equal(state, torch.random.get_rng_state())
    assert (threads, dtype) == (torch.get_num_threads(), torch.get_default_dtype())


def test_our_own_fault_is_undecided_and_costs_nothing(monkeypatch):
    monkeypatch.setattr(interpret, "STRICT", False)
    monkeypatch.setattr(interpret.Run, "binary", lambda self, node: 1 / 0)
    monkeypatch.setitem(interpret._EVALUATE, interpret.lang.Binary, interpret.Run.binary)
    report = judged("softmax-regression", "dW = x.T @ (p - y)/N\ndb = y.sum(0)")
    assert report.lines[0].verdict == "undecided" and "our own fault" in report.lines[0].reason
    assert report.score == 1


# -- the same bytes ---------------------------------------------------------------------------------


def test_the_same_answer_gives_the_same_bytes():
    texts = [json.dumps(judged("softmax-regression", "dz = p\ndW = x.T @ dz\ndb = 2x").to_dict()) for _ in range(3)]
    assert len(set(texts)) == 1


LOCALS = {  # a wrong local derivative entry by entry -> what is said of it
    "2*y*(1 - y)": ("factor", 2.0),
    "-y*(1 - y)": ("sign", -1.0),
    "y": (None, None),
}


@pytest.mark.parametrize("text", LOCALS)
def test_a_wrong_local_derivative_entry_by_entry_is_compared_in_its_own_form(text):
    report = tutor.check("activations:function=sigmoid", f"dy_dx = {text}\ndx = dy*dy_dx")
    line, mistake, ratio = report.line("dy_dx"), *LOCALS[text]
    assert line.verdict == "wrong" and line.shape == line.expected_shape and "shape" not in line.reason
    assert line.ratio == (None if ratio is None else pytest.approx(ratio))
    assert mistake is None or mistake in {m.id for m in line.mistakes}
    assert report.line("dx").verdict == "follows"


CHANGED = {  # X is changed through dX, which is another name for it from line 2 on
    "follows": ("dX = X\ndX -= -(dY @ W.T)\ndW = X.T @ dY", "follows"),
    "wrong": ("dX = X\ndX -= -(dY @ W.T)\ndW = -X.T @ dY", "wrong"),
    "right-before": ("dW = X.T @ dY\ndX = X\ndX -= -(dY @ W.T)", "correct"),
    "no-wrong-line": ("t = X\nt *= 2\ndW = X.T @ dY", "wrong"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_reads_a_forward_value_that_a_wrong_line_changed_follows(name):
    text, verdict = CHANGED[name]
    line = tutor.check("affine", text).line("dW")
    assert line.verdict == verdict
    assert verdict != "follows" or line.reason == "sound, given X as it stands on line 2"


@pytest.mark.parametrize(
    ("address", "text", "verdict", "line"),
    [
        # a number over a tensor is not the number times 1 over it
        ("softmax-regression", "dz[i,k] = (p[i,k] - y[i,k])/N*(49/(49 + 0*i) == 1)", "correct", 1),
        ("softmax-regression", "# sizes: N=49, K=3, D=2\ndz[i,k] = (p[i,k] - y[i,k])/N*floor(N/(N + 0*i))",
         "correct", 2),
        ("activations:function=relu", "dx[i] = dy[i]*((x[i]>0) & 1)", "wrong", 1),
        # what fails at the second draw is said before what fails at the third
        ("softmax-regression",
         "if L < 1:\n    dz = p\nelse:\n    if L > 6:\n        dz = z @ W @ p\n    else:\n        dz = z + X",
         "wrong", 5),
    ],
)  # fmt: skip
def test_a_line_means_the_same_at_every_draw(address, text, verdict, line):
    (judged,) = tutor.check(address, text)
    assert (judged.verdict, judged.line) == (verdict, line)
