"""A whole hand-written backward pass, and each of its lines spoilt in turn; plain torch says what a spoilt line does."""

from __future__ import annotations

import ast
import re
import sys
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
    ("dbnvar = (-0.5*(bnvar + 1e-5)**-1.5) * dbnvar_inv", "power = -0.5*(bnvar + 1e-5)**-1.5\ndbnvar = power * dbnvar_inv"),
    ("dcounts_sum = (-counts_sum**-2) * dcounts_sum_inv", "square = counts_sum**2\ndcounts_sum = -dcounts_sum_inv/square"),
]  # fmt: skip
HELPED = SHEET
for whole, helped in HELPERS:
    assert whole in HELPED
    HELPED = HELPED.replace(whole, helped)

# what is written differently: the whole right side, or one place in the line
RIGHT_SIDE = ["-1.0*({})", "1.5*({})", "({})*1.000001", "({}) + 0.1", "0*({})", "({})/n", "2*({}) + 1"]
PLACES = [
    (r"\+=", "="), (r"\+=", "-="), (r"(?<!\+)=", "+="), (r"\.T\b", ""), (r", keepdim=True", ""), (r"sum\(0", "sum(1"), (r"sum\(1", "sum(0"),
    (r"\.max\(1", ".max(0"), (r"-1\.0/n", "-1.0"), (r"1\.0/n", "1.0/(n - 1)"), (r"n-1", "n"), (r"\*\*-1\.5", "**-0.5"), (r"\*\*-?2", ""),
    (r"\*\*-2", "**-1"), (r"- h", "+ h"), (r"\(-", "("), (r"2\*", ""), (r"1e-5", "1e-3"), (r" \* (\w+)$", ""), (r"= (\w+) \* ", "= "), (r"@", "*"),
    (r"\.clone\(\)", "*2"), (r"\.clone\(\)", ""), (r"zeros_like", "ones_like"), (r"ones_like", "zeros_like"), (r"\[k,j\]$", "[k,0]"), (r"\[ix\]", "[ix - 1]"),
    (r"Xb\[k,j\]", "Xb[j,k]"), (r"shape\[0\]\)", "shape[0] - 1)"), (r"shape\[1\]\)", "shape[1] - 1)"), (r"demb\[", "emb["), (r"Yb", "Yb - 1"),
    (r"\bd(\w+)$", r"\1"), (r"\bbndiff\b", "bnraw"), (r"\bcounts\b", "probs"), (r"\bh\b", "hpreact"), (r"dprobs$", "dlogprobs"), (r"\.view\(emb\.shape\)", ""),
]  # fmt: skip


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


def truths(text: str) -> dict[str, bool | None]:
    """For each gradient that the sheet gives, whether plain torch finds its last value true at every draw; None where
    it is too small to tell."""
    statements = ast.parse(text).body
    names = {q.name for q in exercise()}
    found: dict[str, list[bool | None]] = {}
    for case in cases():
        ran = exam_plain.run(statements, case)
        last = {exam_plain.target_name(s, names): n for n, s in enumerate(statements)}
        for name, n in last.items():
            if name not in case.truth:
                continue
            value = ran.after[n] if ran.errors[n] is None else None
            true = False if case.different(name, value) else True if case.equal(name, value) else None
            found.setdefault(name, []).append(true)
    return {name: False if False in seen else None if None in seen else True for name, seen in found.items()}


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
    text = "\n".join(rows)
    try:
        true = truths(text)
    except SyntaxError:
        return ""
    report = tutor.check(exercise(), text)
    verdicts = {line.quantity: line.verdict for line in report.lines}
    if all(true.values()):  # the same values, written otherwise
        return "" if report.verdict == "correct" else f"the same values, but {report.next.params} {report.first_divergence}"
    name = target(rows[number])
    if report.first_divergence is None:
        unread = [line.line for line in report.lines if line.verdict == "unreadable"]
        return "" if unread == [number + 1] else f"no divergence; {verdicts}"
    if name in ("for", "ix"):
        name = "dC"
    own = {name} if name in true else {name} | first_readers(rows, name)  # a helper shows where it is read
    if report.first_divergence.quantity not in own:
        return f"first divergence at {report.first_divergence.quantity}, not at {' or '.join(sorted(own))}"
    for line in report.lines:
        if line.quantity in own or line.quantity not in true:
            continue
        expected = {True: ["correct"], False: ["follows"], None: ["correct", "follows"]}[true[line.quantity]]
        if line.verdict not in expected:
            return f"{line.quantity} is {line.verdict}, not {' or '.join(expected)}: {line.reason}"
    return ""
