"""A slice of the judge's exam (`tests/benchmarks/exam.py`), and the exam itself examined."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import tutor

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

exam = pytest.importorskip("exam")
exam_latex = sys.modules["exam_latex"]
exam_plain = sys.modules["exam_plain"]
exam_course = sys.modules["exam_course"]
exam_right = sys.modules["exam_right"]

# every exercise, and of a family one more member
ADDRESSES = [
    a
    for n, a in enumerate(exam.addresses())
    if a.split(":")[0] not in {b.split(":")[0] for b in exam.addresses()[: n - 1]}
]
EACH = -(-150 // len(ADDRESSES))  # 150 right and 150 wrong answers in all


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sat(address, kind, count, seed=0):
    tally = exam.Tally()
    for item in range(count):
        (exam.sit_right if kind == "right" else exam.sit_wrong)(address, seed, item, tally)
    return tally


def false_verdicts(tally):
    return [f"{f.what}: {f.says}\n{f.text}" for f in tally.failures if f.what in exam.BAD]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("address", ADDRESSES)
def test_right_answers_are_correct(address):
    tally = sat(address, "right", EACH)
    assert tally.counts["right"] == EACH
    assert not false_verdicts(tally)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("address", ADDRESSES)
def test_wrong_answers_are_wrong_where_they_are(address):
    tally = sat(address, "wrong", EACH)
    assert tally.counts["wrong"] == EACH
    assert not false_verdicts(tally)
    assert tally.counts["placed"] == tally.counts["single"], [f.text for f in tally.failures if f.what == "misplaced"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("address", ADDRESSES)
def test_right_answers_in_latex_are_correct(address):
    where, made = exam.ready(address), 0
    for item in range(5):
        text = exam_latex.latex_sheet(where, exam.dice(address, "latex", 1, item))
        if text is not None:
            made += 1
            report = tutor.check(where.exercise, text)
            assert report.lines and not [(line.text, line.reason) for line in report.lines if line.verdict != "correct"]
    if not made:
        pytest.skip("the exam has no LaTeX for it: slices, windows, running sums")


@pytest.mark.parametrize(("address", "line", "style", "written"), [
    ("softmax-regression", "dz[i,k] = (p[i,k] - y[i,k])/N", "index",
     r"\frac{\partial L}{\partial z_{ik}} = \frac{p_{ik} - y_{ik}}{N}"),
    ("softmax-regression", "dW = x.T @ dz", "torch",
     r"\frac{\partial L}{\partial W} = x^\top \frac{\partial L}{\partial z}"),
    ("mlp:activation=tanh", "dz1 = dh1*(1 - h1**2)", "torch",
     r"\frac{\partial L}{\partial z_1} = \frac{\partial L}{\partial h_1} \odot (1 - (h_1)^{2})"),
])  # fmt: skip
def test_the_exam_writes_latex(address, line, style, written):
    where, statement = exam.ready(address), exam_plain.ast.parse(line).body[0]
    statement.style = style
    habits = exam_latex.Habits("frac", r"\cdot", "below", False, False, "frac")
    dice = SimpleNamespace(random=lambda: 0.0)  # indices together
    left, right = exam_latex.Writer(where, habits, dice).line(statement)
    assert f"{left} = {right}" == written


# -- the exam can be failed -----------------------------------------------------------------------------------


def as_if(verdict):
    """A judge that gives every line the same verdict."""
    honest = tutor.check

    def check(exercise, text):
        report = honest(exercise, text)
        lines = tuple(dataclasses.replace(line, verdict=verdict, mistakes=(), repair=None) for line in report.lines)
        return dataclasses.replace(report, lines=lines)

    return check


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "verdict, kind, found", [("correct", "wrong", "false correct"), ("wrong", "right", "false wrong")]
)
def test_a_bad_judge_fails(monkeypatch, verdict, kind, found):
    monkeypatch.setattr(tutor, "check", as_if(verdict))
    tally = sat("softmax-regression", kind, 5)
    assert tally.counts[found] == 5


@pytest.mark.filterwarnings("ignore")
def test_the_same_seed_gives_the_same_answers():
    where = exam.ready("mlp")
    texts = [exam_right.right_sheet(where, exam.dice("mlp", "right", 3, n)).text for n in range(4)]
    assert texts == [exam_right.right_sheet(where, exam.dice("mlp", "right", 3, n)).text for n in range(4)]
    assert len(set(texts)) == 4


# -- plain torch, the exam's own judge ---------------------------------------------------------------------------


def plainly(address, text, style="torch"):
    """What a line gives in plain torch, where every gradient is given."""
    where = exam.ready(address)
    line = exam_plain.ast.parse(text).body[0]
    line.style = style
    return where, exam_plain.run([line], exam_course.told(where.cases[0]))


@pytest.mark.parametrize("text, style", [
    ("dz = (p - y) / N", "torch"),
    ("dz[i,k] = (p[i,k] - y[i,k]) / N", "index"),
    ("dz[a,b] = p[a,b]/N - y[a,b]/N", "index"),
    ("dz[i,k] = e[i,k]*(dp[i,k]/s[i] - Sum(dp[i,c]*e[i,c], c)/s[i]**2)", "index"),
])  # fmt: skip
def test_plain_torch_knows_right_lines(text, style):
    where, ran = plainly("softmax-regression", text, style)
    assert ran.errors == [None]
    assert where.cases[0].equal("dz", ran.after[0])


@pytest.mark.parametrize("text, style", [
    ("dz = p - y", "torch"), ("dz = (p - y).T / N", "torch"), ("dz[i,k] = (p[i,k] + y[i,k])/N", "index"),
    ("dz = 1.000001*(p - y) / N", "torch"), ("dz[i,k] = e[i,k]*dp[i,k]/s[i]", "index"),
])  # fmt: skip
def test_plain_torch_knows_wrong_lines(text, style):
    where, ran = plainly("softmax-regression", text, style)
    assert where.cases[0].different("dz", ran.after[0])
    assert not where.cases[0].equal("dz", ran.after[0])


@pytest.mark.parametrize(
    "text", ["dz[i,k] = p[k,i]", "dz[i,k] = W[i,k]", "dz[i,k] = p[i,j]", "dz[i,k] = Sum(p[i,k], i)*nothing[k]"]
)
def test_plain_torch_refuses_other_ranges(text):
    _, ran = plainly("softmax-regression", text, "index")
    assert ran.errors[0] is not None


def test_the_default_dtype_is_put_back():
    before = torch.get_default_dtype()
    plainly("softmax-regression", "dz = undefined_name")
    assert torch.get_default_dtype() is before
