"""What a teacher sees of a class: the counts are right, bounded and the same at any size; the page is laid out."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import mean, median

import pytest
from grades import CLASS, assignment, classroom, grade_of, part_of
from pictures import Tags, tree_of

import tutor
from tutor.checking.report import MISTAKE_IDS
from tutor.grading.class_report import MOST_LISTED, MOST_NAMES, Scores, summary
from tutor.grading.model import PROBLEMS, LearnerGrade, Override, Part, Problem, QuestionGrade
from tutor.views import class_report as view

ADDRESS = "softmax-regression"
SIZES = (0, 1, 30, 300)


@pytest.fixture(scope="module")
def classes():
    return {number: classroom(number) for number in SIZES}


@pytest.fixture(scope="module")
def reports(classes):
    return {number: summary(iter(grades), asked) for number, (asked, grades) in classes.items()}


# -- counting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIZES)
def test_counts_are_those_of_the_class(number, classes, reports):
    """Each figure against a second, plainer way of counting, on the whole list."""
    _, grades = classes[number]
    report = reports[number]
    here = [g for g in grades if g.handed_in]
    sums = [g.points for g in here if g.points is not None]
    assert (report.learners, report.handed_in, report.waiting) == (number, len(here), len(here) - len(sums))
    assert report.scores.number == len(sums) == sum(b.number for b in report.scores.bins)
    if sums:
        assert report.scores.mean == pytest.approx(mean(sums))
        assert report.scores.median == pytest.approx(median(sums))
    assert report.absent.number == number - len(here)
    assert report.problems == Counter(p.id for g in grades for _, p in g.problems)
    for at, name in enumerate(CLASS):
        asked = report.questions[name]
        sheets = [g.questions[at] for g in here]
        shown = [q.attempt.part.report for q in sheets if q.attempt]
        wrong = [[line for line in r["lines"] if line["verdict"] == "wrong"] for r in shown]
        assert asked.answered == len(shown) and asked.unanswered == len(sheets) - len(shown)
        assert asked.verdicts == Counter(r["verdict"] for r in shown)
        assert asked.divergences == Counter(lines[0]["quantity"] for lines in wrong if lines)
        likely = [{line["mistakes"][0]["id"] for line in lines if line["mistakes"]} for lines in wrong]
        assert asked.mistakes == Counter(id for found in likely for id in found)
        assert asked.attempts == Counter(min(len(q.attempts), 5) for q in sheets if q.attempts)
    assert sum(n for _, n in report.mistakes) == sum(q.mistakes.total() for q in report.questions.values())


def test_it_is_read_once_and_the_same_bytes(classes):
    asked, grades = classes[30]
    once = (grade for grade in grades)
    assert view.json(summary(once, asked)) == view.json(summary(iter(grades), asked))
    assert next(once, None) is None


def test_nothing_grows_with_the_class():
    """Lists are cut, a name that a learner makes up is counted with the rest; numbers say how many there are."""
    kept = part_of(ADDRESS, tutor.check(ADDRESS, "# exercise: softmax-regression\ndz = p - y\n"))

    def grades(number):
        for n in range(number):
            lines = [{**line, "quantity": f"mine_{n}"} for line in kept.report["lines"]]
            part = Part(kept.question, kept.credit, {**kept.report, "lines": lines})
            found = QuestionGrade(ADDRESS, None, 2.0, grade_of(ADDRESS, part).questions[0].attempts, 0)
            problems = (("a.py", Problem("undecided", "")),)
            yield LearnerGrade(f"s{n}", "", (found,), problems, known=False)

    report = summary(grades(1000), assignment(ADDRESS))
    assert report.unknown.number == 1000 and len(report.unknown.entries) == MOST_LISTED
    assert report.to_look_at.number == 2000 and len(report.to_look_at.entries) == MOST_LISTED
    asked = report.questions[ADDRESS]
    assert len(asked.divergences) <= MOST_NAMES + 1 and asked.divergences.total() == 1000
    assert sum(causes.total() for causes in asked.causes.values()) == 1000
    assert len(view.html(report)) < 200_000
    assert "the first 200 of 2,000 entries" in view.html(report).lower()


@pytest.mark.parametrize(("points", "most", "expected"), [
    ([0, 1, 1, 3], 3, [(0, 0, 1), (1, 1, 2), (2, 2, 0), (3, 3, 1)]),
    ([4], 3, [(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 4, 1)]),  # a teacher gave more than there is
    ([0.5, 10, 9.99], 10, [(0, 1, 1), *((n, n + 1, 0) for n in range(1, 9)), (9, 10, 2)]),
    ([25, 100, 120, 99.99], 100, [*((10 * n, 10 * n + 10, int(n == 2)) for n in range(9)), (90, 100, 3)]),
    ([0, 0], 0, [(0, 0, 2), *[(0, 0, 0)] * 9]),
])  # fmt: skip
def test_bins(points, most, expected):
    scores = Scores()
    for each in points:
        scores.add(each, most)
    assert [(b.low, b.high, b.number) for b in scores.bins] == expected


@pytest.mark.parametrize("id", PROBLEMS)
def test_every_problem_is_counted_and_named(id):
    grade = grade_of(ADDRESS, problems=(("a (1).py", Problem(id, "x")),))
    report = summary([grade], assignment(ADDRESS))
    assert report.to_dict()["problems"] == {id: 1}
    assert view.PROBLEMS[id] in view.text(report) or view.PROBLEMS[id][:30] in view.text(report)
    assert view.PROBLEMS[id] in view.html(report)
    by_hand = id in ("unreadable", "undecided", "unplaced")
    assert report.to_look_at.number == by_hand and ("a (1).py" in view.html(report)) == by_hand


def test_who_needs_a_look():
    text = "# exercise: softmax-regression\ndz = (p - y)/N\ndW = 2x\ndb = dz.sum(0)\n"
    grade = grade_of(ADDRESS, part_of(ADDRESS, tutor.check(ADDRESS, text)), learner="ada")
    (look,) = summary([grade], assignment(ADDRESS)).to_look_at.entries
    assert (look.learner, look.question, look.file, look.why) == ("ada", ADDRESS, "sheet.py", "unreadable")
    (question,) = grade.questions
    waiting = replace(grade, questions=(replace(question, points=None, attempts=(), counts=None),))
    (look,) = summary([waiting], assignment(ADDRESS)).to_look_at.entries
    assert look.why == "points"
    decided = replace(grade, questions=(replace(question, override=Override("ada", ADDRESS, 2, "fine"), points=2.0),))
    assert summary([decided], assignment(ADDRESS)).questions[ADDRESS].overrides == 1


@pytest.mark.parametrize("id", MISTAKE_IDS)
def test_every_mistake_has_its_row(id):
    kept = part_of(ADDRESS, tutor.check(ADDRESS, "# exercise: softmax-regression\ndz = p - y\n"))
    lines = [{**line, "mistakes": [{"id": id, "message": "m"}]} for line in kept.report["lines"]]
    part = Part(kept.question, kept.credit, {**kept.report, "lines": lines})
    report = summary([grade_of(ADDRESS, part)], assignment(ADDRESS))
    assert report.mistakes == [(id, 1)] and f"({id})" in view.html(report)


# -- views -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIZES)
def test_the_page_is_whole(number, reports):
    page = view.html(reports[number])
    tree_of(page)
    tags = Tags(page)
    assert not tags.named("script", "img", "iframe", "form", "svg")
    assert "Content-Security-Policy" in page
    for _, attributes in tags.named("th"):
        assert attributes.get("scope") in ("row", "col")
    if number:
        figures = {f"{reports[number].learners:,}", f"{reports[number].handed_in:,}"}
        assert all(figure in tags.text and figure in view.text(reports[number]) for figure in figures)


def test_hostile_names_stay_text():
    evil = "<script>alert(1)</script>\x00"
    part = part_of(ADDRESS, tutor.check(ADDRESS, "# exercise: softmax-regression\ndz = p - y\n"))
    lines = [{**line, "quantity": evil} for line in part.report["lines"]]
    part = Part(part.question, part.credit, {**part.report, "lines": lines})
    problems = ((evil, Problem("unreadable", evil)),)
    grade = grade_of(ADDRESS, part, learner=evil, person=evil, problems=problems, known=False)
    page = view.html(summary([grade, replace(grade, handed_in=False)], assignment(ADDRESS)))
    tree_of(page)
    assert not Tags(page).named("script") and "&lt;script&gt;" in page


@pytest.mark.parametrize("n, of, said", [
    (0, 10, "0 %"), (1, 3, "33 %"), (1, 1000, "< 1 %"), (999, 1000, "> 99 %"), (5, 5, "100 %"), (0, 0, ""),
])  # fmt: skip
def test_shares(n, of, said):
    assert view.share(n, of) == said


def test_the_command(tmp_path, monkeypatch, classes):
    from click.testing import CliRunner

    from tutor.commands.grading import class_report

    asked, grades = classes[30]
    monkeypatch.setattr("tutor.grading.grades.grades", lambda *_: iter(grades))
    monkeypatch.setattr("tutor.grading.grades.assignment", lambda *_: asked)
    target = tmp_path / "class.html"
    ran = CliRunner().invoke(class_report, [str(tmp_path), "-o", str(target)], standalone_mode=False)
    assert ran.return_value == 0 and "written" in ran.stderr
    assert target.read_text(encoding="utf-8") == view.html(summary(iter(grades), asked))
    printed = CliRunner().invoke(class_report, [str(tmp_path), "--json"], standalone_mode=False)
    assert json.loads(printed.stdout)["learners"] == 30
    assert "learners 30" in CliRunner().invoke(class_report, [str(tmp_path)], standalone_mode=False).stdout
    with pytest.raises(tutor.errors.UsageError, match="cannot write"):
        CliRunner().invoke(
            class_report, [str(tmp_path), "-o", str(tmp_path)], standalone_mode=False, catch_exceptions=False
        )


def test_neither_sympy_nor_torch_is_needed():
    import subprocess

    code = """
import sys
from tutor.grading.assignment import parse
from tutor.grading.class_report import summary
from tutor.grading.model import LearnerGrade, QuestionGrade
from tutor.views.class_report import html
asked = parse('format = "tutor.assignment/1"\\nid = "h"\\n[[questions]]\\nexercise = "softmax-regression"')
grade = LearnerGrade("ada", "", (QuestionGrade("softmax-regression", 0.0, 2.0),))
assert "Softmax regression" in html(summary([grade], asked))
assert not {"sympy", "torch"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


# -- in a browser ----------------------------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or shutil.which("chromedriver") is None, reason="needs Chromium and its driver"
)
# texts whose contrast with what is behind them is less than 4.5, as WCAG reckons it
FAINT = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgb = (colour, under) => { canvas.fillStyle = `rgb(${under})`; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); };
const light = c => { const [r, g, b] = c.map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = e => { const up = []; for (; e; e = e.parentElement) up.unshift(getComputedStyle(e).backgroundColor);
    return up.reduce((under, colour) => rgb(colour, under), [255, 255, 255]); };
return [...document.querySelectorAll('main *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => e.getClientRects().length).map(e => { const ground = behind(e);
        const [a, b] = [light(rgb(getComputedStyle(e).color, ground)), light(ground)].sort((x, y) => y - x);
        return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 100)]; }).filter(([ratio]) => ratio < 4.5);
"""


@pytest.fixture(scope="module")
def pages(reports, tmp_path_factory):
    from tutor.grading.feedback import released
    from tutor.views import feedback

    folder = tmp_path_factory.mktemp("pages")
    made = {f"class-{number}": view.html(report) for number, report in reports.items()}
    text = "# exercise: softmax-regression\ndz = p - y\ndW = x.T @ dz\ndb = dz.sum(0, keepdim=True)\ndq = 2x\n"
    part = part_of(ADDRESS, tutor.check(ADDRESS, text))
    grade = grade_of(ADDRESS, part, part, problems=(("scan (2).pdf", Problem("not-a-sheet", "")),))
    for level in ("score", "mistakes", "derivation"):
        made[f"learner-{level}"] = feedback.html(released(grade, assignment(ADDRESS, feedback=level), True))
    for name, page in made.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


PAGES = [*(f"class-{number}" for number in SIZES), "learner-score", "learner-mistakes", "learner-derivation"]


@pytest.fixture(scope="module")
def seen():
    """The browser's tests of pages, with what they look for; skipped where selenium is missing."""
    return pytest.importorskip("test_page_browser")


@pytest.fixture(scope="module")
def browser(seen):
    yield from seen.browser.__wrapped__() if hasattr(seen.browser, "__wrapped__") else seen.browser._fixture_function()


@needs_browser
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("name", PAGES)
def test_it_is_laid_out(name, browser, pages, seen):
    """Nothing fetched, nothing wider than the screen, no number broken, every text readable, in light and dark."""
    browser.get("about:blank")
    seen.requests(browser), browser.get_log("browser")
    for width in (seen.PHONE, seen.DESK):
        for scheme in ("light", "dark"):
            seen.show(browser, pages[name], width, prefers_color_scheme=scheme)
            browser.execute_script(seen.OPEN)
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert wide == width
            assert browser.execute_script(seen.CUT) == []
            assert browser.execute_script(seen.BROKEN) == []
            assert browser.execute_script(FAINT) == []
    assert set(seen.requests(browser)) == {pages[name].as_uri()}
    assert browser.get_log("browser") == []


@needs_browser
@pytest.mark.xdist_group("browser")
def test_a_faint_text_would_be_noticed(browser, pages, seen, tmp_path):
    path = tmp_path / "faint.html"
    page = pages["class-30"].read_text(encoding="utf-8")
    path.write_text(page.replace("</main>", '<p style="color:#999">faint</p></main>'), encoding="utf-8")
    seen.show(browser, path, prefers_color_scheme="light")
    assert len(browser.execute_script(FAINT)) == 1


@needs_browser
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("name", PAGES)
def test_it_prints(name, browser, pages, seen):
    import base64

    seen.show(browser, pages[name], media="print")
    paper = {"paperWidth": 8.27, "paperHeight": 11.69}
    data = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", paper)["data"])
    assert data.startswith(b"%PDF") and 1 <= data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") <= 8
