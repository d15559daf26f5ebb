"""Grading a class: judging files, keeping results, reckoning points; killed or locked out, it loses nothing."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grading_sheets as sheets
import pytest
import sqlalchemy as sa

from tutor.cli import main
from tutor.errors import ExerciseError, NotFoundError, UsageError
from tutor.grading import batch, decisions, gradebook, outputs, workers
from tutor.grading.assignment import Assignment, AssignmentError, parse
from tutor.grading.feedback import released
from tutor.grading.gradebook import Entry, Gradebook, GradebookError, opened, url_of
from tutor.grading.grades import grade as reckoned
from tutor.grading.grades import grades, of_version
from tutor.grading.judging import Job, Rules, judge
from tutor.grading.model import CREDITS, Override, Packed, Part, Problem, Result, Submission
from tutor.grading.single import grade_one
from tutor.grading.submissions import collect
from tutor.grading.variants import variants
from tutor.saving import kept_whole
from tutor.views import feedback as feedback_view

ONE = """
format = "tutor.assignment/1"
id = "homework"
secret = "a secret"
{more}

[[questions]]
exercise = "{exercise}"
"""
SOFTMAX = ONE.format(exercise="softmax-regression", more="")
LINEAR = ONE.format(exercise="linear-regression", more="")
RIGHT = "dw = 2*(y_pred - y)*x\ndb = 2*(y_pred - y)\n"


def assignment(text: str = LINEAR, at: Path | None = None) -> Assignment:
    if at is None:
        return parse(text)
    at.mkdir(parents=True, exist_ok=True)
    path = at / "homework.toml"
    path.write_text(text)
    return parse(text, path)


def handed_in(text: str | bytes, name: str = "ada/answer.py", attempt: int = 1) -> Submission:
    data = text.encode() if isinstance(text, str) else text
    return Submission(name.split("/")[0], attempt, name, data)


def judged(asked: Assignment, text: str | bytes, name: str = "answer.py") -> Result:
    data = text.encode() if isinstance(text, str) else text
    return judge(Rules.of(asked), Job("", data, name, variants(asked, "ada")))


def credit(result: Result) -> dict[str, str]:
    (part,) = result.parts
    return dict(part.credit)


# -- the assignment file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('id = "homework"', 'id = "a b"', "line 3, id: "),
        ('exercise = "linear', 'exercis = "linear', 'there is no such key; did you mean "exercise"?'),
        ('exercise = "linear', 'exercis = "linear', r"line 7, questions\[1\]\.exercise: this key is missing"),
        ('secret = "a secret"', "follow_through = 2", "line 4, follow_through: expected 1.* or less, not 2"),
        ('secret = "a secret"', 'feedback = "all"', "line 4, feedback: expected 'score', .*not 'all'"),
        ('secret = "a secret"', "secret = a", "line 4: no valid TOML"),
        ("[[questions]]", "[[questions]]\npoints = { w = -1 }", r"line 8, questions\[1\]\.points\.w"),
        ("[[questions]]", "[[questions]]\npoints = { w = 1e308 }", r"points\.w: expected .* or less"),
        ("[[questions]]", "[[questions]]\npoints = { w = nan }", r"line 8, questions\[1\]\.points\.w"),
        ('secret = "a secret"', "due = 2026-12-10T23:59:00", "needs its time zone"),
        ('secret = "a secret"', "draw = 1", "line 4, draw: there is no such key"),
        ('secret = "a secret"', "[[questions]]\nexercise='linear-regression'", "two questions are called"),
        ("tutor.assignment/1", "tutor.assignment/2", "line 2, format: expected 'tutor.assignment/1'"),
    ],
)
def test_what_is_wrong_with_an_assignment_is_said_with_its_line_and_key(old, new, said):
    assert old in LINEAR
    with pytest.raises(AssignmentError, match=said) as raised:
        parse(LINEAR.replace(old, new))
    assert str(raised.value).startswith("assignment.toml, line ")


def test_a_variant_hangs_on_learner_and_secret_alone():
    text = ONE.format(exercise="mlp", more="") + 'draw.parameters = { loss = ["mse", "mae"], layers = [2, 3] }\n'
    asked, other = parse(text), parse(text.replace("a secret", "another"))
    drawn = {learner: variants(asked, learner) for learner in map(str, range(64))}
    assert drawn == {learner: variants(parse("# a comment\n" + text), learner) for learner in drawn}
    assert len(set(drawn.values())) == 4  # all that can be drawn
    assert any(variants(other, learner) != own for learner, own in drawn.items())


# -- judging a file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, name",
    [
        (RIGHT, "answer.py"),
        ("# exercise: linear-regression\n" + RIGHT, "x.txt"),
        ("some words\n```python\n" + RIGHT + "```\n", "notes.md"),
        (RIGHT.encode("utf-16"), "windows.py"),
    ],
)
def test_a_right_sheet_earns_whichever_way_it_is_written(text, name):
    assert credit(judged(assignment(), text, name)) == {"dw": "correct", "db": "correct"}


TWO = LINEAR + '\n[[questions]]\nid = "q2"\nexercise = "mse"\n'


@pytest.mark.parametrize(
    "header, name, question",
    [
        ("", "linear-regression.py", "linear-regression"),
        ("", "ada/Linear-Regression (final).txt", "linear-regression"),
        ("# exercise: linear-regression\n", "q2.py", "linear-regression"),  # the sheet's own word counts
        ("# exercise: q2\n", "x.py", "q2"),
        ("# exercise: mse\n", "x.py", "q2"),
        ("", "q2.py", "q2"),
        ("", "q22.py", None),
        ("", "answer.py", None),
        ("# exercise: mlp\n", "q2.py", None),
        ("# exercise: Linear_Regression\n", "x.py", "linear-regression"),  # as people spell it
        ("# EXERCISE: Q2\n", "x.py", "q2"),
        ("# Exercise: find the gradient\n", "q2.py", "q2"),  # a title
        ("", "linear_regression.py", "linear-regression"),
    ],
)
def test_the_question_is_that_of_the_header_else_of_the_files_name(header, name, question):
    result = judged(assignment(TWO), header + RIGHT, name)
    assert [part.question for part in result.parts if not part.fits] == ([question] if question else [])
    assert bool(result.problems) is (question is None)


@pytest.mark.parametrize(
    "text, header, name, question",
    [
        (TWO, "q-2", "q2.py", "q2"),
        (TWO, "homework", "linear-regression.py", "linear-regression"),
        (TWO, "homework", "x.py", None),
        (LINEAR, "homework", "x.py", "linear-regression"),
    ],
)
def test_a_header_that_names_no_exercise_at_all_is_said_and_the_files_name_or_the_only_question_counts(
    text, header, name, question
):
    result = judged(assignment(text), f"# exercise: {header}\n{RIGHT}", name)
    assert [part.question for part in result.parts] == ([question] if question else [])
    assert [problem.id for problem in result.problems] == ["wrong-exercise"]


UNPLACED = {  # sheets by name and attempt, and what each question has then; None is open
    "alone": ("best", {("answer.py", 1): RIGHT}, {"linear-regression": None, "q2": 0.0}),
    "beside the other question": ("best", {("answer.py", 1): RIGHT, ("q2.py", 1): "dx = 0\n"},
                                  {"linear-regression": None, "q2": 0.0}),
    "that names nothing asked": ("best", {("answer.py", 1): "notes = 1\n"}, {"linear-regression": 0.0, "q2": 0.0}),
    "beside an answer": ("best", {("answer.py", 1): RIGHT, ("linear-regression.py", 1): "dw = 1\ndb = 1\n"},
                         {"linear-regression": 0.0, "q2": 0.0}),
    "after an answer": ("best", {("linear-regression.py", 1): "dw = 1\ndb = 1\n", ("answer.py", 2): RIGHT},
                        {"linear-regression": None, "q2": 0.0}),
    "after a full one": ("best", {("linear-regression.py", 1): RIGHT, ("answer.py", 2): RIGHT},
                         {"linear-regression": 2.0, "q2": 0.0}),
    "before the last": ("last", {("answer.py", 1): RIGHT, ("linear-regression.py", 2): "dw = 1\ndb = 1\n"},
                        {"linear-regression": 0.0, "q2": 0.0}),
    "handed in again": ("best", {("answer.py", 1): RIGHT, ("linear-regression.py", 2): "dw = 1\ndb = 1\n"},
                        {"linear-regression": 0.0, "q2": 0.0}),
    "as the last": ("last", {("linear-regression.py", 1): RIGHT, ("answer.py", 2): RIGHT},
                    {"linear-regression": None, "q2": 0.0}),
}  # fmt: skip


@pytest.mark.parametrize("case", UNPLACED)
def test_a_sheet_that_does_not_say_which_question_it_is_for_leaves_open_what_it_could_answer(case):
    attempts, files, points = UNPLACED[case]
    asked = assignment(TWO.replace("secret", f'attempts = "{attempts}"\nsecret', 1))
    grade = grade_one(asked, "ada", [handed_in(text, f"ada/{name}", number) for (name, number), text in files.items()])
    assert {question.question: question.points for question in grade.questions} == points
    about = [problem for _, problem in grade.problems]
    assert [problem.id for problem in about] == ["wrong-exercise" if case == "that names nothing asked" else "unplaced"]
    assert case == "that names nothing asked" or "it could be for linear-regression:" in str(about[0].message)
    page = feedback_view.text(released(grade, asked, False))
    assert ("does not say so: its points are not known yet" in page) is (case in ("alone", "beside the other question"))
    assert case == "that names nothing asked" or "begin it with '# exercise: ...'" in page


def test_a_run_counts_what_it_could_not_place(tmp_path):
    (tmp_path / "in" / "ada").mkdir(parents=True)
    (tmp_path / "in" / "ada" / "answer.py").write_text(RIGHT)
    (tmp_path / "homework.toml").write_text(TWO)
    done = subprocess.run(
        command("grade", tmp_path / "homework.toml", tmp_path / "in", "--jobs", 1, "-o", tmp_path / "out"),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 5
    assert "! 1 learner to look at by hand" in done.stdout
    assert "! 1 sheet that does not say which question it is for" in done.stdout
    assert '"by hand"' in (tmp_path / "out" / "grades.csv").read_text("utf-8-sig")


def test_of_two_questions_of_one_family_the_files_name_says_which_and_the_longer_name_counts():
    text = (
        ONE.format(exercise="mlp:loss=mae", more="")
        + 'id = "q1"\n[[questions]]\nid = "q1-b"\nexercise = "mlp:layers=3"\n'
    )
    for name, question in (("q1.py", "q1"), ("q1-b.py", "q1-b"), ("Q1_B.py", "q1-b")):
        for header in ("", "# exercise: mlp\n"):
            assert [p.question for p in judged(parse(text), header + "db2 = 0*b2\n", name).parts] == [question]


def test_a_header_in_capitals_divides_a_file_too():
    both = f"# Exercise: linear-regression\n{RIGHT}# EXERCISE: MSE\ndx = 1\n"
    assert [part.question for part in judged(assignment(TWO), both).parts] == ["linear-regression", "q2"]


@pytest.mark.parametrize(
    "data, problem, said",
    [
        (b"", "empty", "nothing in it"),
        (b" \n\t\n", "empty", "nothing in it"),
        (b"dw = \xff\xfe", "unreadable", "not text in UTF-8"),
        (b"# exercise: mse\ndx = 1", "wrong-exercise", "for mse, which the assignment does not ask"),
        (b"dw = 1\n" * 100_000, "unreadable", "at most"),
    ],
)
def test_a_file_that_answers_nothing_is_a_problem_and_no_fault(data, problem, said):
    result = judged(assignment(), data)
    assert not result.cut and not result.parts
    assert [found.id for found in result.problems] == [problem]
    assert said in str(result.problems[0].message)


def test_a_member_that_another_learner_drew_is_judged_as_the_own_one():
    text = ONE.format(exercise="mlp", more="") + 'draw.parameters.loss = ["mae"]\n'
    result = judged(parse(text), "# exercise: mlp:loss=mse\ndb2 = 0*b2\n")
    assert [problem.id for problem in result.problems] == ["wrong-exercise"]
    assert result.parts[0].report["exercise"] == "mlp:loss=mae"


def test_drawn_sizes_are_pinned_whatever_the_sheet_says():
    text = ONE.format(exercise="softmax-regression", more="") + "draw.sizes.N = [32]\n"
    sheet = "dz = (p - y)/{}\ndW = x.T @ dz\ndb = dz.sum(0)\n"
    assert credit(judged(parse(text), sheet.format(32)))["dW"] == "correct"
    copied = judged(parse(text), "# sizes: N=16\n" + sheet.format(16))
    assert credit(copied)["dW"] != "correct" and [p.id for p in copied.problems] == ["wrong-exercise"]


@pytest.mark.parametrize("pins, dz, earns", [
    ("N=1", "p - y", False),
    ("N=4, D=4, K=4", "(p - y)/K", False),
    ("N=4, D=4, K=4", "(p - y)/N", True),
    ("N=4, D=4, K=4", "(p - y)/4", True),  # a literal size, right at N=4 where the others are not 4
    ("N=1", "(p - y)/N", True),
    ("N=32", "(p - y)*0.03125", True),
])  # fmt: skip
def test_what_is_right_only_at_sizes_of_the_sheets_own_choice_earns_nothing(pins, dz, earns):
    asked = parse(ONE.format(exercise="softmax-regression", more=""))
    found = judged(asked, f"# sizes: {pins}\ndz = {dz}\ndW = x.T @ dz\ndb = dz.sum(0)\n")
    assert credit(found) == {"dW": "correct" if earns else "charged", "db": "correct"}
    assert ("not in general" in str(found.parts[0].report)) is not earns


def test_a_size_of_one_that_was_drawn_is_no_choice_of_the_sheets():
    text = ONE.format(exercise="softmax-regression", more="") + "draw.sizes.N = [1]\n"
    sheet = "# sizes: N=1\ndz = p - y\ndW = x.T @ dz\ndb = dz.sum(0)\n"
    assert credit(judged(parse(text), sheet)) == {"dW": "correct", "db": "correct"}


@pytest.mark.parametrize(
    "line, form",
    [
        ("db = dz.sum(0)", "torch"),
        ("db[k] = Sum(dz[i, k], i)", "index"),
        (r"$$\frac{\partial L}{\partial b_k} = \sum_i \frac{1}{N}(p_{ik} - y_{ik})$$", "latex"),
    ],
)
@pytest.mark.parametrize("forms", [["torch"], ["index"], ["latex"], ["index", "latex"]])
def test_a_right_line_in_a_form_that_is_not_taken_is_right_and_earns_nothing(line, form, forms):
    text = ONE.format(exercise="softmax-regression", more=f"forms = {forms}") + 'ask = ["b"]\n'
    sheet = f"```python\ndz = (p - y) / N\n{line}\n```\n" if form != "latex" else f"{line}\n"
    found = credit(judged(parse(text), sheet, "answer.md"))
    assert found == {"db": "correct" if form in forms else "form"}


@pytest.mark.parametrize("form, earned", [("torch", "correct"), ("index", "correct"), ("latex", "form")])
def test_a_scalar_is_written_alike_in_torch_and_with_indices(form, earned):
    asked = assignment(LINEAR.replace('secret = "a secret"', f'forms = ["{form}"]'))
    assert credit(judged(asked, RIGHT)) == {"dw": earned, "db": earned}


def test_a_fault_of_ours_is_undecided_and_stops_nothing(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("tutor.checking.check.check_sheet", broken)
    result = judged(assignment(), RIGHT)
    assert result.cut and result.problems[0].id == "undecided" and "out of luck" in result.problems[0].message
    grade = grade_one(assignment(), "ada", [handed_in(RIGHT)])
    assert grade.points is None and grade.questions[0].points is None


# -- from results to points ----------------------------------------------------------------------------------

WRONG = "dw = (y_pred - y)*x\ndb = 2*(y_pred - y)\n"


@pytest.mark.parametrize(
    "attempts, points", [("best", 2.0), ("last", 1.0), ("average", 1.5)]
)  # right, then half of it right
def test_of_several_attempts_the_one_counts_that_the_file_says(attempts, points):
    asked = assignment(LINEAR.replace('secret = "a secret"', f'attempts = "{attempts}"'))
    found = [handed_in(RIGHT, "ada/1.py", 1), handed_in(WRONG, "ada/2.py", 2)]
    grade = grade_one(asked, "ada", found)
    assert grade.points == points and [a.points for a in grade.questions[0].attempts] == [2.0, 1.0]
    assert not grade.problems


def test_two_files_for_one_question_in_one_attempt_are_said():
    grade = grade_one(assignment(), "ada", [handed_in(WRONG, "ada/a.py"), handed_in(RIGHT, "ada/b.py")])
    assert grade.points == 2.0
    assert [(file, problem.id) for file, problem in grade.problems] == [("ada/b.py", "duplicate")]


@pytest.mark.parametrize("attempts", ["best", "last", "average"])
@pytest.mark.parametrize(
    "beside", ["# exercise: linear-regression\ndw = ...\ndb = ...\n", "Dear teacher,\nhere it is\n"]
)
def test_a_blank_sheet_or_notes_beside_an_answer_are_no_attempt(attempts, beside):
    asked = assignment(LINEAR.replace('secret = "a secret"', f'attempts = "{attempts}"'))
    for names in (("a.py", "b.txt"), ("b.txt", "a.py")):
        found = [handed_in(text, f"ada/{name}") for text, name in zip((RIGHT, beside), names, strict=True)]
        grade = grade_one(asked, "ada", found)
        assert grade.points == 2.0 and not grade.problems
    again = grade_one(asked, "ada", [handed_in(RIGHT), handed_in("dw = ...\n", "ada/c.py", 2)])
    assert again.points == 2.0
    assert grade_one(asked, "ada", [handed_in(beside)]).points == 0.0


PARTS = {
    "answer.py": "# exercise: softmax-regression\ndz = (p - y)/N\ndW = x.T @ dz\n"
                 "# exercise: softmax-regression\ndb = dz.sum(0)\n",
    "answer.md": "# exercise: softmax-regression\n```\ndz = (p - y)/N\ndW = x.T @ dz\n```\n"
                 "# exercise: softmax-regression\n$$db_k = \\sum_i dz_{ik}$$\n",
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_a_file_that_names_its_exercise_twice_goes_on_with_it_and_a_second_answer_is_a_second_attempt(name):
    asked = assignment(ONE.format(exercise="softmax-regression", more=""))
    grade = grade_one(asked, "ada", [handed_in(PARTS[name], name)])
    assert grade.points == 2.0 and not grade.problems and len(grade.questions[0].attempts) == 1
    tries = "# exercise: softmax-regression\ndb = p\n# exercise: softmax-regression\ndb = ((p - y)/N).sum(0)\n"
    grade = grade_one(asked, "ada", [handed_in(tries)])
    assert [attempt.points for attempt in grade.questions[0].attempts] == [0.0, 1.0]


def test_two_files_of_one_attempt_that_answer_different_names_are_one_answer():
    first, second = RIGHT.splitlines(keepends=True)
    grade = grade_one(assignment(), "ada", [handed_in(first, "ada/a.py"), handed_in(second, "ada/b.py")])
    assert grade.points == 2.0 and not grade.problems
    (attempt,) = grade.questions[0].attempts
    assert attempt.name == "ada/a.py, ada/b.py" and attempt.part.report["verdict"] == "correct"
    assert [line["text"].strip() for line in attempt.part.report["lines"]] == RIGHT.splitlines()
    grade = grade_one(assignment(), "ada", [handed_in(first, "ada/a.py", 1), handed_in(second, "ada/b.py", 2)])
    assert grade.points == 1.0  # two attempts are two answers


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_what_follows_from_a_mistake_earns_its_part(weight):
    asked = assignment(
        ONE.format(exercise="softmax-regression", more=f"follow_through = {weight}") + "points = { W = 3, b = 1 }\n"
    )
    grade = grade_one(asked, "ada", [handed_in("dz = p - y\ndW = x.T @ dz\ndb = dz.sum(0)\n")])
    assert grade.questions[0].attempts[0].part.credit == {"dW": "charged", "db": "follows"}
    assert grade.points == weight and grade.max_points == 4.0


def test_one_file_answers_several_exercises_and_one_learner_several_files():
    asked = assignment(LINEAR + '\n[[questions]]\nexercise = "softmax-regression"\nask = ["b"]\n')
    both = f"# exercise: linear-regression\n{RIGHT}# exercise: softmax-regression\ndb = ((p - y)/N).sum(0)\n"
    parts = [handed_in(both.split("# exercise: softmax")[0], "ada/1.py"),
             handed_in("# exercise: softmax" + both.split("# exercise: softmax")[1], "ada/2.py")]  # fmt: skip
    for found in ([handed_in(both)], parts):
        grade = grade_one(asked, "ada", found)
        assert (grade.points, grade.max_points) == (3.0, 3.0) and not grade.problems


def test_an_attempt_that_nobody_could_judge_leaves_the_points_open_unless_it_cannot_matter(monkeypatch):
    import tutor.checking.check as checking

    real = checking.check_sheet

    def broken(exercise, sheet, **options):
        if "unlucky" in "".join(s.text for s in sheet.statements):
            raise RuntimeError
        return real(exercise, sheet, **options)

    monkeypatch.setattr(checking, "check_sheet", broken)
    unlucky = handed_in("unlucky = 1\n" + RIGHT, "ada/2.py", 2)
    asked = {how: assignment(LINEAR.replace('secret = "a secret"', f'attempts = "{how}"')) for how in
             ("best", "last", "average")}  # fmt: skip
    assert grade_one(asked["best"], "ada", [handed_in(RIGHT), unlucky]).points == 2.0
    for how, first in (("best", WRONG), ("last", RIGHT), ("average", RIGHT)):
        assert grade_one(asked[how], "ada", [handed_in(first), unlucky]).points is None


def test_every_credit_has_its_points():
    """What each credit earns of one point, said here by hand; one that is new has to be added."""
    earns = dict.fromkeys(CREDITS, 0.0) | {"correct": 1.0, "excused": 1.0, "follows": 0.25}
    asked = assignment(LINEAR.replace('secret = "a secret"', "follow_through = 0.25"))
    for credit, points in earns.items():
        part = Part("linear-regression", {"dw": credit}, {"lines": [{"line": 1}], "missing": []})
        entry = Entry("ada", 1, "a.py", None, (), None, Result((part,)))
        assert reckoned(asked, "ada", "", [entry], {"linear-regression": {"dw": 1.0}}, {}).points == points, credit


# -- the gradebook ----------------------------------------------------------------------------------


def graded(at: Path, count: int = 8, text: str = SOFTMAX, **options) -> tuple[Path, Assignment, batch.Outcome]:
    asked = assignment(text, at)
    results = at / "results"
    version, outcome = batch.grade(asked, sheets.submissions(count), results, jobs=1, **options)
    with opened(results) as book:
        outputs.write(book, version, results, sheets.NOW)
    return results, asked, outcome


def content(results: Path) -> dict[str, bytes]:
    """All that a teacher opens; the gradebook by what it says."""
    found = {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and not path.name.startswith((gradebook.FILE, "."))
    }
    with opened(results) as book:
        found["gradebook"] = repr(list(of_version(book, book.newest()))).encode()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, Assignment, batch.Outcome]:
    return graded(tmp_path_factory.mktemp("whole"), 24)


def test_a_class_gets_the_points_that_were_reckoned_by_hand(whole):
    results, _, outcome = whole
    assert (outcome.judged, outcome.known, outcome.cut) == (24, 0, 0)
    found = {grade.learner: grade.points for grade in grades(results)}
    assert found == {f"learner{n:06}": sheets.earned(n) for n in range(24)}


def test_what_has_a_result_is_not_judged_again_and_the_bytes_are_the_same(whole, monkeypatch):
    results, asked, _ = whole
    before = content(results)
    monkeypatch.setattr(workers, "Processes", None)  # nobody is asked
    version, outcome = batch.grade(asked, sheets.submissions(24), results, jobs=1)
    with opened(results) as book:
        outputs.write(book, version, results, sheets.NOW)
    assert outcome.judged == 0 and content(results) == before


def test_equal_sheets_are_judged_once(tmp_path):
    asked = assignment(at=tmp_path)
    same = [Submission(f"learner{n}", 1, f"{n}.py", RIGHT.encode()) for n in range(40)]
    _, outcome = batch.grade(asked, same, tmp_path / "r", jobs=1)
    assert (outcome.judged, outcome.known) == (1, 39)
    assert sum(grade.points for grade in grades(tmp_path / "r")) == 80.0


def test_order_and_number_of_jobs_change_no_byte(whole, tmp_path):
    results, asked, _ = whole
    shuffled = list(sheets.submissions(24))
    random.Random(1).shuffle(shuffled)
    version, _ = batch.grade(asked, shuffled, tmp_path / "r", jobs=2)
    with opened(tmp_path / "r") as book:
        outputs.write(book, version, tmp_path / "r", sheets.NOW)
    assert content(tmp_path / "r") == content(results)


def test_an_exercise_file_that_is_not_there_is_not_found(tmp_path):
    asked = assignment(ONE.format(exercise="mine.py", more=""), tmp_path)
    with pytest.raises(NotFoundError, match="mine.py: there is no such file"):
        batch.grade(asked, [handed_in(RIGHT)], tmp_path / "results", jobs=1)


@pytest.mark.parametrize("attempts", ["last", "average"])
def test_a_class_from_its_folder_and_then_from_a_zip_has_handed_in_once(tmp_path, attempts):
    asked = assignment(LINEAR.replace('secret = "a secret"', f'attempts = "{attempts}"'), tmp_path)
    around, renamed = tmp_path / "submissions", tmp_path / "renamed"
    for place, name, text in ((around, "answer.py", RIGHT), (renamed, "answer-1.py", WRONG)):
        (place / "ada").mkdir(parents=True)
        (place / "ada" / name).write_text(text)

    def graded(source):
        version, _ = batch.grade(asked, collect(source), tmp_path / "results", jobs=1)
        with opened(tmp_path / "results") as book:
            (grade,) = of_version(book, version)
        return grade

    packed = Path(shutil.make_archive(str(tmp_path / "class"), "zip", tmp_path, "submissions"))
    for source in (around, packed):
        assert graded(source).points == 2.0 and len(graded(source).questions[0].attempts) == 1
    (renamed / "ada" / "the same.py").write_text(WRONG)
    assert [a.name for a in graded(renamed).questions[0].attempts] == ["ada/answer-1.py", "ada/answer.py"]


def test_a_changed_file_takes_the_old_ones_place_and_the_old_one_is_kept(tmp_path):
    asked, results = assignment(at=tmp_path), tmp_path / "r"
    batch.grade(asked, [handed_in(WRONG)], results, jobs=1)
    _, outcome = batch.grade(asked, [handed_in(RIGHT)], results, jobs=1)
    assert outcome.judged == 1 and next(grades(results)).points == 2.0
    with opened(results) as book, book.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(gradebook.sheets)).scalar() == 2
        assert connection.execute(sa.select(sa.func.count()).select_from(gradebook.results)).scalar() == 2


def test_regrading_says_who_changes_and_why_and_keeps_what_was(tmp_path):
    asked, results = assignment(at=tmp_path), tmp_path / "r"
    batch.grade(asked, [handed_in(RIGHT), handed_in(WRONG, "bob/a.py")], results, jobs=1)
    with opened(results) as book:
        decisions.decide(book, "bob", "linear-regression", 1.25, "half right")
    changed = assignment(LINEAR + "points = { w = 3 }\n", tmp_path)
    before, now, outcome = batch.judge_again(changed, results, jobs=1)
    assert before is not None and outcome.judged == 0  # points need no judge
    with opened(results) as book:
        (change,) = batch.changes(book, before, now)
        assert (change.learner, change.before, change.now) == ("ada", 2.0, 4.0)
        assert change.why == ("it is worth 4 points instead of 2",)
        assert [g.points for g in of_version(book, before)] == [2.0, 1.25]
        assert [g.points for g in of_version(book, now)] == [4.0, 1.25]
    _, _, outcome = batch.judge_again(assignment(LINEAR.replace("a secret", "x") + 'ask = ["w"]\n', tmp_path), results)
    assert outcome.judged == 2


@pytest.mark.parametrize(
    "key, why",
    [
        ("follow_through = 0.5", "what follows from a mistake earns 0.5 of its points instead of 1"),
        ('attempts = "last"', 'of several attempts "last" counts instead of "best"'),
    ],
)
def test_regrading_names_the_rule_by_which_points_change(tmp_path, key, why):
    asked, results = assignment(SOFTMAX, tmp_path), tmp_path / "r"
    good, bad = sheets.sheet(0), "# exercise: softmax-regression\ndz = p - y\ndW = x.T @ dz\ndb = dz.sum(0)\n"
    batch.grade(asked, [handed_in(good, "ada/1.py", 1), handed_in(bad, "ada/2.py", 2), handed_in(bad, "bo/1.py")],
                results, jobs=1)  # fmt: skip
    before, now, _ = batch.judge_again(assignment(SOFTMAX.replace('secret = "a secret"', key), tmp_path), results)
    with opened(results) as book:
        found = list(batch.changes(book, before, now))
    assert found and why in found[0].why


def test_a_decision_is_checked_kept_and_taken_back(tmp_path):
    asked, results = assignment(at=tmp_path), tmp_path / "r"
    batch.grade(asked, [handed_in(WRONG)], results, jobs=1)
    with opened(results) as book:
        for learner, question, points, said in [
            ("adda", "linear-regression", 1.0, 'did you mean "ada"'),
            ("ada", "linear-regresion", 1.0, 'did you mean "linear-regression"'),
            ("ada", "linear-regression", float("nan"), "no points"),
            ("ada", "linear-regression", None, "give the points"),
        ]:
            with pytest.raises((NotFoundError, UsageError), match=said):
                decisions.decide(book, learner, question, points)
        decisions.decide(book, "ada", "linear-regression", 1.5, "well tried")
        assert next(of_version(book, book.newest())).questions[0].override == Override(
            "ada", "linear-regression", 1.5, "well tried"
        )
        decisions.decide(book, "ada", "linear-regression", None, forget=True)
        assert next(of_version(book, book.newest())).points == 1.0


def test_points_above_what_a_question_is_worth_are_kept_and_remarked_upon(tmp_path, capsys):
    batch.grade(assignment(at=tmp_path), [handed_in(WRONG)], tmp_path / "r", jobs=1)
    for points, remark in ((2, ""), (2.5, "note: that is more than the 2 points that linear-regression is worth")):
        assert main(["override", str(tmp_path / "r"), "ada", "linear-regression", str(points)]) == 0
        said = capsys.readouterr()
        assert f"ada has {points} points" in said.out and said.err.strip() == remark
        assert next(grades(tmp_path / "r")).points == points


@pytest.mark.parametrize(
    "more, said",
    [
        ("points = { nothing = 1 }\n", "nothing is not asked"),
        ('ask = ["nothing"]\n', "nothing"),
        ('[[questions]]\nexercise = "linear-regresion"\n', 'did you mean "linear-regression"'),
    ],
)
def test_what_is_wrong_with_an_exercise_is_said_with_the_command_that_shows_it(tmp_path, more, said):
    asked = assignment(LINEAR + more, tmp_path)
    with pytest.raises((ExerciseError, NotFoundError, UsageError)) as refused:
        batch.grade(asked, [handed_in(RIGHT)], tmp_path / "r", jobs=1)
    assert said in str(refused.value)
    assert str(refused.value).endswith(f"; 'tutor assignment lint {asked.path}' shows all that is wrong")


def test_migrations_end_where_the_tables_are(tmp_path):
    made = Gradebook(f"sqlite:///{tmp_path / 'migrated.sqlite'}")
    wanted = sa.create_engine(f"sqlite:///{tmp_path / 'wanted.sqlite'}")
    gradebook.metadata.create_all(wanted)

    def shape(engine: sa.Engine) -> object:
        found = sa.inspect(engine)
        return {
            table: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)],
                found.get_pk_constraint(table)["constrained_columns"],
                [(index["name"], index["column_names"]) for index in found.get_indexes(table)],
                [unique["column_names"] for unique in found.get_unique_constraints(table)],
            )
            for table in found.get_table_names()
            if table != "alembic_version"
        }

    assert shape(made.engine) == shape(wanted)


def test_a_gradebook_of_a_later_version_or_of_nobody_is_left_alone(tmp_path):
    url = url_of(tmp_path)
    Gradebook(url).close()
    with sqlite3.connect(tmp_path / gradebook.FILE) as connection:
        connection.execute("update alembic_version set version_num = '999'")
    connection.close()
    with pytest.raises(GradebookError, match="another version"):
        Gradebook(url)
    (tmp_path / "no.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(GradebookError, match="not a database"):
        Gradebook(f"sqlite:///{tmp_path / 'no.sqlite'}")
    with pytest.raises(UsageError, match="SQLite or PostgreSQL"):
        Gradebook("mysql://localhost/x")
    with pytest.raises(NotFoundError, match="holds no gradebook"):
        opened(tmp_path / "nowhere")


# -- what may happen on the way ----------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["foo", "postgresql://ada:pass@localhost:port/x", "mysql://localhost/x"])
def test_what_is_no_url_is_said_without_the_password(url):
    with pytest.raises(UsageError) as refused:
        Gradebook(url)
    assert "pass@" not in str(refused.value)


def test_a_locked_gradebook_is_said_and_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(gradebook, "PATIENCE", 0.2)
    results, asked, _ = graded(tmp_path, 2, LINEAR)
    before = content(results)
    other = sqlite3.connect(results / gradebook.FILE, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(GradebookError, match="in use by another program"):
        batch.grade(asked, [handed_in(RIGHT)], results, jobs=1)
    other.execute("rollback")
    other.close()
    assert content(results) == before


def test_two_runs_do_not_write_one_folder(tmp_path):
    with batch._alone(tmp_path), pytest.raises(UsageError, match="another run is grading"):
        batch.grade(assignment(), [], tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], capture_output=True)
    if made.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_said_and_with_room_the_next_run_ends_as_if_nothing_had_been(small_disk, tmp_path):
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 15_800_000)
    with pytest.raises((GradebookError, UsageError), match="make room|run it again"):
        graded(small_disk, 200)
    filler.unlink()
    results, _, _ = graded(small_disk, 200)
    other, _, _ = graded(tmp_path / "other", 200)
    assert content(results) == content(other)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "tutor", *map(str, args)]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_killed_at_any_moment_the_next_run_ends_with_the_same_bytes(tmp_path):
    asked = assignment(SOFTMAX, tmp_path)
    handed = sheets.folder(tmp_path / "submissions", 60)
    args = ["grade", asked.path, handed, "--jobs", 2, "--now", "2026-01-01", "-o"]
    subprocess.run(command(*args, tmp_path / "whole"), check=True, env=environment(), capture_output=True)
    rng = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            command(*args, tmp_path / "killed"), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(2, 6))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(*args, tmp_path / "killed"), check=True, env=environment(), capture_output=True)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_run_that_is_told_to_end_takes_its_workers_along(tmp_path):
    asked = assignment(SOFTMAX, tmp_path)
    args = command("grade", asked.path, sheets.folder(tmp_path / "submissions", 400), "-o", tmp_path / "r")
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(args, env=environment(), stdout=subprocess.DEVNULL, stderr=said)
        while "judging" not in (tmp_path / "said").read_text() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert "resource_tracker" not in (tmp_path / "said").read_text()


# -- who judges ----------------------------------------------------------------------------------

ODD = {5: b"die", 9: b"hang", 17: b"kill", 20: b"die once"}


def odd_work(rules: Rules, jobs: tuple[Job, ...], deadline: float) -> list[Packed]:
    """In a worker: dies, hangs or is killed at some sheets."""
    results = []
    for job in jobs:
        with workers._ends_after(deadline):
            if job.data == b"die" or job.data == b"die once" and not Path(job.name).exists():
                Path(job.name).touch()
                os._exit(3)
            if job.data == b"kill":
                os.kill(os.getpid(), signal.SIGKILL)
            while job.data == b"hang":
                time.sleep(0.1)
            results.append(Result(problems=(Problem("empty", job.key),)).packed())
    return results


@pytest.mark.parametrize(
    "count, most, busy, wanted",
    [
        (20, 16, 2, [5, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1]),  # a small class keeps both busy
        (80, 16, 2, [16, 16, 12, 9, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1]),
        (10, 4, 1, [4, 3, 1, 1, 1]),
    ],
)
def test_tasks_are_smaller_towards_the_end(count, most, busy, wanted):
    tasks = list(workers._grouped(odd_jobs(Path(), count), most, busy, count))
    assert [len(task) for task in tasks] == wanted
    assert [job.key for task in tasks for job in task] == [str(n) for n in range(count)]
    unknown = workers._grouped(odd_jobs(Path(), count), most, busy, math.inf)
    assert [len(task) for task in unknown][:-1] == [most] * ((count - 1) // most)


def test_a_page_is_whole_or_as_it_was(tmp_path):
    page, times = tmp_path / "ada.html", []
    for content in (b"first", b"first", b"second, and longer"):
        kept_whole(str(page), content)
        assert [each.name for each in tmp_path.iterdir()] == [page.name] and page.read_bytes() == content
        times.append(page.stat().st_ino)
    assert times[0] == times[1] != times[2]  # one that is as it should be is not touched
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        kept_whole(str(tmp_path / "folder"), b"")


def odd_jobs(at: Path, count: int = 40) -> list[Job]:
    return [Job(str(n), ODD.get(n, b"fine"), str(at / f"{n}"), ()) for n in range(count)]


def what_came_back(executor, jobs: list[Job]) -> dict[str, Result]:
    found: dict[str, Result] = {}
    for results in workers.judged(executor, Rules("."), jobs, deadline=2, batch=4, work=odd_work):
        for job, result in results:
            assert job.key not in found  # nothing twice
            found[job.key] = result.opened()
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_a_worker_that_dies_or_hangs_costs_that_one_sheet(tmp_path):
    jobs = odd_jobs(tmp_path)
    with workers.Judges(2) as judges:
        found = what_came_back(judges.start(), jobs)
    assert {key for key, result in found.items() if result.cut} == {"5", "9", "17"}
    assert all(found[job.key].problems[0].message == job.key for job in jobs if job.key not in ("5", "9", "17"))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
@pytest.mark.parametrize("seconds", [0.2, 1.5])
def test_processes_that_are_killed_while_they_start_are_replaced(tmp_path, seconds):
    with workers.Judges(2) as judges:
        executor = judges.start()
        time.sleep(seconds)
        for process in multiprocessing.active_children():
            process.kill()
        found = what_came_back(executor, [Job(str(n), b"fine", "x", ()) for n in range(40)])
    assert len(found) == 40 and not any(result.cut for result in found.values())


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signal masks")
def test_a_worker_has_no_interrupt_of_its_own_from_its_first_moment():
    with workers.Processes(1) as judges:
        mask = judges.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
    assert signal.SIGINT in mask
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_worker_may_not_take_all_memory():
    with workers.Judges(1) as judges:
        results = judges.start().submit(greedy, 8 << 30).result()
    assert results == "MemoryError"


def greedy(size: int) -> str:
    """In a worker: wants more than it may have."""
    try:
        return f"{len(bytearray(size))}"
    except MemoryError:
        return "MemoryError"


@pytest.fixture
def cluster():
    """A real scheduler and workers, as processes on loopback: (address, the workers' processes)."""
    pytest.importorskip("distributed")
    found: list[subprocess.Popen] = []
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": environment(),
        "start_new_session": True,
    }

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    port = address.rsplit(":", 1)[1]
    dask = [sys.executable, "-m", "distributed.cli.dask_{}"]
    found.append(
        subprocess.Popen([*dask[:2], dask[2].format("scheduler"), "--host", "127.0.0.1", "--port", port,
                          "--no-dashboard"], **quiet)
    )  # fmt: skip
    for _ in range(2):
        found.append(
            subprocess.Popen([*dask[:2], dask[2].format("worker"), address, "--nthreads", "1", "--no-dashboard",
                              "--host", "127.0.0.1"], **quiet)
        )  # fmt: skip
    try:
        yield address, found
    finally:
        for process in found:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_on_a_cluster_a_killed_worker_loses_nothing_and_nothing_is_graded_twice(cluster, whole, tmp_path):
    address, processes = cluster
    results, asked, _ = whole
    killed = []

    def kill_one(done: int, total: int) -> None:
        if not killed and done >= 4:
            killed.append(done)
            subprocess.run(["pkill", "-9", "-P", str(processes[1].pid)], check=False)  # what its nanny started

    version, outcome = batch.grade(asked, sheets.submissions(24), tmp_path / "r", scheduler=address, step=kill_one)
    assert killed and (outcome.judged, outcome.cut) == (24, 0)
    with opened(tmp_path / "r") as book:
        outputs.write(book, version, tmp_path / "r", sheets.NOW)
    assert content(tmp_path / "r") == content(results)


def test_a_scheduler_that_is_not_there_is_said():
    pytest.importorskip("distributed")
    with (
        pytest.raises(UsageError, match="no Dask scheduler answers"),
        workers.Judges(scheduler="tcp://127.0.0.1:9") as judges,
    ):
        judges.start()


# -- a server ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server of the system's packages, on a socket of its own."""
    pytest.importorskip("psycopg")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server on this machine")
    bin, at = found[-1].parent, Path(tempfile.mkdtemp(prefix="pg"))  # not below a folder that is root's alone
    as_user: list[str] = []
    if os.geteuid() == 0:  # a server does not run as root
        shutil.chown(at, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    run = {"check": True, "capture_output": True, "cwd": "/"}
    subprocess.run([*as_user, str(bin / "initdb"), "-D", str(at / "data"), "-A", "trust", "-U", "tutor"], **run)
    options = f"-c listen_addresses='' -c unix_socket_directories={at} -c fsync=off"
    subprocess.run([*as_user, str(bin / "pg_ctl"), "-D", str(at / "data"), "-o", options, "-w", "-l",
                    str(at / "log"), "start"], **run)  # fmt: skip
    yield f"postgresql://tutor@/postgres?host={at}"
    subprocess.run([*as_user, str(bin / "pg_ctl"), "-D", str(at / "data"), "-m", "immediate", "stop"], **run)
    shutil.rmtree(at)


def test_a_gradebook_on_a_server_gives_the_same_bytes(server, whole, tmp_path):
    results, asked, _ = whole
    version, outcome = batch.grade(asked, sheets.submissions(24), tmp_path / "r", url=server, jobs=1)
    assert outcome.judged == 24
    with opened(tmp_path / "r", server) as book:
        outputs.write(book, version, tmp_path / "r", sheets.NOW)
        found = repr(list(of_version(book, book.newest())))
    wanted = content(results)
    assert found.encode() == wanted["gradebook"]
    for path in (p for p in (tmp_path / "r").rglob("*") if p.is_file() and not p.name.startswith(".")):
        assert path.read_bytes() == wanted[path.relative_to(tmp_path / "r").as_posix()]
    assert not (tmp_path / "r" / gradebook.FILE).exists()
