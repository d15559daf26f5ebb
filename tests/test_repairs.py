"""Repairs: small, in the learner's own words, at the right column, right at every draw, and never dear."""

from __future__ import annotations

import ast
import random
import time

import pytest
from sympy import Sum

import tutor
from tutor.answers import python
from tutor.checking import edits, interpret, lines, rewriting, search, trials
from tutor.checking.report import Repair
from tutor.exercise import Exercise
from tutor.functions import relu
from tutor.symbolic.notation import sheet_form


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setattr(interpret, "STRICT", True)


def judged(address, text, **options):
    return lines.SheetJudge(tutor.load(address), python.read(text)[0], 0, **options).report()


def first(address, text):
    return judged(address, text).first_divergence


def put_in(line, repair):
    """The line with the repair in it."""
    assert repair.line is None
    at = repair.column - line.start
    assert line.text[at : at + len(repair.old)] == repair.old
    return line.text[:at] + repair.new + line.text[at + len(repair.old) :]


def mended(text, line):
    """The sheet with the repair in it, on whichever line it belongs to."""
    rows, repair = text.split("\n"), line.repair
    at, row = repair.column - 1, rows[(repair.line or line.line) - 1]
    assert row[at : at + len(repair.old)] == repair.old
    rows[(repair.line or line.line) - 1] = row[:at] + repair.new + row[at + len(repair.old) :]
    return "\n".join(rows)


# -- one example for each row of the table ------------------------------------------------------------------

SR, LR, LRB, MLP, LN, AT = (
    "softmax-regression", "linear-regression", "linear-regression-batch", "mlp", "layer-norm", "attention",
)  # fmt: skip
TANH, MAE = "mlp:activation=tanh", "linear-regression:loss=mae"
UPSTREAM = "dy_pred = 2*(y_pred - y)/(N*D2)\ndh1 = dy_pred @ W2.T\n"
SOFTMAX = "dp = -y/(N*p)\nds = -(dp*e).sum(1)/s**2\n"

# row -> exercise, lines before, the wrong line, column, from, to
EXAMPLES = {
    "_unminus": (LR, "dy_pred = 2*(y_pred - y)\n", "dw = -dy_pred*x", 6, "-dy_pred", "dy_pred"),
    "_as_numbers": ("losses:of=hinge", "", "dm = -(m < 1)/N", 8, "m < 1", "(m < 1).double()"),
    "_flipped": (SR, "", "dz = (p + y)/N", 9, "+ y", "- y"),
    "_sides": (LR, "", "dy_pred = 2*(y - y_pred)", 14, "y - y_pred", "y_pred - y"),
    "_negated": (SR, "", "dp = y/(N*p)", 6, "y", "-y"),
    "_unscaled": (LRB, "", "dr = 2*r/N", 6, "2*", ""),
    "_sizes": (SR, "", "dz = (p - y)/K", 14, "K", "N"),
    "_numbers": (LR, "", "dy_pred = 3*(y_pred - y)", 11, "3", "2"),
    "_mean_or_sum": (LRB, "dr = r/N\n", "db = dr.mean()", 8, ".mean()", ".sum()"),
    "_operators": (SR, "", "dp = -y*N/p", 8, "*N", "/N"),
    "_powers": (SR, "dp = -y/(N*p)\n", "ds = -(dp*e).sum(1)/s", 21, "s", "s**2"),
    "_near_names": (SR, "dz = (p - y)/N\n", "dW = x.T @ z", 12, "z", "dz"),
    "_renamed": (TANH, UPSTREAM, "dz1 = dh1*(1 - z1*z1)", 16, "z1*z1", "h1*h1"),
    "_comparisons": (MLP, UPSTREAM, "dz1 = dh1*(z1 < 0)", 15, "< 0", "> 0"),
    "_masks": (MLP, UPSTREAM, "dz1 = dh1*h1", 11, "h1", "(z1 > 0)"),
    "_functions": (TANH, UPSTREAM, "dz1 = dh1/torch.sinh(z1)**2", 11, "torch.sinh(z1)", "torch.cosh(z1)"),
    "_untransposed": (SR, "dz = (p - y)/N\n", "dW = (x.T @ dz).T", 16, ".T", ""),
    "_axes": (SR, "dz = (p - y)/N\n", "db = dz.sum(1)", 8, ".sum(1)", ".sum(0)"),
    "_labels": (AT, "dP = dO @ V.T\n", "da[n,m] = P[n,m]*(dP[n,m] - Sum(dP[n,b]*P[n,m], b))", 45, "m", "b"),
    "_other_sums": (AT, "dP = dO @ V.T\n", "da[n,m] = P[n,m]*(dP[n,m] - Sum(P[l,m]*dP[l,m],l))", 33,
                    "P[l,m]*dP[l,m]", "P[n,l]*dP[n,l]"),
    "_products_sides": (SR, "dz = (p - y)/N\n", "dW = dz.T @ x", 6, "dz.T @ x", "x.T @ dz"),
    "_left_out_parts": (SR, "", "dz = p*(p - y)/N", 6, "p*", ""),
    "_unwrapped": (LR, "", "dy_pred = 2*sin(y_pred - y)", 13, "sin(y_pred - y)", "(y_pred - y)"),
    "_unsummed": (SR, "", "dz = (p - y).sum(1, keepdim=True)/N", 13, ".sum(1, keepdim=True)", ""),
    "_argument_order": (SR, "dz = (p - y)/N\n", "dW = torch.matmul(dz, x.T)", 6,
                        "torch.matmul(dz, x.T)", "torch.matmul(x.T, dz)"),
    "_columns": (SR, SOFTMAX, "de = dp/s + ds[:, None]", 9, "s", "s[:, None]"),
    "_transposed": (SR, "dz = (p - y)/N\n", "dW = x @ dz", 6, "x", "x.T"),
    "_factors": (LN, "", "dgamma = dy.sum(0)", 10, "dy", "(dy*xhat)"),
    "_other_factors": (LN, "", "dx = istd[:, None]*(q - q.mean(1, keepdim=True) - (q*xhat).mean(1, keepdim=True))",
                       51, "(q*xhat).mean(1, keepdim=True)", "(q*xhat).mean(1, keepdim=True)*xhat"),
    "_matrix_factors": (SR, "dz = (p - y)/N\n", "dW = dz", 6, "dz", "x.T @ dz"),
    "_terms": (SR, "", "dz = p/N", 6, "p", "(p - y)"),
    "_one_hot": ("image-classifier", "", "dz = (torch.exp(logp) - y)/N", 25, "y", "F.one_hot(y, K)"),
    "_restored": ("image-classifier", "", "dW = (torch.softmax(z, 1)/N).T @ x", 7,
                  "torch.softmax(z, 1)", "(torch.softmax(z, 1) - F.one_hot(y, K))"),
    "_local_factors": (TANH, UPSTREAM, "dz1 = dh1", 7, "dh1", "dh1*(1 - h1**2)"),
    "_paths": ("deep-chain:depth=3", "", "df2 = f2*cos(f2)", 7, "f2*cos(f2)", "f2*cos(f2) + sin(f2)"),
    "_scaled": (SR, "", "dz = p - y", 6, "p - y", "(p - y)/N"),
    "_scaled_by_two_sizes": (MLP, "", "dy_pred = 2*(y_pred - y)", 11, "2*(y_pred - y)", "2*(y_pred - y)/(N*D2)"),
    "_summed": (SR, "dz = (p - y)/N\n", "db = dz", 6, "dz", "dz.sum(0)"),
    "_wrapped": (MAE, "", "dy_pred = y_pred - y", 11, "y_pred - y", "sign(y_pred - y)"),
}  # fmt: skip
HELPERS = {"_other_factors": "q = dy*gamma\n"}


@pytest.mark.parametrize("row", EXAMPLES)
def test_a_row_puts_right_what_it_is_for(row):
    address, before, wrong, column, old, new = EXAMPLES[row]
    line = first(address, HELPERS.get(row, "") + before + wrong)
    assert line.text == wrong
    assert line.repair == Repair(column, old, new)
    text = HELPERS.get(row, "") + before + put_in(line, line.repair)
    assert judged(address, text).first_divergence is None


def test_every_row_has_an_example():
    untested = {"_other_names", "_names_of_other_shape", "_torch_places", "_other_terms"}  # the same with other names
    assert {row.offer.__name__ for row in edits.EDITS} == set(EXAMPLES) | untested


@pytest.mark.parametrize(
    ("address", "text", "column", "old", "new"),
    [
        ("makemore-mlp", "dh = 1 - h**2\ndC = torch.zeros_like(C)\nfor i in range(n):\n    for j in range(T):\n"
                         "        dC[Xb[i, j]] -= demb[i, j]", None, None, None),
        (SR, "dz = p\ndz += y\ndz /= N", None, None, None),
        (SR, "dz = p - y\ndz *= N", 4, "*=", "/="),
        ("embedding", "demb = 2*(emb - y)/(N*D)\ndE = torch.zeros_like(E)\nfor i in range(N):\n    dE[t[i]] -= demb[i]",
         14, "-=", "+="),
        ("image-classifier", "dlogits = F.softmax(z, 1)\ndz = dlogits\ndz[range(N), y] += 1\ndz /= N",
         None, None, None),
        (MLP, UPSTREAM + "dz1 = dh1.clone()\ndz1[dh1 <= 0] = 0", 5, "dh1", "z1"),
        ("mlp:activation=sigmoid", UPSTREAM + "dz1[n,i1] = dh1[n,i1]*z1[n,i1]*(1 - z1[n,i1])", 13,
         "dh1[n,i1]*z1[n,i1]*(1 - z1[n,i1])", "dh1[n,i1]*h1[n,i1]*(1 - h1[n,i1])"),
        (SR, "z.grad = (p - y)/N\nW.grad = x.T @ p", 16, "p", "z.grad"),
        (SR, "dz ＝ （p ＋ y）／N", 7, "p ＋ y", "p - y"),
        (SR, "a = 2; dz = (p + y)/N", 16, "+ y", "- y"),
        (SR, "dz = (y - p)*2/N", 6, "(y - p)*2/N", "-0.5*(y - p)*2/N"),
        (LRB, "dr = r/N\ndw = X @ dr", 6, "X @ dr", "dr @ X"),  # torch refuses the line as it stands
        (LN, "dxhat = dy*gamma\ndistd = (dxhat*xc).sum(1)\ndvar = -0.5*istd**3*distd\n"
             "dxc = dxhat*istd[:, None] + 2*xc*dvar[:, None]/(D - 1)", 51, "- 1", ""),
    ],
)  # fmt: skip
def test_repairs_of_many_kinds_of_lines(address, text, column, old, new):
    line = first(address, text)
    if column is None:  # no claim but that it is right where it is given
        if line is not None and line.repair is not None:
            report = judged(address, mended(text, line))
            assert report.line(line.quantity).verdict in ("correct", "follows")
        return
    assert (line.repair.column, line.repair.old, line.repair.new) == (column, old, new)


@pytest.mark.parametrize(
    ("address", "text", "line", "column", "old", "new"),
    [
        ("linear-regression:loss=mae", "u = y_pred + y\ndw = x*torch.sign(u)", 1, 12, "+ y", "- y"),
        ("mlp:activation=tanh", "aux = h1 * W2 + b2\ndy_pred = 2*(aux - y)/(N*D2)", None, 10, "* W2", "@ W2"),
        (SR, "dz = p\ndz += y\ndz /= N", 2, 4, "+=", "-="),
        ("image-classifier", "dz = (torch.exp(logp) - F.one_hot(y, K))/N\ndb = b\nfor i in range(N):\n    db += dz[i]",
         2, 6, "b", "torch.zeros_like(b)"),
        ("image-classifier", "dz = (torch.exp(logp) - F.one_hot(y, K))/N\ndb = torch.zeros_like(s)\n"
                             "for i in range(N):\n    db += dz[i]", 2, 23, "s", "b"),
        (LR, "dw = -4*x", None, 6, "-4", "2*(y_pred - y)"),
        ("deep-chain:depth=5", "df2 = (sin(f2) + f2*cos(f2))*(f4*cos(f4))*(sin(f3) + f3*cos(f3))",
         None, 31, "f4*cos(f4)", "f4*cos(f4) + sin(f4)"),
        ("embedding", "dE[v,d] = Sum(KroneckerDelta(v, t[n])*2, n)/(N*D)", None, None, None, None),
        ("image-classifier", "db[k] = Sum((e[n,k]/s[n] - 1)/N, n)", None, 28, "1", "KroneckerDelta(k, y[n])"),
    ],
)  # fmt: skip
def test_what_was_left_out_and_where(address, text, line, column, old, new):
    found = first(address, text)
    assert found.repair is not None
    if column is not None:
        assert found.repair == Repair(column, old, new, line)
    report = judged(address, mended(text, found))
    assert report.line(found.quantity).verdict == "correct" if found.quantity in ("dE", "db", "dw") else True


def test_a_line_that_is_right_for_others_is_no_suspect():
    text = "r2 = 2*(y_pred - y)\ndb = r2\ndw = r2*w"
    assert first(LR, text).repair == Repair(9, "w", "x")


def test_the_search_leaves_the_truth_alone():
    """`df1 = ...` read as `df1 *= ...` must not change the true value that stands among the variables."""
    ex = tutor.load("deep-chain")
    from tutor.checking.truth import points

    before = [{n: v.clone() for n, v in p.gradients.items()} for p in points(ex, 0)]
    text = ("df2 = (sin(f2) + f2*cos(f2))*(sin(f3) + f3*cos(f3))\ndf1 = df2*(sin(f1) + f1*cos(f1))\n"
            "df1 = sin(f3) + f3*cos(f3)\ndx = df1*(sin(x) + x*cos(x))")  # fmt: skip
    for _ in range(2):
        assert tutor.check(ex, text).line("df1").verdict == "wrong"
    for p, true in zip(points(ex, 0), before, strict=True):
        assert all(bool((p.gradients[n] == v).all()) for n, v in true.items())


# -- random single mutations of right lines --------------------------------------------------------------------

ADDRESSES = [
    *(entry.id for entry in tutor.entries()),
    *(f"linear-regression:loss={loss}" for loss in ("mae", "huber", "log-cosh")),
    TANH,
    "mlp:layers=3,activation=sigmoid",
    "deep-chain:depth=4",
]
EACH = 6


def right_lines(address, style):
    ex = tutor.load(address)
    ends = {q.name for q in ex.ends}
    for g in ex.derive().gradients.values():
        if g.name not in ends:
            index = f"{sheet_form(g.entry, ex)} = {sheet_form(g.expr, ex)}"
            yield f"{g.symbol_name} = {g.torch}" if style == "torch" else index


def spoilt(line, names, dice):
    """(the line with one node of its right side replaced, where the new text begins and ends), or None"""
    value = ast.parse(line).body[0].value
    nodes = [n for n in ast.walk(value) if isinstance(n, ast.expr)]
    dice.shuffle(nodes)
    for node in nodes:
        start, end = node.col_offset, node.end_col_offset
        own = line[start:end]
        offers = list(_spoils(node, own, line, names))
        if offers:
            new = dice.choice(offers)
            return line[:start] + new + line[end:], start, start + len(new)
    return None


def _spoils(node, own, line, names):
    def text(part):
        return f"({line[part.col_offset : part.end_col_offset]})"

    if isinstance(node, ast.Name) and node.id in names:
        yield from (other for other, shape in names.items() if other != own and shape == names[own])
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield f"{node.value + 1}"
    elif isinstance(node, ast.BinOp):
        left, right = text(node.left), text(node.right)
        if isinstance(node.op, ast.Add):
            yield from (f"({left} - {right})", left, right)
        if isinstance(node.op, ast.Sub):
            yield from (f"({left} + {right})", f"({right} - {left})", left)
        if isinstance(node.op, ast.Mult):
            yield from (f"({left}/{right})", f"(2*{own})", f"(-{own})")
        if isinstance(node.op, ast.Div):
            yield from (f"({left}*{right})", left)
        if isinstance(node.op, ast.MatMult):
            yield f"({right} @ {left})"
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield text(node.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sum":
        owner = text(node.func.value)
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "torch"):
            yield from (owner, f"{owner}.sum(1)", f"{owner}.sum(0)", f"{owner}.mean({line[node.end_col_offset - 2]})")
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
        first, second = (line[e.col_offset : e.end_col_offset] for e in node.slice.elts)
        if ":" not in first + second:
            yield f"{line[node.value.col_offset : node.value.end_col_offset]}[{second},{first}]"


def mutations(address, style, count):
    dice = random.Random(f"{address} {style}")
    whole = list(right_lines(address, style))
    instance = tutor.load(address).sample(seed=0)
    names = {name: tuple(value.shape) for name, value in instance.values.items() if value.is_floating_point()}
    made = 0
    for _ in range(6 * count):
        n = dice.randrange(len(whole))
        found = spoilt(whole[n], names, dice)
        if found is None or made == count:
            continue
        text, start, end = found
        report = judged(address, "\n".join([*whole[:n], text]))
        line = report.first_divergence
        if line is None or line.line != n + 1:
            continue
        made += 1
        yield whole[:n], whole[n], line, start, end


def test_single_mutations_are_found_and_placed():
    """Put in, a repair makes the line right; nine in ten are found, and stand where the line was spoilt."""
    total = found = placed = 0
    missed = []
    for address in ADDRESSES:
        for style in ("torch", "index"):
            for before, right, line, start, end in mutations(address, style, EACH):
                total += 1
                if line.repair is None:
                    missed.append((address, line.text, right))
                    continue
                found += 1
                again = judged(address, "\n".join([*before, put_in(line, line.repair)]))
                assert again.first_divergence is None, (address, line.text, line.repair)
                assert len(line.repair.new) <= len(line.repair.old) + rewriting.MOST_ADDED
                if start <= line.repair.column - 1 <= end:
                    placed += 1
                else:
                    missed.append((address, line.text, right, line.repair))
    assert total > 150
    assert found >= 0.9 * total, missed
    assert placed >= 0.9 * found, missed


# -- bounds -----------------------------------------------------------------------------------------------------

HOSTILE = {
    "long sum": "dz = " + " + ".join(["p"] * 70),
    "long product": "dz = " + "*".join(["(p - y)"] * 70),
    "many arguments": "dz = torch.stack((" + ", ".join(["p"] * 300) + ")).sum(0)",
    "powers": "dz = p**" + "*".join(["999999999"] * 50),
    "large tensors": "dz = (p[:, None, None, :, None]*p[None, :, None, None, :]*p.sum()).sum(2).sum(3).sum(1)",
    "nothing there": "dz = p*0/0",
    "infinite": "dz = p/(p - p)",
    "loops": "for i in range(100):\n    for j in range(100):\n        dz = p*i/(j + 1)",
    "index": "dz[i,k] = Sum(p[i,k]*p[n,k]*x[i,j]*x[n,j], n, j)",
    "nested": "dz = " + "(-" * 30 + "p" + ")" * 30,
    "in place": "dz = torch.zeros_like(z).index_add_(0, torch.arange(N), p).mul_(2)",
    "sizes": "# sizes: N=400, D=300, K=200\ndz = (p + y)/400\ndW = x.T @ p",
    "wide": "dz = " + "p - y + " * 200 + "p",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lines_stay_within_the_budget(name, monkeypatch):
    searches = []
    original = search.Search.find

    def find(self):
        searches.append(self)
        return original(self)

    monkeypatch.setattr(search.Search, "find", find)
    tutor.load(SR).derive()
    start = time.perf_counter()
    judged(SR, HOSTILE[name])
    assert time.perf_counter() - start < 5  # counted, not timed: this is only a guard
    for each in searches:
        assert each.tried <= search.MOST_CANDIDATES
        assert each.here.operations <= 2 * trials.MOST_OPERATIONS + 100
        assert each.here.limits.entries <= trials.MOST_ENTRIES + trials.MOST_TENSOR + trials.MOST_WORK


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (SR, "dp = -y/(N*p)\ndz = dp*p*(1 - p)"),  # takes more than an edit
        (SR, "dz = z"),
        (SR, "dz = 0"),
        (LR, "dw = 4"),  # a number is not repaired by the answer
        (SR, "dz = (p - y)/N\ndb = N"),
    ],
)
def test_the_answer_itself_is_not_given(address, text):
    line = first(address, text)
    assert line is not None and (line.repair is None or len(line.repair.new) < len(line.text) + 12)
    if line.repair is not None:
        assert line.repair.old in line.text and line.text.split("= ")[1].strip() in line.repair.new


def test_repairs_can_be_left_out():
    sheet = python.read("dz = p - y")[0]
    report = lines.SheetJudge(tutor.load(SR), sheet, 0, repairs=False).report()
    assert report.first_divergence is not None and report.first_divergence.repair is None


def test_the_same_every_time():
    text = "dz = p*(p - y)/N\ndW = x @ dz\ndb = dz.sum(1)"
    assert [line.repair for line in judged(SR, text)] == [line.repair for line in judged(SR, text)]


def test_the_view_shows_it_with_its_column():
    shown = str(judged(SR, "dz = p/N")).split("\n")
    at = next(n for n, row in enumerate(shown) if row.endswith("dz = p/N"))
    assert shown[at + 1].index("^") == shown[at].index("p/N")
    assert any(row.split() == ["fix", "column", "6:", "p", "->", "(p", "-", "y)"] for row in shown)
    assert "leave out p*" in str(judged(SR, "dz = p*(p - y)/N"))


def test_a_line_of_latex_is_mended_in_latex():
    from tutor.checking.check import check_sheet, read_answer

    ex = tutor.load(SR)
    text = r"\frac{\partial L}{\partial z_{ik}} = p_{ik} - y_{ik}"
    report = check_sheet(ex, read_answer(ex, text, "latex"))
    repair = report.first_divergence.repair
    assert repair is not None and repair.new == "(p_{ik} - y_{ik})/N"


@pytest.mark.parametrize(("exercise", "sheet", "id", "says"), [
    ("sgd-step", "dw = 2*(y_pred - y)*x\nw_new = w + eta*dw", "sign", "the sign of eta*dw is flipped"),
    ("softmax-regression", "dz = (p - y)/N\ndW = x @ dz", "transposed", "x stands where its transpose belongs"),
    ("linear-regression-batch", "dy_pred = 2/N*(y_pred - y)\ndb = -dy_pred.sum()", "sign", "flipped"),
])  # fmt: skip
def test_a_repair_may_name_the_mistake(exercise, sheet, id, says):
    line = tutor.check(exercise, sheet).lines[1]
    assert [m.id for m in line.mistakes] == [id] and says in line.mistakes[0].message


def test_not_a_number_is_no_part_of_a_repair():
    """torch's sign(nan) is 0: `sign(z**0.5)` would be the slope of relu."""
    ex = Exercise("made")
    i = ex.indices(i=ex.sizes("N"))
    z, c = ex.parameter("z", i), ex.input("c", i)
    ex.loss("L", Sum(c[i] * relu(z[i]), i))
    found = tutor.check(ex, "dz = c*torch.sign(z)").lines[0].repair
    assert found is None or "0.5" not in found.new


@pytest.mark.parametrize("line", ["db[k] = Sum(b[k]*p[0,k], i)", "dz[i,k] = Sum(p[i,k]*b[k], j)/N"])
def test_a_sum_over_an_index_that_stands_nowhere_in_it(line):
    assert tutor.check("softmax-regression", line).lines[0].verdict == "wrong"
