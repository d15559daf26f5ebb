"""The answer language: what reads, as what, and what is refused, with its place and what is allowed instead."""

import re
from itertools import chain, islice, product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tutor
from tutor.answers import language as lang
from tutor.answers import python
from tutor.answers.file_names import modules_named
from tutor.answers.python import MAX_LENGTH, read
from tutor.checking import interpret, library
from tutor.checking.interpret import Run, _most_selected
from tutor.checking.outline import Names, Outline
from tutor.errors import ReadingError
from tutor.exercise import Exercise


@pytest.fixture(autouse=True)
def our_own_bugs_are_raised(monkeypatch):
    monkeypatch.setattr(interpret, "STRICT", True)


def only(text):
    (sheet,) = read(text)
    return sheet


def refusals(text):
    return [(s.line, s.column, s.reason) for s in flat(only(text).statements) if isinstance(s, lang.Unreadable)]


def flat(statements):
    for statement in statements:
        yield statement
        if isinstance(statement, lang.Loop):
            yield from flat(statement.body)


# -- reading ---------------------------------------------------------------------------------------------


def test_a_sheet_has_statements_with_their_place_and_text():
    sheet = only(
        "# exercise: softmax-regression\n\ndz = (p - y) / N   # given p\nwith torch.no_grad():\n    dW = x.T @ dz\n"
    )
    assert sheet.exercise == "softmax-regression"
    assert [(s.line, s.column, s.text) for s in sheet.statements] == [
        (3, 1, "dz = (p - y) / N"),
        (5, 5, "dW = x.T @ dz"),
    ]


def test_headers_divide_a_file_and_pin_sizes():
    first, second = read("# exercise: a-b\n# sizes: N=32, K=10\ndz = 1\n# exercise: mlp:layers=3,loss=mae\ndW = 2\n")
    assert (first.exercise, first.sizes, second.exercise) == ("a-b", {"N": 32, "K": 10}, "mlp:layers=3,loss=mae")
    assert second.statements[0].line == 5


@pytest.mark.parametrize(
    "header",
    [
        "# exercise: ../x.py",
        "# exercise: /etc/passwd",
        "# sizes: N=0",
        "# sizes: N=9999999999",
        "# sizes: N",
        "# sizes: N=3, N=4",
        "# sizes: N=3\n# sizes: K=4, N=4",
        "# exercise: a b",
    ],
)
def test_a_header_that_makes_no_sense_is_unreadable(header):
    assert refusals(header + "\ndw = 1")


@pytest.mark.parametrize(
    ("header", "sizes"),
    [
        ("# sizes N=3", {"N": 3}),  # without its colon
        ("# Sizes N=3, K = 4", {"N": 3, "K": 4}),
        ("# sizes: N=3\n# sizes: N=3, K=4", {"N": 3, "K": 4}),  # said again
        ("# sizes N=3 are what the course takes", {}),  # a comment
        ("# the sizes N=3", {}),
    ],
)
def test_what_is_a_header_of_sizes(header, sizes):
    (sheet,) = read(header + "\ndw = 1")
    assert sheet.sizes == sizes and not refusals(header + "\ndw = 1")


@pytest.mark.parametrize(
    ("text", "column", "match"),
    [
        ("dw = 2x", 7, r"write 2\*x"),
        ("dw = 3.5y + 1", 9, r"write 3.5\*y"),
        ("dw = 2e3x", 9, r"write 2e3\*x"),
        ("dw = 2(x + 1)", 6, r"write 2\*\("),
        ("dw = x y", 8, "operator is missing"),
        ("dw = (x + 1", 6, "never closed"),
        ("dw = x + 1)", 11, "closes nothing"),
        ("dw = (x + 1]", 12, "closes nothing"),
        ("dw == x", 1, "write dw = x"),
        ("dw = = x", 6, "name = formula"),
        ("dw = x.__class__", 6, "__class__"),
        ("dw = __import__('os')", 6, "__import__"),
        ("dw = lambda: 1", 6, "lambda"),
        ("dw = [i for i in x]", 6, "comprehension"),
        ("dw = (y := 3)", 7, ":="),
        ("dw = x and y", 6, "&"),
        ("dw = not x", 6, "~"),
        ("dw = 0 < x < 1", 6, "two things at a time"),
        ("dw = f(*x)", 8, r"\*"),
        ("dw = f(**x)", 6, r"\*\*"),
        ("dw = f'{x}'", 6, "no strings"),
        ("dw = 0x10", 7, "decimal"),
        ("dw = 3j", 7, r"write 3\*j"),
        ("dw = 1e999", 6, "finite"),
        ("dw = '\\d'", 7, r"\\"),
        ("dw = {}", 6, "not part"),
        ("dw: 3", 1, "type"),
        ("dw: list = 3", 1, "type"),
        ("from scipy.special import softmax", 1, "import"),
        ("cache = {'x': x}", 9, "dict"),
        ("dw = cache['x']", 6, "write x itself"),
        ("del dw", 1, "del"),
        ("def f(): dw = 1", 1, "def"),
        ("import os", 1, "import os"),
        ("from os import path", 1, "import"),
        ("with open('x'): dw = 1", 1, "no_grad"),
        ("for a, b in x: dw = 1", 1, "for i in range"),
        ("for i in range(3):", 1, "below"),
        ("while True: pass", 1, "while"),
        ("f(x) = 3", 1, "name = formula"),
        ("dw = \x00", 6, "invisible"),
        ("dw = \u202e3", 6, "right-to-left"),
        ("dw = \u200b3", 6, "zero width"),
        ("dw = ∂L", 6, "partial differential"),
        ("dw = " + "9" * 40, 6, "digits"),
        ("dw = x" + "+x" * 3000, 1, "4000 characters"),
        ("dw = " + "(" * 60 + "x" + ")" * 60, 46, "brackets"),
        ("dw = " + "-" * 200 + "x", 86, "inside each other"),
        ("dw = x" + ".T" * 200, 6, "inside each other"),
    ],
)
def test_what_is_refused_has_a_place_and_says_what_is_allowed(text, column, match):
    import re

    ((line, at, reason),) = refusals(text)
    assert (line, at) == (1, column)
    assert re.search(match, reason), reason


@pytest.mark.parametrize(
    ("text", "column", "match"),
    [
        ("db: dz.sum(0)", 1, r"write db = dz\.sum\(0\)"),
        ("db: list = dz", 1, "write db = dz"),
        ("Eq(dW, x.T @ dz)", 1, "write dW = x.T @ dz"),
        ("dw = 3 x", 8, r"write 3\*x"),
        ("dw = (3 x)", 9, r"write 3\*x"),
        ("dw = (a + b) c", 14, r"write \(a \+ b\)\*c"),
        ("dw = f(0) c", 11, r"write a\*b, not a b"),
        ("dW = x.T dz", 10, r"write x\.T @ dz or x\.T\*dz"),
        ("dW = xᵀdz", 8, r"write x\.T @ dz or x\.T\*dz"),
        ("dW = x^T dz", 10, r"write x\.T @ dz or x\.T\*dz"),
        ("dW = x' @ dz", 7, r"transpose is written x\.T"),
        ("db[k] = Σ_i dz[i,k]", 9, r"written Sum\(dz\[i,k\], i\)"),
        ("db[k] = sum_i dz[i,k]", 9, r"written Sum\(dz\[i,k\], i\)"),
        ("db[k] = Σ_i dz[i,k]·x[i] - 1", 9, r"written Sum\(dz\[i,k\]\*x\[i\], i\)"),
        ("db[k] = ∑_i dz[i,k]·x[i]", 9, r"written Sum\(dz\[i,k\]\*x\[i\], i\)"),
        ("db = ∑ dz[i,k]", 6, r"written Sum\(dz\[i,k\], i\)"),
        ("∇_X L = ∇_Y L · Wᵀ", 1, "with respect to X is called dX"),
        ("db = 1ᵀ·dz", 8, r"ones is written torch\.ones\(N\), .* is A\.sum\(0\)"),
        ("dn = 1 - tanh²(n)", 15, r"parentheses: tanh\(x\)\*\*2"),
        ("dn = x²(n)", 8, r"2\(\.\.\.\) is not a product here"),
        ("dw = ∂[i]", 6, "is called dz"),
        ("∇w = 3", 1, "is called dz"),
        ("dw = √x", 6, r"sqrt\(x\)"),
        ("dw = {p - y}/N", 6, r"\( \)"),
    ],
)
def test_what_people_write_is_refused_with_the_right_spelling(text, column, match):
    import re

    ((line, at, reason),) = refusals(text)
    assert (line, at) == (1, column), reason
    assert re.search(match, reason), reason


@pytest.mark.parametrize("text", ["db: dz.sum(0)", "db == 3", "db = 3 x", "dL/db = 2x", "db := 2x"])
def test_a_refused_line_knows_its_quantity(text):
    (statement,) = only(text).statements
    assert statement.target in ("db", "dL_db")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("dL/dw = 2", "dL_dw = 2"),
        ("dL / dw[i] = x[i]", "dL_dw[i] = x[i]"),
        ("∂L/∂w = ∂L/∂z*x", "dL_dw = dL_dz*x"),
        ("dW = x^T @ dz", "dW = x.T @ dz"),
        ("dW = x^{T} @ dz", "dW = x.T @ dz"),
        ("dW = xᵀ @ dz", "dW = x.T @ dz"),
        ("dW = x⊤ @ dz", "dW = x.T @ dz"),
        ("db[k] = Σ(dz[i,k], i)", "db[k] = Sum(dz[i,k], i)"),
        ("db[k] = ∑(dz[i,k], i)", "db[k] = Sum(dz[i,k], i)"),
        ("dw := 3", "dw = 3"),
        ("dz = [p - y]/N", "dz = (p - y)/N"),
        ("dz = -[p - y]", "dz = -(p - y)"),
        ("dz = [[p - y]/N].sum(0)", "dz = ((p - y)/N).sum(0)"),
    ],
)
def test_what_people_write_is_read_with_a_note(text, meant):
    def shape(node):
        if isinstance(node, lang.Expression):
            kept = [n for n in node.__dataclass_fields__ if n not in ("line", "column", "end")]
            return type(node).__name__, [shape(getattr(node, n)) for n in kept]
        return [shape(part) for part in node] if isinstance(node, tuple) else node

    def statement(sheet):
        (made,) = sheet.statements
        return [shape(target) for target in made.targets], shape(made.value)

    sheet = only(text)
    assert statement(sheet) == statement(only(meant))
    assert any("is read as" in note for note in sheet.notes)
    assert sheet.statements[0].text == text


def test_columns_after_a_longer_sign_stay_the_learners():
    for text in ("dw = xᵀ + Σ(a, i) + 2y", "∂L/∂w = x^T + 2y", "dw := xᵀ + 2y"):
        ((_, column, _),) = refusals(text)
        assert column == text.index("2y") + 2


def test_lists_stay_lists_where_they_are_meant():
    assert only("h = torch.cat([x], 0)").notes == []
    assert only("h = x.view([N] + [K])").notes == []
    assert only("h = x.view([N*2] + [K])").notes == []
    assert only("h = [1.0]*3").notes == []


def test_one_bad_line_does_not_hide_the_others():
    sheet = only("dz = p - - \ndW = x.T @ dz\ndb = (dz.sum(\ndx = 1\nfor k in range(3):\n    a = = 1\n    b += 1\n")
    kinds = [type(s).__name__ for s in flat(sheet.statements)]
    assert kinds == ["Unreadable", "Assign", "Unreadable", "Assign", "Loop", "Unreadable", "Update"]
    assert [s.target for s in flat(sheet.statements) if isinstance(s, lang.Unreadable)] == ["dz", "db", "a"]


def test_typographic_characters_are_read_as_meant_and_columns_stay_the_learners():
    sheet = only("dw ＝ （x − 1）^2 × y；db = z")
    ((line, column, _),) = refusals("dw = x^2 + 2y")
    assert (line, column) == (1, 13)
    assert [s.text for s in sheet.statements] == ["dw ＝ （x − 1）^2 × y；db = z"] * 2
    assert any("^ is read as **" in note for note in sheet.notes)
    assert any("− is read as -" in note for note in sheet.notes)


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("m = (a > 0) ^ (k == y)", False),
        ("m = (a > 0)^~(F.one_hot(y, K) == 1)", False),
        ("m = (a > 0)^2", True),
        ("m = (a + b) ^ (c + d) > 0", True),
        ("m = a ^ (b > 0)", True),
    ],
)
def test_one_mask_or_the_other_is_no_power(text, noted):
    assert any("^ is read as **" in note for note in only(text).notes) == noted


def test_columns_count_characters_not_bytes():
    ((_, column, _),) = refusals("δ = σσσσ.__class__")
    assert column == 5


def test_pasted_notebook_lines_are_passed_over_with_a_note():
    sheet = only('import torch\nfrom torch import nn\nprint(f"{x!r} \\d")\ncmp("dW", dW, W)\nloss.backward()\ndw = 1\n')
    assert [s.text for s in sheet.statements] == ["dw = 1"]
    assert len(sheet.notes) == 5


def dotted(node):
    return [*dotted(node.value), node.name] if isinstance(node, lang.Attribute) else [node.name]


@pytest.mark.parametrize(
    "naming, path",
    [
        ("import torch.nn.functional as g", "torch.nn.functional.f"),
        ("import numpy, torch as g", "torch.f"),
        ("from torch.nn import functional as g", "torch.nn.functional.f"),
        ("from numpy import linalg as g", "numpy.linalg.f"),
        ("g = torch.linalg  # shorter", "torch.linalg.f"),
        ("  g = nn.functional", "torch.nn.functional.f"),
        ("g = torch", "torch.f"),
        # no names of modules
        ("from torch import tanh as g", "g.f"),
        ("g = torch.pi", "g.f"),
        ("g = torch.linalg\ng = x", "g.f"),
        ("import torch as g\ng += x", "g.f"),
        ("import torch as", "g.f"),
    ],
)
def test_names_of_modules(naming, path):
    *_, line = only(f"{naming}\ndw = g.f(x)").statements
    assert ".".join(dotted(line.value.function)) == path


def test_naming_modules_costs_no_time():
    """Python's own parser takes seconds for a path of a hundred thousand parts."""
    assert modules_named("import " + "a." * 40_000 + "a as b") == {}
    assert len(modules_named("\n".join(f"import torch as a{n}" for n in range(1_000)))) == 1_000


def test_a_line_still_to_be_given_is_no_answer():
    assert only("dW = ...\ndb = None\n").statements == []


def test_docstrings_and_continued_lines():
    sheet = only('"""My answer,\nin two lines."""\ndw = (a +\n      b)\ndb = a + \\\n  b\n')
    assert [(s.line, s.text) for s in sheet.statements] == [(3, "dw = (a + b)"), (5, "db = a + \\ b")]


def test_a_text_too_long_is_refused_at_once():
    with pytest.raises(ReadingError, match="divide"):
        read("x" * (MAX_LENGTH + 1))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text):
    read(text)


_PIECES = st.sampled_from(
    [
        "dw",
        "x",
        "p",
        "=",
        "+=",
        "(",
        ")",
        "[",
        "]",
        ",",
        ":",
        "**",
        "^",
        "2",
        "9" * 20,
        "1e5",
        ".T",
        ".sum(",
        "0",
        "\n",
        "    ",
        "for i in range(",
        "with torch.no_grad():",
        "torch.",
        "exp",
        "'",
        '"',
        "\\",
        "#",
        "Sum(",
        "i",
        "lambda",
        "−",
        "（",
        "@",
        "-",
        "~",
        "None",
        "...",
        ";",
        "x[i,k]",
        "not ",
        "if ",
        "\t",
        "%",
        "//",
        "\x00",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=40).map("".join))
def test_any_pieces_are_read_or_refused_quickly(text):
    read(text)


# -- values: the same as torch, in float64 -----------------------------------------------------------------


def toy() -> Exercise:
    ex = Exercise("toy")
    n, k, m = ex.sizes("N K M")
    i, j, o = ex.indices(i=n, j=k, o=1)
    r = ex.indices(r=m)
    x = ex.input("x", i, j)
    y = ex.input("y", i, j)
    w = ex.parameter("w", j, r)
    s = ex.input("s", i, domain="positive")
    ex.input("t", i, domain="index", below=m)
    g = ex.parameter("g", o, j)
    a = ex.parameter("a")
    from sympy import Sum

    ex.loss("L", a * Sum(x[i, j] * y[i, j] * s[i] * w[j, r] * g[0, j], i, j, r))
    return ex


TOY = toy()


class Draw:
    sizes = {"N": 3, "K": 4, "M": 5}
    gradients: dict = {}

    def __init__(self):
        source = torch.Generator().manual_seed(1)

        def real(*shape):
            return torch.randn(shape, generator=source, dtype=torch.float64)

        self.values = {
            "x": real(3, 4),
            "y": real(3, 4),
            "w": real(4, 5),
            "s": real(3).abs() + 0.1,
            "g": real(1, 4),
            "t": torch.tensor([4, 0, 4]),
            "a": real(),
            "L": real(),
        }


def run(text):
    (sheet,) = read(text)
    outline = Outline(sheet, TOY, Names(TOY))
    return Run(outline, Draw()).execute()


def value(text, name="h"):
    made = run(text if "\n" in text or "h =" in text or "h[" in text else f"h = {text}")
    assert not made.failures, made.failures
    return made.variables[name]


SAME_AS_TORCH = [
    "x + y",
    "x - 1",
    "2*x",
    "x / s[:, None]",
    "x**2",
    "(x**2)**-1.5",
    "-x",
    "x @ w",
    "x.T @ y",
    "x.mT",
    "x.t()",
    "x.transpose(0, 1)",
    "x.permute(1, 0)",
    "x.sum()",
    "x.sum(0)",
    "x.sum(1, keepdim=True)",
    "x.sum(dim=(0, 1))",
    "x.mean(0)",
    "x.exp()",
    "torch.exp(x)",
    "torch.log(s)",
    "s.sqrt()",
    "torch.tanh(x)",
    "torch.sigmoid(x)",
    "F.relu(x)",
    "torch.relu(x)",
    "F.softplus(x)",
    "x.softmax(1)",
    "F.softmax(x, dim=1)",
    "torch.log_softmax(x, 1)",
    "torch.logsumexp(x, 1)",
    "x.var(0)",
    "x.var(0, unbiased=False)",
    "x.var(1, keepdim=True, correction=0)",
    "x.std(0)",
    "torch.outer(s, s)",
    "torch.dot(s, s)",
    "torch.mm(x, w)",
    "x.mm(w)",
    "torch.mv(x, w[:, 0])",
    "torch.bmm(x.view(3, 2, 2), y.view(3, 2, 2))",
    "x[None].bmm(w[None])",
    "torch.addmm(w[0], x, w)",
    "w[:3].addmm(x, w, beta=2, alpha=0.5)",
    "torch.baddbmm(a, x[None], w[None])",
    "torch.lerp(x, y, 0.3)",
    "x.lerp(y, s[:, None])",
    "x.clone().lerp_(y, 0.9)",
    "torch.addcmul(x, y, y, value=0.1)",
    "x.addcmul(y, s[:, None])",
    "x.clone().addcmul_(y, y, value=0.1)",
    "torch.addcdiv(x, y, s[:, None], value=-2)",
    "x.addcdiv(y, s[:, None])",
    "x.clone().addcdiv_(y, s[:, None], value=-0.1)",
    "torch.var_mean(x, 1, keepdim=True)[0]",
    "torch.var_mean(x, dim=0, correction=0)[1]",
    "torch.var_mean(x, False)[0]",
    "torch.std_mean(x, 0, unbiased=False)[0]",
    "F.cosine_similarity(x, y)",
    "F.cosine_similarity(x, y*1e-9, dim=0)",
    "torch.cosine_similarity(x, y[:1], dim=-1)",
    "torch.unbind(x)[1]",
    "x.unbind(1)[-1]",
    "x.unflatten(1, (2, 2))",
    "torch.unflatten(x, -1, (-1, 2))",
    "torch.column_stack([s, x])",
    "torch.hsplit(x, 2)[1]",
    "x.hsplit([1, 3])[1]",
    "torch.vsplit(x, 3)[2]",
    "torch.take(x, torch.tensor([0, -1]))",
    "x.take(t)",
    "torch.take_along_dim(x, x.argmax(1, keepdim=True), 1)",
    "x.take_along_dim(x.argmax(0, keepdim=True), dim=0)",
    "torch.take_along_dim(x, x.argmax(1, keepdim=True)[:1], dim=1)",
    "torch.zeros(5, dtype=torch.float64).scatter_reduce(0, t, s, 'sum')",
    "torch.ones(5, dtype=torch.float64).scatter_reduce(0, t, s, reduce='sum', include_self=False)",
    "torch.ones(5, dtype=torch.float64).scatter_reduce_(0, t, s, reduce='sum')",
    "torch.tensordot(x, w, dims=1)",
    "torch.tensordot(x, y, dims=([0, 1], [0, 1]))",
    "torch.einsum('...j,jk->...k', x, w)",
    "torch.einsum('...j,...j', x, y)",
    "torch.einsum('i...->i', x)",
    "torch.einsum('...ij,...jk', x[None], w[None].expand(2, 4, 5))",
    "x.view(-1)",
    "x.reshape(4, 3)",
    "x.view(s.shape[0], -1)",
    "x.flatten()",
    "x.T.contiguous().view(-1)",
    "s[:, None] * x",
    "s.unsqueeze(1) * x",
    "x[0]",
    "x[:, 1:3]",
    "x[..., 0]",
    "x[range(3), [0, 1, 1]]",
    "w[:, t]",
    "w.T[t]",
    "(x > 0).double() * y",
    "(x > 0) * y",
    "torch.where(x > 0, x, y)",
    "x.clamp(min=0)",
    "x.clamp(-0.5, 0.5)",
    "torch.maximum(x, y)",
    "torch.max(x, y)",
    "x.max()",
    "x.max(1).values",
    "x.max(1)[0]",
    "x.amax(0)",
    "x.argmax(1).double()",
    "F.one_hot(t, 5).double()",
    "torch.eye(5, dtype=torch.float64)[t]",
    "torch.zeros_like(x)",
    "torch.ones_like(x) * s[:, None]",
    "torch.cat([x, y], 1)",
    "torch.stack([x, y])",
    "torch.einsum('ij,jk->ik', x, w)",
    "torch.einsum('ij,ij->i', x, y)",
    "torch.einsum('ij->', x)",
    "torch.einsum('ij,ij->j', x, s[:, None])",
    "torch.einsum('ij,ik', x, y)",
    "torch.einsum('i,ij,jk->ik', s, x, w)",
    "torch.where((x > 0) * (y > 0), x, y)",
    "torch.where((x > 0) + (y > 0), x, y)",
    "torch.logical_and(x > 0, y > 0) * x",
    "x.cumsum(1)",
    "x.flip(0)",
    "torch.tril(x)",
    "x.expand(2, 3, 4)",
    "x.repeat(2, 1)",
    "torch.linalg.inv(x.T @ x + torch.eye(4))",
    "torch.diag(s) @ x",
    "x.norm()",
    "x.abs()",
    "torch.sign(x)",
    "x.pow(2)",
    "x.square()",
    "torch.erf(x)",
    "x.prod(1)",
    "x.gather(1, torch.tensor([[0], [1], [2]]))",
    "torch.zeros(5, 4, dtype=torch.float64).index_add(0, t, x)",
    "x.masked_fill(x > 0, 0.)",
    "x * torch.pi",
    "x[:, -1]",
    "x[[0, 2]]",
    "x[None]",
    "x.shape[0] * x",
    "x.size(1) * x",
    "x / x.shape[0]**0.5",
    "x.mean() * len(s)",
    "(x.unsqueeze(2) * w).sum(1)",
    "x.squeeze()",
]


@pytest.mark.parametrize("text", SAME_AS_TORCH)
def test_torch_style_means_what_torch_means(text):
    held = Draw().values
    expected = eval(text, {"torch": torch, "F": F, **held})  # our own text, above
    found = value(text)
    assert found.dtype == torch.float64 or not found.is_floating_point()
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-12, atol=1e-12)
    assert found.shape == expected.shape


X = Draw().values["x"]
SPELLINGS = [
    ("np.exp(x)", X.exp()),
    ("exp(x)", X.exp()),
    ("np.sum(x, axis=0)", X.sum(0)),
    ("x.sum(axis=1, keepdims=True)", X.sum(1, keepdim=True)),
    ("np.var(x, axis=0)", X.var(0, correction=0)),
    ("x.var(axis=0)", X.var(0, correction=0)),
    ("np.var(x, axis=0, ddof=1)", X.var(0)),
    ("np.std(x)", X.std(correction=0)),
    ("np.max(x, axis=1)", X.max(1).values),
    ("x.max(axis=1, keepdims=True)", X.amax(1, keepdim=True)),
    ("np.dot(x.T, x)", X.T @ X),
    ("x.T.dot(x)", X.T @ X),
    ("x[0].dot(x.T)", X @ X[0]),
    ("x.dot(2)", 2 * X),
    ("(1 == 1) - x", 1 - X),
    ("x.T.dot(s)", X.T @ Draw().values["s"]),
    ("s.dot(s)", Draw().values["s"] @ Draw().values["s"]),
    ("np.split(x, 2, axis=1)[1]", X[:, X.shape[1] // 2 :]),
    ("np.split(x, [1, 3], axis=1)[1]", X[:, 1:3]),
    ("x.transpose()", X.T),
    ("np.transpose(x)", X.T),
    ("np.maximum(x, 0)", X.clamp(min=0)),
    ("np.where(x > 0, 1.0, 0)", (X > 0).double()),
    ("np.repeat(s, 4)[0]", Draw().values["s"][0]),
    ("np.eye(5)[t]", F.one_hot(Draw().values["t"], 5).double()),
    ("s[:, np.newaxis] * x", Draw().values["s"][:, None] * X),
    ("x[::-1]", X.flip(0)),
    ("np.cumsum(x[:, ::-1], axis=1)", X.flip(1).cumsum(1)),
    ("x.astype(float)", X),
    ("np.square(x)", X**2),
    ("np.zeros((2, 3))", torch.zeros(2, 3, dtype=torch.float64)),
    ("Abs(x)", X.abs()),
    ("abs(x)", X.abs()),
    ("Max(x, 0)", X.clamp(min=0)),
    ("Rational(1, 2)*x", X / 2),
    ("ln(s)", Draw().values["s"].log()),
    ("x * pi", X * torch.pi),
    ("math.sqrt(4) * x", 2 * X),
    ("x * np.pi", X * torch.pi),
    ("sum(s)", Draw().values["s"].sum()),
    ("sum([x, x, 1])", 2 * X + 1),
    ("sum((x, x))", 2 * X),
    ("sum([x, x], x)", 3 * X),
    ("sum([1, 2, 3])*x", 6 * X),
    ("sum(range(4))*x", 6 * X),
    ("sum([])*x", 0 * X),
    ("N * x", 3 * X),
    ("g * x", Draw().values["g"] * X),
    ("torch.zeros(2)", torch.zeros(2, dtype=torch.float64)),
    ("torch.tensor(0.1) * x", 0.1 * X),
    ("torch.full((2,), 0.1)", torch.full((2,), 0.1, dtype=torch.float64)),
    ("torch.arange(3) / 10", torch.arange(3, dtype=torch.float64) / 10),
    ("t * 0.1", Draw().values["t"].double() * 0.1),
    ("(x > 0) * 0.1", (X > 0).double() * 0.1),
    ("1 - (x > 0)", 1 - (X > 0).long()),
    ("F.one_hot(t, 5) / 3", F.one_hot(Draw().values["t"], 5).double() / 3),
    ("(x > 0).mean()", (X > 0).double().mean()),
]


SAME_AS_NUMPY = [
    "np.dot(x[None], y.T)",
    "np.dot(x.reshape(3, 2, 2), y.reshape(3, 2, 2))",
    "x.reshape(3, 2, 2).dot(y.reshape(3, 2, 2))",
    "np.dot(x, w.T.reshape(5, 4, 1))",
    "np.dot(s, x.reshape(2, 3, 2))",
    "x.dot(w)",
    "np.tensordot(x, y, axes=([0], [0]))",
    "np.tensordot(x, y, axes=(0, 0))",
    "np.tensordot(x, w, axes=1)",
    "np.tensordot(x, y)",
    "np.hsplit(x, 2)[0]",
    "np.hsplit(s, 3)[0]",
    "np.hsplit(x, [1, 3])[1]",
    "np.vsplit(x, [1])[1]",
    "np.column_stack([s, s])",
    "np.column_stack((s, x))",
    "np.take(x, [0, 2], axis=0)",
    "np.take(x, 1, axis=1)",
    "np.take(x, t)",
    "np.take(x, [[0, -1], [1, 1]], axis=-1)",
    "x.take([0, 1], axis=1)",
    "np.take_along_axis(x, np.argmax(x, axis=1)[:, None], axis=1)",
    "np.take_along_axis(x, np.array([[0], [-1], [2]]))",
    "np.take_along_axis(x, np.array([0, 5]), axis=None)",
    "np.delete(x, 1, axis=0)",
    "np.delete(x, [0, -1], axis=1)",
    "np.delete(x, 3)",
    "np.add.reduce(x)",
    "np.add.reduce(x, axis=1, keepdims=True)",
    "np.einsum('...j,jk->...k', x, w)",
    "np.einsum('...j->...', x)",
]


@pytest.mark.parametrize("text", SAME_AS_NUMPY)
def test_numpys_functions_mean_what_numpy_means(text):
    held = {name: v.numpy() for name, v in Draw().values.items()}
    expected = torch.as_tensor(eval(text, {"np": np, **held}))  # our own text, above
    found = value(text)
    assert found.shape == expected.shape and found.is_floating_point() == expected.is_floating_point()
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("text", "expected"), SPELLINGS)
def test_numpy_and_sympy_spellings_and_float64_throughout(text, expected):
    torch.testing.assert_close(value(text), expected, rtol=0, atol=1e-14)


INDEX_STYLE = [
    ("h[i,j] = x[i,j]*y[i,j]/N", lambda v: v["x"] * v["y"] / 3),
    ("h[j,i] = x[i,j]", lambda v: v["x"].T),
    ("h[i,r] = Sum(x[i,j]*w[j,r], j)", lambda v: v["x"] @ v["w"]),
    ("h = Sum(x[i,j]*y[i,j], i, j)", lambda v: (v["x"] * v["y"]).sum()),
    ("h = Sum(x[i,j], (i, 0, N-1), (j, 0, K-1))", lambda v: v["x"].sum()),
    ("h[i] = Sum(x[i,j], (j, 0, 1))", lambda v: v["x"][:, :2].sum(1)),
    ("h[p,q] = x[p,q] - Sum(x[p,c], c)/K", lambda v: v["x"] - v["x"].mean(1, keepdim=True)),
    ("h[i,j] = x[i,j]*Sum(x[i,j]*y[i,j], j)", lambda v: v["x"] * (v["x"] * v["y"]).sum(1, keepdim=True)),
    ("h[i,r] = w[0,t[i]]*KroneckerDelta(r, t[i])", lambda v: v["w"][0][v["t"]][:, None] * F.one_hot(v["t"], 5)),
    ("h[j,i] = w[j,t[i]]", lambda v: v["w"][:, v["t"]]),
    ("h[0,j] = Sum(x[i,j], i)", lambda v: v["x"].sum(0, keepdim=True)),
    ("h[i,j] = g[0,j]*x[i,j]", lambda v: v["g"] * v["x"]),
    ("h[o,j] = g[o,j]*Sum(x[i,j], i)", lambda v: v["g"] * v["x"].sum(0, keepdim=True)),
    ("h[i,j] = exp(x[i,j])*(x[i,j] > 0)", lambda v: v["x"].exp() * (v["x"] > 0)),
    ("h[i,j] = Piecewise((x[i,j], x[i,j] > 0), (0, True))", lambda v: v["x"].clamp(min=0)),
    ("h[i,j] = Max(x[i,j], 0)", lambda v: v["x"].clamp(min=0)),
    ("h[i,j] = where(j <= i, x[i,j], 0)", lambda v: v["x"].tril()),
    ("h[i] = Sum(x[i,j], (j, 0, i))", lambda v: torch.stack([v["x"][n, : n + 1].sum() for n in range(3)])),
    ("h[i] = MaxOver(x[i,j], j)", lambda v: v["x"].amax(1)),
    ("h[i,j] = KroneckerDelta(ArgMaxOver(x[i,k], k), j)", lambda v: F.one_hot(v["x"].argmax(1), 4)),
    ("h[i,j] = x[ArgMinOver(x[k,j], k),j]", lambda v: v["x"].amin(0).expand(3, 4)),
    ("h[i] = ArgMaxOver(x[i,j], (j, 0, 1))", lambda v: v["x"][:, :2].argmax(1)),
    ("h[i,j] = where(x[i,j] - x[i,0], 1, 0)", lambda v: (v["x"] != v["x"][:, :1]).double()),
    ("h[i,j] = 1 - (x[i,j] > 0)*(y[i,j] > 0)", lambda v: 1 - ((v["x"] > 0) & (v["y"] > 0)).double()),
    (
        "A = x.T @ x + torch.eye(4)\nh[p,q] = Inverse(A)[q,p]*LogDet(A)",
        lambda v: (a := v["x"].T @ v["x"] + torch.eye(4)).inverse().T * a.logdet(),
    ),
    ("h[i] = Sum(1, j)", lambda v: torch.full((3,), 4.0, dtype=torch.float64)),
    ("h[i] = Mean(x[i,j], j)", lambda v: v["x"].mean(1)),
    ("h[i] = Product(x[i,j], j)", lambda v: v["x"].prod(1)),
    ("h[i,j] = a*x[i][j]", lambda v: v["a"] * v["x"]),
    ("h[j] = Sum(x[i,j]*s[i], i)/Sum(s[i], i)", lambda v: (v["x"] * v["s"][:, None]).sum(0) / v["s"].sum()),
    ("z = x @ w\nh[i,r] = z[i,r]**2", lambda v: (v["x"] @ v["w"]) ** 2),
    ("h = torch.zeros(5, 4)\nh[t[i],j] += x[i,j]", lambda v: torch.zeros(5, 4).double().index_add(0, v["t"], v["x"])),
    ("h[i,j] = x[i,j] + Sum(w[j,r], r)", lambda v: v["x"] + v["w"].sum(1)),
    ("h[i] = x[i,0] - x[i,K-1]", lambda v: v["x"][:, 0] - v["x"][:, -1]),
    ("h[i,j] = Sum(x[i,k]*KroneckerDelta(k,j), k)", lambda v: v["x"]),
    ("h[i,j] = sigmoid(x[i,j])*(1 - sigmoid(x[i,j]))", lambda v: v["x"].sigmoid() * (1 - v["x"].sigmoid())),
]


@pytest.mark.parametrize(("text", "expected"), INDEX_STYLE)
def test_index_style_means_what_mathematics_means(text, expected):
    found, true = value(text), expected(Draw().values)
    torch.testing.assert_close(found, true.double(), rtol=1e-12, atol=1e-12)


def test_a_large_contraction_is_never_multiplied_out():
    made = run("h[i,r] = Sum(x[i,j]*w[j,r]*-s[i]/a, j)").variables["h"]
    import tutor.checking.index_style as index_style

    before, index_style._DENSE = index_style._DENSE, 0
    try:
        again = run("h[i,r] = Sum(x[i,j]*w[j,r]*-s[i]/a, j)").variables["h"]
    finally:
        index_style._DENSE = before
    torch.testing.assert_close(made, again, rtol=1e-12, atol=1e-12)


WHOLE = [
    "F.one_hot(t, 5)", "-F.one_hot(t, 5)", "1 - F.one_hot(t, 5)", "F.one_hot(t, 5).T", "F.one_hot(t, 5).sum(0)",
    "F.one_hot(t, 5)*2", "F.one_hot(t, 5)/2", "F.one_hot(t, 5)*1.0", "F.one_hot(t, 5)**2", "F.one_hot(t, 5).float()",
    "F.one_hot(t, 5) - x[:, :1]", "F.one_hot(t, 5) @ F.one_hot(t, 5).T", "torch.einsum('ij,ij->i', t[None], t[None])",
    "(x > 0)*1", "1*(x > 0)", "(x > 0) + 0", "(x > 0) + 1", "(x > 0)*1.0", "(x > 0)/2", "(x > 0)//2", "(x > 0)**2",
    "(x > 0)*t[:, None]", "(x > 0)*(y > 0)", "(x > 0)*x", "t**2", "2*t", "t/2", "t//2", "t**2.0", "t @ t",
    "torch.outer(t, t)", "torch.dot(t, t)", "torch.kron(t, t)", "torch.tensordot(t, t, 1)", "torch.diag_embed(t)",
    "F.pad(t, (1, 1))", "torch.relu(t)", "torch.floor(t)", "t.index_add(0, t*0, t)", "t.scatter(0, t*0, 1)",
    "t.scatter_add(0, t*0, t)", "(x > 0).type_as(t)", "(x > 0).type_as(x)", "x.argmax(1)", "torch.eye(3)",
    "torch.arange(3)", "torch.arange(0, 1, 0.5)", "torch.where(x > 0, 1, 0)", "torch.where(x > 0, 1, 0.5)",
    "torch.full((2,), 1)", "torch.float_power(t, 2)", "torch.trace(torch.eye(2).long())", "x.sign()", "t.sign()",
    "np.dot(t, t)", "np.outer(t, t)", "np.inner(t, t)", "np.vdot(t, t)", "np.kron(t, t)", "np.pad(t, 1)", "np.floor(t)",
    "np.where(x > 0, 1, 0)", "np.where(x > 0, 1.0, 0)", "1 - (x > 0)", "np.multiply(x > 0, 1)", "np.power(t, 2)",
    "np.eye(3)", "np.eye(3, dtype=int)", "np.full((2,), 1)", "np.zeros_like(t)", "np.sum(x > 0)",
    "np.float_power(t, 2)", "np.take(t, [0, 2])", "torch.take(t, torch.tensor([0]))", "np.add.reduce(t)",
    "t.unbind()[0]", "np.delete(t, 1)", "np.column_stack([t, t])",
]  # fmt: skip


@pytest.mark.parametrize("text", WHOLE)
def test_what_is_whole_stays_whole_as_in_torch_and_numpy(text):
    """A tensor of whole numbers takes no fractions in place, so it matters which are."""
    held = Draw().values
    numpys = "np." in text or text == "1 - (x > 0)"  # which torch refuses
    known = {n: v.numpy() for n, v in held.items()} if numpys else held
    expected = torch.as_tensor(eval(text, {"torch": torch, "F": F, "np": np, **known}))  # our own text, above
    found = value(text)
    assert (found.is_floating_point(), library.is_mask(found)) == (
        expected.is_floating_point(), library.is_mask(expected),
    )  # fmt: skip
    torch.testing.assert_close(found.double(), expected.double())


# -- aliasing, updates, loops ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b = x\nb += 1\nh = x - b", torch.zeros(3, 4)),  # the same tensor
        ("b = x.clone()\nb += 1\nh = x - b", -torch.ones(3, 4)),
        ("b = x\nb = b + 1\nh = x - b", -torch.ones(3, 4)),
        ("b = x[0]\nb *= 0\nh = x[0]", torch.zeros(4)),  # a view
        ("b = x.T\nb[0, :] = 7\nh = x[:, 0]", torch.full((3,), 7.0)),
        ("b = x.view(-1)\nb.zero_()\nh = x", torch.zeros(3, 4)),
        ("b = x[[0, 1]]\nb *= 0\nh = x[0] - x[0]", torch.zeros(4)),  # a copy
        ("h = np.append(x[0], 7)", torch.cat([Draw().values["x"][0], torch.tensor([7.0])])),
        ("h = np.append(x, x[:1], axis=0)", Draw().values["x"][[0, 1, 2, 0]]),
        ("h = np.append(x, [1, 2])", torch.cat([Draw().values["x"].reshape(-1), torch.tensor([1.0, 2])])),
        ("h = torch.zeros(5)\nh[t] += 1", torch.tensor([1.0, 0, 0, 0, 1])),  # repeated indices keep one
        ("h = torch.zeros(5)\nh.index_add_(0, t, torch.ones(3))", torch.tensor([1.0, 0, 0, 0, 2])),
        ("h = np.zeros(5)\nnp.add.at(h, t, 1.0)", torch.tensor([1.0, 0, 0, 0, 2])),
        ("h = torch.zeros(5)\nfor i in range(3):\n    h[t[i]] += 1", torch.tensor([1.0, 0, 0, 0, 2])),
        ("h = torch.zeros(3)\nfor i in reversed(range(3)):\n    h[i] = i", torch.tensor([0.0, 1, 2])),
        ("h = torch.zeros(3, 5)\nh[range(3), t] = -1", -F.one_hot(torch.tensor([4, 0, 4]), 5).float()),
        ("h = x.clone()\nh[x <= 0] = 0", Draw().values["x"].clamp(min=0)),
        ("h = 1\nh += 2\nh *= 3\nh = h*torch.ones(2)", torch.full((2,), 9.0)),
        ("c, d = x.shape\nh = torch.ones(d)*c", torch.full((4,), 3.0)),
        ("m, k = x.max(1)\nh = m - x[range(3), k]", torch.zeros(3)),
        ("A = 2*torch.eye(3)\nh = torch.linalg.slogdet(A).logabsdet - torch.linalg.slogdet(A)[1]", torch.tensor(0.0)),
        ("s, g = np.linalg.slogdet(-torch.eye(3))\nh = s", torch.tensor(-1.0)),
        ("c = d = torch.zeros(2)\nc += 1\nh = d", torch.ones(2)),
        (
            "h = np.zeros(3, dtype=int)\nh[[0, 2]] = 2*np.ones(2)\nh = h*1.0",
            torch.tensor([2.0, 0, 2]),
        ),  # numpy takes them as whole
        ("c = [0]*3\nfor n in range(3):\n    c[n - 1] = x[n]\nh = torch.stack(c)", Draw().values["x"][[1, 2, 0]]),
        ("c = [1, 2]\nc[-2] += 3\nh = torch.ones(2)*c[0]", torch.full((2,), 4.0)),
        ("c = []\nfor n in range(3):\n    c += [x[n]]\nh = sum(c)", Draw().values["x"].sum(0)),
        ("c = [x]\nc[0] += 1\nh = x - c[0]", torch.zeros(3, 4)),  # the same tensor
        ("c = [x]\nc[0] = c[0] + 1\nh = c[0] - x", torch.ones(3, 4)),
    ],
)
def test_names_are_tensors_as_in_torch(text, expected):
    torch.testing.assert_close(value(text), expected.double())


def test_forward_values_are_the_sheets_own_copy():
    (sheet,) = read("x.zero_()\nx += 1")
    draw = Draw()
    before = draw.values["x"].clone()
    Run(Outline(sheet, TOY, Names(TOY)), draw).execute()
    assert torch.equal(draw.values["x"], before)


# -- what is refused while running ------------------------------------------------------------------------------

REFUSED = [
    ("h = q", "not a name"),
    ("h = x.shpae", "shape"),
    ("h = x.foo()", "not part"),
    ("h = torch.foo(x)", "not a function"),
    ("h = torch.load(x)", "not a function"),
    ("h = torch.nn.Linear(3, 4)", "not a function"),
    ("h = x.tolist()", "not part"),
    ("h = np.random.rand(3)", "not part"),
    ("h = torch.ops.aten(x)", "not part"),
    ("h = torch.utils", "not part"),
    ("h = x.numpy().tofile(1)", "not part"),
    ("h = x.data_ptr()", "not part"),
    ("h = x.sum(foo=1)", "used as"),
    ("h = torch.sum()", "missing"),
    ("h = torch.exp(x, y, w)", "too many"),
    ("h = exp", "function"),
    ("h = x.sum", r"sum\(\)"),
    ("h = 'abc'", "no strings"),
    ("h = x['a']", "dict"),
    ("h = torch.einsum('i.j', x)", "einsum"),
    ("h = 9**9**9**9", "1e308"),
    ("h = 10.0**400", "1e308"),
    ("h = 1/0", "zero"),
    ("h = 2**100000*x", "1e308"),
    ("h = (-1)**0.5", "negative"),
    ("h = torch.zeros(10**9)", "entries"),
    ("h = torch.zeros(10**6, 10**6)", "entries"),
    ("h = x.repeat(10**6, 10**6)", "entries"),
    ("h = x.expand(10**9, 3, 4)", "entries"),
    ("h = torch.eye(10**6)", "entries"),
    ("h = torch.arange(10**12)", "entries"),
    ("h = torch.arange(0, 1, 1e-12)", "entries"),
    ("h = F.one_hot(t, 10**9)", "entries"),
    ("h = np.tile(x, 10**9)", "entries"),
    ("h = torch.ones(3000)\nk = torch.outer(h, h)", "entries"),
    ("h = torch.ones(3000)\nk = h[:, None]*h", "entries"),
    ("h = torch.ones(3000)\nk = h[:, None] > h", "entries"),
    ("for i in range(10**12):\n    h = 1", "rounds"),
    ("for i in range(1000):\n    for j in range(1000):\n        h = 1", "rounds"),
    ("for i in 3:\n    h = 1", "range"),
    ("h = range(10**12)", "range of more"),
    ("h = x[range(10**12)]", "range of more"),
    ("h = list(range(10**12))", "range of more"),
    ("h = x.pow(range(10))", "a range"),
    ("h = x.sum(0.5)", "whole number"),
    ("h = (a)(s)", r"a\*\("),
    ("h = len(3)", "len"),
    ("h = x.max(1)\nk = h + 1", "pair"),
    ("h = i", "index"),
    ("h[i,j] = x[i,j]*y", "index for each"),
    ("h[i] = x[i,j]", "free on the right"),
    ("h[i] = x[i,j,j]", "2 axes, and 3 indices"),
    ("h[i,j] = x[j,i]", "runs over"),
    ("h[i] = Sum(x[i,j])", "names the indices"),
    ("h[i] = Sum(s[i], i, i)", "names the indices"),
    ("h[i,q] = s[i]", "range of q"),
    ("h = Sum(q, q)", "range of q"),
    ("h[i,j] = g[i,j]*x[i,j]", "runs over"),
    ("h[i,j] = x[i,j] @ y[i,j]", "@"),
    ("h[i,j] = x[i,j].exp()", "not for single"),
    ("h[i] = s[i+1]*N*w[9,9]", "leaves its axis"),
    ("h[i,j] = x[a,j]", "another letter"),
    ("x[0] = q", "not a name"),
    ("N = 7", "size"),
    ("h.zero_()", "no value|not a name"),
    ("c = [None]*2\nc[0] = x\nh = c[1] + x", r"c\[1\] has no value yet: it is still None"),
    ("c = [None]*2\nc[0] += x", r"c\[0\] has no value yet: it is still None"),
    ("c = [None]*2\nc[0] = x\nh = torch.stack(c)", "a member of this list has no value yet"),
    ("c = [0]*2\nc[0:1] = [x]", "one by one"),
    ("c = [x, None]\nh = sum(c)", "still None"),
    ("h = sum([[x], [y]])", r"has no \+"),
    ("h = sum(x, 1)", r"write x\.sum\(dim\)"),
    ("h = x.scatter_reduce(0, t[None], x, 'mean')", "reduce='sum'"),
    ("h = torch.tensordot(x, y, dims=(0, 0))", "dims is a number of axes"),
    ("h = np.take(torch.ones(2000), torch.zeros(2000, 2000).long())", "entries"),
    ("h = torch.lerp(torch.ones(3000), torch.ones(3000, 1), 0.5)", "entries"),
    ("c = [0]*2\nc[0.5] = x", "whole number"),
    ("c = [[0]*2]*2\nc[0][1] = x", "only a tensor has entries to set"),
    ("c = [0]*9\nfor n in range(9):\n    for m in range(9):\n        c[m] = c", "entries|inside each other"),
    ("h += 1", "not a name"),
    ("h[0] = 1", "not a name|start with"),
    ("x.resize_(10**9)", "not part"),
    ("x.set_(y)", "not part"),
    ("h = torch.kron(torch.ones(3000), torch.ones(3000))", "entries"),
    ("h = torch.ones(2000, 2000) @ torch.ones(2000, 2000)", "multiplications|entries"),
    ("h = x.unsqueeze(0).repeat_interleave(10**8, 0)", "entries"),
    ("h = F.pad(s, (10**9, 0))", "entries"),
    ("h = torch.diag(torch.ones(100000))", "entries"),
    ("h = torch.einsum('i,j,k,l->ijkl', s, s, s, torch.ones(10**6))", "entries|mult"),
    ("h = x[torch.zeros(4000000).long()]", "entries"),
]


@pytest.mark.parametrize(("text", "match"), REFUSED)
def test_what_the_language_has_not_is_refused_before_it_costs(text, match):
    import re

    made = run(text)
    reasons = [f.reason for f in made.failures.values()]
    assert reasons and made.failures[max(made.failures)].kind == "unreadable", made.failures
    assert any(re.search(match, reason) for reason in reasons), reasons


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("torch.sotfmax(x, 1)", "softmax"), ("torch.exm(x)", "exp"), ("x.sums()", "sum"), ("x.shpae", "shape"),
        ("F.sofmax(x, 1)", "softmax"), ("torch.sigmod(x)", "sigmoid"), ("x.argmx()", "argmax"),
        ("x.trnaspose(0, 1)", "transpose"),
        ("torch.logsoftmax(x, 1)", "log_softmax"), ("F.onehot(t, 5)", "one_hot"), ("np.maxmium(x, 0)", "maximum"),
        ("x.Sum()", "sum"), ("np.conactenate([x, y])", "concatenate"), ("torch.relu_grad(x)", "relu"),
        ("F.dropout(x)", None), ("rearrange(x, 'i j -> j i')", None), ("slice(0, 2)", None), ("np.reduce(x)", None),
        ("torch.searchsorted(x, y)", None), ("x.backward()", None), ("np.load(x)", None), ("x.tolist()", None),
        ("torch.trapz(x)", None), ("x.lerq_(y)", "lerp_"),
    ],
)  # fmt: skip
def test_only_a_slip_is_asked_about(text, meant):
    """With some hundred functions one is always close: what is another word gets no guess."""
    (failure,) = run(f"h = {text}").failures.values()
    assert re.findall(r'did you mean "(.*?)"', failure.reason) == ([meant] if meant else []), failure.reason


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("h = x + s", "do not broadcast"),
        ("h = x @ y", "inner sizes"),
        ("h = x.view(5)", "shape"),
        ("h = x[7]", "beyond axis 0 of x, which has"),
        ("h = x.sum(5)", r"x has shape \(.*\) and no axis 5: its axes are 0 and 1"),
        ("h = x + 1\nh += torch.ones(2, 3, 4)", "in place"),
        ("h = F.one_hot(t, 5)\nh *= -1/N", "whole numbers cannot take fractions in place"),
        ("h = -F.one_hot(t, 5)\nh /= N", "whole numbers cannot take fractions in place"),
        ("h = np.zeros(3, dtype=int)\nh[[0, 2]] = np.ones(2)/2", "whole numbers cannot take fractions in place"),
        ("h = (x > 0)*1\nh /= N", "whole numbers cannot take fractions in place"),
        ("h = 1 - (x > 0)\nh *= x", "whole numbers cannot take fractions in place"),
        ("h = s @ a", "@ multiplies"),
        ("h = torch.cat([x, w])", "differ in shape"),
        ("h = torch.einsum('ij,jk', x, y)", "j of"),
        ("h = torch.dot(x, y)", "two vectors"),
        ("h = torch.mm(x[None], w)", r"torch.mm takes two matrices, not \(1, 3, 4\) and \(4, 5\): write a @ b"),
        ("h = x.mm(w[:, 0])", "two matrices"),
        ("h = torch.bmm(x, w)", "two batches of as many matrices"),
        ("h = torch.bmm(x[None].expand(2, 3, 4), w[None])", "two batches of as many matrices"),
        ("h = torch.mv(x, w)", "a matrix and a vector"),
        ("h = torch.addmm(s, x, w)", "does not fit the shape"),
        ("h = torch.addmm(x, x[None], w[None])", "torch.addmm takes two matrices"),
        ("h = np.einsum('...j->j', x)", "are missing in the result"),
        ("h = torch.einsum('...ij,jk->...ik', s, w)", "letters for a tensor"),
        ("h = np.hsplit(x, 3)", "cannot be divided into 3 equal parts"),
        ("h = torch.vsplit(s, 3)", "this is for matrices"),
        ("h = torch.take_along_dim(x, t, 1)", "as many axes as the tensor"),
        ("h = s.clone()\nh.addcmul_(x[:, 0], x[:, :1])", r"keeps its shape \(3,\) in place, and this needs \(3, 3\)"),
        ("h = np.take(x, 7, axis=1)", "beyond axis 1"),
        ("h = np.take(x, x > 0)", "places, not a mask"),
        ("h = np.delete(x, 3, axis=0)", "beyond axis 0"),
        ("h = x.unflatten(1, (3, 2))", r"axis 1 of x has 4 entries, and \(3, 2\) is a shape for another number"),
        ("h = x.unbind(2)", "no axis 2"),
        ("h = t.clone()\nh.lerp_(x[:, 0], 0.5)", "whole numbers"),
        ("h = torch.lerp(x, s, 0.5)", "do not broadcast|agree"),
        ("h = x[0].mv(w)", "a matrix and a vector"),
        ("h = np.dot(x[None], y[None])", "the inner sizes 4 and 3 differ"),
        ("h = np.split(x, 5, axis=1)[0]", "an axis of . entries cannot be divided into 5 equal parts"),
        ("h = x.clone()\nh[x > 0] = s", "the values have the shape .*, and their place"),
        ("h = x.sum(1).sum(1)", r"x\.sum\(1\) has shape \(\d,\) and no axis 1: its only axis is 0"),
        ("h = x.sum()[0]", r"x\.sum\(\) is a number and has no entries"),
        ("h = x[0, 0, 0]", "give one index for each axis"),
        ("h = x.unsqueeze(4)", "a new axis of x stands at 0 to 2, not at 4"),
        ("h = x.sum(0).mT", r"x\.sum\(0\) has shape .*: \.mT turns a matrix"),
        ("h = ~x", "take masks"),
        ("h = x[x]", "whole numbers or is a mask"),
        ("h = torch.linalg.inv(x)", "x has shape .*square"),
        ("h = torch.where(x > 0, x, s[:2])", "do not broadcast"),
        ("h = x + s", r"x has shape \(.*\) and s \(.*\), which do not broadcast"),
        ("h = sum([x, w])", "do not broadcast"),
        ("c = [0]*2\nc[2] = x", "index 2 is out of range: there are 2"),
        ("for i in range(2):\n    h = x.sum(3)", "x has shape .* and no axis 3"),
        ("h = x[t]", "beyond axis 0 of x"),
    ],
)
def test_what_torch_refuses_is_told_apart(text, match):
    import re

    made = run(text)
    (failure,) = made.failures.values()
    assert failure.kind == "torch" and re.search(match, failure.reason), failure


def test_the_likely_repair_of_shapes():
    (failure,) = run("h = x / s").failures.values()
    assert (failure.repair.old, failure.repair.new, failure.repair.column) == ("s", "s[:, None]", 9)
    (failure,) = run("h = x @ y").failures.values()
    assert failure.repair.new == "y.T"


def test_long_loops_end_by_count_not_by_time():
    made = run("h = 0\n" + "for i in range(9000):\n" + "    h = h + x.sum()*x.sum()*x.sum()*x.sum()\n" * 30)
    assert any("operations" in f.reason or "entries" in f.reason for f in made.failures.values())


@pytest.mark.parametrize("line", ["if x[0, 0] > 9:\n        h = 1", "h[0, 0] += 1", "h = x.var()", "h = x[x > 0]"])
def test_what_takes_long_counts_more(line):
    """A few microseconds to an operation, whatever the line: conditions and calls count as what they take."""
    made = run("h = torch.zeros(3, 4)\nfor i in range(2000):\n" + f"    {line}\n" * 50)
    assert any("operations" in f.reason for f in made.failures.values())


@pytest.mark.parametrize(
    "index",
    [
        (0, 0), (slice(None), [0] * 1000), ([[0], [1]], [0, 1]), (..., 0), (..., [0, 1], 0), ("mask", 0), (None, 0),
        (slice(0, 2), 0, [1, 1]), True, ([0, 1], slice(None), [0, 1]), "mask",
    ],
)  # fmt: skip
def test_no_index_picks_more_than_is_counted(index):
    """Sizes are checked before a tensor is made: `a[:, ix]` may be far larger than a."""
    value = torch.ones(4, 5, 6)
    masks = {True: value[:, :, 0] > 0, False: value > 0}
    made = [
        masks[isinstance(index, tuple)] if i == "mask" else torch.tensor(i) if isinstance(i, list) else i
        for i in (index if isinstance(index, tuple) else (index,))
    ]
    assert _most_selected(value, tuple(made)) >= value[tuple(made)].numel()
    assert _most_selected(value, (0, slice(None), 0)) == 5


@pytest.mark.parametrize(
    ("body", "sum_"),
    [
        ("if i == 1: continue\n    h += i", 5),
        ("if i == 1:\n        continue\n    h += i", 5),
        ("if i == 1:\n        h += 10; continue\n    h += i", 15),
        ("if i == 1:\n        h += 10\n        continue\n    h += i", 15),
        ("if i == 0: continue\n    h += 1\n    if i == 2: continue\n    h += i", 7),
        ("h += 1\n    if i > 1:\n        continue", 4),
        ("if i == 1:\n        continue\n    for j in range(3):\n        if j < i: continue\n        h += 1", 4),
        ("if i == 1:\n        continue\n    if i == 2:\n        h += 1\n    else:\n        h += 5", 11),
    ],
)
def test_continue_leaves_the_rest_of_a_round_out(body, sum_):
    made = run(f"h = 0\nfor i in range(4):\n    {body}")
    assert not made.failures and made.variables["h"] == sum_ and not made.outline.sheet.notes


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("h = 0\nfor i in range(4):\n    if i: continue\n    else:\n        h += 1", "turn the condition round"),
        ("h = 0\nfor i in range(4):\n    if i:\n        if N: continue\n    h += 1", "turn the condition round"),
        ("if N: continue\nh = 0", "turn the condition round"),
        ("h = 0\nfor i in range(4):\n    if i: break\n    h += 1", "break is not part of an answer"),
    ],
)
def test_continue_elsewhere_and_break_are_refused_by_name(text, match):
    assert any(re.search(match, f.reason) for f in run(text).failures.values())


_NAMES = st.sampled_from(["x", "y", "w", "s", "t", "g", "a", "h", "N", "i", "q", "F", "dx", "dw"])
_METHODS = st.sampled_from(sorted(library.METHOD))
_FUNCTIONS = st.sampled_from(sorted(library.FUNCTION))


def _expressions():
    numbers = st.sampled_from(
        ["0", "1", "2", "-1", "0.5", "1e9", "10**6", "None", ":", "True", "...", "[0, 1]", "(2, 3)"]
    )
    return st.recursive(
        _NAMES | numbers.filter(lambda n: n != ":"),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+ - * / ** @ // % > == & |".split()), inner).map(
                lambda p: f"({' '.join(p)})"
            ),
            st.tuples(inner, _METHODS, st.lists(inner, max_size=3)).map(lambda p: f"{p[0]}.{p[1]}({', '.join(p[2])})"),
            st.tuples(_FUNCTIONS, st.lists(inner, max_size=3)).map(lambda p: f"torch.{p[0]}({', '.join(p[1])})"),
            st.tuples(_FUNCTIONS, st.lists(inner, max_size=3)).map(lambda p: f"np.{p[0]}({', '.join(p[1])}, axis=0)"),
            st.tuples(inner, st.lists(inner | numbers, min_size=1, max_size=3)).map(
                lambda p: f"{p[0]}[{', '.join(p[1])}]"
            ),
            st.tuples(inner, st.sampled_from(["T", "shape", "grad", "values", "mT", "data"])).map(
                lambda p: f"{p[0]}.{p[1]}"
            ),
        ),
        max_leaves=8,
    )


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    _expressions(),
    st.sampled_from(
        ["h = {}", "dw = {}", "h[i,j] = {}", "x += {}", "x[{}] = 1", "h = Sum({}, i)", "for i in range({}):\n    h = 1"]
    ),
)
def test_any_expression_gives_a_value_or_our_own_refusal(expression, form):
    made = run(form.format(expression))
    for held in made.variables.values():
        assert not (isinstance(held, torch.Tensor) and held.dtype in (torch.float32, torch.float16)), form.format(
            expression
        )


# -- what a line means in its exercise ------------------------------------------------------------------------

SCALAR, SOFTMAX, MAKEMORE = "linear-regression", "softmax-regression", "makemore-mlp"


@pytest.mark.parametrize(
    ("exercise", "text", "note"),
    [
        (SCALAR, "dL/dy_pred = 2*(y_pred - y)\ndy_pred/dw = x\ndL/dw = dL/dy_pred*dy_pred/dw\ndL/db = 1*dL/dy_pred",
         "line 1: dL/dy_pred is read as dL_dy_pred"),
        (SCALAR, "dy_pred = 2*(y_pred - y)\ndw = x*dL/dy_pred\ndb = dL/dy_pred",
         "line 2: dL/dy_pred is read as dy_pred"),
        (SCALAR, "∂L/∂y_pred = 2*(y_pred - y)\ndw = x*∂L/∂y_pred\ndb = ∂L/∂y_pred", "is read as dL_dy_pred"),
        (SOFTMAX, "dz = (p - y)/N\ndW = x^T @ dz\ndb[k] = Sum(dz[i,k], (i, 1, N))",
         "(i, 1, N) is read as the whole axis"),
        (SOFTMAX, "dz = (p - y)/N\ndW = x.T @ dz\ndb[k] = Sum(dz[a,k], (a, 1, N))",
         "(a, 1, N) is read as the whole axis"),
        (SOFTMAX, "dL/dz[i,k] = (p[i,k] - y[i,k])/N\ndW[j,k] = Σ(x[i,j]*dL/dz[i,k], i)\n"
         "db[k] = ∑(dL/dz[i,k], (i, 0, N-1))", "line 1: dL/dz is read as dL_dz"),
        (SOFTMAX, "dz = [p - y]/N\ndW = xᵀ @ dz\ndb := dz.sum(0)", "[ ] around a part"),
        (SOFTMAX, "$$dz = (p-y)/N$$ $$dW = x^T dz$$ $$db_k = \\sum_i dz_{ik}$$", ""),
    ],
)  # fmt: skip
def test_a_line_means_what_it_means_in_its_exercise(exercise, text, note):
    report = tutor.check(exercise, text)
    assert report.verdict == "correct", str(report)
    assert any(note in said for said in report.notes) or not note


@pytest.mark.parametrize(
    ("exercise", "text", "line", "column", "match"),
    [
        (SCALAR, "dw = w.grad\ndb = 1", 1, 6, "w.grad is dw itself, and nothing computes it here"),
        (SCALAR, "for n in range(1):\n    dw = w.grad", 2, 10, "w.grad is dw itself"),
        (SCALAR, "dw = dL/dy_pred*x", 1, 6, "dy_pred has no value yet"),
        (SOFTMAX, "db[k] = Sum(p[i,k], (i, 0, N))", 1, 21, "i runs from 0 to N - 1: write i alone"),
        (SOFTMAX, "db[k] = Sum(i*p[i,k], (i, 1, N))", 1, 23, "i runs from 0 to N - 1: write i alone"),
        (SOFTMAX, "db[k] = Sum(p[a,k], (a, 0, N))", 1, 21, "a runs from 0 to N - 1: write a alone"),
        (SOFTMAX, "db[k] = Sum(p[a,k], (a, 1, D))", 1, 21, "a runs from 0 to 2: write a alone"),
        (SOFTMAX, "dz = (p_ik - y_ik)/N", 1, 7, r"an entry is written p\[i, k\]"),
        (SOFTMAX, "for i in range(N):\n    dz[i] = p[i]", 2, 5, r"start with dz = torch.zeros_like\(z\)"),
        (SOFTMAX, "dW[0,k] = Sum(p[i,k], i)", 1, 1, r"dW has no entries yet: start with dW = torch.zeros_like\(W\)"),
        (SOFTMAX, "dz = [p - y].sums()", 1, 6, "sums"),
        (SOFTMAX, "dz[a,b] = p[a,b] - y[a,b]", 1, 15, "b is a tensor here and no index: take another letter"),
        (SOFTMAX, "dz = (P - y)/N", 1, 7, 'did you mean "p"'),
        (SOFTMAX, "dz = q*p", 1, 6, "it has x, y, W, b, z, e, s, p, L"),
        (MAKEMORE, "dW2 = h^T @ logits", 1, 8, r"T is a name: write x\.T, or x\*\*T"),
    ],
)
def test_what_an_exercise_cannot_read_is_refused_with_what_to_write(exercise, text, line, column, match):
    import re

    first = tutor.check(exercise, text).lines[0]
    assert (first.verdict, first.line, first.column) == ("unreadable", line, column), first
    assert re.search(match, first.reason), first.reason


def test_a_quotient_stays_a_quotient():
    text = "dy_pred = 2*(y_pred - y)\ndw = dy_pred*x\ndb = dw/x"
    assert tutor.check(SCALAR, text).verdict == "correct"


def test_repairs_read_what_the_learner_wrote():
    line = tutor.check(SCALAR, "dL/dy_pred = 2*(y_pred - y)\ndw = dL/dy_pred*y\ndb = dL/dy_pred").line("dw")
    assert (line.repair.old, line.repair.new, line.repair.column) == ("y", "x", 17)


def test_a_name_is_listed_once():
    for decorate in (library.listed("sum"), library.effect("add_"), library.listed("add", function=False)):
        with pytest.raises(ValueError, match="is listed twice"):
            decorate(lambda limits, x: x)


@pytest.mark.parametrize("line", [
    "dx = dy if x > 0 else 0", "dx[i] = dy[i] if x[i] > 0 else 0", "dx = (dy if x > 0 else 0)*(1 if N > 2 else 7)",
    "dx = torch.zeros(N)\nfor i in range(N):\n    dx[i] = dy[i] if x[i] > 0 else 0",
])  # fmt: skip
def test_a_choice_is_made_entry_by_entry(line):
    assert tutor.check("activations:function=relu", line).correct
    assert (
        tutor.check("activations:function=relu", line.replace("x > 0", "x < 0").replace("x[i] > 0", "x[i] < 0")).verdict
        == "wrong"
    )


@pytest.mark.parametrize("line", ["dx = dy, x > 0", "dx = (dy, x > 0)"])
def test_a_condition_behind_a_comma_is_not_another_value(line):
    report = tutor.check("activations:function=relu", line)
    assert report.verdict == "unreadable" and "condition" in report.lines[0].reason


@pytest.mark.parametrize(
    ("name", "below"),
    [("sech", "cosh"), ("csch", "sinh"), ("coth", "tanh"), ("sec", "cos"), ("csc", "sin"), ("cot", "tan")],
)
def test_reciprocals_as_sympy_names_them(name, below):
    assert tutor.check("tanh-neuron", f"dn = do*(1 - o**2)*{name}(n)*{below}(n)").lines[0].verdict == "correct"


def test_a_linear_layer_as_torch_has_it():
    sheet = "dz = (p - y)/N\ndW = F.linear(x.T, dz.T)\ndb = F.linear(torch.ones(N), dz.T, torch.zeros(K))"
    assert tutor.check("softmax-regression", sheet).correct
    assert tutor.check("softmax-regression", sheet.replace("zeros(K)", "zeros(N)")).verdict == "wrong"


def closed(line: str) -> bool:
    """Brackets matched by a stack."""
    open_at = []
    for sign in line:
        if sign in "([{":
            open_at.append(sign)
        elif sign in ")]}" and (not open_at or open_at.pop() + sign not in ("()", "[]", "{}")) or sign in "#'\"\\":
            return False
    return not open_at


@given(st.text("()[]{}x#'\\", max_size=12) | st.integers(0, 60).map(lambda n: "(" * n + "x" + ")" * n))
@settings(max_examples=2000, deadline=None)
def test_a_line_that_closes_its_brackets_is_told_at_a_glance(line):
    assert python._closed(line) == (closed(line) and sum(sign in "()[]{}" for sign in line) <= python.MAX_NESTING)


ODD = [
    torch.rand(3, 3, dtype=torch.float64), torch.rand(3, dtype=torch.float64), torch.tensor([[0, 2, 1]]),
    torch.tensor(2.0, dtype=torch.float64), torch.rand(2, 2) > 0.5, 1, -5, 0.5, float("nan"), 10**9, True, None, "sum",
    (1, 2), (), (torch.ones(2), torch.ones(2)), slice(0, 2), range(3),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("table", ["FUNCTION", "METHOD", "NUMPY"])
def test_no_function_fails_by_our_own_fault(table):
    """Whatever a function is given, it has a value, or it is the learner who hears why not."""
    for name, entry in getattr(library, table).items():
        thrice = islice(product(ODD, repeat=3), sum(map(ord, name)) % 61, None, 61)
        for odd in chain(product(ODD), product(ODD, repeat=2), thrice):
            fresh = [x.clone() if isinstance(x, torch.Tensor) else x for x in odd]
            if table == "METHOD" and not isinstance(fresh[0], torch.Tensor):
                continue
            try:
                library.call(entry, library.Limits(), fresh, {}, table == "NUMPY")
            except (library.Refusal, library.TorchRefuses):
                pass
            except Exception as error:
                raise AssertionError(f"{name} of {odd}") from error
