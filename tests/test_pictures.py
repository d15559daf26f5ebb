"""Graphs, pages of reports, heat maps, curves, handouts. What a browser makes of pages is in test_page_browser.py."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch
from pictures import CASES, WRONG, Tags, page_for, page_of, sheet_of, tree_of
from sympy import Symbol
from sympy.tensor.indexed import Indexed

import tutor
from tutor import cli
from tutor.answers import blank
from tutor.catalogue import entries
from tutor.checking.report import Heat
from tutor.errors import UsageError
from tutor.language import speaking
from tutor.numeric import compare
from tutor.pictures.graph import BACKWARD, FORWARD, diverging, graph
from tutor.pictures.training import MOST_STEPS, Curve, train
from tutor.views import curves, heat, html, latex, markdown, plain, svg
from tutor.views import graph as graph_view
from tutor.views.drawing import _Drawing
from tutor.views.drawing import svg as drawn

IDS = [entry.id for entry in entries()]
MEMBERS = ["mlp:layers=8", "attention:heads=2", "attention:causal=true", "rnn:steps=6", "image-classifier:layers=3"]
FEW = ["linear-regression", "softmax-regression", "mlp", "attention", "makemore-mlp", "layer-norm", "embedding"]
MOST_BYTES = 300_000
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def run(capsys):
    """`code, out, err = run("list")`, in this process."""

    def call(*args: str) -> tuple[int, str, str]:
        code = cli.main(args)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


# -- graphs -------------------------------------------------------------------------------------------------------


def forward_pairs(exercise) -> set[tuple[str, str]]:
    """Which name stands in which formula, read off the formulas themselves."""
    pairs = set()
    for q in exercise.forward:
        used = {str(a.base.label) for a in q.expr.atoms(Indexed)} | {str(a) for a in q.expr.atoms(Symbol)}
        used |= {a.name for a in q.expr.atoms() if hasattr(a, "shape") and hasattr(a, "name")}
        pairs |= {(name, q.name) for name in used if name in exercise.quantities}
    return pairs


@pytest.mark.parametrize("id", [*IDS, *MEMBERS])
def test_graphs_have_the_program(id):
    exercise = tutor.load(id)
    made = graph(exercise)
    upstream = {f"d{q.name}" for q in exercise.ends if q.kind == "output"}
    assert {n.name for n in made.nodes} == {q.name for q in exercise if q.kind != "value"} | upstream
    forward = {(e.source, e.target) for e in made.edges if e.flow == FORWARD}
    backward = {(e.target, e.source) for e in made.edges if e.flow == BACKWARD and e.source not in upstream}
    assert forward == forward_pairs(exercise)
    assert backward <= forward
    for name in exercise.asked:
        if exercise[name].kind != "value":
            assert reaches_the_end(made, name, {q.name for q in exercise.ends}), name


def reaches_the_end(made, name: str, ends: set[str]) -> bool:
    """Following the backward arrows from an asked quantity against their direction, one arrives at the loss."""
    seen, todo = set(), [name]
    while todo:
        at = todo.pop()
        if at in ends:
            return True
        seen.add(at)
        todo += [source for source in made.into(at, BACKWARD) if source not in seen]
    return False


@pytest.mark.parametrize("id", FEW)
def test_a_gradient_comes_from_where_the_loss_feels_it(id):
    """Independent of the derivation: the ways by which autograd sees a change of q arrive at the end."""
    exercise = tutor.load(id)
    made = graph(exercise)
    t = exercise.sample(0)
    for name in {e.target for e in made.edges if e.flow == BACKWARD} - {q.name for q in exercise.ends}:
        felt = {v.name for v in exercise.forward if name in v.reads and feels(exercise, t, v, name)}
        assert set(made.into(name, BACKWARD)) >= felt, name


def feels(exercise, t, v, name: str) -> bool:
    from tutor.numeric.evaluate import compile_program

    plan = compile_program([(v.name, v.indices, v.expr)], distinct=True)
    with torch.enable_grad():
        x = t[name].detach().clone().requires_grad_(True)
        out = plan.run({**t.values, name: x}, t.sizes)[v.name]
        if not out.requires_grad:
            return False
        slope = torch.autograd.grad(out.sum(), x, allow_unused=True)[0]
    return slope is not None and bool(slope.any())


def case(name: str) -> str:
    return (CASES / name / "answer.py").read_text(encoding="utf-8")


DIVERGING = [
    (WRONG, "softmax-regression", {("e", "z")}),
    ("dp_ds = e/s[:, None]**2", "softmax-regression", {("p", "s")}),
    ("dz = (p - y)/N", "softmax-regression", set()),
    (case("makemore-mlp--overwritten"), "makemore-mlp", {("probs", "counts")}),
    (case("attention--diagonal-only"), "attention", {("e", "a")}),
]


@pytest.mark.parametrize("sheet, id, arrows", DIVERGING)
def test_the_place_where_a_sheet_diverges_is_marked(sheet, id, arrows):
    exercise = tutor.load(id)
    report = tutor.check(exercise, sheet)
    made = diverging(exercise, report)
    assert {(e.source, e.target) for e in made.edges if e.diverges} == arrows
    assert (made.divergence is None) == (report.first_divergence is None) == (not arrows)
    if "dp_ds" not in sheet:  # there the arrow is wrong, and no quantity
        assert all((graph_view.MARK in form(made)) == bool(arrows) for form in graph_view.FORMS.values())


def test_a_quantity_that_nobody_asks_for_gets_its_arrows_when_a_sheet_gives_it():
    exercise = tutor.load("softmax-regression")
    assert graph(exercise).into("x", BACKWARD) == []
    made = diverging(exercise, tutor.check(exercise, "dz = (p - y)/N\ndx = -dz @ W.T"))
    assert made.into("x", BACKWARD) == ["z"]
    assert [e for e in made.edges if e.diverges] == [e for e in made.edges if (e.source, e.target) == ("z", "x")][-1:]


def test_values_after_the_backward_pass_are_not_given_away():
    exercise = tutor.load("sgd-step")
    made = graph(exercise)
    assert "w_new" not in {n.name for n in made.nodes} and "w_new" in str(made)
    assert "eta" not in {e.source for e in made.edges}


@pytest.mark.parametrize("id", [*IDS, *MEMBERS])
def test_drawings_are_sound(id):
    made = graph(id)
    picture = drawn(made)
    assert picture == drawn(graph(id)), "the same bytes for the same graph"
    root = ElementTree.fromstring(picture)
    names = [t.text for t in root.iter(f"{SVG}text") if t.get("class") == "name"]
    assert sorted(names) == sorted(n.name for n in made.nodes)
    assert root.find(f"{SVG}title").text and root.find(f"{SVG}desc").text
    paths = [p.get("class") for p in root.iter(f"{SVG}path")]
    assert paths.count("backward") == sum(e.flow == BACKWARD for e in made.edges) + 1  # one in the legend
    assert paths.count("forward") == sum(e.flow == FORWARD for e in made.edges) + 1
    check_places(_Drawing(made))


def check_places(drawing: _Drawing) -> None:
    """Every box inside the picture, none on another, and no line through a box that is not its own."""
    boxes = list(drawing.nodes.values())
    for n, a in enumerate(boxes):
        assert a.width / 2 <= a.x <= drawing.width - a.width / 2
        assert a.height / 2 <= a.y <= drawing.height - a.height / 2
        for b in boxes[n + 1 :]:
            apart = abs(a.x - b.x) >= (a.width + b.width) / 2 or abs(a.y - b.y) >= (a.height + b.height) / 2
            assert apart, (a.node.name, b.node.name)
    for wire in drawing.wires:
        for box in boxes:
            if box.node.name not in wire.ends:
                off = [(abs(x - box.x) / box.width, abs(y - box.y) / box.height) for x, y in wire.points]
                assert all(max(each) >= 0.5 for each in off), (wire.ends, box.node.name)


def test_boxes_on_one_another_are_noticed():
    drawing = _Drawing(graph("mlp"))
    first, second, *_ = drawing.nodes.values()
    second.x, second.y = first.x, first.y
    with pytest.raises(AssertionError, match="'x', 'y'"):
        check_places(drawing)


def test_dot_is_what_graphviz_reads():
    made = diverging(ex := tutor.load("softmax-regression"), tutor.check(ex, WRONG))
    lines = graph_view.dot(made).splitlines()
    assert lines[0] == 'digraph "softmax-regression" {' and lines[-1] == "}"
    assert '  "x" -> "z";' in lines
    dashed = [line for line in lines if "style=dashed" in line]
    assert len(dashed) == sum(e.flow == BACKWARD for e in made.edges)
    assert [line for line in dashed if "✗" in line] == [
        '  "e" -> "z" [style=dashed, arrowhead=vee, constraint=false, color=firebrick, penwidth=3, label="✗"];'
    ]
    assert all(line.endswith(";") for line in lines[1:-1])


def test_mermaid_names_every_node_once():
    made = graph("attention")
    text = graph_view.mermaid(made)
    assert text.startswith("flowchart TD\n")
    assert len(re.findall(r"(?m)^  n\d+[\[\(]", text)) == len(made.nodes)
    assert text.count(" --> ") == sum(e.flow == FORWARD for e in made.edges)
    assert text.count(" -.-> ") == sum(e.flow == BACKWARD for e in made.edges)


def test_graph_as_a_command(run, tmp_path):
    assert run("graph", "mlp")[1].startswith("mlp   Multilayer perceptron\n")
    for suffix, start in {"svg": "<svg", "dot": "digraph", "gv": "digraph", "mmd": "flowchart", "txt": "mlp"}.items():
        code, out, err = run("graph", "mlp", "-o", str(tmp_path / f"g.{suffix}"))
        assert (code, out) == (0, "") and f"g.{suffix}" in err
        assert (tmp_path / f"g.{suffix}").read_text(encoding="utf-8").startswith(start)
    assert run("graph", "(w*x + b - y)**2", "--format", "dot")[1].startswith('digraph "formula"')
    code, _, err = run("graph", "mlp", "-o", str(tmp_path / "g.jpeg"))
    assert code == 2 and ".svg" in err
    code, _, err = run("graph", "mlp", "-o", str(tmp_path / "none" / "g.svg"))
    assert code == 2 and "cannot write" in err
    assert run("graph", "nowhere")[0] == 3


def test_a_graph_shows_itself_in_a_notebook():
    bundle = graph("mlp")._repr_mimebundle_()
    assert bundle["text/plain"] == str(graph("mlp")) and bundle["text/html"].startswith("<svg")


# -- the page of a report -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [*IDS, *MEMBERS])
def test_pages_are_small_well_formed_and_alone(id, tmp_path):
    page = page_for(id, tmp_path)
    assert len(page.encode()) < MOST_BYTES
    root = tree_of(page)
    tags = Tags(page)
    assert root.get("lang") == "en"
    assert not tags.named("script", "img", "iframe", "object", "embed", "audio", "video", "base", "form")
    for _, attributes in tags.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "background")]
        assert (attributes.get("href") or "data:,").startswith(("data:,", "http"))  # a link of the statement, or none
    assert [a["href"] for _, a in tags.named("link")] == ["data:,"]
    assert "@import" not in page and "url(" not in page
    levels = [int(tag[1]) for tag, _ in tags.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False)), "no heading level is skipped"
    ids = [a["id"] for _, a in tags.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in tags.named("svg"):
        assert attributes["role"] == "img" and set(attributes["aria-labelledby"].split()) <= set(ids)
    assert len(tags.named("math")) > 3


def test_a_page_says_what_a_report_says(tmp_path):
    page = page_of(WRONG, tmp_path)
    text = Tags(page).text
    report = tutor.check("softmax-regression", WRONG)
    line = report.first_divergence
    wanted = [report.verdict, line.text, line.reason, line.forward and "Forward program", "column 6", "(p - y)/N"]
    wanted += [mistake.message for mistake in line.mistakes]
    wanted += [f"{entry.given:.6g}" for entry in line.worst] + [f"{entry.expected:.6g}" for entry in line.worst]
    wanted += [each.reason for each in report] + ["1 of 2 points", "the sheet diverges at dz (line 2)"]
    assert [words for words in wanted if words not in text] == []
    assert '<mark class="fault">p - y</mark>' in page


def test_the_derivation_can_be_left_out(tmp_path):
    true = "one over the argument"
    assert true in Tags(page_of(WRONG, tmp_path)).text
    assert true not in Tags(page_of(WRONG, tmp_path, derivation=False)).text


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;]]>"


@pytest.mark.parametrize("suffix", [".py", ".md", ".tex", ".ipynb"])
def test_a_learners_text_is_only_text(suffix, tmp_path):
    code = WRONG.replace("dz = p - y", f"dz = p - y # {HOSTILE}\ndq = {HOSTILE}\ndx = '{HOSTILE}'\x07\x1b[31m")
    texts = {
        ".py": code,
        ".md": f"# exercise: softmax-regression\n\n{HOSTILE}\n\n```python\n{code}```\n$dz = {HOSTILE}$\n",
        ".tex": f"% exercise: softmax-regression\n\\[ dz = {HOSTILE} \\]\n\\[ db = p - y \\]\n",
        ".ipynb": json.dumps({"cells": [{"cell_type": "code", "source": code, "outputs": [HOSTILE]}], "nbformat": 4}),
    }
    page = page_of(texts[suffix], tmp_path, suffix)
    tree_of(page)
    tags = Tags(page)
    assert not tags.named("script", "img")
    assert not [a for _, a in tags.tags if any(name.startswith("on") for name in a)]
    assert "<script>alert(1)</script>" in tags.text, "it is shown, as text"
    assert "&lt;script&gt;" in page


def test_an_unescaped_text_would_be_noticed(monkeypatch, tmp_path):
    from tutor.views import frame, report_page

    for view in (frame, report_page):
        monkeypatch.setattr(view, "plain", lambda text: text)
    page = page_of(WRONG + f"# {HOSTILE}\ndb = 3\n", tmp_path).replace("</img>", "")
    assert "<script>" in page


@pytest.mark.parametrize("name", ["<b>.py", "a&b.py", "ünï.py"])
def test_a_files_name_is_only_text(name, tmp_path, run):
    (tmp_path / name).write_text(WRONG)
    code, out, _ = run("report", str(tmp_path / name))
    assert code == 1 and name in Tags(out).text
    tree_of(out)


def test_sheets_of_several_exercises_and_of_none(run, tmp_path):
    both = tmp_path / "both.py"
    both.write_text(WRONG + "# exercise: linear-regression\ndw = 4\ndb = 2\n")
    code, out, _ = run("report", str(both))
    tags = Tags(out)
    ids = [a["id"] for _, a in tags.tags if "id" in a]
    assert code == 1 and len(ids) == len(set(ids))
    assert tags.text.index("dz = p - y") < tags.text.index("dw = 4")
    assert out.count('<td class="number">2</td>') == 1, "each part shows its own lines"
    chosen = run("report", str(both), "--exercise", "linear-regression")[1]
    assert chosen.count('<td class="number">') == 7, "the file as a whole where one exercise is chosen"
    (tmp_path / "none.py").write_text("dw = 4\n")
    assert run("report", str(tmp_path / "none.py"))[0] == 2
    assert run("report", str(tmp_path / "missing.py"))[0] == 3


def test_notebooks_show_their_cells(tmp_path):
    cells = ["import torch", WRONG, "print(1)"]
    made = {"cells": [{"cell_type": "code", "source": source} for source in cells], "nbformat": 4}
    page = page_of(json.dumps(made), tmp_path, ".ipynb")
    text = Tags(page).text
    assert 'colspan="3">cell 2<' in page
    assert (
        "cell 2" in text
        and 'colspan="3">cell 3<' not in page
        and "The first line that diverges: cell 2, line 2" in text
    )


def test_report_as_a_command(run, tmp_path):
    sheet, target = tmp_path / "sheet.py", tmp_path / "page.html"
    sheet.write_text(WRONG)
    code, out, err = run("report", str(sheet), "-o", str(target))
    assert (code, out) == (1, "") and "page.html" in err
    assert target.read_text(encoding="utf-8") == run("report", str(sheet))[1]
    sheet.write_text(WRONG.replace("p - y", "(p - y)/N"))
    code, out, _ = run("report", str(sheet), "--no-derivation")
    assert code == 0 and "✓ correct" in out and "The derivation" not in out
    assert run("report", str(sheet), "-o", str(tmp_path))[0] == 2


def contrast(a: str, b: str) -> float:
    """The ratio of WCAG 2."""

    def light(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        return sum(w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
                   for w, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True))  # fmt: skip

    high, low = sorted((light(a), light(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("look", [svg.LIGHT, svg.DARK], ids=["light", "dark"])
def test_colours_can_be_read(look):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for ink in ("ink", "soft", "back", "good", "bad", "warn"):
        for ground in ("paper", "ground", "blush"):
            assert contrast(look[ink], look[ground]) >= 4.5, (ink, ground)


def test_pages_speak_the_language_in_use(tmp_path):
    from tutor import language

    with language.speaking("zh"):
        assert tree_of(page_of(WRONG, tmp_path)).get("lang") == "zh"


# -- heat maps ----------------------------------------------------------------------------------------------------


def tensor(*rows: object) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_heat_is_the_gap_and_nothing_for_rounding():
    given, true = tensor([1.0, 2.0], [3.0, 4.5]), tensor([1.0, 2.0 + 1e-13], [2.0, 4.0])
    panels, block = compare.heat(given, true)
    assert panels.tolist() == [[[0.0, 0.0], [1.0, 0.5]]] and block == (1, 1)
    wild, _ = compare.heat(tensor(math.nan, 1.0, -math.inf), tensor(1.0, 1.0, 1.0))
    assert wild.tolist() == [[[math.inf, 0, math.inf]]]


def test_large_tensors_are_shown_in_blocks():
    given = torch.zeros(3, 65, 33, dtype=torch.float64)
    given[0, 64, 32] = 7.0
    panels, block = compare.heat(given, torch.zeros_like(given))
    assert block == (3, 2) and panels.shape == (1, 22, 17), "no more than 600 cells in all"
    assert panels.nonzero().tolist() == [[0, 21, 16]] and float(panels.max()) == 7.0
    assert compare.heat(torch.ones(9, 2, 2), torch.zeros(9, 2, 2))[0].shape == (6, 2, 2)
    assert compare.heat(torch.ones(1000, 1000), torch.zeros(1000, 1000))[0].shape == (1, 24, 24)


def test_the_largest_picture_is_small():
    made = Heat((24, 25), (((1.0,) * 25,) * 24,))
    assert len(heat.svg(line_with(made))) < 60_000


def line_with(made: Heat):
    line = tutor.check("softmax-regression", WRONG).first_divergence
    return replace(line, heat=made)


def test_levels_are_quarters():
    made = Heat((2, 3), (((0.0, 1e-3, 1.0), (2.1, 4.0, math.inf)),))
    assert [made.level(gap) for gap in made.gaps] == [0, 1, 1, 3, 4, 5]
    text = heat.text(line_with(made)).splitlines()
    assert text[1:4] == ["     0 1 2", "  0  ..░░░░", "  1  ▓▓██!!"]
    assert text[4] == "  . right   ░ up to 1   ▓ up to 3   █ up to 4   ! not finite"


@pytest.mark.parametrize(
    ("shape", "panel", "block", "numbers"),
    [  # all of them where each has room in its cell, else every second or third
        ((10,), (1, 10), (1, 1), "  0 1 2 3 4 5 6 7 8 9"),
        ((13,), (1, 13), (1, 1), "  0   2   4   6   8   10  12"),
        ((10, 4), (10, 4), (1, 1), "     0 1 2 3"),
        ((11, 4), (11, 4), (1, 1), "      0 1 2 3"),
        ((4, 480), (2, 24), (2, 20), "     0   40  80  120 160 200 240 280 320 360 400 440"),
        ((9, 24000), (9, 24), (1, 1000), "     0     3000  6000  9000  12000 15000 18000 21000"),
    ],
)
def test_columns_are_numbered(shape, panel, block, numbers):
    rows, cells = panel
    made = line_with(Heat(shape, (tuple(tuple(map(float, range(cells))) for _ in range(rows)),), block))
    head, first = heat.text(made).splitlines()[1:3]
    assert head == numbers
    for found in re.finditer(r"\d+", head):  # each stands above its cell, of two letters
        cell = int(found[0]) // block[1]
        assert found.start() == len(first) - 2 * (cells - cell)
    assert plain.fitted(f"{head}\n{first}", 40) == f"{head}\n{first}", "a narrow terminal breaks no line"
    assert plain.ascii_only(head) == head and len(plain.ascii_only(first)) == len(first)


def test_cells_know_their_entry():
    made = Heat((2, 4, 6), (((0.0,) * 3,) * 2,) * 2, (2, 2))
    assert made.index(1, 1, 2) == (1, 2, 4)
    assert Heat((5,), (((0.0,) * 5,),)).index(0, 0, 3) == (3,)
    assert Heat((2, 3, 4, 5), ()).index(5, 0, 0) == (1, 2, 0, 0) and Heat((2, 3, 4, 5), ()).left_out == 6


def test_a_wrong_line_has_heat_and_a_right_one_none():
    report = tutor.check("softmax-regression", WRONG)
    dz, dW, db = report
    assert dz.heat.shape == (3, 4) and dW.heat is None and db.heat is None
    worst = dz.worst[0]
    assert dz.heat.largest == abs(worst.given - worst.expected)
    assert dz.heat.panels[0][worst.index[0]][worst.index[1]] == dz.heat.largest
    assert tutor.check("linear-regression", "dw = 4").lines[0].heat is None, "a number has no picture"
    assert "heat" not in str(report.to_dict())


def test_heat_as_a_picture():
    line = tutor.check("softmax-regression", WRONG).first_divergence
    root = ElementTree.fromstring(heat.svg(line))
    assert len([r for r in root.iter(f"{SVG}rect") if r.get("class") == "off"]) == 12
    titles = [t.text for t in root.iter(f"{SVG}title")]
    assert len(titles) == 13 and titles[1].startswith("dz[0, 0]: ")
    assert "0 of 12 cells are right" in root.find(f"{SVG}desc").text


def test_heat_as_an_option(run, tmp_path):
    sheet = tmp_path / "sheet.py"
    sheet.write_text(WRONG)
    plain, warm = run("check", str(sheet))[1], run("check", str(sheet), "--heat")[1]
    assert warm.startswith(plain.rstrip("\n")) and "dz: |yours - true| of each entry" in warm
    assert "█" in warm and "█" not in run("--ascii", "check", str(sheet), "--heat")[1]


# -- training -----------------------------------------------------------------------------------------------------


def test_training_does_what_the_sheet_says():
    """With dw=4, db=2 at rate 0.1 the residual of w*x + b - y goes from -2 down by one at each step."""
    made = train("linear-regression", "dw = 4\ndb = 2", steps=6, rate=0.1)
    assert made.yours.losses == pytest.approx([(2 + k) ** 2 for k in range(7)])
    half = train("linear-regression", "dw = 2*(y_pred - y)*x\ndb = dw/x", steps=6, rate=0.05)
    assert half.true.losses == pytest.approx([4 * 0.25**k for k in range(7)])
    assert half.yours.losses == pytest.approx(half.true.losses) and half.parted is None
    assert made.parted == 1 and made.yours.course == "rises" and made.true.course == "falls"
    assert "lead uphill" in str(made) and "the same curve" in str(half)
    assert made.point == {"w": 1, "b": 0, "x": 2, "y": 4}


def test_what_diverges_is_said():
    made = train("linear-regression", "dw = 2*(y_pred - y)*x\ndb = dw/x", steps=500, rate=10.0)
    step = made.true.lost
    assert step is not None and 2 * step * math.log10(99) + math.log10(4) > 307 and not math.isfinite(made.true.end)
    assert f"not a finite number from step {step} on" in str(made) and "smaller --rate, such as 1" in str(made)
    uphill = train("linear-regression", "dw = -20*(y_pred - y)*x\ndb = dw/x", steps=500)
    assert uphill.yours.lost is not None and uphill.true.lost is None
    assert "with your gradients the training diverges" in str(uphill)


RIGHT = {
    "softmax-regression": "dz = (p - y)/N\ndW = x.T @ dz\ndb = dz.sum(0)",
    "mlp": "dy_pred = 2*(y_pred - y)/y.numel()\ndW2 = h1.T @ dy_pred\ndb2 = dy_pred.sum(0)\n"
    "dz1 = dy_pred @ W2.T * (z1 > 0)\ndW1 = x.T @ dz1\ndb1 = dz1.sum(0)",
    "attention": case("attention--right-einsum"),
    "embedding": "",
    "softmax": "",
}


@pytest.mark.parametrize("id", RIGHT)
def test_right_gradients_train_as_autograds_do(id):
    exercise = tutor.load(id)
    right = RIGHT[id] or "\n".join(f"{g.symbol_name} = {g.torch}" for g in exercise.derive().needed)
    made = train(exercise, right, steps=20)
    assert made.report.first_divergence is None
    assert made.parted is None and made.yours.course == "falls", repr(made)
    losses = made.true.losses
    assert len(losses) == 21 and all(b <= a * (1 + 1e-9) for a, b in zip(losses, losses[1:], strict=False))


def test_a_wrong_gradient_is_seen_in_the_curves():
    made = train("softmax-regression", RIGHT["softmax-regression"].replace("(p - y)/N", "p - y"), steps=5)
    assert made.parted == 1


def test_layers_are_trained_towards_a_target_that_can_be_reached():
    made = train("attention", RIGHT["attention"], steps=150)
    assert made.targets == ("O",) and made.trained == ("Q", "K", "V")
    assert made.true.end < 0.01 * made.true.start
    assert "a layer has no loss" in str(made)


def test_what_cannot_be_trained_is_said():
    made = train("mlp", "dW2 = h1.T @ (y_pred - y)\ndb2 = (y_pred - y).sum()\ndW1 = nonsense", steps=3)
    assert made.trained == ("W2",)
    said = str(made)
    assert "b1 stays as it is: the sheet has no db1" in said
    assert "b2 stays as it is: db2 is a number, but b2 has shape (7,)" in said or "b2 stays as it is: db2" in said
    assert "W1 stays as it is: dW1 has no value (nonsense" in said
    with pytest.raises(UsageError, match="nothing to train .* with: W stays .*nonsense.*Needed: dW, db"):
        train("softmax-regression", "dz = p - y\ndW = nonsense")
    for steps, rate in ((0, 0.1), (MOST_STEPS + 1, 0.1), (5, 0.0), (5, math.nan), (5, -1.0)):
        with pytest.raises(UsageError, match="give a"):
            train("softmax-regression", RIGHT["softmax-regression"], steps=steps, rate=rate)


@pytest.mark.parametrize(
    ("id", "lacks", "chinese"),
    [
        ("linear-regression", "the sheet has none of dw, db yet; fill in", "答卷里还没有 dw, db"),
        ("makemore-mlp", "none of dC, dW1, db1, dW2, db2, dbngain, dbnbias yet", "dC, dW1, db1, dW2, db2, dbngain"),
        ("mlp:layers=8", "none of dW1, db1, dW2, db2, dW3, db3, dW4, db4, ... yet", "db4, ..."),
        ("product", "the sheet has", "答卷里还没有"),
    ],
)
def test_a_sheet_as_it_was_started_trains_nothing_and_that_is_short(id, lacks, chinese):
    with pytest.raises(UsageError) as refused:
        train(id, blank.sheet_of(id))
    for language, says in (("en", lacks), ("zh", chinese)):
        with speaking(language):
            said = str(refused.value)
        assert says in said and "tutor hint" in said and len(said) < 220


def test_a_sheet_is_read_and_never_run(tmp_path):
    mark = tmp_path / "mark"
    attack = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    train("linear-regression", f"dw = 4\ndb = 2\nq = {attack}\n{attack}", steps=2)
    with pytest.raises(UsageError, match="nothing to train"):
        train("linear-regression", f"dw = {attack}\ndb = {attack}", steps=2)
    assert not mark.exists()


def test_the_same_training_gives_the_same_bytes():
    first, second = (train("softmax-regression", WRONG, steps=10) for _ in range(2))
    assert first == second and str(first) == str(second)
    assert first != train("softmax-regression", WRONG, steps=10, seed=1)
    pytest.importorskip("matplotlib")
    for form in ("svg", "png"):
        assert curves.drawn(first, form) == curves.drawn(second, form)
    ElementTree.fromstring(curves.drawn(first, "svg"))
    assert curves.drawn(first, "png").startswith(b"\x89PNG")


COURSES = [(4.0, 2.0), (0.0, 0.0), (-1.0, -5.0, 3.0), (1.0, math.inf), (math.nan,), (1.0, 1e300)]


@pytest.mark.parametrize("losses", COURSES)
def test_every_course_can_be_drawn(losses):
    made = replace(train("linear-regression", "dw = 4\ndb = 2", steps=5, rate=0.1), yours=Curve(losses))
    lines = str(made).splitlines()
    assert max(map(len, lines)) < 120
    if any(map(math.isfinite, losses)):
        assert any(re.search(r"\|.*[o*]", line) for line in lines)
    if all(map(math.isfinite, losses)):
        pytest.importorskip("matplotlib")
        ElementTree.fromstring(curves.drawn(made, "svg"))


def test_train_as_a_command(run, tmp_path, monkeypatch):
    sheet = tmp_path / "sheet.py"
    sheet.write_text("dw = 4\ndb = 2\n")
    code, out, _ = run("train", "linear-regression", "--answer", str(sheet), "--steps", "5", "--rate", "0.1")
    assert code == 0 and "4 -> 49" in out
    assert run("train", "linear-regression")[0] == 2
    assert run("train", "linear-regression", "--answer", str(tmp_path / "none.py"))[0] == 3
    options = ("train", "linear-regression", "--answer", str(sheet), "--steps", "5")
    assert run(*options, "-o", str(tmp_path / "curves.gif"))[0] == 2
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    code, out, err = run(*options, "-o", str(tmp_path / "curves.svg"))
    assert code == 2 and "derivation-tutor[plot]" in err and not (tmp_path / "curves.svg").exists()


def test_curves_go_to_a_file(run, tmp_path):
    pytest.importorskip("matplotlib")
    sheet = tmp_path / "sheet.py"
    sheet.write_text("dw = 4\ndb = 2\n")
    for suffix, start in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        target = tmp_path / f"curves.{suffix}"
        assert run("train", "linear-regression", "--answer", str(sheet), "--steps", "5", "-o", str(target))[0] == 0
        assert target.read_bytes().startswith(start)


# -- handouts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", FEW)
def test_handouts_begin_with_the_exercise(id):
    derivation = tutor.load(id).derive()
    exercise = derivation.exercise
    page = html.derivation(derivation)
    tree_of(page)
    assert Tags(page).text.index("Forward program") < Tags(page).text.index("Derivation")
    text = markdown.derivation(derivation)
    assert text.index(exercise.statement.strip().splitlines()[0]) < text.index("### 1.")
    assert text.count("```") % 2 == 0 and text.count("$$") % 2 == 0


def test_statements_are_markdown_without_html():
    exercise = tutor.load("linear-regression")
    assert "<td>" in html.statement(exercise) and "<pre>" in html.statement(exercise)
    exercise.statement = f"{HOSTILE}\n\n[a](javascript:alert(1)) ![b](http://example.org/x.png)"
    tags = Tags(html.statement(exercise))
    assert not tags.named("script", "img")
    assert [a["href"] for _, a in tags.named("a")] == ["http://example.org/x.png"], "to follow, not fetched"


COMPILED = ["softmax-regression", "makemore-mlp", "cosine-similarity", "lstm-cell", "conv2d", "sgd-step", "kinks"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("id", COMPILED)
def test_latex_compiles_and_nothing_leaves_the_page(id, tmp_path):
    (tmp_path / "page.tex").write_text(latex.derivation(tutor.load(id).derive()), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", errors="replace", timeout=120)
    if "not found" in done.stdout and ".sty" in done.stdout:
        pytest.skip("this TeX lacks a package")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


def test_sheets_for_the_walk_are_wrong_at_their_first_line():
    report = tutor.check("mlp", sheet_of(tutor.load("mlp")))
    assert report.first_divergence is report.lines[0]
