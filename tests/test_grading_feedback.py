"""What a learner is told: each level says what it may, and nothing gives an answer away."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from grades import assignment, grade_of, id_of, part_of
from leaks import found_in, loaded, sheets
from pictures import Tags, tree_of

import tutor
from tutor.catalogue import entries
from tutor.checking.report import EARNS, MISTAKE_IDS, REASONS
from tutor.grading import batch, feedback
from tutor.grading.assignment import FEEDBACK
from tutor.grading.feedback import MISTAKES, PROBLEMS, TOLD, UNEARNED, released
from tutor.grading.model import CREDITS, Override, Part, Problem
from tutor.grading.model import PROBLEMS as PROBLEM_IDS
from tutor.language import speaking
from tutor.views import feedback as view

VIEWS = (view.text, view.markdown, view.html, view.json)
CASES = sorted((Path(__file__).parent / "cases").glob("*/report.json"))
ADDRESS = "softmax-regression"
SHEET = """\
# exercise: softmax-regression
dz = p - y
dW = x.T @ dz
db = dz
dq = 2x
"""


def shown(grade, asked, due=False):
    made = released(grade, asked, due)
    return "\n".join(each(made) for each in VIEWS)


@pytest.fixture(scope="module")
def part():
    return part_of(ADDRESS, tutor.check(ADDRESS, SHEET))


def told(part, level, due=False, **more):
    return released(grade_of(ADDRESS, part, **more), assignment(ADDRESS, feedback=level), due)


# -- the tables ------------------------------------------------------------------------------------------------------

# what is said of these in words of the verdict alone, or of the shapes
WITHOUT = {"unreadable", "shape", "cut", "too-large", "few-digits", "no-truth", "undecided"}


def names(sentence):
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_every_id_has_its_sentence():
    assert set(MISTAKES) == set(MISTAKE_IDS)
    assert set(TOLD) == set(REASONS) - WITHOUT
    assert set(CREDITS) - {"correct"} <= set(UNEARNED)
    assert set(batch.CREDITS) == set(CREDITS)
    assert set(PROBLEMS) == set(PROBLEM_IDS)


@pytest.mark.parametrize("id", TOLD)
def test_a_reason_passes_on_nothing_but_names_lines_and_numbers(id):
    assert names(TOLD[id]) <= {"what", *feedback._SAFE} & names(REASONS[id])
    assert not names(TOLD[id]) & {"causes", "repair", "takes", "zero", "where", "given", "expected"}


@pytest.mark.parametrize("id", MISTAKE_IDS)
def test_a_mistake_is_named_without_a_formula(id):
    assert not set("{}=*@[]()`0123456789") & set(MISTAKES[id])


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.parent.name)
def test_no_sentence_of_a_report_is_passed_on_as_it_stands(path):
    """Of every report in the folder of cases: no mistake's message, no repair, no cause of a ratio."""
    reports = json.loads(path.read_text(encoding="utf-8"))
    for report in reports if isinstance(reports, list) else [reports]:
        address = report["exercise"]
        asked = assignment(address)
        grade = grade_of(address, Part(id_of(address), {}, report))
        (question,) = released(grade, asked, False).questions
        for line, raw in zip(question.lines, report["lines"], strict=True):
            assert (line.line, line.text, line.verdict) == (raw["line"], raw["text"], raw["verdict"])
            messages = [mistake["message"] for mistake in raw["mistakes"] if mistake["id"] != "stale-value"]  # is safe
            assert not set(messages) & {line.reason, *line.mistakes}
            assert len(line.mistakes) == len({m["id"] for m in raw["mistakes"]}) or raw["verdict"] != "wrong"
            if raw["verdict"] == "wrong":
                assert line.reason and "write" not in line.reason
            if raw["verdict"] == "follows":
                assert line.reason == raw["reason"]  # says from which line


# -- levels ----------------------------------------------------------------------------------------------------------


def test_each_level_says_more_than_the_one_before(part):
    score, verdicts, divergence, mistakes, derivation = (told(part, level).questions[0] for level in FEEDBACK)
    assert [line.line for line in score.lines] == [5]  # what cannot be read is said always
    assert score.verdict is None and score.lines[0].reason == "2x is not a product here: write 2*x"
    assert verdicts.verdict == "wrong"
    assert [(line.line, line.verdict) for line in verdicts.lines] == [
        (2, "wrong"), (3, "follows"), (4, "wrong"), (5, "unreadable")
    ]  # fmt: skip
    assert [line.reason for line in verdicts.lines][:3] == ["", "", ""]
    assert [line.diverges for line in verdicts.lines] == [False] * 4
    assert [line.diverges for line in divergence.lines] == [True, False, False, False]
    assert divergence.lines[0].reason == "exactly N times the true gradient"
    assert divergence.lines[1].reason == "sound, given dz as it stands on line 2"
    assert divergence.lines[2].reason == ""
    assert not any(line.mistakes for line in divergence.lines)
    assert mistakes.lines[0].mistakes[0] == MISTAKES["factor"]
    assert MISTAKES["missing-sum"] in mistakes.lines[2].mistakes
    assert mistakes.lines[2].reason == "has shape (3, 4), but db has shape (4,)"
    assert derivation == mistakes and not derivation.derivation


def test_points_and_why_they_are_not_all_earned(part):
    score, verdicts = (told(part, level).questions[0] for level in ("score", "verdicts"))
    for each in (score, verdicts):
        assert (each.points, each.max_points) == (0, 2)
        assert (each.earned, each.worth) == ({"dW": 0, "db": 0}, {"dW": 1, "db": 1})
    assert score.reasons == {}
    assert verdicts.reasons == {
        "dW": "right in itself; it follows from line 2, and that mistake is charged here",
        "db": "a line for it is wrong",
    }


@pytest.mark.parametrize("credit", CREDITS)
def test_what_every_credit_says(credit, part):
    made = Part(part.question, {"dW": credit, "db": "correct"}, part.report)
    reasons = {level: told(made, level).questions[0].reasons for level in FEEDBACK}
    said = credit not in EARNS and credit != "correct"
    assert bool(reasons["mistakes"].get("dW")) == said
    assert bool(reasons["score"].get("dW")) == (credit in ("unreadable", "undecided", "missing", "form"))
    assert all("db" not in each for each in reasons.values())


def test_the_derivation_comes_when_it_is_due_and_asked_for(part):
    for level in FEEDBACK:
        for due in (False, True):
            (question,) = told(part, level, due).questions
            assert bool(question.derivation) == (level == "derivation" and due)
    page = view.html(told(part, "derivation", True))
    assert "<math" in page and "x.T @ dz" in page
    assert "x.T @ dz" in tutor.load(ADDRESS).derive().gradient("W").torch


def test_a_derivation_can_be_given(part):
    seen = []

    def derived(variant, folder):
        seen.append(variant.address)
        return "<p>steps</p>"

    made = released(grade_of(ADDRESS, part), assignment(ADDRESS, feedback="derivation"), True, derived)
    assert made.questions[0].derivation == "<p>steps</p>" and seen == [ADDRESS]


def test_advice_on_what_torch_refuses_is_left_out():
    report = tutor.check(ADDRESS, "dz = (p - y)/N\ndW = x @ dz\n")
    assert report.line("dW").reason.endswith("write x.T")
    (question,) = told(part_of(ADDRESS, report), "divergence").questions
    assert question.lines[1].reason == (
        "torch refuses: x has shape (3, 5) and dz (3, 4): the inner sizes 5 and 3 differ"
    )
    assert question.missing == ("db",)


# -- what else there is to say ------------------------------------------------------------------------------------


def test_what_is_not_judged_is_said_kindly(part):
    (override,) = (Override("ada", id_of(ADDRESS), 1.5, "half a point for the idea"),)
    grade = grade_of(ADDRESS, part, part)
    (question,) = grade.questions
    decided = released(_with(grade, question, override=override, points=1.5), assignment(ADDRESS), False)
    assert decided.points == 1.5 and decided.questions[0].comment == "half a point for the idea"
    assert "your teacher has set these points" in decided.questions[0].notes
    assert "of your 2 attempts the best counts; shown is attempt 2" in decided.questions[0].notes
    waiting = released(_with(grade, question, points=None), assignment(ADDRESS), False)
    assert waiting.points is None and "a person will look" in waiting.questions[0].notes[0]
    assert "not known yet, of 2 points" in view.text(waiting)
    absent = released(grade_of(ADDRESS, handed_in=False), assignment(ADDRESS), False)
    assert absent.notes == ("nothing of yours was handed in",) and absent.questions[0].notes == ()


def _with(grade, question, **changed):
    from dataclasses import replace

    return replace(grade, questions=(replace(question, **changed),))


@pytest.mark.parametrize("id", PROBLEM_IDS)
def test_a_problem_is_told_in_our_words(id, part):
    problem = ("a.py", Problem(id, "the same as bob's sheet: dW = x.T @ dz / N"))
    made = told(part, "mistakes", problems=(problem,))
    assert made.problems == (("a.py", PROBLEMS[id]),)
    assert "bob" not in "\n".join(each(made) for each in VIEWS)


# -- views -----------------------------------------------------------------------------------------------------------

HOSTILE = "</code><script>alert(1)</script>`**x**`\x00\n# heading"


def test_pages_are_whole_and_run_nothing(part):
    report = {**part.report, "lines": [{**line, "text": HOSTILE, "quantity": HOSTILE} for line in part.report["lines"]]}
    made = Part(part.question, dict(part.credit), report)
    grade = grade_of(ADDRESS, made, learner=HOSTILE, person=HOSTILE, problems=((HOSTILE, Problem("empty", HOSTILE)),))
    grade = _with(grade, grade.questions[0], override=Override("ada", "q", 1, HOSTILE))
    for level in FEEDBACK:
        feedback = released(grade, assignment(ADDRESS, feedback=level, title=HOSTILE.replace("\x00", "")), True)
        page = view.html(feedback)
        tree_of(page)
        tags = Tags(page)
        assert not tags.named("script", "img", "link", "iframe", "form") or [t for t, _ in tags.named("link")] == [
            "link"
        ]
        (policy,) = (a["content"] for _, a in tags.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'") and "script" not in policy
        assert not any(name.startswith("on") for _, attributes in tags.tags for name in attributes)
        assert json.loads(view.json(feedback))["learner"] == HOSTILE
        for line in view.markdown(feedback).split("\n"):
            assert not line.lstrip().startswith(("<", "# heading"))


def test_all_views_say_the_same(part):
    made = told(part, "mistakes")
    for each in VIEWS:
        words = each(made).replace("\\", "").replace("&#x27;", "'")
        for sentence in ("exactly N times the true gradient", MISTAKES["factor"], "a line for it is wrong"):
            assert sentence in words, each


def test_it_speaks_the_assignments_language(part):
    with speaking("zh"):
        report = tutor.check(ADDRESS, SHEET)
        kept = part_of(ADDRESS, report)
        made = released(grade_of(ADDRESS, kept), assignment(ADDRESS, language="en"), False)
        assert made.questions[0].title == "Softmax regression"
    chinese = released(grade_of(ADDRESS, kept), assignment(ADDRESS, language="zh"), False)
    assert chinese.language == "zh"
    assert chinese.questions[0].lines[1].reason == kept.report["lines"][1]["reason"]  # follows, from which line
    assert 'lang="zh"' in view.html(chinese)


def test_neither_sympy_nor_torch_is_needed(part):
    import subprocess
    import sys

    kept = json.dumps({"question": part.question, "credit": dict(part.credit), "report": dict(part.report)})
    code = f"""
import json, sys
from tutor.grading.assignment import parse
from tutor.grading.feedback import released
from tutor.grading.model import Attempt, LearnerGrade, Part, QuestionGrade
from tutor.views.feedback import html
part = Part(**json.loads({kept!r}))
attempt = Attempt(1, "a.py", 0.0, {{"dW": 0.0, "db": 0.0}}, part)
grade = LearnerGrade("ada", "", (QuestionGrade("softmax-regression", 0.0, 2.0, (attempt,), 0),))
asked = parse('format = "tutor.assignment/1"\\nid = "h"\\n[[questions]]\\nexercise = "softmax-regression"\\n'
              'points = {{ W = 1, b = 1 }}')
assert "exactly N times" in html(released(grade, asked, False))
assert not {{"sympy", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


# -- nothing gives an answer away ---------------------------------------------------------------------------------


def raw(report):
    """All that a report says beyond the learner's text: what would leak if it were passed on."""
    lines = [line for line in report["lines"]]
    said = [line["reason"] for line in lines] + [m["message"] for line in lines for m in line["mistakes"]]
    return "\n".join([*said, *(line["repair"]["to"] for line in lines if line["repair"]), *report["notes"]])


def judged(address, sheet):
    return part_of(address, tutor.check(loaded(address), sheet))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("address", [entry.id for entry in entries()])
def test_no_level_shows_a_form_of_any_gradient(address):
    for sheet in sheets(address, most=1):
        grade = grade_of(address, judged(address, sheet))  # with repairs, of which grading keeps none
        for level in FEEDBACK:
            everything = shown(grade, assignment(address, feedback=level), due=level != "derivation")
            assert found_in(everything, address, sheet) == [], (level, sheet)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("address", ["linear-regression", "batch-norm", "rms-norm", "mlp", "embedding"])
def test_the_search_finds_what_a_report_itself_says(address):
    assert any(found_in(raw(judged(address, sheet).report), address, sheet) for sheet in sheets(address))


def test_the_search_finds_a_derivation_that_is_released(part):
    grade = grade_of(ADDRESS, part_of(ADDRESS, tutor.check(ADDRESS, "# exercise: softmax-regression\n")))
    assert found_in(shown(grade, assignment(ADDRESS, feedback="derivation"), due=True), ADDRESS, "")
    assert not found_in(shown(grade, assignment(ADDRESS, feedback="derivation"), due=False), ADDRESS, "")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("address", ["softmax-regression", "layer-norm"])
def test_nor_does_it_in_chinese(address):
    for sheet in sheets(address, most=3):
        with speaking("zh"):
            part = judged(address, sheet)
        everything = shown(grade_of(address, part), assignment(address, language="zh"))
        assert found_in(everything, address, sheet) == []
