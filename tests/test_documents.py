"""Markdown, notebooks and LaTeX documents as sheets: what counts, in which order, and where it is."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Sum

import tutor
from tutor.answers import documents, latex_regions
from tutor.answers import language as lang
from tutor.checking.lines import SheetJudge
from tutor.checking.sheets import check_sheets
from tutor.errors import ReadingError, TutorError, UsageError
from tutor.pictures.training import train

SOFTMAX = tutor.load("softmax-regression")
LINE = tutor.load("linear-regression")

MARKDOWN = r"""<!-- exercise: softmax-regression -->
# My derivation

There are $N$ rows, and $dW = 3$ is a remark. `dz = 17` is too.

```python
r = p - y
dz = r / N
```

so that

$$
\frac{\partial L}{\partial W} = x^\top \frac{\partial L}{\partial z}
$$

```bash
dz = 42
```

~~~ latex
db_k = \sum_i dz_{ik}   % over the batch
~~~
"""


def cell(kind, *lines, **more):
    return {
        "cell_type": kind,
        "metadata": {},
        "source": [f"{line}\n" for line in lines[:-1]] + list(lines[-1:]),
        **more,
    }


def notebook(*cells, **more):
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **more})


NOTEBOOK = notebook(
    cell("markdown", "# exercise: softmax-regression", "Some words, $N$ of them."),
    cell("code", "%matplotlib inline", "import pandas as pd", "pd.read_csv('x.csv').plot()", "!pip install x", "n = 3"),
    cell(
        "code", "", "dz = (p - y)/N", "dW = x.T @ dz", outputs=[{"data": {"text/plain": "dz = 42"}}], execution_count=1
    ),
    cell(
        "markdown",
        "Then",
        "$$",
        r"\frac{\partial L}{\partial b_k} = -\sum_i dz_{ik}",
        "$$",
        "```",
        "dx = dz @ W.T",
        "```",
    ),
    cell("raw", "dz = 42"),
)


def parts_of(text, kind):
    return documents.parts(text, kind)


def sheet_of(text, kind, exercise=SOFTMAX):
    [part] = parts_of(text, kind)
    return part.sheet(exercise)


def given_names(sheet):
    return [(s.line, lang.root(s.targets[0]).name) for s in sheet.statements if isinstance(s, lang.Assign)]


# -- kinds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [
    ("a.md", "markdown"), ("A.MD", "markdown"), ("x/y.ipynb", "notebook"), ("a.tex", "latex"), ("a.py", "python"),
    ("a.txt", None), ("a", None), ("-", None),
])  # fmt: skip
def test_a_file_is_written_as_its_suffix_says(name, kind):
    assert documents.kind_of(name) == kind


@pytest.mark.parametrize(("text", "kind"), [
    ("dz = p - y", "python"), (MARKDOWN, "markdown"), (NOTEBOOK, "notebook"), (r"dz = \frac{p}{N}", "latex"),
    ("$$dz = p - y$$", "latex"), ("$dz = p - y$", "latex"), ("dz = p - y  # costs $5", "python"),
])  # fmt: skip
def test_a_text_without_a_suffix_says_it_itself(text, kind):
    assert documents.kind_of_text(text) == kind
    assert tutor.check(SOFTMAX, text).lines


# -- Markdown -----------------------------------------------------------------------------------------------


def test_fences_and_mathematics_count_in_their_order():
    [part] = parts_of(MARKDOWN, "markdown")
    assert part.exercise == "softmax-regression"
    sheet = part.sheet(SOFTMAX)
    assert given_names(sheet) == [(7, "r"), (8, "dz"), (14, "dW"), (22, "db")]
    report = tutor.check(SOFTMAX, sheet)
    assert report.correct and [line.line for line in report.lines] == [8, 14, 22]


@pytest.mark.parametrize(
    "language", ["", "py", "python", "Python", "python3", "torch", "{python}", "{.python}", "py title=x"]
)
def test_fences_of_python(language):
    assert given_names(sheet_of(f"x\n```{language}\ndz = p\n```\n", "markdown")) == [(3, "dz")]


@pytest.mark.parametrize("language", ["latex", "tex", "math", "LaTeX"])
def test_fences_of_mathematics(language):
    content = "\\begin{align}\ndW &= x^\\top dz\n\\end{align}"
    text = f"```{language}\ndz = \\frac{{p}}{{N}}\n```\n```{language}\n{content}\n```"
    assert given_names(sheet_of(text, "markdown")) == [(2, "dz"), (6, "dW")]


@pytest.mark.parametrize("text", [
    "```bash\ndz = p\n```", "```json\n{}\n```", "dz = p", "`dz = p`", "<!-- $$dz = p$$ -->", "`$$ dz = p $$`",
    "costs $5 or dz = $6", "```text\n$$dz = p$$\n```",
])  # fmt: skip
def test_what_does_not_count_in_markdown(text):
    assert sheet_of(text, "markdown").statements == []


@pytest.mark.parametrize(("text", "line"), [
    ("````python\n```\ndz = p\n```\n````", 3), ("- a list\n\n  ```python\n  dz = p\n  ```", 4),
    ("```python\ndz = p", 2), ("$$dz = p$$", 1), ("a\n\n\\[\ndz = p\n\\]", 4), ("$dz = p$", 1), ("1. $dz = p$.", 1),
    ("a\n\\begin{align*}\ndz &= p\n\\end{align*}", 3), ("a\r\n```python\r\ndz = p\r\n```", 3),
])  # fmt: skip
def test_where_lines_are(text, line):
    statements = [s for s in sheet_of(text, "markdown").statements if isinstance(s, lang.Assign)]
    assert [s.line for s in statements] == [line]


# -- what is marked otherwise in Markdown -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "~~$$dz = p$$~~", "~~\n$$\ndz = p\n$$\n~~", "~~first $$dz = p$$ and $dW = x$~~", "~~$dz = p$~~",
    "> ~~$$dz = p$$~~", "<del>$$dz = p$$</del>", "<s>\n\n$$dz = p$$\n\n</s>",
])  # fmt: skip
def test_what_is_struck_out_is_passed_over_with_a_note(text):
    sheet = sheet_of(f"{text}\n\n$$dz = (p - y)/N$$", "markdown")
    assert len(given_names(sheet)) == 1 and "passed over: dz = p (struck out)" in " ".join(sheet.notes)
    assert [line.verdict for line in tutor.check(SOFTMAX, sheet)] == ["correct"]


@pytest.mark.parametrize("text", [
    "<del>\n\n```python\ndb = 3*dz.sum(0)\n```\n\n</del>", "~~\n```\ndb = 3*dz.sum(0)\n```\n~~",
    "<s>\n\n    db = 3*dz.sum(0)\n\n</s>", "<del>\n\n```latex\n\\[ db = 3 dz \\]\n```\n\n</del>",
])  # fmt: skip
def test_code_that_is_struck_out_is_passed_over_with_a_note(text):
    sheet = sheet_of(f"{text}\n\n```text\nso\n```\n\n```python\ndb = ((p - y)/N).sum(0)\n```\n", "markdown")
    assert len(given_names(sheet)) == 1 and "(struck out)" in " ".join(sheet.notes)
    assert [line.verdict for line in tutor.check(SOFTMAX, sheet)] == ["correct"]


@pytest.mark.parametrize(("text", "count"), [
    ("about ~~ 3\n\n$$dz = p$$\n\nand ~~ 4", 1), ("~~$$dz = p$$", 1), ("$$dz = p$$~~", 1), ("~~x $$dz = p$$\n\ny~~", 1),
    ("$$dz = p, ~~ db = dz ~~$$", 2), ("~~a~~ $$dz = p$$ ~~b~~", 1), ("\\~~$$dz = p$$~~", 1), ("</s>$$dz = p$$<s>", 1),
    ("~~~python\ndz = p\n~~~", 1), ("~~a\n```\ndz = p\n```\nb~~", 1), ("<del>\n\n```\ndz = p\n```", 1), ("`~~`$$dz = p$$`~~`", 1),
])  # fmt: skip
def test_what_is_not_struck_out_counts(text, count):
    assert len(sheet_of(text, "markdown").statements) == count


@pytest.mark.parametrize(("text", "place"), [
    ("> $$\n> dz = p\n> $$", (2, 3)), (">$$\n>dz = p\n>$$", (2, 2)), ("> > $$\n> > dz\n> > = p$$", (2, 5)),
    ("> ```python\n> dz = p\n> ```", (2, 3)), ("> ```math\n> dz = p\n> ```", (2, 3)), ("> \\[\n> dz = p\n> \\]", (2, 3)),
    ("- a\n  > $$dz = p$$", (2, 7)), ("> a\n>\n>     dz = p", (3, 7)), ("> $$dz = p$$", (1, 5)),
])  # fmt: skip
def test_marks_of_a_quote_are_none_of_a_formula(text, place):
    (statement,) = sheet_of(text, "markdown").statements
    assert isinstance(statement, lang.Assign) and (statement.line, statement.column) == place
    assert ">" not in statement.text


def test_a_comparison_that_begins_a_line_is_no_quote():
    (statement,) = sheet_of("$$\ndz_{ik} = p_{ik} \\mathbb{1}[z_{ik}\n> 0]\n$$", "markdown").statements
    assert isinstance(statement, lang.Assign) and "> 0]" in statement.text
    assert sheet_of("```python\n> dz = p\n```", "markdown").statements[0].text == "> dz = p"


@pytest.mark.parametrize(("text", "places"), [
    ("a\n\n    dz = p\n    dW = x", [(3, 5), (4, 5)]), ("    dz = p", [(1, 5)]), ("# A\n    dz = p\n", [(2, 5)]),
    ("a\n\n\tdz = p", [(3, 2)]), ("a\n\n    dz = p\n\n    dW = x\nb", [(3, 5), (5, 5)]),
    ("- a\n\nb\n\n    dz = p", [(5, 5)]), ("```\nx = 1\n```\n    dz = p", [(2, 1), (4, 5)]),
])  # fmt: skip
def test_code_that_is_indented_by_four(text, places):
    assert [(s.line, s.column) for s in sheet_of(text, "markdown").statements] == places


@pytest.mark.parametrize("text", [
    "a\n    dz = p", "- a\n\n    dz = p", "1. a\n\n   b\n\n    dz = p", "[^1]: a\n\n    dz = p", "a\n\n    so dz is p",
    "a\n\n   dz = p", "!!! note\n\n    dz = p", "<!--\n\n    dz = p\n-->", "* a\nb\n\n    dz = p",
])  # fmt: skip
def test_what_is_indented_in_a_list_or_a_paragraph_is_prose(text):
    assert sheet_of(text, "markdown").statements == []


@pytest.mark.parametrize("text", [
    "$$\n\n    dz = p\n\n$$", "a\n\n    $$dz = p$$", "a\n\n    \\[\n    dz = p\n    \\]", "\\\\[ dz = p \\\\]",
    "\\\\[\ndz = p\n\\\\]", "$`dz = p`$", "```math\ndz = p\n```", "So \\\\(dz = p\\\\).", "So $`dz = p`$.",
])  # fmt: skip
def test_ways_to_mark_mathematics(text):
    (statement,) = sheet_of(text, "markdown").statements
    assert isinstance(statement, lang.Assign) and statement.latex and statement.text == "dz = p"
    line = text.split("\n")[statement.line - 1]
    assert line[statement.column - 1 :].startswith("dz = p")


@pytest.mark.parametrize(
    "text", ["a\\\\[b](c)\n\n$$dz = p$$", "`` $`dW = x`$ `` $$dz = p$$", "a \\\\[b\n\nc\\\\] $$dz = p$$"]
)
def test_what_marks_no_mathematics(text):
    assert [name for _, name in given_names(sheet_of(text, "markdown"))] == ["dz"]


def test_a_file_in_which_nothing_is_read_says_what_is():
    report = tutor.check(SOFTMAX, sheet_of("dz = (p - y)/N\n\n- `dW = x.T @ dz`\n\nh = 3\n", "markdown"))
    where = "(code is read between ``` and ```, mathematics between $$ and $$)"
    assert report.verdict == "incomplete" and list(report.notes) == [
        f"line 1: passed over: dz = (p - y)/N {where}", f"line 3: passed over: - `dW = x.T @ dz` {where}",
    ]  # fmt: skip
    for text, kind, words in (("I give up.", "markdown", "code is read between ```"),
                              ("%\n\\begin{document}dz = p\\end{document}", "latex", "code in lstlisting")):  # fmt: skip
        assert [words in note and note.startswith("nothing here is read") for note in sheet_of(text, kind).notes] == [
            True
        ]
    told = sheet_of("dz = p, as we saw\n\n$$dz = (p - y)/N$$", "markdown")
    assert told.notes == []  # what an answer says again is a remark


# -- listings in LaTeX ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("begin", "end"), [
    ("\\begin{verbatim}\n", "\\end{verbatim}"), ("\\begin{lstlisting}\n", "\\end{lstlisting}"),
    ("\\begin{lstlisting}[language=Python, caption={Mine}]\n", "\\end{lstlisting}"),
    ("\\begin{lstlisting}[caption=Mine,\n  language={[3]Python}]\n", "\\end{lstlisting}"),
    ("\\begin{minted}{python}\n", "\\end{minted}"), ("\\begin{minted}[fontsize=\\small]{python3}\n", "\\end{minted}"),
    ("\\begin{Verbatim}[frame=single]\n", "\\end{Verbatim}"), ("\\begin{verbatim*}\n", "\\end{verbatim*}"),
    ("Mine: \\begin{verbatim}", "\\end{verbatim}"),
])  # fmt: skip
def test_listings_are_code(begin, end):
    body = f"{begin}dz = (p - y)/N  # 50 % $ \\[\ndW = x.T @ dz\n{end}\n\\[ db = \\sum_i dz_{{ik}} \\]"
    text = f"\\documentclass{{article}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    sheet = sheet_of(text, "latex")
    assert [name for _, name in given_names(sheet)] == ["dz", "dW", "db"]
    for statement in sheet.statements:
        line = text.split("\n")[statement.line - 1]
        assert line[statement.column - 1 :].startswith(statement.text[:5])


@pytest.mark.parametrize("body", [
    "\\begin{lstlisting}[language=bash]\ndz=1\n\\end{lstlisting}", "\\begin{minted}{text}\ndz = 1\n\\end{minted}",
    "\\begin{verbatim}\ntensor([1., 2.])\n\\end{verbatim}", "\\begin{comment}\ndz = 1\n\\end{comment}",
    "% \\begin{verbatim}\n% dz = 1\n% \\end{verbatim}",
])  # fmt: skip
def test_other_listings_are_passed_over(body):
    text = f"\\begin{{document}}\n{body}\n\\[ dW = x^\\top dz \\]\n\\end{{document}}"
    assert [name for _, name in given_names(sheet_of(text, "latex"))] == ["dW"]


def test_a_header_in_a_listing_counts_once():
    (part,) = parts_of("\\begin{verbatim}\n# exercise: softmax-regression\ndz = p\n\\end{verbatim}", "latex")
    assert part.exercise == "softmax-regression" and given_names(part.sheet(SOFTMAX)) == [(3, "dz")]


def test_names_given_in_code_are_known_in_mathematics_and_the_reverse():
    text = (
        "```\nr = p - y\n```\n$$dz = r/N, \\quad q = 2 dz$$\n```\ndW = x.T @ q / 2\n```\n$$db = \\mathbf 1^\\top dz$$"
    )
    assert tutor.check(SOFTMAX, sheet_of(text, "markdown")).correct


def test_a_bad_block_does_not_hide_the_others():
    text = "```python\ndz = p -\n```\n$$dW = x^\\top \\oops$$\n```python\ndb = dz.sum(0)\n```"
    first, second, third = sheet_of(text, "markdown").statements
    assert isinstance(first, lang.Unreadable) and first.line == 2
    assert isinstance(second, lang.Unreadable) and (second.line, second.target) == (4, "dW")
    assert isinstance(third, lang.Assign) and third.line == 6


# -- headers ------------------------------------------------------------------------------------------------------


def test_headers_divide_a_file():
    text = (
        "<!-- exercise: linear-regression -->\n$$dw = 2(\\hat y - y)x$$\n"
        "```python\ndb = 2*(y_pred - y)\n# exercise: softmax-regression\n# sizes: N=2\ndz = (p - y)/N\n```\n"
        "<!-- exercise: sgd-step -->\n"
    )
    parts = parts_of(text, "markdown")
    assert [part.exercise for part in parts] == ["linear-regression", "softmax-regression", "sgd-step"]
    assert given_names(parts[0].sheet(LINE)) == [(2, "dw"), (4, "db")]
    second = parts[1].sheet(SOFTMAX)
    assert given_names(second) == [(7, "dz")] and second.sizes == {"N": 2} and second.sizes_line == 6


def test_sizes_are_given_once_in_all_blocks():
    text = "<!-- sizes: N=7 -->\n$$dz = (p - y)/7$$\n```python\n# sizes: {}\ndb = dz.sum(0)\n```\n"
    sheet = parts_of(text.format("N=8"), "markdown")[0].sheet(SOFTMAX)
    (refused,) = (s for s in sheet.statements if isinstance(s, lang.Unreadable))
    assert sheet.sizes == {"N": 7} and refused.line == 4 and "N is given twice, as N=7 and as N=8" in refused.reason
    again = parts_of(text.format("N=7, K=5"), "markdown")[0].sheet(SOFTMAX)
    assert again.sizes == {"N": 7, "K": 5} and not any(isinstance(s, lang.Unreadable) for s in again.statements)


@pytest.mark.parametrize("kind, mark", [("python", "#"), ("latex", "%"), ("markdown", "<!--")])
def test_a_file_has_parts_within_reason(kind, mark):
    header = f"{mark} exercise: mse{' -->' if mark == '<!--' else ''}\n"
    assert len(documents.parts(header * documents.MAX_PARTS, kind)) == documents.MAX_PARTS
    with pytest.raises(ReadingError, match="divide the file") as raised:
        documents.parts(header * (documents.MAX_PARTS + 1), kind)
    assert raised.value.line == documents.MAX_PARTS + 1


def test_headers_of_latex_stand_in_comments():
    text = (
        "% exercise: linear-regression\n\\[dw = 2(\\hat y - y)x\\]\n% exercise: softmax-regression\n\\[dz = (p-y)/N\\]"
    )
    parts = parts_of(text, "latex")
    assert [(part.exercise, len(part.blocks)) for part in parts] == [
        ("linear-regression", 2),
        ("softmax-regression", 2),
    ]
    bare = parts_of("% exercise: softmax-regression\ndz = (p-y)/N", "latex")
    assert bare[0].exercise == "softmax-regression" and given_names(bare[0].sheet(SOFTMAX)) == [(2, "dz")]


def test_a_header_that_names_a_file_is_refused():
    with pytest.raises(ReadingError, match="an exercise is named by its id"):
        check_sheets("<!-- exercise: ../x.py -->\n```\ndz = p\n```", kind="markdown")
    with pytest.raises(UsageError, match="does not say which exercise"):
        check_sheets("$$dz = p$$", kind="markdown")


# -- notebooks -----------------------------------------------------------------------------------------------------


def test_a_notebook_is_a_sheet_and_the_report_names_its_cells():
    report = tutor.check(SOFTMAX, NOTEBOOK)
    assert [(line.quantity, line.cell, line.line, line.verdict) for line in report.lines] == [
        ("dz", 3, 2, "correct"), ("dW", 3, 3, "correct"), ("db", 4, 3, "wrong"), ("dx", 4, 6, "correct"),
    ]  # fmt: skip
    found = report.to_dict()
    assert found["first_divergence"] == {"line": 3, "quantity": "db", "cell": 4}
    assert found["lines"][0]["cell"] == 3
    assert "cell 4, line 3:" in str(report) and "look at line 3 of cell 4" in str(report)


def test_code_that_gives_nothing_judged_is_passed_over_in_a_notebook():
    report = tutor.check(SOFTMAX, NOTEBOOK)
    passed = ["line 1 of cell 2: passed over: %matplotlib inline", "line 4 of cell 2: passed over: !pip install x"]
    assert set(passed) <= set(report.notes)
    assert any("line 3 of cell 2: passed over: pd.read_csv" in note for note in report.notes)


def test_a_bad_line_in_a_cell_with_an_answer_is_unreadable():
    report = tutor.check(SOFTMAX, notebook(cell("code", "dz = (p - y)/N", "dW = x.T @@ dz")))
    assert [(line.cell, line.line, line.verdict) for line in report.lines] == [(1, 1, "correct"), (1, 2, "unreadable")]


def test_what_follows_says_in_which_cell_the_cause_is():
    report = tutor.check(SOFTMAX, notebook(cell("code", "dz = (y - p)/N"), cell("code", "", "dW = x.T @ dz")))
    assert report.lines[1].reason == "sound, given dz as it stands on line 1 of cell 1"


LINES = ("dq = torch.ones_like(q)/N", "dr = 2*(x - y)/N", "dx = 2*(x - y)/N")


@pytest.mark.parametrize("set_up", [
    "x = torch.randn(5)\ny = torch.randn(5)", "x, y = torch.rand(5), torch.rand(5)", "x = torch.randn(N, requires_grad=True)",
    "x = np.load('x.npy')", "x = torch.tensor([1., 2., 3.])", "y = torch.zeros(4)", "x = torch.randn(5)\ny = 2*x + torch.randn(5)",
    "rng = np.random.default_rng(0)\nn = 4\nx = rng.normal(size=n)", "g = torch.Generator().manual_seed(3)\nx = torch.randn(5, generator=g)",
    "x = torch.randint(0, 9, (5,)).float()", "N = 5", "N = 5\nx = torch.randn(N)",
])  # fmt: skip
def test_data_of_its_own_sets_a_notebook_up(set_up):
    for cells in (
        [cell("code", *set_up.split("\n"), *LINES)],
        [cell("code", *set_up.split("\n")), cell("code", *LINES)],
    ):
        report = tutor.check("mse", notebook(*cells))
        assert report.correct, report
        assert any("passed over: " in note and "the lines are judged for every" in note for note in report.notes)
        wrong = tutor.check("mse", notebook(*cells).replace("dr = 2*(x - y)/N", "dr = (x - y)/N"))
        assert [line.verdict for line in wrong] == ["correct", "wrong", "correct"]


@pytest.mark.parametrize(("line", "name"), [
    ("dx = torch.randn(5)", "dx"), ("h = torch.randn(5)", "h"), ("r = torch.randn(5)", "r"), ("x = y + torch.randn(5)", "x"),
    ("x[0] = torch.randn(1)", "x"), ("N = torch.randint(1, 9, (1,))", "N"), ("N = 5\nN = 6", "N"), ("# sizes: N=7\nN = 5", "N"),
    ("N, h = 5, 2.5", "N"), ("N = 2.5", "N"),
])  # fmt: skip
def test_what_is_no_data_of_an_input_stays_unreadable(line, name):
    report = tutor.check("mse", f"{line}\ndq = torch.ones_like(q)/q.numel()\n")
    assert report.lines[0].verdict == "unreadable" and line.split("\n")[-1].startswith(name)


@pytest.mark.parametrize("filled", ["x += 2*r/N", "x = x + 2*r/N", "x[:] = 2*r/N", "x.add_(2*r/N)"])
def test_zeros_that_are_filled_are_a_helper(filled):
    report = tutor.check("mse", f"x = torch.zeros(N)\n{filled}\ndx = x\n")
    assert [line.verdict for line in report] == ["correct"]


LINEAR = "dr = (X@w + b - y)/N", "dw = X.T@dr", "db = dr.sum()"


@pytest.mark.parametrize("lines", [
    ("b = torch.ones(N)", "dr = b*r/N", "dw = X.T@dr", "db = b@dr"),
    ("y = torch.ones(N)", "dr = r/N", "dw = X.T@dr", "db = y@dr"),
    ("y = torch.zeros(N)", "t = y", "t += r/N", "dw = X.T@y", "db = y.sum()"),
    ("X = torch.randn(5, 2)", "b = torch.ones(N)", "dr = b*r/N", "dw = X.T@dr", "db = b@dr"),
    ("X = torch.randn(5, 2)", "y = torch.zeros(N)", "t = y", "t += r/N", "dw = X.T@y", "db = y.sum()"),
    ("# sizes: N=4", "y = torch.ones(4)", "dr = r/N", "db = y@dr"),
    ("h = r/N", "X = torch.randn(5, 2)", "y = torch.ones(N)", "dr = h", "db = y@dr"),
])  # fmt: skip
def test_what_is_written_down_may_be_a_vector_of_the_learners(lines):
    report = tutor.check("linear-regression-batch", "\n".join(lines))
    assert {line.verdict for line in report} == {"correct"}, report


@pytest.mark.parametrize("set_up", [
    ("X = torch.randn(N, D)", "y = torch.zeros(N)", "w = 0.1*torch.ones(D)", "b = torch.zeros(1)"),
    ("X = np.array([[1., 2.], [3., 4.]])", "y = torch.tensor([1., 2.])", "w = torch.zeros(D)", "b = torch.tensor(0.)"),
    ("w, b = torch.zeros(D), torch.zeros(1)", "X = torch.randn(5, 2).float()"),
])  # fmt: skip
def test_what_is_written_down_beside_data_is_data(set_up):
    assert tutor.check("linear-regression-batch", "\n".join([*set_up, *LINEAR])).correct


FORWARD = "z = x @ W + b", "p = np.exp(z)/np.exp(z).sum(axis=1, keepdims=True)"
BACKWARD = "dz = (p - y)/N", "dW = x.T @ dz", "db = dz.sum(axis=0)"
BATCH = "r = X @ w + b - y", "dw = X.T @ r / N", "db = r.mean()"


@pytest.mark.parametrize(("exercise", "set_up", "lines"), [
    *((SOFTMAX, front + (f"b = {b}",), FORWARD + BACKWARD)
      for front in ((), ("x = np.random.randn(N, D)", "W = np.random.randn(D, K) * 0.01"))
      for b in ("np.zeros((1, K))", "np.zeros(K)", "np.zeros_like(b)", "0", "np.zeros((1, W.shape[1]))")),
    *(("linear-regression-batch", front + w, BATCH)
      for front in ((), ("X = np.random.randn(N, D)", "y = np.random.randn(N)"), ("N, D = X.shape",))
      for w in (("w = np.zeros(D)", "b = 0"), ("w, b = np.zeros(D), 0.0",), ("w = np.zeros((D, 1))", "b = np.ones(1)"))),
    ("linear-regression", ("w = 3", "x = 5", "y, b = 1, 2"), ("y_pred = w*x + b", "dw = 2*(y_pred - y)*x", "db = 2*(y_pred - y)")),
])  # fmt: skip
def test_a_value_that_the_lines_are_not_meant_for_alone_is_data(exercise, set_up, lines):
    report = tutor.check(exercise, "\n".join([*set_up, *lines]))
    assert report.correct and any("passed over: " in note for note in report.notes), report
    for right in lines[-2:]:
        wrong = tutor.check(exercise, "\n".join([*set_up, *lines]).replace(right, f"{right} * 2"), repairs=False)
        assert [line.text for line in wrong if line.verdict != "correct"] == [f"{right} * 2"]


def test_what_may_be_data_is_so_wherever_it_stands():
    first = cell("markdown", r"$$\frac{\partial L}{\partial z} = \frac1N(p-y)$$")
    text = notebook(first, cell("code", "b = np.zeros(K)"), cell("code", *FORWARD), cell("code", *BACKWARD))
    assert [line.verdict for line in tutor.check(SOFTMAX, text)] == ["correct"] * 4


def test_states_that_begin_with_zeros():
    steps = "a1 = x1@Wx + h0@Wh + b\nh1 = torch.tanh(a1)\na2 = x2@Wx + h1@Wh + b\nh2 = torch.tanh(a2)\n"
    back = "da2 = dy2*(1 - h2**2)\nda1 = (dy1 + da2@Wh.T)*(1 - h1**2)\ndWh = h0.T@da1 + h1.T@da2\ndh0 = da1@Wh.T\n"
    report = tutor.check("rnn:steps=2", f"h0 = torch.zeros(N, H)\n{steps}{back}")
    assert {line.verdict for line in report} == {"correct"}
    short = tutor.check("rnn:steps=2", f"h0 = torch.zeros(N, H)\n{steps}{back}".replace("h0.T@da1 + ", ""))
    assert short.line("dWh").verdict == "wrong" and short.first_divergence.quantity == "dWh"  # of any h0
    gates = "".join(f"a{k} = x@W{k} + h@U{k} + b{k}\n" for k in "ifog")
    cell_ = "i, f, o, g = torch.sigmoid(ai), torch.sigmoid(af), torch.sigmoid(ao), torch.tanh(ag)\ns = f*c + i*g\nt = torch.tanh(s)\n"
    back = "ds = dhn*o*(1 - t**2) + dcn\ndc = ds*f\ndaf = ds*c*f*(1 - f)\ndUf = h.T@daf\n"
    report = tutor.check("lstm-cell", f"h = torch.zeros(N, H); c = torch.zeros(N, H)\n{gates}{cell_}{back}")
    assert {line.verdict for line in report} == {"correct"}


@pytest.mark.parametrize(("lines", "verdicts"), [
    (("y = torch.ones(N)", "dr = r/N", "dw = X.T@dr", "db = y@dr"), ["correct"] * 3),
    (("w, b = torch.zeros(D), 0", "r = X@w + b - y", "y = torch.ones(N)", "dr = r/N", "dw = X.T@dr", "db = y@dr"), ["correct"] * 3),
    (("y = torch.ones(N)", "dr = r", "dw = X.T@dr", "db = y@dr"), ["wrong", "follows", "follows"]),
    (("X = torch.randn(N, D)", "dr = r/N", "y = torch.ones(N)", "db = y@dr"), ["correct"] * 2),
])  # fmt: skip
def test_of_two_readings_the_one_counts_in_which_more_is_right(lines, verdicts):
    assert [line.verdict for line in tutor.check("linear-regression-batch", "\n".join(lines))] == verdicts


@pytest.mark.parametrize(("lines", "earned"), [
    (("x = 0", "dz = (p - y)/N", "dW = 0*x", "db = dz.sum(0)"), 1),
    (("b = 0", *FORWARD, *BACKWARD[:2], "db = dz.sum(0) + 3*b"), 1),
    (("W, b = torch.zeros(D, K), 0", *FORWARD, BACKWARD[0], "dW = x.T@dz + 0.5*W", BACKWARD[2]), 1),
    (("b = 0", "dz = torch.where(b == 0, p - y, (p - y)/N)", *BACKWARD[1:]), 1),  # two guesses: either of them alone
    (("b = torch.zeros(K)", "h = b.abs().sum()", "dz = (p - y)*((h == 0) + (h != 0)/N)", *BACKWARD[1:]), 1),
    (("b = torch.zeros(K)", "W = torch.ones(D, K)", *FORWARD, "h = (b**2).sum()", "dz = (p - y)/(1 + (N - 1)*(h > 0))", *BACKWARD[1:]), 1),
])  # fmt: skip
def test_no_value_of_ones_own_makes_a_wrong_line_right(lines, earned):
    report = tutor.check(SOFTMAX, "\n".join(lines), repairs=False)
    assert report.verdict == "wrong" and report.score == earned, report


def test_a_sheet_that_may_be_read_in_many_ways_is_read_in_few(monkeypatch):
    judged = []
    report = SheetJudge.report
    monkeypatch.setattr(SheetJudge, "report", lambda judge: judged.append(judge) or report(judge))
    text = "\n".join([*["b = 0"] * 50, *FORWARD, *["dz = p - 2*y"] * 20])
    assert tutor.check(SOFTMAX, text, repairs=False).verdict == "wrong"
    assert 1 < len(judged) <= 10


def test_training_starts_from_the_same_reading():
    trained = train(SOFTMAX, "\n".join(["b = 0", *FORWARD, *BACKWARD]), steps=3)
    assert trained.report.correct and trained.parted is None


@pytest.mark.parametrize("step", [
    ("w -= 0.1*dw", "b -= 0.1*db"), ("w = w - 0.1*dw; b = b - 0.1*db",), ("w.data -= 0.1*dw", "b.data -= 0.1*db"),
    ("with torch.no_grad():", "    w -= 0.1*dw", "    b -= 0.1*db"), ("w[:] = w - 0.1*dw", "b -= 0.1*b.grad"),
])  # fmt: skip
def test_a_training_step_undoes_no_set_up(step):
    lines = ["w = torch.randn(D)", "b = torch.zeros(1)", *LINEAR, *step]
    assert tutor.check("linear-regression-batch", "\n".join(lines)).correct


def loop(*body, over="range(10)"):
    return "\n".join([f"for i in {over}:", *(f"    {line}" for line in body)])


ONE_POINT = "y_pred = w*x + b", "dw = 2*(y_pred - y)*x", "db = 2*(y_pred - y)"


@pytest.mark.parametrize(("exercise", "text"), [
    *(("linear-regression", front + loop(*ONE_POINT, *step) + after)
      for front in ("", "w, b = 1.0, 0.0\n", "w = b = 0.5\nlr = 0.01\nlosses = []\n")
      for step, after in (
          (("w -= 0.01*dw", "b -= 0.01*db"), ""), (("w, b = w - 0.01*dw, b - 0.01*db", "print(i, w)"), ""),
          (("w.data -= 0.01*dw", "b.data.sub_(0.01*db)", "if i % 2 == 0:", "    print(i)"), "\nprint(w, b)\nL = (w*x + b - y)**2"),
          (("with torch.no_grad():", "    w += -0.01*dw", "    b.add_(db, alpha=-0.01)"), ""),
      )),
    ("linear-regression", loop(*ONE_POINT, "w -= 0.01*dw", over="range(100000)")),
    ("linear-regression", loop("for j in range(2):", *(f"    {line}" for line in (*ONE_POINT, "w -= 0.01*dw")))),
    ("linear-regression", loop(*ONE_POINT[1:], "w -= 0.01*dw", ONE_POINT[0])),
    ("linear-regression", "v = 0\n" + loop(*ONE_POINT, "v = 0.9*v + dw", "w = w - 0.01*v")),
    (SOFTMAX, loop(*FORWARD, *BACKWARD, "W = W - 0.1*dW", "b = b - 0.1*db", over="range(3)")),
    (SOFTMAX, loop("x = np.random.randn(N, D)", *FORWARD, "dz = p", "dz -= y", "dz /= N", *BACKWARD[1:], "W -= 0.1*dW")),
    (SOFTMAX, loop("dW = torch.zeros_like(W)", *FORWARD, BACKWARD[0], "for n in range(N):",
                   "    dW += torch.outer(x[n], dz[n])", BACKWARD[2], "W -= 0.1*dW")),
])  # fmt: skip
def test_a_loop_of_training_is_judged_by_one_round(exercise, text):
    report = tutor.check(exercise, text)
    assert report.correct and any("one round of the loop is judged" in note for note in report.notes), report
    for right, wrong in (("db = 2*", "db = "), (BACKWARD[2], "db = dz.mean(axis=0)")):
        if right in text:
            verdicts = {line.quantity: line.verdict for line in tutor.check(exercise, text.replace(right, wrong))}
            assert verdicts.pop("db") == "wrong" and {*verdicts.values()} == {"correct"}


@pytest.mark.parametrize(("exercise", "text"), [
    (SOFTMAX, "dW = torch.zeros(D, K)\n" + loop(*FORWARD, BACKWARD[0], "dW += x.T@dz", BACKWARD[2], "W -= 0.1*dW")),
    (SOFTMAX, "dW = torch.zeros(D, K)\n" + loop(BACKWARD[0], "g = dW", "g += x.T@dz", BACKWARD[2], "W -= 0.1*dW")),
    (SOFTMAX, "g = 0\n" + loop(BACKWARD[0], "g = g + x.T@dz", "dW = g", BACKWARD[2], "W -= 0.1*dW")),
    ("linear-regression", loop(*ONE_POINT, "w -= 0.1/(i + 1)*dw")),
    ("linear-regression", loop("dw = 2*(y_pred - y)*x*(i == 0)", ONE_POINT[2], "w -= 0.1*dw")),
    ("linear-regression", loop(*ONE_POINT, "w -= 0.1*dw") + "\ndw = 2*(w*x + b - y)*x"),
    ("linear-regression", loop("dw = 2*(y_pred - y)*x*(w*x + b != y_pred)", ONE_POINT[2], "w -= 0.1*dw")),
])  # fmt: skip
def test_a_loop_that_does_more_than_take_steps_makes_nothing_right(exercise, text):
    assert "wrong" in {line.verdict for line in tutor.check(exercise, text, repairs=False)}


def test_loops_without_a_step_of_training_keep_their_rounds():
    for text in (
        loop("dw = 2*(y_pred - y)*x", "db = 2*(y_pred - y)"),
        "dw = 0\n" + loop("dw += (y_pred - y)*x", over="range(2)") + "\ndb = 2*(y_pred - y)",
        "w = 0\n" + loop("w -= (y_pred - y)*x", over="range(2)") + "\ndw = -w\ndb = 2*(y_pred - y)",
    ):
        report = tutor.check("linear-regression", text)
        assert report.correct and not any("one round" in note for note in report.notes), report


def test_values_after_more_steps_than_one_are_not_those_after_one():
    step = "dw = 2*X.T@(X@w - y)/N", "w = w - eta*dw"
    exercise = tutor.Exercise("one-step")
    N, D = exercise.sizes("N D")
    i, j = exercise.indices(i=N, j=D)
    X, y, eta = exercise.input("X", i, j), exercise.input("y", i), exercise.input("eta")
    w = exercise.parameter("w", j)
    exercise.loss("L", Sum((Sum(X[i, j] * w[j], j) - y[i]) ** 2, i) / N)
    exercise.value("w_new", [j], w[j] - eta * exercise.gradient("w")[j])
    exercise.ask("w_new")
    assert tutor.check(exercise, "\n".join([*step, "w_new = w"])).correct
    report = tutor.check(exercise, loop(*step, over="range(2)") + "\nw_new = w")
    assert report.line("w_new").verdict in ("wrong", "follows") and report.verdict == "wrong"


def test_a_size_that_is_set_is_not_pinned():
    report = tutor.check("mse", "N = 5\ndr = 2*r/5\n")
    assert [line.verdict for line in report] == ["wrong"] and "to pin one, write '# sizes: N=32'" in report.notes[0]
    assert tutor.check("mse", "# sizes: N=5\nN = 5\ndr = 2*r/5\n").lines[0].verdict == "correct"


def test_names_of_modules_hold_for_the_whole_file():
    """An import stands in a cell of its own, above the headers of several exercises."""
    text = notebook(
        cell("code", "import torch as th, numpy as npy", "import torch.nn.functional as nnf"),
        cell("code", "# exercise: softmax-regression", "dz = (nnf.softmax(z, 1) - y)/N", "dW = x.T @ dz"),
        cell("code", "db = th.sum(dz, 0)"),
        cell("code", "# exercise: linear-regression", "dw = -2*npy.square(x)*(y/x - w - b/x)", "db = npy.e/npy.e*dw/x"),
    )
    reports = check_sheets(text, kind="notebook")
    assert [report.verdict for report in reports] == ["correct", "correct"]
    assert [line.verdict for report in reports for line in report.lines] == ["correct"] * 5


def test_a_repair_of_a_line_that_names_its_module_otherwise():
    report = tutor.check("softmax-regression", "import torch.nn.functional as nnf\ndz = (nnf.softmax(z, 0) - y)/N")
    assert report.line("dz").repair.new == "nnf.softmax(z, 1)"


def test_cell_magics():
    cells = [cell("code", "%%latex", r"\[ dz = \frac{p - y}{N} \]"), cell("code", "%%time", "dW = x.T @ dz"),
             cell("code", "%%bash", "db = 42"), cell("code", "db = dz.sum(0)", "db?")]  # fmt: skip
    report = tutor.check(SOFTMAX, notebook(*cells))
    assert report.correct and [(line.cell, line.line) for line in report.lines] == [(1, 2), (2, 2), (4, 1)]


def test_the_report_of_a_notebook_is_valid():
    schema = json.loads((Path(tutor.__file__).parent / "checking" / "report.schema.json").read_text())
    line = schema["$defs"]["line"]
    for found in tutor.check(SOFTMAX, NOTEBOOK).to_dict()["lines"]:
        assert set(found) <= set(line["properties"]) and set(line["required"]) <= set(found)
        assert isinstance(found["line"], int) and isinstance(found["column"], int) and isinstance(found["cell"], int)


@pytest.mark.parametrize(("text", "words"), [
    ("", "its JSON cannot be read"),
    ("{", "its JSON cannot be read"),
    ("[" * 100_000, "its JSON cannot be read"),
    ("[]", "list of cells"),
    ('{"worksheets": []}', "format 4"),
    (json.dumps({"cells": [1]}), "cell 1 of the notebook has no text"),
    (json.dumps({"cells": [{"cell_type": "code", "source": 3}]}), "cell 1 of the notebook has no text"),
    (json.dumps({"cells": [{"source": ["a", 1]}]}), "cell 1 of the notebook has no text"),
    (json.dumps({"cells": [{"cell_type": "raw", "source": ""}] * 2001}), "more than 2000 cells"),
    (notebook(cell("code", "x" * 60_000), cell("markdown", "x" * 60_000)), "more than 100000 characters"),
    ("{" + " " * 8_000_000 + "}", "at most 8000000 are read"),
    ('{"cells": [], "x": ' + "1" * 10_000 + "}", "its JSON cannot be read"),
])  # fmt: skip
def test_what_is_no_notebook_is_refused(text, words):
    with pytest.raises(ReadingError, match=words):
        parts_of(text, "notebook")
    assert tutor.check(SOFTMAX, _sheet_or_unreadable(text)).verdict == "unreadable"


def _sheet_or_unreadable(text):
    from tutor.checking.check import read_answer

    return read_answer(SOFTMAX, text, "notebook")


# -- from the disk ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text"), [("a.md", MARKDOWN), ("a.ipynb", NOTEBOOK.replace("-\\\\sum", "\\\\sum"))])
def test_files_are_read_by_their_suffix(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert tutor.check(SOFTMAX, path).correct
    [report] = check_sheets(documents.read(str(path)), kind=documents.kind_of(name))
    assert report.exercise == "softmax-regression" and report.correct


def test_a_notebook_may_be_larger_than_a_sheet(tmp_path):
    path = tmp_path / "a.ipynb"
    image = {"data": {"image/png": "A" * 1_000_000}}
    path.write_text(notebook(cell("code", "dz = (p - y)/N", "dW = x.T @ dz", "db = dz.sum(0)", outputs=[image])))
    assert tutor.check(SOFTMAX, path).correct


def test_a_tex_file_as_the_tutor_writes_it(tmp_path):
    path = tmp_path / "a.tex"
    from tutor.views import latex

    path.write_text(latex.derivation(SOFTMAX.derive(), closed=True), encoding="utf-8")
    report = tutor.check(SOFTMAX, path)
    assert not [line.text for line in report.lines if line.verdict == "wrong"]
    assert {line.quantity for line in report.lines if line.verdict == "correct"} >= {"dz", "dW", "db"}


# -- hostile ----------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(
                ["```", "```python", "```latex", "~~~", "\n", "$$", "$", "\\[", "\\]", "dz = p", "dW = x.T @ dz",
                 "<!--", "-->", "# exercise: mlp", "<!-- exercise: softmax-regression -->", "%x", "!y", "`", "{", "\\frac", "é",
                 "\\begin{align}", "\\end{align}", "% sizes: N=3", "~~", "> $$", "> ```", "    dz = p", "- dW = x", "<del>",
                 "</del>", "$`dz = p`$", "\\\\[", "\\\\]", "\\begin{verbatim}", "\\end{verbatim}", "x = torch.randn(5)", "N = 5", "# sizes: N=x", "for i in range(3):", '"""',
                 "\ud800"]
            ),
            max_size=25,
        ).map("\n".join),
    ),
    st.sampled_from(["markdown", "latex", "notebook", "python", None]),
)  # fmt: skip
def test_no_document_breaks_the_readers(text, kind):
    lines = notebook(cell("markdown", text), cell("code", *text.split("\n")))
    for document, written in ((text, kind), (lines, "notebook")):
        try:
            for part in documents.parts(document, written):
                sheet = part.sheet(SOFTMAX)
                assert all(statement.line >= 1 for statement in sheet.statements)
                str(tutor.check(SOFTMAX, sheet))
        except TutorError as error:
            assert str(error)


@pytest.mark.parametrize("text", [
    "$$\n" * 30_000, "```\n" * 25_000, "`" * 100_000, "<!--" * 25_000, "$$x=1$$\n" * 12_000,
    "# exercise: mlp\n" * 6_000,
    "```python\n" * 9_000, "\\begin{align}" * 7_000, "%x\n" * 33_000, "> " * 50_000, "> $$\n" * 20_000,
    "~~$x=1$~~\n" * 10_000, "~~ " * 33_000, "<del>" * 20_000, "$`x`$ " * 4_000, "\\\\[" * 33_000,
    "a\n\n    x = 1\n\n" * 400, "    x = 1\n- y\n" * 6_000, "dz = 1\n" * 14_000,
    "\\begin{verbatim}x = 1\\end{verbatim}" * 400,
])  # fmt: skip
def test_hostile_markdown_is_read_or_refused(text):
    try:
        for part in parts_of(text, "markdown"):
            part.sheet(SOFTMAX)
    except ReadingError as error:
        assert str(error)


@pytest.mark.parametrize("text", [
    "\\[ " * 24_000 + "\n\n\\]", "\\\\[ " * 24_000 + "\n\n\\\\]", "\\( " * 33_000 + "\n\n\\)",
    "\\\\( " * 24_000 + "\n\n\\\\)", "$a$" + " " * 95_000 + "x", "$`a`$ " * 16_000, "if $`a_i`$ " * 9_000,
])  # fmt: skip
def test_marks_are_looked_for_once(text):
    start = time.process_time()
    for markdown in (False, True):
        found = list(latex_regions.stretches(text, markdown))
        assert not any(latex_regions.of_a_case(text, each.start) for each in found[:-1:500]) or "if" in text
    assert time.process_time() - start < 1.5  # each took seconds: a pass to the end of the text for every mark


# -- a case in prose, formulas in the sentences of a .tex ------------------------------------------------------------

IN_ONE_CASE = [
    "If $y_{ik} = 1$ then {}.", "对 $y_{ik}=1$，{}。", "当 $y_{ik}=1$ 时，{}。", "Suppose $N > 1$. If $k$ is the true class: {}",
    "For $y_{ik} \\ne 0$: {}", "First this.\n\notherwise {}", "Case $k = c$: {}", "否则，{}",
    "\\textbf{Case 1:} $y_{ik} = 1$. Then {}", "**Case 1:** $k = c$.\n\nHere {}", "### Case (ii): $k \\ne c$\n\nThe sum has one term. So {}",
    "\\item[(i)] $y_{ik} \\ge 1$: {}", "1. $|y_{ik}| \\le 1$: {}", "Case A. $|y| > 0$. We have {}", "If $k = c$. Then {}",
    "It is $0$ elsewhere, and for $k = c$ {}", "情形一：$k = c$。此时 {}",
]  # fmt: skip
IN_ALL = [
    "For every $i = 1, \\dots, N$ and $k$: {}", "If $N$ is the batch size, then {}", "Since $s_i > 0$, {}",
    "If $y_{ik} = 1$, one term is left. In general {}", "其中 $\\sum_k y_{ik} = 1$，于是 {}", "We use $p = e/s$. So {}",
    "\\textbf{Case 1:} $k = c$. Then one term is left. In both cases {}", "In the case of $N$ rows: {}",
    "Case 1: $k = c$ gives $p - 1$. Case 2: $k \\ne c$ gives $p$. Hence {}",
    "In case a row has $K$ entries, {}",
    "$$s_i = \\sum_k e_{ik}$$\nfor $k \\ne c$.\n\n{}", "For $k \\ne c$ the indicator is $0$.\n\n{}",
]  # fmt: skip
FORMULA = r"\frac{\partial L}{\partial z_{ik}} = "


@pytest.mark.parametrize("marks", ["$", "$$"])
@pytest.mark.parametrize("prose", IN_ONE_CASE)
def test_what_a_sentence_says_of_one_case_is_no_answer(prose, marks, tmp_path):
    text = prose.replace("{}", f"{marks}{FORMULA}(p_{{ik}} - 1)/N{marks}", 1) if marks == "$" else prose.replace(
        "{}", f"\n$$\n{FORMULA}(p_{{ik}} - 1)/N\n$$\n", 1
    )  # fmt: skip
    for suffix in (".md", ".tex"):
        path = tmp_path / f"a{suffix}"
        path.write_text(text, encoding="utf-8")
        report = tutor.check(SOFTMAX, path)
        assert report.verdict == ("incomplete" if marks == "$" else "unreadable"), report
        assert "it holds in one case only" in str(report)
        path.write_text(f"{text}\n\nTogether:\n\n$${FORMULA}(p_{{ik}} - y_{{ik}})/N$$\n", encoding="utf-8")
        assert [line.verdict for line in tutor.check(SOFTMAX, path)] == ["correct"]


@pytest.mark.parametrize(("value", "verdict"), [("(p_{ik} - y_{ik})/N", "correct"), ("(p_{ik} - 1)/N", "wrong")])
@pytest.mark.parametrize("prose", IN_ALL)
def test_what_a_sentence_says_of_all_entries_is_an_answer(prose, value, verdict, tmp_path):
    for suffix in (".md", ".tex"):
        for formula in (f"${FORMULA}{value}$", f"\n$${FORMULA}{value}$$\n"):
            path = tmp_path / f"a{suffix}"
            path.write_text(prose.replace("{}", formula, 1), encoding="utf-8")
            assert [line.verdict for line in tutor.check(SOFTMAX, path)] == [verdict]


def test_a_sign_that_is_no_equality_makes_a_text_latex_as_well():
    assert tutor.check(LINE, r"$$\frac{\partial L}{\partial w} \approx -8$$").lines[0].verdict == "correct"
    assert tutor.check(LINE, r"$$\frac{\partial L}{\partial w} \approx -7$$").verdict == "wrong"
    report = tutor.check(LINE, r"$$\frac{\partial L}{\partial w} \propto (\hat y - y) x$$")
    assert report.verdict == "unreadable" and "propto" in report.lines[0].reason


def test_a_total_differential_in_a_sentence_is_a_remark():
    text = "Since $\\mathrm{d}f = x^\\top(A + A^\\top)\\mathrm{d}x$.\n\n$$\\nabla_x f = (A + A^\\top)x$$\n"
    [report] = check_sheets(f"<!-- exercise: quadratic-form -->\n{text}", kind="markdown")
    assert [line.quantity for line in report.lines] == ["dx"]
    assert any("(in a sentence; a total differential)" in note for note in report.notes)


@pytest.mark.parametrize(("exercise", "text", "verdict"), [
    ("softmax-regression", "$$dz_{ik} = \\frac1N g_{ik}$$\nwhere $g_{ik} = p_{ik} - y_{ik}$.", "correct"),
    ("softmax-regression", "$$dz_{ik} = g_{ik},$$\n\nwhere $g_{ik} = p_{ik} - y_{ik}$.", "wrong"),
    ("softmax-regression", "\\[dz_{ik} = \\frac1N (q_{ik} - t_{ik})\\]\nwith \\(q_{ik} = p_{ik}\\) and \\(t = y\\).", "correct"),
    ("softmax-regression", "$$dz_{ik} = \\frac1N(p_{ik} - y_{ik})$$ where $p_{ik} = \\frac{e_{ik}}{s_i}$.", "correct"),
    ("softmax-regression", "Let $\\hat y = p$.\n\n$$dz = \\frac1N(\\hat y - y)$$", "correct"),
    ("word2vec-softmax", "Let $t_w = \\mathbb 1[w=o]$ and $g = p - t$.\n\n$$dz = g$$", "correct"),
    ("word2vec-softmax", "Let $t_w = \\mathbb 1[w=o]$, $g = t - p$.\n\n$$dz = g$$", "wrong"),
    ("word2vec-softmax", "There $t = 1$ and $g = p - t$.\n\n$$dz = g$$", "unreadable"),
    # another line of the exercise's own step, told behind a formula, changes nothing in front of it
    ("linear-regression-batch", "$$dw = \\frac1N X^\\top r$$ where $r = Xw - y$.", "correct"),
])  # fmt: skip
def test_names_that_a_sentence_gives_are_read_in_the_displays_beside_it(exercise, text, verdict):
    [report] = check_sheets(f"<!-- exercise: {exercise} -->\n{text}\n", kind="markdown")
    assert [line.verdict for line in report.lines] == [verdict]


OF_A_LINE = r"$$\frac{\partial L}{\partial w} = 2(\hat y-y)x, \quad \frac{\partial L}{\partial b} = 2(\hat y-y)$$"


@pytest.mark.parametrize(("text", "noted"), [
    (r"Setting this to zero, $$\frac{\partial L}{\partial w} = 0 \implies w = \frac{y-b}{x}$$", 2),
    (r"We set $$\frac{\partial L}{\partial b} = 0 .$$", 1),
    (r"At the minimum $$\frac{\partial L}{\partial w} = 2(\hat y-y)x = 0$$", 1),
    (r"To find the minimum, we differentiate once more. $$\frac{\partial L}{\partial w} = 2(\hat y-y)x = 0$$" + "\n"
     r"$$\frac{\partial L}{\partial b} = 2(\hat y-y) = 0$$", 2),
    (r"$$\frac{\partial L}{\partial w} \overset{!}{=} 0$$", 1),
    (r"$$2(\hat y-y)x \stackrel{!}{=} 0$$", 1),
    (r"令导数为零：$$\frac{\partial L}{\partial b} = 0$$", 1),
])  # fmt: skip
def test_a_condition_on_a_gradient_is_no_answer(text, noted):
    [report] = check_sheets(f"% exercise: linear-regression\n{OF_A_LINE}\n{text}\n", kind="latex")
    assert report.verdict == "correct"
    assert sum("condition" in note for note in report.notes) == noted


@pytest.mark.parametrize("text", [
    r"so $$\frac{\partial L}{\partial w} = 0$$", r"so $$\frac{\partial L}{\partial w} = 2(\hat y-y)x = 0$$",
    r"To find the minimum, we differentiate. $$\frac{\partial L}{\partial w} = 0$$", r"Setting this to zero, $$\frac{\partial L}{\partial w} = (\hat y-y)x = 0$$",
    r"Setting this to zero, $$\frac{\partial L}{\partial w} = 1$$", r"Set it. Then $$\frac{\partial L}{\partial w} = 0$$",
])  # fmt: skip
def test_a_wrong_gradient_is_no_condition(text):
    [report] = check_sheets(f"% exercise: linear-regression\n{OF_A_LINE}\n{text}\n", kind="latex")
    assert report.verdict == "wrong"


OF_DELTA = r"$$\frac{\partial L}{\partial w} = \delta x, \quad \frac{\partial L}{\partial b} = \delta$$"
OF_R = r"$$\frac{\partial L}{\partial w} = 2 r x, \quad \frac{\partial L}{\partial b} = 2 r$$"


@pytest.mark.parametrize(("text", "lines"), [
    (f"Let $\\delta = \\frac{{\\partial L}}{{\\partial \\hat y}} = 2(\\hat y - y)$. Then\n{OF_DELTA}", ["dy_pred", "dw", "db"]),
    (f"Let $\\frac{{\\partial L}}{{\\partial \\hat y}} = \\delta = 2(\\hat y - y)$. Then\n{OF_DELTA}", ["dy_pred", "dw", "db"]),
    (f"{OF_DELTA}\nwhere $\\delta = \\frac{{\\partial L}}{{\\partial \\hat y}} = 2(\\hat y - y)$.", ["dy_pred", "dw", "db"]),
    (f"{OF_DELTA}\nwhere $\\delta = 2(\\hat y - y)$.", ["dw", "db"]),
    (f"Let $r = \\hat y - y = wx + b - y$.\n{OF_R}", ["dw", "db"]),
])  # fmt: skip
def test_a_chain_in_a_sentence_gives_a_name(text, lines):
    [report] = check_sheets(f"% exercise: linear-regression\n{text}\n", kind="latex")
    assert sorted(line.quantity for line in report.lines) == sorted(lines) and report.verdict == "correct"
    [report] = check_sheets(f"% exercise: linear-regression\n{text.replace('hat y - y', 'hat y + y')}\n", kind="latex")
    assert report.verdict == ("correct" if "wx + b - y" in text else "wrong")  # of a chain the last member is the value


@pytest.mark.parametrize(("text", "verdicts"), [
    ("\\textbf{Case 1:} $|r_i|\\le\\delta$. Then $$dr_i = r_i$$ so that $$dx_i = r_i.$$ \\textbf{Case 2:} $|r_i|>\\delta$. Then $$dr_i = \\delta\\,\\mathrm{sign}(r_i)$$",
     ["unreadable"] * 3),
    ("If $|r_i|\\le\\delta$ we have\n\n$$dr_i = r_i$$\n\nand hence\n\n$$dx_i = r_i$$\n\nOtherwise\n\n$$dr_i = \\delta\\,\\mathrm{sign}(r_i)$$",
     ["unreadable"] * 3),
    # behind the last case it may be what follows from all of them
    ("If $|r_i|\\le\\delta$ we have\n\n$$dr_i = r_i$$\n\nso\n\n$$dx_i = \\max(-\\delta, \\min(\\delta, r_i))$$\n\nThe end.", ["unreadable", "correct"]),
])  # fmt: skip
def test_what_follows_in_a_case_holds_in_it_alone(text, verdicts):
    for kind, mark in (("latex", "% exercise: huber"), ("markdown", "<!-- exercise: huber -->")):
        [report] = check_sheets(f"{mark}\n{text}\n", kind=kind)
        assert [line.verdict for line in report.lines] == verdicts
