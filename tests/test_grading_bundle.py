"""What is handed out, what a teacher is told before, and the key that stays behind: over the whole catalogue."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

import tutor
from tutor.answers import documents, latex
from tutor.catalogue import entries
from tutor.cli import app
from tutor.commands.assignment import KEY_FORMATS
from tutor.errors import NotFoundError, UsageError
from tutor.grading.assignment import FEEDBACK, AssignmentError, parse, read
from tutor.grading.bundle import MARK, build, folder_names
from tutor.grading.handout import handout
from tutor.grading.key import answer_key, right_lines
from tutor.grading.lint import findings
from tutor.grading.new import text as new_text
from tutor.grading.variants import Variant, variants
from tutor.views import answer_key as key_view
from tutor.views import handout as view

EVERY = [entry.id for entry in entries()]
SECRET = "5f1d0c9a7be34e28b6d95a01c3f7e842"
BEFORE, AFTER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
OWN = '''"""A product of $a$ and $b$:

$$ da = b $$

```python
db = a
```
"""
from tutor import Exercise

exercise = Exercise("own-product", title="A product <of> `mine`", hints=["the hint"])
a = exercise.parameter("a")
b = exercise.parameter("b")
exercise.loss("L", a**3 * b)
exercise.points(a=4)
'''


def toml(*questions: str, head: str = "") -> str:
    blocks = "".join(f"\n[[questions]]\n{question}\n" for question in questions)
    return f'format = "tutor.assignment/1"\nid = "hw"\nsecret = "{SECRET}"\n{head}\n{blocks}'


def assignment(*questions: str, head: str = "", folder: Path = Path(".")):
    return parse(toml(*questions, head=head), folder / "hw.toml")


@cache
def alone(id: str):
    """The handout that asks one exercise as it is."""
    return handout(assignment(f'exercise = "{id}"'))


@cache
def key_of(id: str):
    """The answer to it; closed forms are what takes long here, so each is derived once."""
    (answer,) = answer_key(assignment(f'exercise = "{id}"')).answers
    return answer


LONG = 20  # gradients
VARIED = (
    'exercise = "linear-regression"\ndraw.parameters = { loss = ["mse", "huber"] }\n'
    "draw.instance = { w = [2, 3], x = [5, 7] }",
    'exercise = "softmax-regression"\nid = "softmax"\npoints = { W = 3 }\ndraw.sizes = { N = [7, 11] }',
)


# -- a variant -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", EVERY)
def test_any_part_of_what_an_exercise_asks_can_be_asked(id):
    """Points that the file gives to what is left out go with it; those of the rest stay."""
    whole = tutor.load(id).asked
    for name in whole:
        assert Variant("q", id, ask=(name,)).exercise(Path()).asked == {name: whole[name]}
    first = next(iter(whole))
    made = Variant("q", id, ask=(first,), points=((first, 7.0),)).exercise(Path())
    assert made.asked == {first: 7.0}


# -- no trace of a solution ------------------------------------------------------------------------------------------


def squeezed(text: str) -> str:
    """Without spaces and comment signs, by which a form may be broken into lines."""
    return re.sub(r"[\s#]+", "", text)


def told(exercise) -> str:
    """What the exercise itself tells a learner: its statement and its forward program."""
    from tutor.answers.blank import program_rows
    from tutor.views import html

    shown = [exercise.statement, *program_rows(exercise), html.program(exercise), str(exercise)]
    return squeezed("".join(shown))


def solutions(derivation) -> set[str]:
    """Every printed form of every gradient and asked value, with its name and, where it says something, without.

    Of a long derivation, closed forms are those of the asked gradients: all of them take longer than all else here.
    """
    exercise = derivation.exercise
    every = tutor.derive(exercise, list(derivation.gradients)) if len(derivation.gradients) < LONG else derivation
    found = {form for line in right_lines(every) for form in with_and_without_name(squeezed(line.text))}
    known = told(exercise)
    return {form for form in found | set(forms_of_a_page(every)) if form not in known}


def with_and_without_name(form: str) -> list[str]:
    right = form.partition("=")[2]
    return [form, right] if len(right) > 11 else [form]


def forms_of_a_page(derivation):
    """The derivation as the views print it, MathML included; a short one stands in any formula."""
    from tutor.symbolic.notation import LatexWriter
    from tutor.views.html import mathml

    writer = LatexWriter(derivation.exercise)
    exprs = (expr for gradient in derivation.needed for expr in {gradient.expr, gradient.closed})
    return [form for form in (squeezed(mathml(writer.write(expr))) for expr in exprs) if len(form) > 60]


@pytest.mark.parametrize("id", EVERY)
def test_no_file_of_a_bundle_has_a_trace_of_a_solution(id):
    made = alone(id)
    exercise = made.questions[0].exercise
    wanted = solutions(key_of(id).derivation)
    assert wanted
    for name, text in view.files(made).items():
        plain = squeezed("".join("".join(c["source"]) for c in json.loads(text)["cells"]) if "ipynb" in name else text)
        assert not [form for form in wanted if form in plain], name
        assert SECRET not in text
        for hint in exercise.hints:
            assert squeezed(hint) not in plain


def test_the_search_for_solutions_finds_one():
    found = solutions(tutor.load("softmax-regression").derive())
    assert {"dW=x.T@dz", "dz=(p-y)/N", "dW[j,k]=Sum(dz[i,k]*x[i,j],i)"} <= found


# -- statements, sheets, notebooks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("id", EVERY)
def test_a_blank_sheet_and_a_blank_notebook_ask_for_the_same(id):
    made = alone(id)
    question, files = made.questions[0], view.files(made)
    for name in (question.sheet, view.NOTEBOOK):
        (part,) = documents.parts(files[name], documents.kind_of(name))
        assert part.exercise == question.exercise.id
        report = tutor.check(question.exercise, files[name])
        assert report.verdict == "incomplete" and report.score == 0
        assert list(report.missing) == [asked.name for asked in question.asked]


def answered(question) -> dict[str, str]:
    lines = right_lines(question.exercise.derive())
    return [line.text for line in lines if line.form == "index" and not line.closed]


def test_a_notebook_that_is_filled_in_is_right(tmp_path):
    """Statements and programs in between are no answers, whatever mathematics they hold."""
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    made = handout(assignment('exercise = "own.py"', *VARIED, folder=tmp_path), "ann")
    notebook = json.loads(view.notebook(made))
    cells = {cell["id"]: cell for cell in notebook["cells"]}
    for number, question in enumerate(made.questions, 1):
        cell = cells[f"answer-{number}"]
        source = "".join(cell["source"])
        assert source.split("\n")[: len(question.headers)] == list(question.headers)
        cell["source"] = [f"{row}\n" for row in (*question.headers, *answered(question))]
    parts = documents.parts(json.dumps(notebook), "notebook")
    assert [part.exercise for part in parts] == [question.exercise.id for question in made.questions]
    for part, question in zip(parts, made.questions, strict=True):
        report = tutor.check(question.exercise, part.sheet(question.exercise))
        assert report.verdict == "correct" and report.score == question.points, report


@pytest.mark.parametrize("id", [*EVERY, "own.py"])
def test_a_statement_that_is_handed_in_answers_nothing(id, tmp_path):
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    made = view.markdown(alone(id) if id in EVERY else handout(assignment(f'exercise = "{id}"', folder=tmp_path)))
    assert not any(part.blocks for part in documents.parts(made, "markdown"))


def test_the_notebook_is_one(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    made = view.notebook(handout(assignment(*VARIED), "ann"))
    nbformat.validate(nbformat.reads(made, 4))
    ids = [cell["id"] for cell in json.loads(made)["cells"]]
    assert len(set(ids)) == len(ids)
    assert made == view.notebook(handout(assignment(*VARIED), "ann"))


def test_a_sheet_says_what_was_drawn():
    made = handout(assignment(*VARIED), "ann")
    first, second = made.questions
    drawn = dict(variants(assignment(*VARIED), "ann")[1].sizes)
    assert view.sheet(second).startswith(f"# exercise: softmax-regression\n# sizes: N={drawn['N']}\n")
    assert dict(first.numbers).keys() == {"w", "b", "x", "y"}
    for name, value in first.numbers:
        assert f"{name}={value}" in view.sheet(first)
    for text in (view.sheet(second), view.markdown(made), view.page(made)):
        assert f"N={drawn['N']}" in text
    assert [(asked.name, asked.points) for asked in second.asked] == [("dW", 3), ("db", 1)]


def test_names_are_text_and_nothing_else(tmp_path):
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    evil = "<script>alert(1)</script> [x](javascript:y) `$z$`\n# exercise: mlp"
    made = handout(assignment('exercise = "own.py"\ntitle = "<b>&\\n# exercise: mlp"', folder=tmp_path), evil, evil)
    page = view.page(made)
    assert "<script" not in page and "<b>&" not in page and "the hint" not in page
    assert "<of>" not in page
    for text in (view.markdown(made), view.sheet(made.questions[0])):
        assert not [row for row in text.split("\n") if row.startswith("# exercise: mlp")]
    assert "<script" not in re.sub(r"\\<", "", view.markdown(made))


@pytest.mark.parametrize("level", FEEDBACK)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_rules_are_said_in_the_language_of_the_assignment(level, language, tmp_path):
    head = f'feedback = "{level}"\nlanguage = "{language}"\ndue = 2030-12-10T23:59:00+01:00'
    build(assignment('exercise = "affine"', head=head), tmp_path / "out")
    page = (tmp_path / "out" / view.PAGE).read_text("utf-8")
    assert f'<html lang="{language}">' in page
    assert "2030-12-10 23:59 UTC+01:00" in page


# -- building --------------------------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_without_draws_one_bundle_serves_all(tmp_path):
    made = build(assignment('exercise = "affine"', 'exercise = "softmax"'), tmp_path / "out")
    assert not made.folders
    assert set(tree(tmp_path / "out")) == {MARK, "statement.md", "statement.html", "statement.ipynb", "q-affine.py",
                                           "q-softmax.py"}  # fmt: skip
    assert os.listdir(tmp_path) == ["out"]
    with pytest.raises(UsageError, match="leave out --learner"):
        build(assignment('exercise = "affine"'), tmp_path / "other", ["ann"])


def test_with_draws_everybody_on_the_roster_has_a_folder(tmp_path):
    ids = ["ann", "Bob", "../up", "a/b", "con", "x" * 90, "李雷", "a b", "a-b", "..", "s.1"]
    rows = "".join(f'"{id}",Name\n' for id in ids)
    (tmp_path / "roster.csv").write_text(f"id,name\n{rows}", encoding="utf-8")
    homework = assignment(*VARIED, head='roster = "roster.csv"', folder=tmp_path)
    made = build(homework, tmp_path / "out")
    assert list(made.folders) == ids
    names = list(made.folders.values())
    assert len({name.casefold() for name in names}) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) and len(name) <= 64 for name in names)
    assert sorted(os.listdir(tmp_path / "out")) == sorted([MARK, *names])
    for id, folder in made.folders.items():
        files = tree(tmp_path / "out" / folder)
        mine = [*variants(homework, id)]
        assert f"# sizes: N={dict(mine[1].sizes)['N']}\n" in files["q-softmax.py"].decode()
        assert f"# exercise: {tutor.load(mine[0].address).id}\n" in files["q-linear-regression.py"].decode()
        for other in ids:  # no folder names another's learner
            if other not in id and len(other) > 5:
                assert not [name for name, data in files.items() if other.encode() in data]
    assert not [name for name, data in tree(tmp_path / "out").items() if SECRET.encode() in data]
    one = build(homework, tmp_path / "one", ["a/b"])
    assert tree(tmp_path / "one" / one.folders["a/b"]) == tree(tmp_path / "out" / made.folders["a/b"])
    with pytest.raises(NotFoundError, match='no "anne" on the roster; did you mean "ann"'):
        build(homework, tmp_path / "none", ["anne"])
    assert not (tmp_path / "none").exists()


def test_without_a_roster_learners_are_named(tmp_path):
    with pytest.raises(UsageError, match="--learner ID"):
        build(assignment(*VARIED), tmp_path / "out")
    made = build(assignment(*VARIED), tmp_path / "out", ["ann", "bob", "ann"])
    assert made.folders == {"ann": "ann", "bob": "bob"}


def test_the_same_file_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        build(assignment(*VARIED), tmp_path / name, ["ann", "b b"])
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_no_learner_has_anothers_folder():
    ids = ["a.b", "A.B", "a-b", "a b", "ann", "ANN", "x" * 65, "nul", "", "é", "e\u0301", "-", "a" * 64]
    ids += [name for name in folder_names(ids).values() if name not in ids]  # an id that looks like a folder of ours
    names = folder_names(ids)
    assert len({name.casefold() for name in names.values()}) == len(ids)
    assert names["ann"] != "ann" and names["a-b"] == "a-b"


@pytest.mark.parametrize("made", ["folder", "file", "bundle with a letter in it"])
def test_what_is_not_ours_is_never_replaced(made, tmp_path):
    target = tmp_path / "out"
    if made == "file":
        target.write_text("mine")
    elif made == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    else:
        build(assignment('exercise = "affine"'), target)
        (target / "mine.txt").write_text("mine")
    before = target.read_text() if made == "file" else tree(target)
    for force in (False, True):
        with pytest.raises(UsageError, match="another path"):
            build(assignment('exercise = "affine"'), target, force=force)
    assert before == (target.read_text() if made == "file" else tree(target))
    assert os.listdir(tmp_path) == ["out"]


def test_ours_is_replaced_when_asked(tmp_path):
    build(assignment(*VARIED), tmp_path / "out", ["ann"])
    with pytest.raises(UsageError, match="--force replaces it"):
        build(assignment('exercise = "affine"'), tmp_path / "out")
    assert (tmp_path / "out" / "ann").is_dir()
    build(assignment('exercise = "affine"'), tmp_path / "out", force=True)
    assert not (tmp_path / "out" / "ann").exists() and (tmp_path / "out" / "q-affine.py").exists()
    assert os.listdir(tmp_path) == ["out"]


def test_a_bundle_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    build(assignment('exercise = "affine"'), tmp_path / "out")
    before = tree(tmp_path / "out")
    write, count = Path.write_text, []

    def full(self, *args, **kwargs):
        count.append(self)
        if len(count) == 3:
            raise OSError(28, "No space left on device")
        return write(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match="No space left"):
        build(assignment('exercise = "affine"', 'exercise = "mse"'), tmp_path / "out", force=True)
    assert tree(tmp_path / "out") == before and os.listdir(tmp_path) == ["out"]


def test_what_has_errors_is_not_handed_out(tmp_path):
    with pytest.raises(AssignmentError, match=r"questions\[1\].points.Q"):
        build(assignment('exercise = "affine"\npoints = { Q = 1 }'), tmp_path / "out")
    assert not os.listdir(tmp_path)


def test_building_needs_no_torch(tmp_path):
    """Of all that is drawn only sizes and numbers have to be computed with, when they are looked at."""
    (tmp_path / "hw.toml").write_text(toml('exercise = "affine"'), encoding="utf-8")
    code = (
        "import sys; from tutor.grading.assignment import read; from tutor.grading.bundle import build; "
        "build(read('hw.toml'), 'out'); assert 'torch' not in sys.modules"
    )
    path = os.pathsep.join(filter(None, (str(Path(tutor.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=env)


# -- lint ------------------------------------------------------------------------------------------------------------

FAULTS = {  # what is written -> severity, key, words
    'exercise = "affin"': ("error", "questions[1].exercise", 'did you mean "affine"'),
    'exercise = "mlp:layers=99"': ("error", "questions[1].exercise", "layers=99"),
    'exercise = "nowhere/own.py"': ("error", "questions[1].exercise", "no such file"),
    'exercise = "affine"\nask = ["W", "dX"]': ("error", "questions[1].ask[2]", 'did you mean "X"'),
    'exercise = "embedding"\nask = ["t"]': ("error", "questions[1].ask[1]", "t"),
    'exercise = "mse"\nask = ["L"]': ("error", "questions[1].ask[1]", "is the loss"),
    'exercise = "attention"\nask = ["O"]': ("error", "questions[1].ask[1]", "given from above"),
    'exercise = "affine"\nask = ["W", "W"]': ("error", "questions[1].ask[2]", "asked twice"),
    'exercise = "affine"\npoints = { dW = 1 }': ("error", "questions[1].points.dW", 'did you mean "W"'),
    'exercise = "affine"\nask = ["W"]\npoints = { b = 1 }': ("error", "questions[1].points.b", "asked are W"),
    'exercise = "affine"\nask = ["W"]\npoints = { W = 0 }': ("error", "questions[1].points", "worth a point"),
    'exercise = "affine"\npoints = { W = 0 }': ("warning", "questions[1].points.W", "worth nothing"),
    'exercise = "mlp"\ndraw.parameters = { los = ["mse"] }': ("error", "questions[1].draw.parameters.los", "loss"),
    'exercise = "mlp"\ndraw.parameters = { loss = ["mse", "huber"] }': (
        "error", "questions[1].draw.parameters.loss", "loss=huber is not mse|mae"),
    'exercise = "mlp:loss=mae"\ndraw.parameters = { loss = ["mse", "mae"] }': (
        "error", "questions[1].draw.parameters.loss", "leave it out"),
    'exercise = "affine"\ndraw.parameters = { loss = ["mse"] }': (
        "error", "questions[1].draw.parameters.loss", "has no parameter loss"),
    'exercise = "mlp"\ndraw.parameters = { loss = ["mse"] }': (
        "warning", "questions[1].draw.parameters.loss", "everybody gets the same"),
    'exercise = "mlp"\ndraw.parameters = { layers = [2, 3, 2] }': (
        "warning", "questions[1].draw.parameters.layers", "twice"),
    'exercise = "affine"\ndraw.sizes = { Q = [3, 7] }': ("error", "questions[1].draw.sizes.Q", "has no size Q"),
    'exercise = "affine"\ndraw.sizes = { N = [1, 7] }': ("warning", "questions[1].draw.sizes.N", "size 1 hides"),
    'exercise = "softmax-regression"\ndraw.sizes = { N = [4, 7] }': (
        "warning", "questions[1].draw.sizes.N", "N=4 equals K: a square"),
    'exercise = "softmax-regression"\ndraw.sizes = { N = [7, 90000] }': (
        "error", "questions[1].draw.sizes", "at most"),
    'exercise = "conv2d"\ndraw.sizes = { K = [1, 3], Q = [2, 7] }': ("error", "questions[1].draw.sizes", "has length"),
    'exercise = "linear-regression"\ndraw.instance = { y_pred = [1, 2] }': (
        "error", "questions[1].draw.instance.y_pred", "no input or parameter"),
    'exercise = "affine"\ndraw.instance = { W = [1, 2] }': (
        "error", "questions[1].draw.instance.W", "only single numbers"),
    'exercise = "linear-regression:loss=mae"\ndraw.instance = { w = [2, 3] }': (
        "warning", "questions[1].draw.instance", "w=2: it lies on a kink"),
    'exercise = "sgd-step"\ndraw.instance = { eta = [-1, 0.1] }': (
        "error", "questions[1].draw.instance", "eta has to be positive"),
    'exercise = "linear-regression"\ndraw.instance = { w = [1, 1e300] }': (
        "error", "questions[1].draw.instance", "not finite"),
}  # fmt: skip


@pytest.mark.parametrize("question", FAULTS)
def test_every_fault_is_found_with_its_line_and_key(question):
    severity, key, words = FAULTS[question]
    homework = assignment('exercise = "two-layer-net"', question)
    found = [f for f in findings(homework, BEFORE) if f.key == key.replace("[1]", "[2]", 1)]
    assert found and all(f.severity == severity for f in found), findings(homework, BEFORE)
    assert any(words in f.message for f in found), found
    name = re.sub(r"\[\d+\]$", "", key).rsplit(".", 1)[-1]
    row = homework.text.split("\n")[found[0].line - 1]
    assert name in row and homework.text.split("\n").index("[[questions]]") + 3 < found[0].line


WHOLE = {
    'secret = "short"': ("warning", "secret", "can be guessed"),
    "due = 2026-06-01T00:00:00Z": ("note", "due", "in the past"),
    'feedback = "derivation"': ("warning", "feedback", "never shown"),
    'roster = "none.csv"': ("error", "roster", "none.csv"),
}


@pytest.mark.parametrize("row", WHOLE)
def test_the_file_as_a_whole_is_looked_at(row):
    severity, key, words = WHOLE[row]
    text = toml(*VARIED, head=row)
    homework = parse(text.replace(f'secret = "{SECRET}"\n', "") if row.startswith("secret") else text)
    (found,) = findings(homework, AFTER)
    assert (found.severity, found.key) == (severity, key) and words in found.message
    assert homework.text.split("\n")[found.line - 1] == row


def test_nothing_is_found_where_nothing_is():
    assert findings(assignment(*VARIED), BEFORE) == []


def test_two_questions_of_one_exercise_cannot_be_told_apart():
    (found,) = findings(assignment('exercise = "affine"\nid = "a"', 'exercise = "affine"\nid = "b"'), BEFORE)
    assert (found.severity, found.key) == ("warning", "questions[2].exercise")
    assert not findings(assignment('exercise = "mlp"\nid = "a"', 'exercise = "mlp:layers=3"\nid = "b"'), BEFORE)


def test_names_that_are_no_files_are_refused(tmp_path):
    (tmp_path / "my own.py").write_text(OWN, encoding="utf-8")
    (found,) = findings(assignment('exercise = "my own.py"', folder=tmp_path), BEFORE)
    assert found.severity == "error" and "give it an id" in found.message
    assert not findings(assignment('exercise = "my own.py"\nid = "own"', folder=tmp_path), BEFORE)
    (found,) = findings(assignment('exercise = "affine"\nid = "Q"', 'exercise = "mse"\nid = "q"'), BEFORE)
    assert found.severity == "error" and "one file" in found.message


def test_of_very_many_variants_some_are_looked_at_and_it_says_so():
    numbers = ", ".join(f"{n}" for n in range(2, 42))
    homework = assignment(
        f'exercise = "linear-regression"\ndraw.parameters = {{ loss = ["mse", "nonsense"] }}\n'
        f"draw.instance = {{ w = [{numbers}], x = [{numbers}] }}"
    )
    (found,) = findings(homework, BEFORE)
    assert "nonsense" in found.message
    homework = assignment(
        f'exercise = "linear-regression"\ndraw.parameters = {{ loss = ["mse", "huber"] }}\n'
        f"draw.instance = {{ w = [{numbers}], x = [{numbers}, 1e300] }}"
    )
    said = [f.message for f in findings(homework, BEFORE, most=60)]
    assert "60 of 3280 variants were looked at" in said
    assert any("1e+300" in message for message in said)  # each choice is looked at once at least


# -- new -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", EVERY)
def test_a_new_file_is_clean_and_all_that_it_offers_can_be_switched_on(id, tmp_path):
    made = new_text(tmp_path / "hw.toml", [id], "", SECRET)
    assert findings(parse(made), BEFORE) == []
    on = re.sub(r"^# (?=[a-z_.]+ = )", "", made, flags=re.MULTILINE)
    on = "\n".join(row for row in on.split("\n") if not row.startswith("roster"))
    assert on.count("\n") >= made.count("\n") - 1
    whole = parse(on)
    assert whole.due and whole.questions[0].title and whole.questions[0].ask
    assert [f for f in findings(whole, BEFORE) if f.severity == "error"] == []


def test_every_key_has_a_comment():
    from tutor.grading.assignment import Assignment, Draw, Question

    made = new_text(Path("hw.toml"), ["sgd-step", "mlp"], "", SECRET)
    keys = [*Assignment.model_fields, *Question.model_fields, *(f"draw.{name}" for name in Draw.model_fields)]
    for key in set(keys) - {"questions", "draw"}:
        assert re.search(rf"^(# )?{re.escape(key)} = .*  # \w", made, re.MULTILINE), key


# -- the key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", EVERY)
def test_every_line_of_the_key_is_graded_correct(id):
    answer = key_of(id)
    exercise = answer.exercise
    for form in ("torch", "index", "latex"):
        lines = [line for line in answer.lines if line.form == form]
        text = "\n".join(line.text for line in lines)
        report = tutor.check(exercise, latex.read(text, exercise) if form == "latex" else text, repairs=False)
        assert [(line.text, line.verdict, line.reason) for line in report.lines if line.verdict != "correct"] == []
        assert len(report.lines) >= len(lines)
        assert report.score == answer.points, (form, report)
    alone = [line for line in answer.lines if line.closed and not line.reads and line.form != "latex"]
    for line in alone[:4]:
        (found,) = tutor.check(exercise, line.text).lines
        assert found.verdict == "correct", line


def test_each_variant_stands_in_the_key_once():
    key = answer_key(assignment(*VARIED))
    assert [answer.exercise.id for answer in key.answers] == [
        "linear-regression", "linear-regression:loss=huber", "softmax-regression"]  # fmt: skip
    first, _, softmax = key.answers
    assert [dict(v.given) for v in first.variants] == [dict(w=w, b=0, x=x, y=4) for w in (2, 3) for x in (5, 7)]
    assert [v.values for v in first.variants] == [
        {"dw": 2.0 * x * (w * x - 4), "db": 2.0 * (w * x - 4)} for w in (2, 3) for x in (5, 7)
    ]
    assert [dict(v.sizes) for v in softmax.variants] == [{"N": 7}, {"N": 11}]
    assert {asked.name: asked.points for asked in softmax.asked} == {"dW": 3, "db": 1}


def test_the_key_of_a_learner_has_what_the_learner_has():
    homework = assignment(*VARIED)
    for learner in ("ann", "bob", "eve"):
        key, mine = answer_key(homework, learner), handout(homework, learner)
        assert len(key.answers) == len(mine.questions) == 2
        for answer, question in zip(key.answers, mine.questions, strict=True):
            assert answer.exercise.id == question.exercise.id and len(answer.variants) == 1
            assert tuple(answer.variants[0].sizes.items()) == question.sizes


def test_the_key_says_what_it_leaves_out():
    numbers = ", ".join(map(str, range(2, 90)))
    key = answer_key(assignment(f'exercise = "squared-error"\ndraw.instance = {{ y = [{numbers}] }}'), most=10)
    assert key.left_out == {"squared-error": 78} and len(key.answers[0].variants) == 10
    assert "78 further variants" in key_view.text(key)


def test_forms_that_earn_nothing_are_not_in_the_key():
    (answer,) = answer_key(assignment('exercise = "affine"', head='forms = ["latex"]')).answers
    assert {line.form for line in answer.lines} == {"latex"}


@pytest.mark.parametrize("form", KEY_FORMATS)
def test_every_view_of_the_key_has_every_line(form):
    key = answer_key(assignment(*VARIED))
    made = getattr(key_view, form)(key)
    from html import unescape

    whole = json.dumps(json.loads(made), ensure_ascii=False).replace("\\\\", "\\") if form == "json" else unescape(made)
    for answer in key.answers:
        for line in answer.lines:
            assert line.text in whole
    assert SECRET not in made
    assert made == getattr(key_view, form)(answer_key(assignment(*VARIED)))


# -- the commands ----------------------------------------------------------------------------------------------------


def run(*args: str):
    """A command of `tutor assignment`: exit code, what it prints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTOR_LANG", "en")
        done = CliRunner().invoke(app.commands["assignment"], list(args), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.stdout


def test_a_teacher_goes_through_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    title = 'A "title" \\ here'
    assert run("new", "hw.toml", "--exercise", "affine", "--exercise", "sgd-step", "--title", title)[0] == 0
    before = Path("hw.toml").read_bytes()
    assert read("hw.toml").title == title
    with pytest.raises(UsageError, match="exists"):
        run("new", "hw.toml")
    assert Path("hw.toml").read_bytes() == before
    code, out = run("lint", "hw.toml")
    assert code == 0 and "nothing to mend" in out
    code, out = run("build", "hw.toml", "-o", "bundle")
    assert code == 0 and "q-affine.py" in out and (tmp_path / "bundle" / "q-sgd-step.py").exists()
    code, out = run("key", "hw.toml")
    assert code == 0 and "dW = X.T @ dZ" in out.replace("dz", "dZ") or "dW" in out
    with pytest.raises(UsageError, match="lies in a bundle"):
        run("key", "hw.toml", "-o", "bundle/key.txt")
    assert not (tmp_path / "bundle" / "key.txt").exists()
    assert run("key", "hw.toml", "-o", "key.html", "--format", "html")[0] == 0


def test_secrets_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("new", "a.toml")
    run("new", "b.toml")
    first, second = read("a.toml").secret, read("b.toml").secret
    assert first != second and re.fullmatch("[0-9a-f]{64}", first)


def test_a_file_of_ones_own_is_named_from_where_the_assignment_lies(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "my own.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run("new", "sub/hw.toml", "--exercise", "my own.py")[0] == 0
    assert read("sub/hw.toml").questions[0].exercise == "../my own.py"
    assert run("lint", "sub/hw.toml")[0] == 0
    assert run("build", "sub/hw.toml", "-o", "out")[0] == 0
    assert (tmp_path / "out" / "q-my-own.py").read_text("utf-8").startswith("# exercise: own-product\n")


def test_exit_codes_of_lint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("warned.toml").write_text(toml('exercise = "mlp"\ndraw.parameters = { loss = ["mse"] }'), encoding="utf-8")
    Path("wrong.toml").write_text(toml('exercise = "affin"'), encoding="utf-8")
    Path("broken.toml").write_text("format = ", encoding="utf-8")
    assert run("lint", "warned.toml")[0] == 0 and run("lint", "wrong.toml")[0] == 1
    with pytest.raises(AssignmentError):
        run("lint", "broken.toml")
    for name, code in (("warned.toml", 0), ("wrong.toml", 1), ("broken.toml", 4)):
        found, out = run("lint", name, "--json")
        data = json.loads(out)
        assert found == code and data["schema"] == "tutor.assignment-lint/1" and data["findings"]
        assert set(data["findings"][0]) == {"severity", "line", "key", "message"}
