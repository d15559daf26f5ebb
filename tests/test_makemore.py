"""A whole hand-written backward pass, and each of its lines spoilt in turn; plain torch says what that does."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

import tutor

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

exam_plain = pytest.importorskip("exam_plain")

SHEET = (Path(__file__).parent / "cases" / "makemore-mlp--right-whole" / "answer.py").read_text(encoding="utf-8")
# the same with helpers of the learner's own
HELPERS = [
    ("dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes",
     "where_max = F.one_hot(logits.max(1).indices, num_classes=logits.shape[1])\ndlogits += where_max * dlogit_maxes"),
    ("dhpreact = (1.0 - h**2) * dh", "slope = 1.0 - h**2\ndhpreact = slope * dh"),
    ("dbnvar = (-0.5*(bnvar + 1e-5)**-1.5) * dbnvar_inv",
    "power = -0.5*(bnvar + 1e-5)**-1.5\ndbnvar = power * dbnvar_inv"),
    ("dcounts_sum = (-counts_sum**-2) * dcounts_sum_inv",
    "square = counts_sum**2\ndcounts_sum = -dcounts_sum_inv/square"),
]  # fmt: skip
HELPED = SHEET
for whole, helped in HELPERS:
    assert whole in HELPED
    HELPED = HELPED.replace(whole, helped)

# what is written differently: the whole right side, or one place in the line
RIGHT_SIDE = ["-1.0*({})", "1.5*({})", "({})*1.000001", "({}) + 0.1", "0*({})", "({})/n", "2*({}) + 1"]
PLACES = [
    tuple(row.strip().split(" ~ ", 1))
    for row in r"""
    \+= ~ =
    \+= ~ -=
    \s=(?=\s) ~  +=
    \.T\b ~ .clone()
    , keepdim=True ~ , keepdim=False
    sum\(0 ~ sum(1
    sum\(1 ~ sum(0
    \.max\(1 ~ .max(0
    -1\.0/n ~ -1.0
    1\.0/n ~ 1.0/(n - 1)
    n-1 ~ n
    \*\*-1\.5 ~ **-0.5
    \*\*-?2 ~ **1
    \*\*-2 ~ **-1
    -\sh ~ + h
    \(- ~ (
    2\* ~ 1*
    1e-5 ~ 1e-3
    \s\*\s(\w+)$ ~ *1
    =\s(\w+)\s\*\s ~ = 1*
    @ ~ *
    \.clone\(\) ~ *2
    \.clone\(\)$ ~ [:]
    zeros_like ~ ones_like
    ones_like ~ zeros_like
    \[k,j\]$ ~ [k,0]
    \[ix\] ~ [ix - 1]
    Xb\[k,j\] ~ Xb[j,k]
    shape\[0\]\) ~ shape[0] - 1)
    shape\[1\]\) ~ shape[1] - 1)
    demb\[ ~ emb[
    Yb ~ Yb - 1
    \bd(\w+)$ ~ \1
    \bbndiff\b ~ bnraw
    \bcounts\b ~ probs
    \bh\b ~ hpreact
    dprobs$ ~ dlogprobs
    \.view\(emb\.shape\) ~ .clone()
""".strip().split("\n")
]


def test_the_whole_pass_is_right():
    report = tutor.check("makemore-mlp", SHEET)
    assert report.verdict == "correct" and report.score == 26, report
    asked = {f"d{name}" for name in exercise().asked}
    assert {line.quantity for line in report.lines} >= asked and len(asked) == 26
    assert tutor.check("makemore-mlp", HELPED).verdict == "correct"


@cache
def exercise():
    return tutor.load("makemore-mlp")


@cache
def cases():
    return exam_plain.cases(exercise())


def spoilt(line: str) -> list[str]:
    """The line with one thing about it changed, in every way that fits."""
    made = []
    head, equals, value = line.partition("= ")
    if equals:
        made += [f"{head}= {form.format(value)}" for form in RIGHT_SIDE]
    made += [re.sub(old, new, line, count=1) for old, new in PLACES if re.search(old, line)]
    return [text for text in dict.fromkeys(made) if text != line]


@dataclass
class Plainly:
    """What plain torch finds in a sheet's gradients, over all draws."""

    true: dict[str, bool | None] = field(default_factory=dict)  # at the end; None where it is too small to tell
    empty: set[str] = field(default_factory=set)  # all zero, or not finite, where the truth is not: they tell nothing


def plainly(text: str) -> Plainly:
    statements = ast.parse(text).body
    names = {q.name for q in exercise()}
    last = {exam_plain.target_name(s, names): n for n, s in enumerate(statements)}
    made = Plainly()
    for case in cases():
        ran = exam_plain.run(statements, case)
        for name, n in last.items():
            if name not in case.truth:
                continue
            value = exam_plain.as_tensor(ran.names.get(name)) if ran.errors[n] is None else None
            if case.different(name, value):
                made.true[name] = False
                if value is not None and (not value.isfinite().all() or not value.any()):
                    made.empty.add(name)
            elif made.true.get(name, True):
                made.true[name] = True if case.equal(name, value) else None
    return made


def target(line: str) -> str:
    return re.match(r"\s*(\w*)", line)[1]


def first_readers(lines: list[str], helper: str) -> set[str]:
    return {target(line) for line in lines if re.search(rf"\b{helper}\b", line.partition("=")[2])}


LINES = [
    pytest.param(sheet, n, id=f"{kind}-{n + 1}-{target(line)}")
    for kind, sheet in (("plain", SHEET), ("helpers", HELPED))
    for n, line in enumerate(sheet.split("\n"))
    if line and not line.startswith("#") and (kind == "plain" or line not in SHEET.split("\n"))
]


@pytest.mark.parametrize(("sheet", "number"), LINES)
def test_a_spoilt_line_is_the_first_divergence(sheet, number):
    lines = sheet.split("\n")
    told = []
    for text in spoilt(lines[number]):
        rows = [*lines[:number], text, *lines[number + 1 :]]
        says = judged_as_it_should(rows, number)
        told += [f"{text}: {says}"] if says else []
    assert not told, "\n".join(told)


def judged_as_it_should(rows: list[str], number: int) -> str:
    """What is amiss with the report on a sheet with one line spoilt; nothing if all is well."""
    try:
        plain = plainly("\n".join(rows))
    except SyntaxError:
        return "a spoilt line is to be Python"
    report = tutor.check(exercise(), "\n".join(rows))
    if all(plain.true.values()):  # the same values, written otherwise
        return "" if report.verdict == "correct" else f"the values are true, but: {report.first_divergence}"
    name = target(rows[number])
    name = "dC" if name in ("for", "ix") else name
    own = {name} if name in plain.true else {name} | first_readers(rows, name)  # a helper shows where it is read
    first = report.first_divergence
    if first is None:
        unread = {line.line for line in report.lines if line.verdict == "unreadable"}
        return "" if unread == {number + 1} else f"no divergence; unreadable: {unread}"
    aliased = any(m.id == "aliasing" and m.params["changed"] in own for m in first.mistakes)
    if first.quantity not in own and not aliased:
        return f"first divergence at {first.quantity}, not at {' or '.join(sorted(own))}"
    amiss = (f"{line.quantity} is {line.verdict}: {line.reason}" for line in report.lines if line.quantity not in own
             and line.verdict not in expected(line, plain, rows, number))  # fmt: skip
    return next(amiss, "")


def expected(line, plain, rows, number) -> set[str]:
    """The verdicts that a line which was not spoilt may have."""
    if line.quantity not in plain.true:  # a helper that torch refuses
        return {"wrong"} if line.line == number + 1 else set()
    if line.line <= number:
        return {"correct"} if "aliasing" not in {m.id for m in line.mistakes} else {"wrong"}
    verdicts = {True: {"correct", "follows"}, False: {"follows"}, None: {"correct", "follows"}}[
        plain.true[line.quantity]
    ]
    reads = set(re.findall(r"\w+", rows[line.line - 1].partition("=")[2])) | {line.quantity}
    if reads & plain.empty:  # given a zero, or what is not finite, no line is sound
        verdicts = verdicts | {"wrong"}
    if "aliasing" in {m.id for m in line.mistakes}:  # the spoilt line made it another name of this tensor
        verdicts = verdicts | {"wrong"}
    return verdicts


def test_the_test_can_fail():
    """A line spoilt is not excused by another one, and one that was meant to be spoilt but was not is no fault."""
    lines = SHEET.split("\n")
    n = next(n for n, line in enumerate(lines) if line.startswith("dW2"))
    rows = [*lines[:n], "dW2 = 2*(h.T @ dlogits)", *lines[n + 1 :]]
    assert judged_as_it_should(rows, n) == judged_as_it_should(lines, n) == ""
    assert "first divergence at dW2" in judged_as_it_should(rows, n - 1)
    assert sum(len(spoilt(sheet.split("\n")[n])) for sheet, n in (param.values for param in LINES)) > 400
