"""Inside a notebook: `%%derive`, answers in tensors and functions, results that show themselves; the two notebooks."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

import tutor
from tutor.certificate import certify
from tutor.checking.sheets import check_sheets
from tutor.errors import UsageError

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))
build = pytest.importorskip("build", reason="the notebooks are in the checkout")

RIGHT = "dz = (p - y)/N\ndW = x.T @ dz\ndb = dz.sum(0)\n"


def softmax():
    return tutor.load("softmax-regression")


# -- the magic --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shell():
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    made = interactive.InteractiveShell(config=config)
    made.run_line_magic("load_ext", "tutor")
    return made


def derive(shell, line, cell):
    return shell.run_cell_magic("derive", line, cell)


def test_a_cell_is_a_sheet_and_its_lines_are_those_of_the_cell(shell):
    report = derive(shell, "softmax-regression", "dz = p - y\ndW = x.T @ dz\n")
    assert report.verdict == "wrong" and report.first_divergence.line == 2  # the magic stands on line 1
    assert report.lines[0].mistakes[0].id == "factor"
    assert derive(shell, "softmax-regression --seed 7 --lenient-shapes", RIGHT).seed == 7
    assert derive(shell, "", f"# exercise: softmax-regression\n{RIGHT}").correct
    assert derive(shell, "mlp:layers=3", "dW3 = 1").exercise == "mlp:layers=3"


def test_a_variable_may_hold_the_exercise(shell):
    shell.user_ns["mine"] = tutor.load("linear-regression")
    assert derive(shell, "mine", "dw = -8\ndb = -4").correct
    shell.user_ns["mlp"] = "no exercise"
    assert derive(shell, "mlp", "dW1 = 1").exercise == "mlp"


def test_mathematics_in_a_cell(shell):
    report = derive(shell, "softmax-regression", "$$\n\\frac{\\partial L}{\\partial z_{ik}} = p_{ik} - y_{ik}\n$$\n")
    assert report.first_divergence.line == 3 and report.lines[0].quantity == "dz"


def test_several_exercises_in_a_cell_show_a_report_each(shell, capsys):
    cell = "# exercise: linear-regression\ndw = -8\n# exercise: softmax-regression\ndz = p - y\n"
    assert derive(shell, "", cell) is None
    out = capsys.readouterr().out
    assert "linear-regression" in out and "softmax-regression" in out


@pytest.mark.parametrize(
    "line, cell, says",
    [
        ("softmx-regression", RIGHT, 'no exercise "softmx-regression"; did you mean "softmax-regression"?'),
        ("softmax-regression", "\n \n", "the cell is empty: below %%derive stand lines like dz = p - y"),
        ("", "dz = p\n", "name the exercise: '%%derive linear-regression', or begin the cell with"),
        ("mlp:layers=99", RIGHT, "layers=99 is not int, 1 to 8"),
        ("softmax-regression --seed x", RIGHT, "argument --seed: invalid int value: 'x'"),
        ("softmax-regression --sed 1", RIGHT, "unrecognized arguments: --sed 1"),
    ],
)
def test_what_the_magic_refuses_is_a_sentence(shell, line, cell, says):
    from IPython.core.error import UsageError as Refused  # shown without a traceback

    with pytest.raises(Refused, match=re.escape(says)):
        derive(shell, line, cell)


def test_the_tab_key_knows_exercises(shell):
    def after(line):
        return shell.complete(line.split(" ")[-1], line, len(line))[1]

    assert after("%%derive softmax-reg") == ["softmax-regression"]
    assert "linear-regression" in after("%%derive ") and "--seed" in after("%%derive mse --se")
    assert after("%%deriv") == ["%%derive"]


def cell(*lines, kind="code"):
    return {"cell_type": kind, "metadata": {}, "source": "\n".join(lines)}


def test_such_cells_are_the_sheet_of_a_notebook_file():
    text = json.dumps({"nbformat": 4, "cells": [
        cell("%load_ext tutor"),
        cell("dz = 17", "plt.plot(dz)"),
        cell("%%derive softmax-regression --seed 3", "dz = p - y"),
        cell("$dW = 3$", kind="markdown"),
        cell("%%derive softmax-regression", *RIGHT.splitlines()),
        cell("dW = 18"),
        cell("%%derive", "# exercise: linear-regression", "dw = 8"),
    ]})  # fmt: skip
    first, second = check_sheets(text, None, "notebook")
    assert first.exercise == "softmax-regression" and first.correct
    assert {line.cell for line in first.lines} == {5} and [line.line for line in first.lines] == [2, 3, 4]
    assert first.notes == ("line 1 of cell 3: passed over: an earlier try at softmax-regression",)
    assert second.exercise == "linear-regression" and second.first_divergence.cell == 7
    assert check_sheets(text, "softmax-regression", "notebook")[0].correct


# -- tensors and functions --------------------------------------------------------------------------------------


def test_tensors_that_are_handed_out_know_no_gradient():
    t = softmax().sample()
    assert not any(t[name].requires_grad for name in t.values)
    with pytest.raises(RuntimeError, match="does not require grad"):
        t.L.backward()


def test_work_in_place_on_what_was_handed_out_changes_no_verdict():
    t, other = softmax().sample(seed=4), softmax().sample(seed=4)
    for name in t.values:
        t[name].fill_(2)
    assert bool((t.p == 2).all())  # it is the learner's, and stays as it was left
    dz = (other.p - other.y) / other.N
    assert t.check(dz=dz, dW=other.x.T @ dz, db=dz.sum(0)).correct
    assert t.check(dz=other.p - other.y).lines[0].verdict == "wrong"
    assert str(t) == str(other)


def test_a_function_may_work_in_place_and_keep_a_buffer():
    held = torch.zeros(())

    def backward(t):
        held.copy_(2 * (t.w * t.x + t.b - t.y))
        t.x.mul_(held)
        return {"w": t.x, "b": held}

    assert tutor.check("linear-regression", backward).correct


def test_numpy_and_lists_are_gradients_too():
    np = pytest.importorskip("numpy")
    t = softmax().sample()
    dz = (t.p - t.y) / t.N
    turned = np.array(t.x.T @ dz)[::-1][::-1]
    assert t.check(dz=dz.tolist(), dW=turned, db=np.asarray(dz.sum(0), dtype=np.float32)).correct
    assert t.check(dz=[["a"]]).lines[0].verdict == "unreadable"


def test_what_a_function_raises_is_its_own_and_names_the_line():
    def backward(t):
        dz = t.p - t.y
        return {"W": t.x @ dz}

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        tutor.check(softmax(), backward)
    line = backward.__code__.co_firstlineno + 2
    said = f'raised by your backward, line {line}: return {{"W": t.x @ dz}} (at N=3, D=5, K=4); an error is no verdict'
    assert caught.value.__notes__ == [said]


def test_what_an_autograd_function_raises_names_its_backward():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w, b, x, y):
            return (w * x + b - y) ** 2

        @staticmethod
        def backward(ctx, upstream):
            raise KeyError("forgotten")

    with pytest.raises(KeyError) as caught:
        tutor.check("linear-regression", Square)
    assert re.search(r'your Square, line \d+: raise KeyError\("forgotten"\)', caught.value.__notes__[0])


@pytest.mark.parametrize(
    "function, says",
    [
        (lambda t: None, 'the function returns NoneType: return {"W": dW, ...}'),
        (lambda: {}, "<lambda> is called with one argument, the values t: write def <lambda>(t)"),
        (lambda t: {"Q": t.x}, "Q is not a gradient of softmax-regression"),
    ],
)
def test_a_function_of_another_kind_is_refused(function, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        tutor.check(softmax(), function)


def test_a_cell_of_a_public_notebook_is_read_as_it_is():
    text = """
loss.backward()
dz = (p - y) / N  # dL/dz
cmp('z', dz, z)
dW = x.T @ dz
cmp('W', dW, W)
db = dz.sum(0)
print(dz.shape)
"""
    report = softmax().check(text)
    assert report.correct and sum("passed over: cmp(" in note for note in report.notes) == 2


# -- values -----------------------------------------------------------------------------------------------------


def test_show_prints_the_forward_pass_step_by_step():
    ex = softmax()
    t = ex.sample(seed=2)
    said = str(ex.show(t))
    at = [said.index(f"{n}. {name}[") for n, name in enumerate("zesp", 1)]
    assert at == sorted(at) and f"5. L = -(Σi,k y[i,k]·log(p[i,k])) / N = {t.L.item():.4g}" in said
    assert all(f"{x:.4g}" in said for x in t.z.flatten().tolist())
    assert str(tutor.load("linear-regression").show(tutor.load("linear-regression").at())).endswith(
        "1. y_pred = w·x + b = 2\n\n2. L = (y_pred - y)² = 4"
    )


def test_large_tensors_are_cut():
    said = str(tutor.load("makemore-mlp").show())
    assert "…" in said and max(map(len, said.splitlines())) < 120


def test_values_of_ones_own():
    ex = tutor.load("linear-regression")
    t = ex.at(w=3, b=1, x=2, y=4)
    assert (t.y_pred.item(), t.L.item()) == (7, 9)
    assert t.check(dw=12, db=6).correct and not t.check(dw=-8, db=-4).correct
    assert ex.at().check(dw=-8, db=-4).correct
    with pytest.raises(UsageError, match=re.escape("softmax-regression has no worked example: give at(x=..., y=...")):
        softmax().at()


def test_show_takes_values_of_its_exercise():
    with pytest.raises(UsageError, match="t holds values of mse, not of softmax-regression"):
        softmax().show(tutor.load("mse").sample())
    with pytest.raises(UsageError, match=r"as t = ex.sample\(\) gives, not dict"):
        softmax().show({})


# -- how results show themselves --------------------------------------------------------------------------------

RESULTS = {
    "exercise": softmax,
    "derivation": lambda: softmax().derive(),
    "gradient": lambda: softmax().derive().gradient("W"),
    "closed": lambda: softmax().derive().gradient("z").closed_form,
    "verification": lambda: tutor.verify(softmax(), seeds=(0,)),
    "report": lambda: softmax().check("dz = p - y\nq = <b>\ndW = x.T @ dz"),
    "tensors": lambda: softmax().sample().check(dz=softmax().sample().p),
    "forward": lambda: softmax().show(),
    "instance": lambda: softmax().sample(),
    "contrast": lambda: tutor.compare("linear-regression", "linear-regression:loss=mae"),
    "certificate": lambda: certify(tutor.load("linear-regression")),
}
PLAIN = ("certificate",)


class Reader(HTMLParser):
    """Text and tags; what opens is closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_shows_itself(name):
    made = RESULTS[name]()
    shown = made._repr_mimebundle_()
    assert shown["text/plain"] == str(made) and len(str(made)) > 40
    assert ("text/html" in shown) == (name not in PLAIN)
    if name in PLAIN:
        return
    html = shown["text/html"].replace('xmlns="http://www.w3.org/2000/svg"', "")  # a name, not a place
    read = Reader(html)
    assert not read.open and "http" not in html and "url(" not in html and "@import" not in html
    tags = {tag for tag, _ in read.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "b><"}
    assert not any(key.startswith("on") or key in ("src", "href") for _, keys in read.tags for key in keys)
    assert str(made) in "".join(read.words)  # for where styles and MathML are stripped
    typeset = [keys for tag, keys in read.tags if keys.get("class") == "typeset"]
    assert typeset == [{"class": "typeset", "hidden": "hidden", "style": "display: none"}]


@pytest.mark.parametrize("name", ["exercise", "derivation", "gradient", "closed", "forward"])
def test_mathematics_is_mathml(name):
    html = RESULTS[name]()._repr_mimebundle_()["text/html"]
    assert html.count("<math") == html.count("</math>") > 0
    assert "<munder>" in html or name == "gradient" and "<mfrac>" in html


def test_the_report_is_marked_by_words_and_colour():
    html = RESULTS["report"]()._repr_mimebundle_()["text/html"]
    for tone, word in (("bad", "✗ wrong"), ("bad", "! unreadable"), ("warn", "~ follows")):
        assert f'<span class="verdict {tone}">{word}</span>' in html
    assert "&lt;b&gt;" in html and "<b>b" not in html


def test_a_graph_is_shown_where_one_is_drawn(monkeypatch):
    from types import SimpleNamespace

    from tutor.views import html, notebook

    module = SimpleNamespace(graph=lambda ex: SimpleNamespace(shown_as="picture", name=ex.id))
    monkeypatch.setitem(sys.modules, "tutor.pictures.graph", module)
    monkeypatch.setitem(sys.modules, "tutor.pictures", SimpleNamespace(graph=module))
    monkeypatch.setitem(html.FRAGMENTS, "picture", lambda g: f"<svg>{g.name}</svg>")
    assert "<svg>softmax-regression</svg></details>" in notebook.bundle(softmax())["text/html"]


# -- the notebooks ----------------------------------------------------------------------------------------------

SOURCES = build.sources()
NOTEBOOKS = [(source, language) for source in SOURCES for language in build.LANGUAGES]
NAMES = [build.path(*each).name for each in NOTEBOOKS]
AGAIN = "python notebooks/build.py writes them anew"


def test_there_are_two_notebooks_in_two_languages():
    found = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert len(found) == 4 and found == set(NAMES)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_both_languages_have_the_same_code(source):
    text = source.read_text(encoding="utf-8")
    english, chinese = (build.cells(text, language) for language in build.LANGUAGES)
    assert [kind for kind, _ in english] == [kind for kind, _ in chinese]
    for (kind, left), (_, right) in zip(english, chinese, strict=True):
        if kind == "code":
            assert left.replace('use("en")', 'use("zh")') == right
        else:
            assert left.count("$$") == right.count("$$") and left.startswith("#") == right.startswith("#")
            assert not re.search("[\u4e00-\u9fff]", left) and re.search("[\u4e00-\u9fff]", right)
            assert re.findall(r"\$\$(.*?)\$\$", left, re.DOTALL) == re.findall(r"\$\$(.*?)\$\$", right, re.DOTALL)
            assert len(re.findall(r"`[^`]+`", left)) <= len(re.findall(r"`[^`]+`", right)) + 1


@pytest.mark.parametrize("source, language", NOTEBOOKS, ids=NAMES)
def test_the_stored_notebook_is_what_its_source_says(source, language):
    nbformat = pytest.importorskip("nbformat")
    stored = nbformat.read(build.path(source, language), 4)
    nbformat.validate(stored)
    found = [(c.cell_type, c.id, c.source) for c in stored.cells]
    assert found == [(c.cell_type, c.id, c.source) for c in build.notebook(source, language).cells], AGAIN
    forms = {form for c in stored.cells for o in c.get("outputs", []) for form in o.get("data", {})}
    assert forms <= set(build.KEPT)
    for target in re.findall(r"\]\(([^)#:]+)\)", "".join(c.source for c in stored.cells if c.cell_type == "markdown")):
        assert (ROOT / "notebooks" / target).exists(), target


@pytest.mark.parametrize("source, language", NOTEBOOKS, ids=NAMES)
def test_the_notebook_runs_and_prints_what_is_stored(source, language):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    stored = nbformat.read(build.path(source, language), 4)
    made = build.executed(build.notebook(source, language))  # an error in a cell is raised
    for c, old, new in zip(made.cells, build.shown(stored), build.shown(made), strict=True):
        assert old == new, f"{c.source}: {AGAIN}"
