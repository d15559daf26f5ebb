"""The report: its JSON form against the schema, precedence, and what a learner sees."""

import json
from html import unescape
from pathlib import Path

import pytest

import tutor
from tutor.checking import report as reports
from tutor.checking.check import check
from tutor.checking.report import LineReport, Report, Sentence
from tutor.errors import UsageError
from tutor.language import speaking
from tutor.pictures.page import report_page
from tutor.views import html, notebook
from tutor.views.report import MARKS

SCHEMA = json.loads(Path(reports.__file__).with_name("report.schema.json").read_text())
SHEETS = {
    "right": ("softmax-regression", "dz = (p - y)/N\ndW = x.T @ dz\ndb = dz.sum(0)"),
    "wrong": ("softmax-regression", "dz = p - y\ndW = x.T @ dz\ndb = dz.sum(0)"),
    "shapes": ("softmax-regression", "dp = -y/(N*p)\nde = dp/s\ndW = x @ dp\ndb = dp.sum(0, keepdim=True)"),
    "numbers": ("linear-regression", "dw = 4\ndb = 2"),
    "unreadable": ("linear-regression", "dw = 2x\ndb = -4"),
    "incomplete": ("linear-regression", "dw = -8"),
    "empty": ("linear-regression", ""),
    "infinite": ("softmax-regression", "dW = x.T @ p/0.\ndb = p.sum(0)/(p - p).sum(0)"),
    "too long": ("linear-regression", "x" * 200_000),
    "notes": ("softmax-regression", "d = p\nd -= y\nimport torch\ndW ＝ x.T @ d"),
    "loop": ("softmax-regression", "for i in range(N):\n    q = = 3\n    r = zz\ndW = x.T @ p"),
}


def report(name):
    exercise, text = SHEETS[name]
    return check(tutor.load(exercise), text)


def violations(value, schema, at="$"):
    """Where a value breaks the schema: the part of JSON Schema that ours uses."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].split("/")[-1]]
    if "anyOf" in schema:
        if all(list(violations(value, option, at)) for option in schema["anyOf"]):
            yield f"{at}: fits none of the alternatives"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: not one of {schema['enum']}"
    if "type" in schema and not any(_is(value, kind) for kind in _listed(schema["type"])):
        yield f"{at}: {value!r} is no {schema['type']}"
        return
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{at}: below {schema['minimum']}"
    if isinstance(value, dict):
        yield from (f"{at}: no {key}" for key in schema.get("required", ()) if key not in value)
        known = schema.get("properties", {})
        for key, part in value.items():
            if key in known:
                yield from violations(part, known[key], f"{at}.{key}")
            elif schema.get("additionalProperties") is False:
                yield f"{at}: unknown {key}"
    if isinstance(value, list):
        for n, part in enumerate(value):
            yield from violations(part, schema.get("items", {}), f"{at}[{n}]")


def _listed(kinds):
    return kinds if isinstance(kinds, list) else [kinds]


def _is(value, kind):
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    types = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
    return isinstance(value, types[kind])


@pytest.mark.parametrize("name", SHEETS)
def test_the_json_form_is_valid_and_finite(name):
    made = report(name).to_dict()
    assert list(violations(made, SCHEMA)) == []
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_the_schema_check_itself_can_fail():
    made = report("wrong").to_dict()
    for spoil in ({"verdict": "follows"}, {"extra": 1}, {"score": -1}, {"missing": "db"}, {"schema": "tutor.report/2"}):
        assert list(violations({**made, **spoil}, SCHEMA))
    made["lines"][0]["verdict"] = "incomplete"
    assert list(violations(made, SCHEMA))
    del made["notes"]
    assert any("no notes" in text for text in violations(made, SCHEMA))


def test_the_json_form_has_the_documented_fields():
    made = report("wrong").to_dict()
    assert list(made) == ["schema", "exercise", "seed", "torch", "verdict", "score", "max_score", "first_divergence",
                          "missing", "lines", "notes"]  # fmt: skip
    assert made["first_divergence"] == {"line": 1, "quantity": "dz"}
    assert made["lines"][0]["mistakes"].pop(0) == {"id": "factor", "message": "the factor 1/N is lost"}
    assert made["lines"][0] == {
        "line": 1, "column": 1, "text": "dz = p - y", "quantity": "dz", "verdict": "wrong",
        "reason": "exactly N times the true gradient: the factor 1/N is lost",
        "shape": [3, 4], "expected_shape": [3, 4],
        "max_abs_error": made["lines"][0]["max_abs_error"], "max_rel_error": 0.666667, "ratio": 3.0,
        "mistakes": made["lines"][0]["mistakes"],
        "repair": {"column": 6, "from": "p - y", "to": "(p - y)/N"},
    }  # fmt: skip


def line(verdict, number=1, quantity="dW"):
    return LineReport(number, 1, "", quantity, verdict, Sentence("undecided"))


@pytest.mark.parametrize(
    ("found", "missing", "verdict"),
    [
        (["correct", "follows", "unreadable", "wrong"], ("db",), "wrong"),
        (["correct", "undecided", "unreadable"], ("db",), "unreadable"),
        (["correct", "undecided"], ("db",), "undecided"),
        (["correct"], ("db",), "incomplete"),
        (["correct", "follows"], (), "correct"),
        ([], (), "correct"),
    ],
)
def test_precedence_of_the_whole(found, missing, verdict):
    made = Report("x", 0, "2", 0.0, 1.0, missing, tuple(line(v) for v in found))
    assert made.verdict == verdict
    assert made.correct == (verdict == "correct")


def test_lines_are_found_by_quantity():
    made = Report("x", 0, "2", 0.0, 1.0, (), (line("wrong", 1), line("correct", 2)))
    assert made.line("dW").line == 2 and made.quantities == ["dW"]
    with pytest.raises(LookupError, match="no line gives db"):
        made.line("db")


def test_what_a_learner_sees_first():
    text = str(report("numbers"))
    lines = text.splitlines()
    assert lines[0] == "linear-regression   wrong   0 of 2 points"
    assert lines[2] == "line 1:  dw = 4" and lines[3] == "         ^"
    order = ["wrong: exactly -1/2 times", "forward", "worst", "likely", "next: look at line 1", "✗ wrong   dw"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "dw = 4, true is -8" in text and "y_pred = w·x + b" in text


def test_the_caret_stands_under_the_fault():
    lines = str(report("shapes")).splitlines()
    at = next(n for n, text in enumerate(lines) if text.startswith("line 2:"))
    assert lines[at] == "line 2:  de = dp/s" and lines[at + 1].index("^") == lines[at].index("s", 10)
    lines = str(report("unreadable")).splitlines()
    at = next(n for n, text in enumerate(lines) if text.startswith("line 1:"))
    assert lines[at + 1].index("^") == lines[at].index("x")


def test_a_mark_and_a_word_for_every_verdict():
    assert set(MARKS) == set(reports.LINE_VERDICTS) and len(set(MARKS.values())) == len(MARKS)
    for name in SHEETS:
        text = str(report(name))
        for found in report(name).lines:
            assert f"{MARKS[found.verdict]} {found.verdict}" in text


@pytest.mark.parametrize(("name", "match"), [("incomplete", "next: give db"), ("right", "\n\nthis exercise is done"),
                                             ("unreadable", "next: rewrite line 1"),
                                             ("empty", "next: give dw, db")])  # fmt: skip
def test_the_next_thing_to_do(name, match):
    assert match in str(report(name))


@pytest.mark.parametrize("table", [reports.REASONS, reports.NOTES, reports.NEXT])
def test_sentences_are_templates(table):
    import string

    for text in table.values():
        assert all(field is None or field.isidentifier() for _, field, _, _ in string.Formatter().parse(text))


def test_figures_are_rounded_so_that_machines_agree():
    assert reports.rounded(0.1234567891) == 0.123457
    assert reports.rounded(float("nan")) is None and reports.rounded(float("inf")) is None


def test_a_report_needs_neither_torch_nor_sympy():
    import subprocess
    import sys

    code = (
        "import sys, tutor.checking.report, tutor.views.report\n"
        "sys.exit('torch' in sys.modules or 'sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_torch_refused_does_not_stand_anywhere():
    made = check(tutor.load("softmax-regression"), "dz = (p - y)/s\ndW = x.T @ dz\ndb = dz.sum(0)", repairs=False)
    assert [line.verdict for line in made.lines] == ["wrong", "follows", "follows"]
    assert "p - y has shape (3, 4) and s (3,), which do not broadcast" in made.lines[0].reason
    assert made.lines[1].reason == "sound in itself: it reads dz, which line 1 could not give"
    made = check(tutor.load("attention"), "dO = 1\ndV = P.T @ dO")
    assert made.line("dV").reason == "sound in itself: its shapes do not fit dO as it stands on line 1"


@pytest.mark.parametrize(
    ("text", "next_"),
    [
        ("dz = p - y\ndW = x.T dz\ndb = dz.sum(0)", "look at line 1 again and rewrite line 2, then check"),
        ("dW = 2x\nde = = 1\ndb = 1 +", "rewrite lines 1, 2 and 3"),
        ("dz = p - y", "look at line 1 again, then check the sheet once more"),
    ],
)
def test_the_next_thing_names_every_line_that_could_not_be_read(text, next_):
    assert f"next: {next_}" in str(check(tutor.load("softmax-regression"), text))


def test_tensors_have_no_line():
    t = tutor.load("softmax-regression").sample()
    made = t.check(dz=t.p - t.y, dW=t.x.T @ (t.p - t.y))
    text = str(made)
    assert "line" not in text and "next: look at dz again, then check once more" in text
    assert made.line("dW").reason == "sound, given dz as you have it"
    assert "next: give dW another way" in str(t.check(dW="x", dz=(t.p - t.y) / t.N))


def test_undecided_says_what_is_missing_as_well():
    made = Report("x", 0, "2", 0.0, 1.0, ("db",), (line("undecided", 3),))
    assert made.next.render(reports.NEXT) == "nothing is held against you on line 3; give db"


@pytest.mark.parametrize("name", SHEETS)
def test_a_notebook_shows_the_whole_report(name):
    from html.parser import HTMLParser

    made = report(name)
    shown = made._repr_mimebundle_()
    assert shown["text/plain"] == str(made)
    words = []
    reader = HTMLParser()
    reader.handle_data = words.append
    reader.feed(shown["text/html"])
    said = "".join(words)
    for part in (made.verdict, f"next: {made.next.render(reports.NEXT)}", *made.notes, *(x.reason for x in made.lines)):
        assert part in said
    assert "<script" not in shown["text/html"] and "http" not in shown["text/html"].replace("http-", "")


@pytest.mark.parametrize(
    ("language", "means", "points"),
    [
        ("en", '"follows" means: not the true value, but sound', "the first asked quantity that follows from it"),
        ("zh", "“承前”的意思是", "第一个所求的量"),
    ],
)
@pytest.mark.parametrize("name", [*SHEETS, "asked"])
def test_what_follows_means_is_said_once_where_something_follows(name, language, means, points, tmp_path):
    sheets = {**SHEETS, "asked": ("linear-regression", "dw = dy_pred*x/2\ndb = dy_pred")}
    id, text = sheets[name]
    made = check(tutor.load(id), text)
    path = tmp_path / "sheet.py"
    path.write_text(text, encoding="utf-8")
    with speaking(language):
        shown = [str(made), html.document("", html.report_fragment(made)), "".join(notebook.report(made)),
                 html.report_page(report_page(str(path), id))]  # fmt: skip
        data = json.dumps(made.to_dict(), ensure_ascii=False)
    times = 1 if any(each.verdict == "follows" for each in made.lines) else 0
    for view in map(unescape, shown):
        assert (view.count(means), view.count(points)) == (times, times)
        assert not times or view.index("dz") < view.index(means), "below what it explains"
    assert means not in data and points not in data
    assert times or name != "wrong", "the sheet on which something follows"


def test_html_cannot_be_injected():
    shown = check(tutor.load("softmax-regression"), "<script>alert(1)</script> = 3\ndz = p<y")._repr_mimebundle_()
    assert "<script" not in shown["text/html"] and "&lt;script" in shown["text/html"]


def test_a_report_is_short_in_a_prompt():
    assert repr(report("wrong")) == "Report('softmax-regression', wrong, 1 of 2 points)"


def test_repairs_can_be_left_out():
    ex = tutor.load("softmax-regression")
    assert check(ex, "dz = p - y").lines[0].repair and not check(ex, "dz = p - y", repairs=False).lines[0].repair
    assert check(ex, "dz = p - y", repairs=False).verdict == "wrong"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda ex: ex.sample(seed="x"), "seed='x' is not a seed: give a whole number"),
        (lambda ex: ex.sample(seed=True), "whole number"),
        (lambda ex: tutor.check(ex, "dw = 1", seed=1.5), "whole number"),
        (lambda ex: tutor.check(ex, 5), "an answer is text, a Path, a dict of tensors or a function, not int"),
        (lambda ex: tutor.check(5, "dw = 1"), "an exercise is an id, a path or an Exercise, not int"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(UsageError, match=says):
        call(tutor.load("linear-regression"))
