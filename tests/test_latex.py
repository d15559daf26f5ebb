r"""LaTeX as an answer: what is printed reads back, what people write is read as they mean it, the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tutor
from tutor.answers import language as lang
from tutor.answers import latex, python
from tutor.answers.latex_regions import is_latex, regions, stretches
from tutor.catalogue import entries
from tutor.checking.outline import Names, Outline
from tutor.checking.truth import points
from tutor.errors import ReadingError
from tutor.proving import members
from tutor.symbolic.notation import latex_form, sheet_form

SOFTMAX = tutor.load("softmax-regression")
NORM = tutor.load("layer-norm")
MLP = tutor.load("mlp")
SOLVE = tutor.load("logdet-solve")
DEEP = tutor.load("mlp:layers=3")
LINE = tutor.load("linear-regression")
BATCH = tutor.load("linear-regression-batch")
EMBEDDING = tutor.load("embedding")
ATTENTION = tutor.load("attention")
MAKEMORE = tutor.load("makemore-mlp")
FORM = tutor.load("quadratic-form")
GATE = tutor.load("add-mul-gate")

ADDRESSES = [address for entry in tutor.entries() for address in members(entry)]


def statements(text, exercise):
    return latex.read(text, exercise).statements


def one(text, exercise):
    [statement] = statements(text, exercise)
    return statement


def bare(node):
    """An expression without places."""
    if isinstance(node, lang.Number):
        return node.value
    if isinstance(node, lang.Name):
        return node.name
    values = [getattr(node, name) for name in node.__slots__ if name not in ("line", "column", "end", "text")]
    return type(node).__name__, *map(bare_part, values)


def bare_part(value):
    if isinstance(value, lang.Expression):
        return bare(value)
    return tuple(map(bare_part, value)) if isinstance(value, tuple) else value


def meant(text):
    """The expressions of a line in the sheet's own language; dummies may have primes: k_ stands for k'."""
    [sheet] = python.read(text)
    [statement] = sheet.statements
    assert isinstance(statement, lang.Assign), statement
    return bare(statement.targets[0]), bare(statement.value)


def read(text, exercise):
    statement = one(text, exercise)
    assert isinstance(statement, lang.Assign), statement.reason
    return renamed(bare(statement.targets[0])), renamed(bare(statement.value))


def renamed(node):
    if isinstance(node, str):
        return node.replace("'", "_")
    return tuple(map(renamed, node)) if isinstance(node, tuple) else node


# -- what is printed reads back ---------------------------------------------------------------------------


def printed(exercise):
    """Closed forms; the steps as printed are read back for every certificate."""
    ends = {q.name for q in exercise.ends}
    for g in exercise.derive().gradients.values():
        if g.name not in ends:
            yield g, f"{latex_form(g.entry, exercise)} = {latex_form(g.closed, exercise)}"


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_printed_as_latex_reads_back_and_is_correct(address):
    exercise = tutor.load(address)
    lines = list(printed(exercise))
    report = tutor.check(exercise, latex.read("\n".join(line for _, line in lines), exercise))
    bad = [(line.text, line.verdict, line.reason) for line in report.lines if line.verdict != "correct"]
    assert not bad
    assert {line.quantity for line in report.lines} == {g.symbol_name for g, _ in lines}


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_forward_program_as_printed_has_the_forward_values(address):
    exercise = tutor.load(address)
    lines = [f"{latex_form(q.entry, exercise)} = {latex_form(q.expr, exercise)}" for q in exercise.forward]
    sheet = latex.read(" \\\\\n".join(lines), exercise)
    assert not [s.reason for s in sheet.statements if isinstance(s, lang.Unreadable)]
    assert not [note for note in tutor.check(exercise, sheet).notes if "another value" in note]


def test_the_determinant_of_a_whole_matrix():
    exercise = tutor.load("logdet-solve")
    sheet = latex.read(r"dx = \frac{b}{2} \\ g = \log |\det A|", exercise)
    report = tutor.check(exercise, sheet)
    assert not [note for note in report.notes if "another value" in note]
    assert [line.verdict for line in report.lines] == ["correct"]
    refused = one(r"dA_{ij} = \det A_{ij}", exercise)
    assert isinstance(refused, lang.Unreadable) and "takes a whole matrix by its name" in refused.reason


@pytest.mark.parametrize("address", [*(entry.id for entry in entries()), "linear-regression:loss=huber"])
def test_the_document_that_derive_prints_reads_back(address):
    from tutor.views import latex as view

    exercise = tutor.load(address)
    closed = len(exercise.forward) < 20  # the closed forms of a deep network take a minute
    report = tutor.check(exercise, latex.read(view.derivation(exercise.derive(), closed=closed), exercise))
    assert not [(line.text, line.reason) for line in report.lines if line.verdict != "correct"]
    assert report.verdict == "correct"


def values_of(sheet, exercise):
    """What a sheet of one line gives at a draw."""
    from tutor.checking.interpret import Run

    run = Run(Outline(sheet, exercise, Names(exercise)), points(exercise, 0)[0]).execute()
    assert not run.failures, [f.reason for f in run.failures.values()]
    return next(iter(run.values.values()))


@st.composite
def formulas(draw, depth=3):
    """Formulas in the entries of softmax-regression, with i and k free."""
    import sympy

    q, (i, _, k) = SOFTMAX.quantities, SOFTMAX.index_symbols.values()
    leaves = [q["p"].entry, q["y"].entry, q["s"].entry, q["b"].entry, q["e"].entry, SOFTMAX.size_symbols["N"],
              sympy.Integer(2), sympy.Rational(1, 3), sympy.Integer(-1)]  # fmt: skip
    if depth == 0:
        return draw(st.sampled_from(leaves))
    a, b = draw(formulas(depth - 1)), draw(formulas(depth - 1))
    made = draw(
        st.sampled_from(
            ["+", "-", "*", "/", "exp", "tanh", "square", "root", "sum", "case", "delta", "max", "abs", "leaf"]
        )
    )
    return {
        "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / (b**2 + 1),
        "exp": lambda: sympy.exp(-(a**2)), "tanh": lambda: sympy.tanh(a), "square": lambda: (a + b) ** 2,
        "root": lambda: sympy.sqrt(a**2 + 1), "sum": lambda: sympy.Sum(a, k) * b, "max": lambda: sympy.Max(a, b),
        "case": lambda: sympy.Piecewise((a, q["z"].entry > 0), (b, True)), "abs": lambda: sympy.Abs(a - b),
        "delta": lambda: sympy.KroneckerDelta(i, k) * a, "leaf": lambda: a,
    }[made]()  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(formulas())
def test_latex_and_index_style_of_a_formula_have_the_same_value(formula):
    import torch

    left = SOFTMAX["z"].entry
    [plain] = python.read(f"r[i,k] = {sheet_form(formula, SOFTMAX)}")
    text = f"r_{{ik}} = {latex_form(formula, SOFTMAX)}"
    sheet = latex.read(text, SOFTMAX)
    assert all(isinstance(s, lang.Assign) for s in sheet.statements), (text, sheet.statements)
    a, b = values_of(sheet, SOFTMAX), values_of(plain, SOFTMAX)
    assert a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True), (text, left)


# -- what people write --------------------------------------------------------------------------------------

MEANT = [
    (SOFTMAX, r"db = \mathbf{1}_N^\top dz", "db = ones(N) @ dz"),
    (SOFTMAX, r"db = \mathbf{1} / N", "db = 1/N*ones(K)"),
    (SOFTMAX, r"dz = dp \, I_K + dp I", "dz = dp @ eye(K) + dp"),
    (SOFTMAX, r"dp = -\tfrac{1}{N} y \oslash p", "dp = -(1/N*y/p)"),
    (BATCH, r"g = \|r\|_2^2 \operatorname{clamp}(b, 0, 1)", "g = sqrt((r*r).sum())**2*Min(Max(b, 0), 1)"),
    (MAKEMORE, r"q = \mathbf{1}_{Yb} - \operatorname{onehot}(Yb)", "q = one_hot(Yb, V) - one_hot(Yb, V)"),
    (SOFTMAX, r"\frac{\partial L}{\partial z_{ik}} = \frac{1}{N}(p_{ik} - y_{ik})", "dz[i,k] = 1/N*(p[i,k] - y[i,k])"),
    (SOFTMAX, r"\partial L/\partial W = x^\top dz", "dW = x.T @ dz"),
    (SOFTMAX, r"\nabla_W L = x^T \frac{\partial L}{\partial z}", "dW = x.T @ dz"),
    (SOFTMAX, r"\nabla_{W_{jk}} \mathcal{L} = \sum_i x_{ij} dz_{ik}", "dW[j,k] = Sum(x[i,j]*dz[i,k], i)"),
    (SOFTMAX, r"\mathrm{d}W = x^{\top} \mathrm{d}z", "dW = x.T @ dz"),
    (SOFTMAX, r"\mathrm dL/\mathrm dW = x^\intercal dz", "dW = x.T @ dz"),
    (SOFTMAX, r"\frac{dL}{d\mathbf{W}} = \mathbf{x}^\mathsf{T} \frac{\partial L}{\partial \boldsymbol{z}}",
     "dW = x.T @ dz"),
    (SOFTMAX, r"dx = dz W^T", "dx = dz @ W.T"),
    (SOFTMAX, r"db_k=\sum_{i=1}^{N} dz_{ik}", "db[k] = Sum(dz[i,k], i)"),
    (SOFTMAX, r"db_k=\sum_{i=0}^{N-1} dz_{ik}", "db[k] = Sum(dz[i,k], i)"),
    (SOFTMAX, r"db = \frac1N \mathbf 1^\top (p - y)", "db = 1/N*1*(p - y).sum(0)"),
    (SOFTMAX, r"L = -\frac{1}{N}\sum_{i,k} y_{ik}\log p_{ik}", "L = -(1/N*Sum(y[i,k]*log(p[i,k]), i, k))"),
    (SOFTMAX, r"ds_i = -\tfrac{1}{s_i^2} \sum_k dp_{ik} e_{ik}", "ds[i] = -(1/s[i]**2*Sum(dp[i,k]*e[i,k], k))"),
    (SOFTMAX, r"dz_{ik} = e^{z_{ik}} de_{ik}", "dz[i,k] = exp(z[i,k])*de[i,k]"),
    (SOFTMAX, r"dz = \exp(z) \circ de", "dz = exp(z)*de"),
    (SOFTMAX, r"dp = -\frac{1}{N} \frac{y}{p}", "dp = -(1/N*(y/p))"),
    (SOFTMAX, r"dz_{ik}=p_{ik}(1-p_{ik})", "dz[i,k] = p[i,k]*(1 - p[i,k])"),
    (SOFTMAX, r"dz = p \odot (1-p)", "dz = p*(1 - p)"),
    (SOFTMAX, r"dz_{ik} = \sum_{k'} dp_{ik'} p_{ik'}(\delta_{kk'} - p_{ik})",
     "dz[i,k] = Sum(dp[i,k_]*p[i,k_]*(KroneckerDelta(k, k_) - p[i,k]), k_)"),
    (SOFTMAX, r"dz_{ik} = \left(\operatorname{softmax}(z)_{ik} - y_{ik}\right) / N",
     "dz[i,k] = (softmax(z, -1)[i,k] - y[i,k])/N"),
    (SOFTMAX, r"dz_{ik} = \mathbb{1}[p_{ik}>0]", "dz[i,k] = where(p[i,k] > 0, 1, 0)"),
    (SOFTMAX, r"dz_{ik} = \mathbf 1_{\{p_{ik} \ge 0\}}", "dz[i,k] = where(p[i,k] >= 0, 1, 0)"),
    (SOFTMAX, r"dz_{ik} = [p_{ik} \ne 0]", "dz[i,k] = where(p[i,k] != 0, 1, 0)"),
    (SOFTMAX, r"dz_{ik} = \log\sum_{k'} e^{z_{ik'}}", "dz[i,k] = log(Sum(exp(z[i,k_]), k_))"),
    (SOFTMAX, r"dz_{ik} = \sum_{k' \ne k} p_{ik'}", "dz[i,k] = Sum(where(k_ != k, p[i,k_], 0), k_)"),
    (SOFTMAX, r"dz_{ik} = \sum_{k'=1}^{k} p_{ik'}", "dz[i,k] = Sum(p[i,k_], (k_, 0, k))"),
    (SOFTMAX, r"dz_{ik} = \max_{k'} z_{ik'} - z_{ik}", "dz[i,k] = MaxOver(z[i,k_], k_) - z[i,k]"),
    (SOFTMAX, r"dz_{ik} = \max(0, z_{ik})", "dz[i,k] = Max(0, z[i,k])"),
    (SOFTMAX, r"dz_{ik} = \max\left\{0, z_{ik}\right\}", "dz[i,k] = Max(0, z[i,k])"),
    (SOFTMAX, r"dz_{ik} = \tanh^2 z_{ik} + \left|z_{ik}\right| - |p_{ik}||y_{ik}|",
     "dz[i,k] = tanh(z[i,k])**2 + abs(z[i,k]) - abs(p[i,k])*abs(y[i,k])"),
    (SOFTMAX, r"dz_{ik} = \sqrt{z_{ik}^{2}} \cdot z_{ik}^{-1} \times p_{ik}",
     "dz[i,k] = sqrt(z[i,k]**2)*z[i,k]**-1*p[i,k]"),
    (SOFTMAX, r"dz_{ik} = -p_{ik}^2", "dz[i,k] = -p[i,k]**2"),
    (SOFTMAX, r"dz_{ik} = p_{ik}/s_i/N", "dz[i,k] = p[i,k]/s[i]/N"),
    (SOFTMAX, r"dz_{ik} = 1/N \sum_{k'} p_{ik'}", "dz[i,k] = 1/N*Sum(p[i,k_], k_)"),
    (SOFTMAX, r"dz = \sigma(z) \odot (1 - \sigma(z))", "dz = sigmoid(z)*(1 - sigmoid(z))"),
    (SOFTMAX, r"dz = \sigma'(z) \odot dp", "dz = sigmoid(z)*(1 - sigmoid(z))*dp"),
    (SOFTMAX,
     r"dz_{ik} = \begin{cases} (p_{ik}-1)/N & \text{if } y_{ik}=1 \\ p_{ik}/N, & \text{otherwise}\\ \end{cases}",
     "dz[i,k] = where(y[i,k] == 1, (p[i,k] - 1)/N, p[i,k]/N)"),
    (SOFTMAX, r"\boxed{dW = x^\top dz}", "dW = x.T @ dz"),
    (SOFTMAX, r"∂L/∂z_{ik} = (p_{ik} − y_{ik})/N", "dz[i,k] = (p[i,k] - y[i,k])/N"),
    (SOFTMAX, r"dz_{i,k}\;=\;\frac{p_{i\,k}-y_{i k}}{N}\,.", "dz[i,k] = (p[i,k] - y[i,k])/N"),
    (SOFTMAX, r"\left(\frac{\partial L}{\partial W}\right)_{jk} = \left(x^\top dz\right)_{jk}",
     "dW[j,k] = (x.T @ dz)[j,k]"),
    (SOLVE, r"db = A^{-T} b", "db = inv(A).T @ b"),
    (SOLVE, r"db = A^{-\top} b", "db = inv(A).T @ b"),
    (SOLVE, r"dA = A^{-1\mathrm{T}}/2", "dA = inv(A).T/2"),
    (SOFTMAX, r"\delta = p - y", "delta = p - y"),
    (NORM, r"\frac{\partial L}{\partial \gamma_j} = \sum_i \frac{\partial L}{\partial y_{ij}} \hat x_{ij}",
     "dgamma[j] = Sum(dy[i,j]*xhat[i,j], i)"),
    (NORM, r"d\gamma_j = \sum_i dy_{ij}\hat{x}_{ij}", "dgamma[j] = Sum(dy[i,j]*xhat[i,j], i)"),
    (NORM, r"d\hat x = dy \odot \gamma", "dxhat = dy*gamma"),
    (NORM, r"d\mathrm{var}_i = -\tfrac12 d\mathrm{istd}_i \, \mathrm{istd}_i^3",
     "dvar[i] = -(1/2*distd[i]*istd[i]**3)"),
    (NORM, r"dvar_i = -\frac{1}{2}(var_i + 10^{-5})^{-3/2}", "dvar[i] = -(1/2*(var[i] + 10**-5)**(-(3/2)))"),
    (MLP, r"dW^{(1)} = x^\top dz^{(1)}", "dW1 = x.T @ dz1"),
    (MLP, r"dW_1 = x^\top dz_1", "dW1 = x.T @ dz1"),
    (MLP, r"dW1 = x^T dz1", "dW1 = x.T @ dz1"),
    (MLP, r"dW^{[1]} = x^\top dz^{[1]}", "dW1 = x.T @ dz1"),
    (MLP, r"dh^{(1)} = d\hat{y} W^{(2)\top}", "dh1 = dy_pred @ W2.T"),
    (MLP, r"dh_1 = dy_{\mathrm{pred}} W_2^\top", "dh1 = dy_pred @ W2.T"),
    (MLP, r"dh_1 = dy_{pred} {W^{(2)}}^\top", "dh1 = dy_pred @ W2.T"),
    (MLP, r"dz_1 = dh_1 \odot \mathbb{1}[z_1 > 0]", "dz1 = dh1*where(z1 > 0, 1, 0)"),
    (MLP, r"dz_1 = \mathbb{1}[z_1>0] \odot dy_{pred} W_2^\top", "dz1 = where(z1 > 0, 1, 0)*(dy_pred @ W2.T)"),
    (MLP, r"dz^{(1)}_{ni} = dh^{(1)}_{ni} 1_{z^{(1)}_{ni}>0}", "dz1[n,i] = dh1[n,i]*where(z1[n,i] > 0, 1, 0)"),
    (MLP, r"dz_1 = dh_1 \odot \operatorname{ReLU}'(z_1)", "dz1 = dh1*where(z1 > 0, 1, 0)"),
    (MLP, r"d\hat y = \frac{2}{N D_2} (\hat y - y)", "dy_pred = 2/(N*D2)*(y_pred - y)"),
    (MLP, r"\hat y = h_1 W_2 + b_2", "y_pred = h1 @ W2 + b2"),
    (MLP, r"z_1 = xW_1 + b_1", "z1 = x @ W1 + b1"),
    (LINE, r"\frac{\partial L}{\partial w} = 2(\mathrm{y\_pred} - y)x", "dw = 2*(y_pred - y)*x"),
    (LINE, r"dw = 2x(wx+b-y)", "dw = 2*x*(w*x + b - y)"),
    (LINE, r"dw = 2(y_{\text{pred}} - y)x", "dw = 2*(y_pred - y)*x"),
    (LINE, r"dL/dw = 2xy", "dw = 2*(x*y)"),
    (LINE, r"dw = \operatorname{sgn}(w) \ln x", "dw = sign(w)*log(x)"),
    (LINE, r"\frac{\partial \hat y}{\partial w} = x", "dy_pred_dw = x"),
    (BATCH, r"dw = \frac{1}{N} X^T (Xw + b - y)", "dw = 1/N*X.T @ (X @ w + b - y)"),
    (BATCH, r"dX = \frac{1}{N} r w^\top", "dX = outer(1/N*r, w)"),
    (BATCH, r"dX = \frac{1}{N} r \cdot w^\top", "dX = outer(1/N*r, w)"),
    (BATCH, r"L = \frac{1}{2N} r^\top \cdot r", "L = 1/(2*N)*r @ r"),
    (BATCH, r"L = \frac{1}{2N} r^\top r", "L = 1/(2*N)*r @ r"),
    (BATCH, r"dw_j = \frac1N\sum_{i=1}^N X^{(i)}_j r^{(i)}", "dw[j] = 1/N*Sum(X[i,j]*r[i], i)"),
    (EMBEDDING, r"dE_{vd} = \sum_n \delta_{v,t_n} demb_{nd}", "dE[v,d] = Sum(KroneckerDelta(v, t[n])*demb[n,d], n)"),
    (EMBEDDING, r"dE_{vd} = \sum_{n: t_n = v} \mathrm{d}\mathrm{emb}_{nd}",
     "dE[v,d] = Sum(where(t[n] == v, demb[n,d], 0), n)"),
    (EMBEDDING, r"demb_{nd} = \frac{2}{ND}(E_{t_n d} - y_{nd})", "demb[n,d] = 2/(N*D)*(E[t[n],d] - y[n,d])"),
    (ATTENTION, r"dQ = \frac{1}{\sqrt D}\, da\, K", "dQ = 1/sqrt(D)*da @ K"),
    (ATTENTION, r"dP = dO V^\top", "dP = dO @ V.T"),
    (MAKEMORE, r"dh = d\mathrm{logits}\, W_2^\top", "dh = dlogits @ W2.T"),
    (MAKEMORE, r"d\mathrm{hpreact} = dh \odot (1 - h^2)", "dhpreact = dh*(1 - h**2)"),
    (MAKEMORE, r"\mathrm{d}\mathrm{emb}_{itc} = \mathrm{d}\mathrm{embcat}_{i, d\,t + c}",
     "demb[i,t,c] = dembcat[i, d*t + c]"),
    (MAKEMORE, r"d\mathrm{logits}_{ik} = \frac1n (\mathrm{probs}_{ik} - \delta_{k,\mathrm{Yb}_i})",
     "dlogits[i,k] = 1/n*(probs[i,k] - KroneckerDelta(k, Yb[i]))"),
]  # fmt: skip


@pytest.mark.parametrize(("exercise", "text", "said"), MEANT, ids=[text for _, text, _ in MEANT])
def test_what_people_write_is_read_as_they_mean_it(exercise, text, said):
    assert read(text, exercise) == meant(said)


def test_places_are_those_of_the_text():
    statement = one("\n\n  dz_{ik} = \\frac{1}{N}\n    (p_{ik} - y_{ik})", SOFTMAX)
    assert (statement.line, statement.column, statement.start) == (3, 3, 3)
    assert statement.text == "dz_{ik} = \\frac{1}{N} (p_{ik} - y_{ik})"
    names = {node.name: (node.line, node.column) for node in lang.walk(statement.value) if isinstance(node, lang.Name)}
    assert names["N"] == (3, 22) and names["p"] == (4, 6) and names["y"] == (4, 15)


# -- chains, documents -----------------------------------------------------------------------------------------

ALIGNED = r"""\begin{align*}
\partial L/\partial z_{ik} &= \sum_j \frac{\partial L}{\partial p_{ij}} \frac{\partial p_{ij}}{\partial z_{ik}} && \text{chain} \\
&= \frac{1}{N} \left(p_{ik} - y_{ik}\right) \label{eq:1} \\
&= \frac{1}{N} p_{ik}
   - \frac{1}{N} y_{ik} \nonumber \\[4pt]
\frac{\partial L}{\partial W_{jk}} &= \sum_i x_{ij} dz_{ik}, & \frac{\partial L}{\partial b_k} &= \sum_i dz_{ik} \tag{2}
\end{align*}"""


def test_a_chain_is_successive_lines_of_one_derivation():
    sheet = latex.read(ALIGNED, SOFTMAX)
    found = [(s.line, lang.root(s.targets[0]).name, s.text) for s in sheet.statements]
    assert [(line, name) for line, name, _ in found] == [(3, "dz"), (4, "dz"), (6, "dW"), (6, "db")]
    assert found[0][2] == r"= \frac{1}{N} \left(p_{ik} - y_{ik}\right)"
    assert sheet.notes == ["line 2: passed over, since the chain goes on: dp has no line of its own before"]
    report = tutor.check(SOFTMAX, ALIGNED)
    assert report.verdict == "correct" and report.score == 2


def test_each_link_of_a_chain_is_judged():
    report = tutor.check(LINE, r"\frac{dL}{dw} = 2(\hat y - y) x = -2(y - \hat y) = 2 (1 \cdot 2 + 0 - 4) \cdot 2 = -8")
    assert [line.verdict for line in report.lines] == ["correct", "wrong", "correct", "correct"]
    assert report.first_divergence.text == r"= -2(y - \hat y)"


def test_local_derivatives_are_judged_and_used():
    text = r"""
        \frac{\partial p_{ik}}{\partial s_i} = -\frac{e_{ik}}{s_i^2} \\
        \frac{\partial p_{ik}}{\partial e_{ik}} = \frac{1}{s_i} \\
        \frac{\partial L}{\partial p_{ik}} = -\frac{y_{ik}}{N p_{ik}} \\
        \partial L / \partial s_i = \sum_k \frac{\partial L}{\partial p_{ik}} \frac{\partial p_{ik}}{\partial s_i} \\
        de_{ik} = \frac{\partial L}{\partial p_{ik}}\frac{\partial p_{ik}}{\partial e_{ik}} + ds_i"""
    report = tutor.check(SOFTMAX, text)
    assert {line.quantity: line.verdict for line in report.lines} == dict.fromkeys(
        ["dp_ds", "dp_de", "dp", "ds", "de"], "correct"
    )


@pytest.mark.parametrize("text", [
    r"dW = x^\top dz, \qquad db = \mathbf{1}^\top dz",
    r"dW = x^\top dz \quad \text{and} \quad db = \mathbf{1}^\top dz.",
    r"dW = x^\top dz \\ db = \mathbf{1}^\top dz",
    "dW = x^\\top dz\ndb = \\mathbf{1}^\\top dz",
    r"dW = x^\top dz \implies db = \mathbf{1}^\top dz \quad (i = 1, \dots, N)",
    r"\text{So } dW = x^\top dz \text{ (see above)}, \quad i = 1, \dots, N \\ \text{where } db = \mathbf{1}^\top dz",
    "prose $N$ and $x = 3$\n\n$$dW = x^\\top dz$$\n\nmore\n\\[ db = \\mathbf{1}^\\top dz \\]",
    "$dW = x^\\top dz$\n- $db = \\mathbf{1}^\\top dz$,",
    "\\documentclass{article}\\newcommand{\\x}{y}\n\\begin{document}\nLet $y=2$.\n\\begin{equation}\\begin{aligned}\n"
    "dW &= x^\\top dz \\\\\ndb &= \\mathbf{1}^\\top dz\n\\end{aligned}\\end{equation}\n\\end{document}",
])  # fmt: skip
def test_several_lines_in_one_text(text):
    sheet = latex.read(text, SOFTMAX)
    assert [bare(s.targets[0]) for s in sheet.statements] == ["dW", "db"], sheet
    assert bare(sheet.statements[0].value) == meant("dW = x.T @ dz")[1]


def test_one_bad_line_does_not_hide_the_others():
    text = "dz = (p - y)/N \\\\\ndW = x^\\top \\unknown dz \\\\\ndb = \\mathbf{1}^\\top dz"
    first, second, third = statements(text, SOFTMAX)
    assert isinstance(second, lang.Unreadable) and (second.line, second.column, second.target) == (2, 13, "dW")
    assert isinstance(first, lang.Assign) and isinstance(third, lang.Assign)


def test_an_open_brace_does_not_swallow_the_next_line():
    first, second = statements("dz_{ik = p_{ik}\ndW_{jk} = \\sum_i x_{ij} dz_{ik}", SOFTMAX)
    assert isinstance(first, lang.Unreadable) and "{ is never closed" in first.reason
    assert isinstance(second, lang.Assign)


@pytest.mark.parametrize(("exercise", "text", "old", "new"), [
    (SOFTMAX, r"dz_{ik} = \frac{1}{N}(p_{ik} + y_{ik})", "+ y_{ik}", "- y_{ik}"),
    (ATTENTION, r"dV = P dO", "P", r"P^\top"),
    # the whole entry, of which neither name nor indices have a place of their own
    (SOFTMAX, r"\frac{\partial L}{\partial z_{ik}} = \frac1N(e_{ik}-y_{ik})", "e_{ik}", "p_{ik}"),
    (tutor.load("batch-norm"), r"d\gamma_j = \sum_i dy_{ij} x_{ij}", "x_{ij}", r"\hat{x}_{ij}"),
    (SOFTMAX, r"db_k = \sum_i \frac1N(p_{ik}y_{ik})", "p_{ik}y_{ik}", "p_{ik} - y_{ik}"),
])  # fmt: skip
def test_a_repair_is_written_in_latex(exercise, text, old, new):
    [line] = tutor.check(exercise, latex.read(text, exercise)).lines
    assert line.verdict == "wrong" and (line.repair.old, line.repair.new) == (old, new)
    assert text[line.repair.column - 1 :].startswith(old)


@pytest.mark.parametrize(("exercise", "before", "text", "old", "new"), [
    (ATTENTION, r"dP_{nm} = \sum_k dO_{nk} V_{mk}", r"da_{nm} = P_{nm}(dP_{nm} - \sum_l P_{lm} dP_{lm})",
     "P_{lm} dP_{lm}", "P_{nl} dP_{nl}"),
    (tutor.load("rnn"), r"da_4 = (1-h_4^2)\odot dy_4", r"da_3 = (1-h_3^2)\odot(dy_3 + da_4 W_h)", "W_h", r"W_h^\top"),
])  # fmt: skip
def test_a_repair_in_latex_reads_as_right(exercise, before, text, old, new):
    right, wrong = tutor.check(exercise, latex.read(f"{before} \\\\\n{text}", exercise)).lines
    assert right.verdict == "correct" and (wrong.repair.old, wrong.repair.new) == (old, new)
    mended = f"{before} \\\\\n{text.replace(old, new)}"
    assert {line.verdict for line in tutor.check(exercise, latex.read(mended, exercise)).lines} == {"correct"}


# -- what is refused -------------------------------------------------------------------------------------------

REFUSED = [
    (SOFTMAX, r"dz = p - \mathbb{1}(y)", 10, r"1\(...\) can be read as an indicator or as a product"),
    (SOFTMAX, r"dz = \exp(\mathbf{1}) p", 6, "how long this vector of ones is .* its length, .*1}_{N} or .*1}_{D} or "),
    (SOFTMAX, r"dz = \mathbf{1}^2 p", 6, "how long this vector of ones is .* its length, .*1}_{N} or .*1}_{D} or "),
    (SOFTMAX, r"dz = p + I", 6, "I can be read as the identity matrix or as an indicator"),
    (SOFTMAX, r"dz = p - \mathbf{1}_y", 21, r"what stands below \\mathbf\{1\} can be read as the length"),
    (SOFTMAX, r"dz = p - \mathbf{1}_{NK}", 21, r"what stands below \\mathbf\{1\} can be read as the length"),
    (SOFTMAX, r"dz = \|p\|_2 p", 6, r"\\\|A\\\| of a matrix can be read as"),
    (SOFTMAX, r"dz = p \frac{\partial \log p}{\partial z}", 8, "the derivative of a formula is not judged"),
    (SOFTMAX, r"dz = 1/N (p-y)", 10, r"a / b c can be read as \(a / b\) c or as a / \(b c\)"),
    (SOFTMAX, r"dz_{ik} = y_{ik} \log p_{ik} z_{ik}", 30, r"\\log a b can be read as \(\\log a\) b or as \\log\(a b\)"),
    (SOFTMAX, r"dz_{ik} = \log p_{ik} / N", 23, r"\\log a / b can be read as"),
    (SOFTMAX, r"\bar z = 1", 1, r"\\bar z can be read as the gradient .* or as the mean of z"),
    (SOFTMAX, r"dz_{12} = 1", 1, "counted from 0 or as counted from 1"),
    (SOFTMAX, r"dz_{ik} = \mathbb{1}[k = 1]", 22, "counted from 0 or as counted from 1"),
    (SOFTMAX, r"dz = z^.5", 8, r"a number stands in braces"),
    (SOFTMAX, r"dz = e^2", 6, r"the exponential function, .* or as a power of the exercise's e"),
    (SOFTMAX, r"dz = p(1-p)", 6, r"two matrices of shape \(N, K\) have no matrix product; entry by entry it is \\odot"),
    (SOFTMAX, r"dz = p \cdot y", 6, r"\\cdot between whole tensors can be read as a matrix product, A B or"),
    (SOFTMAX, r"dz = e/s", 6, r"an axis \(N,\) beside \(N, K\); write the indices"),
    (SOFTMAX, r"db_k = \sum_i p_{ik} - y_{ik}", 27, r"\\sum_\{i\} ends before the next \+ or -"),
    (SOFTMAX, r"dz_{ik} = \prod_{k'} p_{ik'} s_i", 30, "inside it or as outside it"),
    (SOFTMAX, r"a_i = \log \sum_k e_{ik} \sum_k y_{ik}", 26, "write parentheses"),
    (SOFTMAX, r"a_i = \log \sum_k e_{ik} \cdot \sum_k y_{ik}", 26, "write parentheses"),
    (SOFTMAX, r"dz_{ik} = \sum_{k'=1}^{K-1} p_{ik'}", 23, "counted from 0, without the first or as counted from 1"),
    (SOFTMAX, r"dW = X^\top dz", 6, 'X is not a name of the exercise .*; did you mean "x"'),
    (SOFTMAX, r"dW = x_ij dz", 6, r"x has 2 axes, and 1 index here; .* in braces, as x_\{ij\}"),
    (SOFTMAX, r"dz_{ik} = z_{ik}^10", 19, r"write x\^\{10\}"),
    (SOFTMAX, r"dz_{ik} = \sum p_{ik}", 11, r"\\sum names the index it runs over"),
    (SOFTMAX, r"dz_{ik} = \tanh^{-1}(z_{ik})", 11, "its inverse function or as one over tanh"),
    (SOFTMAX, r"N \frac{\partial L}{\partial z} = p - y", 1, "on the left stands one name"),
    (SOFTMAX, r"p_{ik} - y_{ik}", 1, "a line is name = formula"),
    (SOFTMAX, r"dz =", 4, "nothing stands on the right"),
    (SOFTMAX, r"dz = p -", 8, "the formula ends too early"),
    (SOFTMAX, r"dz = (p - y", 6, r"\( is never closed"),
    (SOFTMAX, r"dz = \left(p - y\right]", 23, "] closes nothing"),
    (SOFTMAX, r"dz = p . y", 10, "a full stop ends a formula"),
    (SOFTMAX, r"dz = p, y", 9, "a comma ends a formula"),
    (SOFTMAX, r"\frac{\partial Q}{\partial z} = p", 1, "Q is neither the loss L nor a step"),
    (SOFTMAX, r"dz = \frac{\partial}{\partial p} L", 6, r"write \\frac\{\\partial L\}\{\\partial W\}"),
    (SOFTMAX, r"dz = \input{/etc/passwd}", 6, r"\\input is not part of an answer: nothing is run"),
    (SOFTMAX, r"dz = \immediate\write18{rm -rf x}", 6, "nothing is run"),
    (SOFTMAX, r"dz = \alhpa", 6, 'did you mean "alpha"'),
    (SOFTMAX, r"dz = \begin{pmatrix} 1 \end{pmatrix}", 6, "the environment pmatrix is not part of an answer"),
    (SOFTMAX, "dz = p @ y", 8, "the character @"),
    (SOFTMAX, "dz = 1e-5", 6, r"a power of ten is written 10\^\{-5\}"),
    (SOFTMAX, "dz = " + "1" * 31, 6, "more than 30 digits"),
    (SOFTMAX, "dz = " + "(" * 41 + "p" + ")" * 41, 46, "more than 40 brackets"),
    (SOFTMAX, "dz = " + "p + " * 90 + "p", 6, "more than 80 operations"),
    (BATCH, r"dX = r w", 6, r"an inner product, .* or as an outer product"),
    (DEEP, r"dW^{(l)} = h^{(l-1)\top} dz^{(l)}", 12, "h is not a name"),
    (MAKEMORE, r"dh = d h", 6, "d h can be read as the gradient dh or as d times h"),
]  # fmt: skip


@pytest.mark.parametrize(("exercise", "text", "column", "words"), REFUSED, ids=[text[:60] for _, text, *_ in REFUSED])
def test_what_is_ambiguous_or_foreign_is_refused_with_its_place(exercise, text, column, words):
    import re

    [statement] = [s for s in statements(text, exercise) if isinstance(s, lang.Unreadable)]
    assert re.search(words, statement.reason), statement.reason
    assert (statement.line, statement.column) == (1, column), statement
    assert tutor.check(exercise, text + " ").verdict in ("unreadable", "incomplete", "wrong")


# -- hostile text --------------------------------------------------------------------------------------------------

HOSTILE = {
    "a megabyte": "x" * 1_000_000 + "=",
    "braces": "dz = " + "{" * 90_000,
    "closed braces": "dz = " + "{" * 1900 + "x" + "}" * 1900,
    "fractions": "dz=" + "\\frac" * 15_000,
    "roots": "dz=" + "\\sqrt" * 700 + " x",
    "hats": "dz=" + "\\hat" * 900 + " x",
    "logs": "dz=" + "\\log " * 700 + "z",
    "sums": "dz=" + "\\sum_k " * 560 + "z_{ik}",
    "terms": "\n".join("dz=" + "p+" * 1900 + "p" for _ in range(3)),
    "factors": "\n".join("dz=" + "p_{ik} " * 500 for _ in range(4)),
    "words": "\n".join("dz=" + " ".join(["xywbszpe" * 5] * 90) for _ in range(27)),
    "bars": "dz=" + "|x" * 1900,
    "dollars": "$" * 99_999,
    "inline": "$x=$ " * 19_000,
    "environments": "\\begin{align}" * 7000,
    "signs": "dz=" + "-" * 3900 + "p",
    "rows": "dz=p\\\\" * 1400,
    "a chain": "dz" + "=p" * 7_000,
    "cases": "dz=\\begin{cases}" + "p & z>0 \\\\" * 300 + "\\end{cases}",
    "towers": "dz=9^{9^{9^{9^9}}}",
    "scripts": "dz=" + "x_{" * 39 + "i" + "}" * 39,
    "backslashes": "\\" * 99_999,
    "macros": r"\def\x{\x\x}\x dz = \x",
    "newlines": "dz=(\n" * 3700,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_latex_is_read_or_refused(name):
    try:
        sheet = latex.read(HOSTILE[name], SOFTMAX)
    except ReadingError as error:
        assert error.line >= 1 and error.column >= 1
    else:
        assert len(sheet.statements) <= python.MAX_LINES


def test_a_tower_of_powers_is_judged_and_not_computed():
    assert tutor.check(LINE, r"dw = 9^{9^{9^{9^9}}}").verdict in ("wrong", "unreadable")


TOKENS = (
    r"\frac { } _{ik} _ ^ ^\top ^{-1} ^{(1)} \partial L z x W p y dz dW ( ) [ ] | \left( \right) \hat \bar "
    r"\mathbf{1} \mathbb{1} \log \max_k \max \arg\max_k \begin{cases} \end{cases} & \\ = + - \cdot \odot / , . "
    r"\text{if} \text{words} \delta_{ik} \nabla_W \mathrm{d} \sigma ' e i k 1 2 0 N \, \quad \sqrt \sqrt[ 1_{ "
    r"\{ \} < > \ne \infty \sum_ \boxed{ \label{a} $ $$ \[ \] %"
).split()


@settings(max_examples=300, deadline=None)
@given(st.one_of(
    st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join),
    st.lists(st.sampled_from(TOKENS), max_size=25).map(lambda tokens: "dz = " + "".join(tokens)),
    st.text(max_size=60),
    st.text(alphabet="\\{}_^$&=dzpxik()[]|+-1 \n%", max_size=60),
))  # fmt: skip
def test_no_text_breaks_the_reader(text):
    for exercise in (SOFTMAX, MLP):
        try:
            sheet = latex.read(text, exercise)
        except ReadingError:
            continue
        for statement in sheet.statements:
            assert statement.line >= 1 and statement.column >= 1
            if isinstance(statement, lang.Unreadable):
                assert statement.reason and statement.text.isprintable()
            else:
                assert all(node.line >= 1 for node in lang.walk(statement.value))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=20).map(lambda tokens: "dz = p " + " ".join(tokens)))
def test_no_text_breaks_the_judge(text):
    report = tutor.check(SOFTMAX, latex.read(text, SOFTMAX))
    assert report.to_dict()["verdict"] in ("correct", "wrong", "incomplete", "undecided", "unreadable") and str(report)


# -- which texts are LaTeX ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "evident"), [
    (r"dz = \frac{p - y}{N}", True),
    (r"dz_{ik} = (p_{ik} - y_{ik})/N", True),
    ("dz = (p - y) / N", False),
    ("dz = p \\\n  - y", False),
    ("# the \\frac rule\ndz = p - y", False),
    ('"""with \\frac{a}{b} = c"""\ndz = p - y', False),
    (r"\frac{1}{N}", False),
])  # fmt: skip
def test_evident_latex(text, evident):
    assert is_latex(text) is evident


def test_regions_of_a_document():
    text = "a $x$ b\n$$y = 1$$ \\(z\\)\n\\begin{verbatim}$$no$$\\end{verbatim}% $$no$$\n\\[ w \\]"
    assert [text[a:b] for a, b in regions(text)] == ["y = 1", " w "]
    assert regions("x = 1") == [(0, 5)] and list(stretches("x = 1")) == []


@pytest.mark.parametrize("end", [
    r"\qed", r". \qedhere", r"\quad \blacksquare", r"\hfill\square", r"\qquad \Box.", "∎", r"\tag*{$\square$}", r"\tag*{\qedhere}",
])  # fmt: skip
def test_the_sign_at_the_end_of_a_proof_is_no_part_of_a_formula(end):
    report = tutor.check("mse", rf"\[ \frac{{\partial L}}{{\partial r_i}} = \frac{{2}}{{N}} r_i {end} \]")
    assert [line.verdict for line in report] == ["correct"]


@pytest.mark.parametrize("blank", [r"\square", r"\frac{2}{\square}", r"\square\, r_i", r"\frac{2}{N} r_i + \square"])
def test_a_square_to_be_filled_is_refused(blank):
    report = tutor.check("mse", rf"\[ \frac{{\partial L}}{{\partial r_i}} = {blank} \]")
    assert report.verdict == "unreadable" and "square" in report.lines[0].reason


@pytest.mark.parametrize("condition", [
    r"\text{ if } x_i > 0 \text{ else } 0", r"\text{ if $x_i > 0$}, 0 \text{ otherwise}", r"\text{ otherwise}",
    r"\text{ for } x_i > 0", r", \quad x_i > 0", r"\quad (x_i > 0)", r"\quad \text{when } x_i > 0", r"&& x_i > 0",
    r"\text{ if } x_i \text{ is positive}", r"\text{ 若 } x_i > 0", r"\text{当 $x_i > 0$}", r"\text{ where } x_i > 0",
])  # fmt: skip
def test_a_condition_is_never_dropped_from_a_formula(condition):
    exercise = tutor.load("activations:function=relu")
    report = tutor.check(exercise, rf"$$\frac{{\partial L}}{{\partial x_i}} = dy_i {condition}$$")
    assert report.verdict == "unreadable" and "cases" in report.lines[0].reason


@pytest.mark.parametrize("remark", [
    r"\quad \text{for } 1 \le i \le N", r", \quad i = 1, \dots, N", r", \quad \forall i", r"\quad (i = 1, \dots, N)",
    r"&& \text{relu passes where $x_i > 0$}", r"\quad (\text{relu: slope 1 if } x > 0)", r"&& \text{when relu passes}",
])  # fmt: skip
def test_a_remark_is_no_condition(remark):
    exercise = tutor.load("activations:function=relu")
    sheet = rf"$$\frac{{\partial L}}{{\partial x_i}} = dy_i \, \mathbb{{1}}[x_i > 0] {remark}$$"
    assert tutor.check(exercise, sheet).correct


@pytest.mark.parametrize("sheet", [
    r"\begin{cases} dy_i & \text{若 } x_i > 0 \\ 0 & \text{否则} \end{cases}",
    r"\begin{cases} dy_i, & \text{若 $x_i > 0$} \\ 0, & \text{其他} \end{cases}",
])  # fmt: skip
def test_cases_in_chinese(sheet):
    exercise = tutor.load("activations:function=relu")
    assert tutor.check(exercise, rf"$$\frac{{\partial L}}{{\partial x_i}} = {sheet}$$").correct


@pytest.mark.parametrize("below", [r"\sum_n \delta_{2,nk}", r"\delta_2^\top \mathbf{1}"])
def test_a_delta_with_a_number_is_the_learners_where_a_line_gave_it(below):
    sheet = r"$\delta_2 = \frac{2}{N D_2}(y_{pred} - y)$" "\n" r"$\frac{\partial L}{\partial W_2} = h_1^\top \delta_2$"
    target = r"\frac{\partial L}{\partial b_{2,k}}" if "sum" in below else r"\frac{\partial L}{\partial b_2}"
    report = tutor.check("mlp", sheet + f"\n${target} = {below}$")
    assert [line.verdict for line in report] == ["correct", "correct"]
    assert tutor.check("mlp", r"$\frac{\partial L}{\partial W_2} = h_1^\top \delta_2$").verdict == "unreadable"


# -- what stands beside a formula: nothing of it is dropped that changes it -----------------------------------

BESIDE_REFUSED = [
    (LINE, r"\frac{dL}{dw} = 2(\hat y - y) x \text{ times } x", "times is a word that changes the formula"),
    (LINE, r"\frac{dL}{dw} = 2(\hat y - y) x \text{ plus } b", "plus is a word that changes"),
    (LINE, r"\frac{dL}{dw} = 2(\hat y - y) x \text{ 加 } b", "加 is a word that changes"),
    (LINE, r"\frac{dL}{dw} = 2(\hat y - y) x \text{ or } b", "or is a word that changes"),
    (LINE, r"\frac{dL}{dw} = 2(\hat y - y) \text{ multiplied by the input}", "multiplied by the in is a word"),
    (LINE, r"\frac{dL}{dw} = 2(\hat y - y) x \Rightarrow x", "a line is name = formula"),
    (LINE, r"\frac{dL}{dw} = 2(\hat y - y) x; \ b", "a line is name = formula"),
    (SOFTMAX, r"dz = \frac{1}{N} \quad (p - y)", "parentheses after a wide space are a factor or a remark"),
    (SOFTMAX, r"dz = \frac{p - y}{N} (N \times K)", "can be a factor or the shape"),
    (SOFTMAX, r"dz_{ik} = \frac{1}{N}(p_{ik} - y_{ik}) \text{ only for } k = l", "a condition beside a formula"),
    (SOFTMAX, r"dz_{ik} = \frac{1}{N}(p_{ik} - y_{ik}), \quad k = l", "a condition beside a formula"),
    (SOFTMAX, r"dz_{ik} = \frac{1}{N}(p_{ik} - 1), \quad y_{ik} = 1", "a condition beside a formula"),
    (SOFTMAX, r"y_{ik} = 1 \Rightarrow dz_{ik} = \frac{1}{N}(p_{ik} - 1)", "a condition beside a formula"),
    (SOFTMAX, r"y_{ik} > 0: dz_{ik} = \frac{1}{N}(p_{ik} - 1)", "a condition beside a formula"),
    (SOFTMAX, r"y_{ik} > 0 \Rightarrow dz_{ik} = \frac{1}{N}(p_{ik} - 1), \; y_{ik} = 0 \Rightarrow dz_{ik} = \frac{p_{ik}}{N}",
     "a condition beside a formula"),
    (SOFTMAX, r"dz_{ik} = \frac{1}{N}(p_{ik} - 1) \text{ if } y_{ik} = 1, \quad dz_{ik} = \frac{p_{ik}}{N} \text{ otherwise}",
     "a condition beside a formula"),
    (SOFTMAX, r"dz_{ik} = \frac{1}{N}(p_{ik} - 1) \quad (\text{if } y_{ik} > 0)", "a condition beside a formula"),
    (SOFTMAX, r"dz_{ik} = \frac1N \begin{cases} p_{ik} - 1 & \text{if not $y_{ik} = 0$} \\ p_{ik} & \text{otherwise} \end{cases}",
     "if not beside a condition is not read"),
    (SOFTMAX, r"dz_{i,:} = \frac{1}{N}(p_{i,:} - y_{i,:})", "a slice : is not read here"),
]  # fmt: skip


@pytest.mark.parametrize(("exercise", "text", "words"), BESIDE_REFUSED, ids=[text for _, text, _ in BESIDE_REFUSED])
def test_what_changes_a_formula_beside_it_is_refused(exercise, text, words):
    report = tutor.check(exercise, f"$${text}$$")
    assert report.verdict == "unreadable" and not [line for line in report if line.verdict == "wrong"], report
    assert any(words in line.reason for line in report.lines), report


BESIDE_PASSED = [
    r"\quad \forall i, k", r"\quad \text{for all } i, k", r"\quad \text{for each } i \text{ and } k", "，\\quad ∀ i、k。",
    r", \quad i \in [N], k \in [K]", r", \quad (i, k) \in \{1..N\} \times \{1..K\}", r"\ (N \times K)", r"\quad (2)",
    r", \quad i = 1, \dots, N, \; k = 1, \dots, K", r" \in \mathbb{R}^{N \times K}", r"\; (\because \sum_k y_{ik} = 1)",
    r"\text{ since } \sum_k y_{ik} = 1", r"\because \sum_k y_{ik} = 1", r"\quad (\text{using } \textstyle\sum_k y_{ik} = 1)",
    r"\text{ by the chain rule}", r"\text{（链式法则）}。",
]  # fmt: skip


@pytest.mark.parametrize("remark", BESIDE_PASSED)
@pytest.mark.parametrize(("factor", "verdict"), [(r"\frac{1}{N}", "incomplete"), ("", "wrong")])
def test_a_remark_beside_a_formula_changes_nothing(remark, factor, verdict):
    report = tutor.check(
        SOFTMAX, rf"$$\frac{{\partial L}}{{\partial z_{{ik}}}} = {factor} (p_{{ik}} - y_{{ik}}) {remark}$$"
    )
    assert report.verdict == verdict and len(report.lines) == 1, report


CHOICES = [
    r"\begin{cases} DY & , x_i > 0 \\ 0 & , x_i \le 0 \end{cases}",
    r"\begin{cases} DY, & x_i > 0; \\ 0, & \text{else}. \end{cases}",
    r"\begin{cases} DY & (x_i > 0) \\ 0 & (x_i \le 0) \end{cases}",
    r"\begin{cases} DY, x_i > 0 \\ 0, x_i \le 0 \end{cases}",
    r"\begin{cases} DY \text{ if } x_i > 0 \\ 0 \text{ else} \end{cases}",
    r"\begin{cases} DY & x_i > 0 \text{ and } x_i > -1 \\ 0 & \text{otherwise (dead)} \end{cases}",
    r"\begin{cases} DY & \text{if $x_i > 0$ and $x_i > -1$} \\ 0 & \text{其余} \end{cases}",
]  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(("value", "verdict"), [("dy_i", "correct"), ("2 dy_i", "wrong")])
def test_cases_as_people_set_them(choice, value, verdict):
    text = rf"$$\frac{{\partial L}}{{\partial x_i}} = {choice.replace('DY', value)}$$"
    assert tutor.check("activations", text).verdict == verdict


def test_both_halves_of_a_condition_count():
    text = r"\begin{cases} dy_i & x_i > 0 \text{ and } x_i < 1 \\ 0 & \text{otherwise} \end{cases}"
    assert tutor.check("activations", rf"$$\frac{{\partial L}}{{\partial x_i}} = {text}$$").verdict == "wrong"


@pytest.mark.parametrize(("sheet", "verdicts"), [
    ("$∂L/∂w = 2(ŷ − y)x$，\n$∂L/∂b = 2(ŷ − y)$。", ["correct", "correct"]),
    ("$$∂L/∂w = 2(ŷ − y)x；\\quad ∂L/∂b = 2(ŷ + y)。$$", ["correct", "wrong"]),
])  # fmt: skip
def test_letters_with_hats_and_chinese_punctuation(sheet, verdicts):
    assert [line.verdict for line in tutor.check(LINE, latex.read(sheet, LINE))] == verdicts


# -- what people set around a formula ----------------------------------------------------------------------------

PRODUCT = tutor.load("product")
RELU = tutor.load("activations")
SCALAR, ENTRY, SLOPE = (
    r"\frac{\partial L}{\partial w}",
    r"\frac{\partial L}{\partial z_{ik}}",
    r"\frac{\partial L}{\partial x_i}",
)
# each with FACTOR = 2 read as right, with FACTOR = 3 as wrong
AROUND = [
    (LINE, SCALAR + r" = \underbrace{FACTOR(\hat y - y)}_{\partial L / \partial \hat y} \cdot \overbrace{x}^{\text{input}}"),
    (LINE, SCALAR + r" \overset{\text{chain}}{=} FACTOR(\hat y - y) x"),
    (LINE, SCALAR + r" \stackrel{(1)}{=} \underset{\text{scalar}}{FACTOR} (\hat y - y) x"),
    (LINE, SCALAR + r" = \textcolor{red}{FACTOR} (\hat y - y) x"),
    (LINE, r"\partial_w L = FACTOR (\hat y - y) x"),
    (LINE, r"\left. " + SCALAR + r" \right|_{w=1, b=0} = -4 \cdot FACTOR"),
    (LINE, SCALAR + r" \Big|_{w=1,b=0,x=2,y=4} = -4 \cdot FACTOR"),
    (LINE, SCALAR + r" \Big|_{(w,b)=(1,0)} = -4 \cdot FACTOR"),
    (LINE, SCALAR + r" &= FACTOR \left( wx + b \right. \nonumber \\ &\quad \left. - y \right) x"),
    (LINE, SCALAR + r" &= FACTOR \left[ wx + b \right. \\ & - \left. y \right] x"),
    (LINE, SCALAR + r" &= FACTOR \Big( wx + b \\ &\qquad - y \Big) x"),
    (LINE, SCALAR + r" = FACTOR (wx + b - \\ y) x"),
    (LINE, r"\begin{array}{rcl} " + SCALAR + r" &=& FACTOR (\hat y - y) x \end{array}"),
    (LINE, r"\left\{ \begin{aligned} " + SCALAR + r" &= FACTOR (\hat y - y) x \end{aligned} \right."),
    (LINE, r"\Rightarrow \begin{cases} " + SCALAR + r" = FACTOR (\hat y - y) x \end{cases}"),
    (LINE, SCALAR + r" = g = FACTOR (\hat y - y) x"),
    (RELU, SLOPE + r" = \left\{ \begin{array}{ll} \frac{FACTOR}{2} dy_i, & x_i > 0 \\ 0, & x_i \le 0 \end{array} \right."),
    (RELU, SLOPE + r" = \frac{FACTOR}{2} \left\{ \begin{aligned} dy_i, & \quad x_i > 0 \\ 0, & \quad x_i \le 0 \end{aligned} \right."),
    (PRODUCT, r"\frac{\partial f}{\partial x_i} = \frac{FACTOR}{2} \prod_{j=1, j \ne i}^N x_j"),
    (PRODUCT, r"\frac{\partial f}{\partial x_i} = \frac{FACTOR}{2} \prod_{\substack{j=1 \\ j \ne i}}^{N} x_j"),
    (BATCH, r"\nabla_w L = \frac{FACTOR}{2N} X^\top (Xw + b \mathbf{1} - y)"),
    (MLP, r"\frac{\partial L}{\partial W_2} = h_1^\top \cdot \frac{FACTOR}{N D_2} (\hat y - y)"),
    (tutor.load("activations:function=tanh"), SLOPE + r" = \frac{FACTOR}{2} \operatorname{sech}^2(x_i) \, dy_i"),
]  # fmt: skip


@pytest.mark.parametrize(("exercise", "text"), AROUND, ids=[text for _, text in AROUND])
def test_what_is_set_around_a_formula_does_not_change_it(exercise, text):
    for factor, verdict in (("2", "correct"), ("3", "wrong")):
        report = tutor.check(exercise, f"$${text.replace('FACTOR', factor)}$$")
        assert [line.verdict for line in report.lines] == [verdict], report


def test_a_name_in_the_midst_of_a_chain_is_the_learners():
    text = r"\frac{\partial L}{\partial \hat y} = \delta = \frac{2}{N D_2}(\hat y - y), \; \frac{\partial L}{\partial W_2} = h_1^\top \delta"
    assert [line.verdict for line in tutor.check(MLP, f"$${text}$$")] == ["correct", "correct"]
    wrong = tutor.check(MLP, f"$${text.replace('N D_2', 'N')}$$")
    assert [line.verdict for line in wrong] == ["wrong", "follows"]


def test_a_system_of_two_equations():
    text = r"\left\{ \begin{array}{l} dw = 2(\hat y - y) x \\ db = 2(\hat y + y) \end{array} \right."
    assert [line.verdict for line in tutor.check(LINE, f"$${text}$$")] == ["correct", "wrong"]


def test_the_chain_rule_may_stand_before_its_parts():
    rule = r"dw = \frac{\partial L}{\partial \hat y} \frac{\partial \hat y}{\partial w}"
    parts = r"\frac{\partial L}{\partial \hat y} = 2(\hat y - y) \\ \frac{\partial \hat y}{\partial w} = x"
    for last, verdict in ((r"dw = 2(\hat y - y) x", "correct"), (r"dw = (\hat y - y) x", "wrong")):
        report = tutor.check(LINE, rf"$${rule} \\ {parts} \\ {last}$$")
        assert [line.verdict for line in report.lines] == ["correct", "correct", verdict]
        assert any("a later line works it out" in note for note in report.notes)
    assert tutor.check(LINE, rf"$${rule} \\ {parts}$$").verdict == "unreadable"


@pytest.mark.parametrize(("exercise", "text", "words"), [
    (SOFTMAX, ENTRY + r" = \frac1N \underbrace{p_{ik} - y_{ik}}_{r}", "underbrace is no parenthesis"),
    (SOFTMAX, ENTRY + r" = \frac{p_{ik}}{N} - \underbrace{\frac{y_{ik}}{N} + 1}_{r}", "underbrace is no parenthesis"),
    (SOFTMAX, r"db_k = \underset{i}{\sum} \frac{p_{ik} - y_{ik}}{N}", r"stands below it: \\sum"),
    (LINE, SCALAR + r" = 2(\hat y - y) \overset{\cdot}{x}", "is read with a remark only"),
    (LINE, r"\left. " + SCALAR + r" \right|_{w = 3} = -8", "what stands at a bar is not put in"),
    (LINE, SCALAR + r"|_{(w, b) = (1, 3)} = -8", "what stands at a bar is not put in"),
    (LINE, SCALAR + r"|_{(w, b) = (1, 0, 2)} = -8", "what stands at a bar is not put in"),
    (LINE, SCALAR + r"|_{b} = 2(\hat y - y) x", "what stands at a bar is not put in"),
    (LINE, SCALAR + r" = 2(\hat y - y) \cancel{x}", "what is struck out is not read"),
    (LINE, SCALAR + r" \propto (\hat y - y) x", "leaves a factor open"),
    (LINE, SCALAR + r" = 2(\hat y - y) x \rlap{+ b}", "must be words"),
    (LINE, SCALAR + r" = 2 \left( wx + b - y \right. x", r"\\right\. leaves a bracket open"),
])  # fmt: skip
def test_what_would_change_a_formula_is_refused(exercise, text, words):
    import re

    report = tutor.check(exercise, f"$${text}$$")
    assert report.verdict == "unreadable" and any(re.search(words, line.reason) for line in report.lines), report


# -- operations in words, remarks beside a formula, readings of one letter ------------------------------------

G = r"\frac{\partial L}{\partial %s}"


@pytest.mark.parametrize(("exercise", "text", "verdict"), [
    ("linear-regression-batch", G % "b" + r" = \text{mean}(r)", "correct"),
    ("linear-regression-batch", G % "b" + r" = \frac1N \text{sum}\left(r\right)", "correct"),
    ("linear-regression-batch", G % "b" + r" = \operatorname{sum}(r)", "wrong"),
    ("broadcast-gain", G % "X" + " = " + G % "Y" + r"\,\text{diag}(b)", "correct"),
    ("broadcast-gain", G % "X" + " = " + G % "Y" + r"\odot b\;\text{diag}(b)", "unreadable"),
    ("word2vec-softmax", r"\frac{\partial p}{\partial z} = \text{diag}(p) - pp^\top", "correct"),
    ("quadratic-form", r"\frac{\partial f}{\partial x} = \text{tr}(A)x + A^\top x", "wrong"),
    ("mse", G % "x" + r" = \frac{2}{N}\cdot\text{foo}(x-y)", "unreadable"),
    ("mse", G % "x" + r" = \text{foo}\, r", "unreadable"),
    ("mse", G % "x" + r" = \frac{2}{N} r \text{ by}(1)", "correct"),
    ("mse", G % "x" + r" = \frac{2}{N} r \ne r", "unreadable"),
    ("mse", G % "x" + r" = \frac{2}{N} e \text{ where } e = x - y", "correct"),
    ("two-layer-net", r"dz_1 = dh_1 \odot H(z_1)", "unreadable"),
    ("activations", G % "x" + " = " + G % "y" + r"\cdot \mathbb{1}[x > 0]", "correct"),
    ("activations:function=tanh", G % "x" + " = " + G % "y" + r"\cdot (1 - y)", "wrong"),
    ("activations:function=tanh", G % "x" + " = " + G % "y" + r"\cdot y \cdot (1 - y)", "unreadable"),  # (a b) c too
    ("conv1d", G % "w_k" + r" = \sum_{o=1}^{O} " + G % "y_o" + " x_{o+k-1}", "unreadable"),
    ("conv1d", G % "w_k" + r" = \sum_{o=1}^{O} " + G % "y_o" + " x_{o+k}", "correct"),
    ("huber", G % "x_k" + r" = \sum_i \max(-\delta, \min(r_i, \delta)) \delta_{ik}", "correct"),
    ("cross-entropy", G % "z_{ik}" + r" = \frac1N (\frac{e_{ik}}{s_i} - \delta(k, y_i))", "correct"),
    ("cross-entropy", G % "z_{ik}" + r" = \frac1N (\frac{e_{ik}}{s_i} - \mathbbm{1}[k = y_i])", "correct"),
    ("cross-entropy", G % "z_{ik}" + r" = \frac1N (\frac{e_{ik}}{s_i} - \llbracket k = y_i \rrbracket)", "correct"),
])  # fmt: skip
def test_one_reading_or_none(exercise, text, verdict):
    report = tutor.check(exercise, f"$${text}$$")
    assert report.lines[0].verdict == verdict


@pytest.mark.parametrize("remark", [
    r"&& \text{since } \frac{\partial L}{\partial q_i} = \frac{1}{N}", r"& \text{where } \frac{\partial r_j}{\partial x_i} = \delta_{ij}",
    r"\quad \text{by } r = x - y", r"&& \text{as } j = i", r"&& (r_i = x_i - y_i)", r"\quad \left(\sum_i 1 = N\right)",
    r"&& \text{由于 } r = x - y",
])  # fmt: skip
@pytest.mark.parametrize(("row", "verdict"), [(r"\frac{2}{N} r_i", "correct"), (r"\frac{1}{N}", "wrong")])
def test_a_row_goes_on_with_its_own_line_and_not_with_a_remark(remark, row, verdict):
    first = G % "x_i" + rf" &= \frac{{2}}{{N}}(x_i - y_i) {remark}"
    report = tutor.check("mse", f"$$\\begin{{aligned}}\n{first} \\\\\n&= {row}\n\\end{{aligned}}$$")
    assert [line.verdict for line in report.lines if line.quantity == "dx"] == ["correct", verdict]
    assert all(line.verdict == "correct" for line in report.lines if line.quantity != "dx")


@pytest.mark.parametrize("sign", ["=", ":=", r"\equiv"])
def test_a_name_given_to_a_gradient_gives_the_gradient(sign):
    report = tutor.check("mse", rf"$$\delta {sign} {G % 'r'} = \frac{{2}}{{N}} r \\ {G % 'x'} = \delta$$")
    assert [(line.quantity, line.verdict) for line in report.lines] == [("dr", "correct"), ("dx", "correct")]


def test_a_matrix_that_is_not_square_has_no_inverse():
    report = tutor.check(
        "log-softmax:form=naive",
        r"$$\frac{\partial L}{\partial p} = \frac{\partial L}{\partial \mathrm{logp}} \odot p^{-1}$$",
    )
    assert report.line("dp").verdict == "correct"


TOTAL = [
    (LINE, r"dL = \frac{\partial L}{\partial w}dw + \frac{\partial L}{\partial b}db"),
    (LINE, r"\mathrm{d}\mathcal{L} = 2(\hat y - y)(x\,\mathrm dw + \mathrm db)"),
    (LINE, r"dL = 2rxdw"),
    (LINE, r"dL = 2(\hat y - y)\,d(\hat y - y)"),
    (LINE, r"\begin{aligned} dL &= 2(\hat y - y)\,d\hat y \\ &= 2(\hat y - y)(x\,dw + db) \end{aligned}"),
    (FORM, r"\mathrm{d}f = (\mathrm{d}x)^\top A x + x^\top A\,\mathrm{d}x"),
    (FORM, r"df = \langle \nabla f, dx \rangle"),
    (FORM, r"df = \nabla_x f^\top dx"),
    (BATCH, r"\mathrm{d}L = \frac1N r^\top X\,\mathrm{d}w"),
    (GATE, r"df = z\,dq + q\,dz"),
    (tutor.load("affine"), r"dL = \mathrm{tr}(dY^\top dX)"),
]


@pytest.mark.parametrize(("exercise", "text"), TOTAL, ids=[text for _, text in TOTAL])
def test_a_total_differential_is_no_answer(exercise, text):
    sheet = latex.read(text, exercise)
    assert not sheet.statements
    assert any("(a total differential)" in note for note in sheet.notes)


@pytest.mark.parametrize(("exercise", "text", "verdicts"), [
    (LINE, r"dL = 1", ["correct"]),
    (LINE, r"\frac{\partial L}{\partial L} = 1", ["correct"]),
    (LINE, r"dL = 2", ["wrong"]),
    (LINE, r"dL = \frac{dL}{dw}", ["unreadable"]),
    (LINE, r"\frac{\partial L}{\partial L} = x\,dw", ["unreadable"]),
    (LINE, r"dw = 2(\hat y - y)x\,dL", ["correct"]),
    (GATE, r"df = 1 \\ dq = z\,df \\ dz = q\,df \\ dx = dq", ["correct"] * 4),
    (GATE, r"dz = q\,df \\ dx = z\,dz", ["correct", "wrong"]),
    (tutor.load("affine"), r"dL = dY \\ dX = dL W^\top", ["correct"]),
])  # fmt: skip
def test_a_gradient_that_hangs_on_others_is_no_total_differential(exercise, text, verdicts):
    sheet = latex.read(text, exercise)
    assert not [note for note in sheet.notes if "total differential" in note]
    assert [line.verdict for line in tutor.check(exercise, sheet).lines] == verdicts


@pytest.mark.parametrize(("formula", "verdict"), [
    (r"\prod_{i < j} x_i \prod_{i > j} x_i", "correct"),
    (r"\prod_{i < j} x_i \cdot \prod_{i > j} x_i", "correct"),
    (r"\prod_{i > j} x_i \sum_i \mathbb{1}[i = j] \prod_{i < j} x_i", "correct"),
    (r"2 \prod_{i < j} x_i \prod_{i > j} x_i", "wrong"),
    (r"\prod_{i \le j} x_i \prod_{i > j} x_i", "wrong"),
    (r"\prod_{i < j} x_i \prod_{k > j} x_k", "unreadable"),
])  # fmt: skip
def test_products_over_one_index_stand_side_by_side(formula, verdict):
    [line] = tutor.check(tutor.load("product"), rf"\frac{{\partial f}}{{\partial x_j}} = {formula}").lines
    assert line.verdict == verdict


@pytest.mark.parametrize(("exercise", "text", "verdicts"), [
    (LINE, r"\frac{\partial J}{\partial w} = 2(\hat y - y)x", ["correct"]),
    (LINE, r"\nabla_w J = (\hat y - y)x", ["wrong"]),
    (LINE, r"\partial \ell/\partial w = 2(\hat y - y)x", ["correct"]),
    (LINE, r"\frac{\partial \mathcal{J}(w, b)}{\partial w} = 2(\hat y - y)x", ["correct"]),
    (LINE, r"\frac{\partial \text{loss}}{\partial w} = 2(\hat y - y)x", ["correct"]),
    (LINE, r"\nabla_{w} \text{loss} = 2(\hat y - y)x", ["correct"]),
    (LINE, r"\partial \mathrm{loss}/\partial w = (\hat y - y)x", ["wrong"]),
    (LINE, r"\text{loss} = (\hat y - y)^2 \\ \frac{\partial\,\text{loss}}{\partial w} = 2(\hat y - y)x", ["correct"]),
    (LINE, r"J = (\hat y - y)^2 \\ \frac{dJ}{dw} = 2(\hat y - y)x", ["correct"]),
    (LINE, r"\frac{\partial L}{\partial w} = 2(\hat y - y)x \text{ as the loss is a square}", ["correct"]),
    (FORM, r"L = x^\top A x \\ \nabla_x L = (A + A^\top)x", ["correct"]),
    (FORM, r"J = A + A^\top \\ \nabla_x f = J x", ["correct"]),
    (FORM, r"J = A + A^\top \\ \nabla_x J = A x", ["unreadable"]),
    (SOFTMAX, r"\frac{\partial L}{\partial z_{ik}} = J_{ik} = \frac{1}{N}(p_{ik} - y_{ik})", ["correct"]),
    (SOFTMAX, r"\frac{\partial \ell_i}{\partial z_{ik}} = p_{ik} - y_{ik}", ["unreadable"]),
])  # fmt: skip
def test_the_loss_has_other_names(exercise, text, verdicts):
    assert [line.verdict for line in tutor.check(exercise, latex.read(text, exercise)).lines] == verdicts


@pytest.mark.parametrize("beside", [
    r"\quad\text{with}\quad g_{ik} = p_{ik} - y_{ik}",
    r"\text{ where } g_{ik} = p_{ik} - y_{ik}.",
    r",\qquad\text{其中 } g_{ik} = p_{ik} - y_{ik}",
    r"\text{ where } q_{ik} = p_{ik}, \quad g_{ik} = q_{ik} - y_{ik}",
    r"\text{ where } g_{ik} = q_{ik} - y_{ik} \text{ and } q_{ik} = \frac{e_{ik}}{s_i}",
    r"\text{ with } g_{ik} = p_{ik} - y_{ik} \text{ and } p_{ik} = \frac{e_{ik}}{s_i}",
])  # fmt: skip
@pytest.mark.parametrize(("factor", "verdict"), [(r"\frac{1}{N}", "correct"), ("", "wrong")])
def test_a_name_that_is_given_beside_a_formula_is_read_in_it(beside, factor, verdict):
    report = tutor.check(SOFTMAX, rf"\frac{{\partial L}}{{\partial z_{{ik}}}} = {factor} g_{{ik}} {beside}")
    assert [(line.quantity, line.verdict) for line in report.lines] == [("dz", verdict)]


def test_what_stands_beside_a_formula_is_judged_in_its_place():
    text = r"\frac{\partial L}{\partial z_{ik}} = g_{ik} \text{ where } g_{ik} = \frac{1}{N}(p_{ik} - y_{ik}), "
    text += r"\quad \frac{\partial L}{\partial b_k} = \sum_i g_{ik} + 1"
    report = tutor.check(SOFTMAX, text)
    assert [(line.quantity, line.verdict) for line in report.lines] == [("dz", "correct"), ("db", "wrong")]


def test_a_name_for_what_a_formula_gives_stands_behind_it():
    text = r"\frac{\partial L}{\partial z_{ik}} = \frac{1}{N}(p_{ik} - y_{ik}) \text{ with } "
    text += (
        r"\delta_{ik} = \frac{\partial L}{\partial z_{ik}}, \quad \frac{\partial L}{\partial b_k} = \sum_i \delta_{ik}"
    )
    report = tutor.check(SOFTMAX, text)
    assert [(line.quantity, line.verdict) for line in report.lines] == [("dz", "correct"), ("db", "correct")]


@pytest.mark.parametrize(("text", "verdicts"), [
    (r"\frac{\partial L}{\partial \sigma_i^2} = -\frac{1}{2}(\sigma_i^2 + 10^{-5})^{-3/2} distd_i", ["correct"]),
    (r"\frac{\partial L}{\partial \sigma^{2}_i} = -(\sigma^2_i + 10^{-5})^{-3/2} distd_i", ["wrong"]),
    (r"\sigma_i = \sqrt{var_i + 10^{-5}} \\ \frac{\partial L}{\partial var_i} = -\frac{distd_i}{2 \sigma_i \sigma_i^2}", ["correct"]),
])  # fmt: skip
def test_sigma_squared_is_the_variance(text, verdicts):
    before = r"\frac{\partial L}{\partial \hat x_{ij}} = dy_{ij}\gamma_j \\ distd_i = \sum_j d\hat x_{ij} xc_{ij} \\ "
    lines = tutor.check(NORM, latex.read(before + text, NORM)).lines
    assert [line.verdict for line in lines] == ["correct", "correct", *verdicts]


WORD = tutor.load("word2vec-softmax")
OF_A_WORD = r"$$\frac{\partial L}{\partial z} = p - %s, \quad \frac{\partial L}{\partial v} = U^\top(p - %s)$$"


@pytest.mark.parametrize(("prose", "vector"), [
    ("Let $e_o$ be the one-hot vector of the observed word $o$.", "e_o"),
    ("Let $e_o \\in \\mathbb{R}^V$ denote the indicator vector of $o$.", "e_o"),
    ("with the standard basis vector $\\mathbf e_o$", r"\mathbf{e}_o"),
    ("Let $e_k$ be the $k$-th standard basis vector.", "e_o"),
    ("We denote the one-hot vector of $o$ by $\\boldsymbol{e}_{o}$.", r"\bm e_{o}"),
    ("设 $e_o$ 为 $o$ 的独热向量。", "e_o"),
])  # fmt: skip
def test_a_sentence_says_that_e_is_a_basis_vector(prose, vector):
    text = f"{prose}\n{OF_A_WORD % (vector, vector)}\n"
    assert [line.verdict for line in tutor.check(WORD, text).lines] == ["correct", "correct"]
    wrong = text.replace("z} = p", "z} = -p")
    assert [line.verdict for line in tutor.check(WORD, wrong).lines] == ["wrong", "correct"]
    after = (
        rf"$$\frac{{\partial L}}{{\partial z}} = p - {vector} \text{{ where }} {vector} \text{{ is a unit vector}}$$"
    )
    assert [line.verdict for line in tutor.check(WORD, after).lines] == ["correct"]


@pytest.mark.parametrize(("text", "verdicts"), [
    (r"\frac{\partial L}{\partial z} = p - e_o", ["unreadable"]),
    (r"\frac{\partial L}{\partial z} = p - \mathbf e_o", ["unreadable"]),
    (r"\frac{\partial L}{\partial U_{wd}} = (p - e_o)_w v_d", ["unreadable"]),
    (r"\frac{\partial L}{\partial z} = \sum_k \frac{e_k}{s} \mathbf e_k - \mathbf 1_o", ["unreadable"]),
    # a number is asked for where only the entry is one
    (r"\frac{\partial L}{\partial p} = -\frac{s}{e_o} \mathbf 1_o \\ \frac{\partial L}{\partial z} = p - \mathbf 1_o", ["correct"] * 2),
    (r"\frac{\partial L}{\partial p_w} = -\frac{s}{e_o} \mathbb 1[w=o]", ["correct"]),
    ("$e_w$ is an exponential: $$\\frac{\\partial L}{\\partial z_w} = \\frac{e_w}{s} - \\mathbb 1[w=o]$$", ["correct"]),
])  # fmt: skip
def test_e_with_an_index_is_an_entry_where_nothing_else_can_stand(text, verdicts):
    report = tutor.check(WORD, text)
    assert [line.verdict for line in report.lines] == verdicts
    if verdicts == ["unreadable"]:
        assert "vector" in report.lines[0].reason and "of the exercise's e:" in report.lines[0].reason


@pytest.mark.parametrize("text", [
    r"\frac{\partial L}{\partial w} = 2rx, \qquad \frac{\partial L}{\partial b} = 2r, \qquad \text{where } r = \hat y - y",
    r"\frac{\partial L}{\partial w} = 2rx, \qquad \frac{\partial L}{\partial b} = 2r, \qquad r = \hat y - y",
    r"\frac{\partial L}{\partial w} = 2rx, \qquad \frac{\partial L}{\partial b} = 2r \qquad (r := \hat y - y)",
    r"\frac{\partial L}{\partial w} = 2r_0x, \qquad \frac{\partial L}{\partial b} = 2r_0 \qquad (r_0 = \hat y - y)",
    r"\begin{align} \frac{\partial L}{\partial w} &= 2rx \\ \frac{\partial L}{\partial b} &= 2r && \text{where } r = \hat y - y \end{align}",
    r"\frac{\partial L}{\partial w} = 2qx, \quad \frac{\partial L}{\partial b} = 2q, \quad q = rt, \quad r = \hat y - y, \quad t = 1",
])  # fmt: skip
def test_a_name_that_is_given_last_is_read_in_every_formula_before_it(text):
    report = tutor.check(LINE, text)
    assert [(line.quantity, line.verdict) for line in report.lines] == [("dw", "correct"), ("db", "correct")]
    report = tutor.check(LINE, text.replace(r"\hat y - y", r"y - \hat y"))
    assert [(line.quantity, line.verdict) for line in report.lines] == [("dw", "wrong"), ("db", "follows")]


@pytest.mark.parametrize(("text", "verdicts"), [
    # a name that is given twice is that of the formula beside it
    (r"\frac{\partial L}{\partial w} = \delta x \text{ where } \delta = 2(\hat y - y) \\ \frac{\partial L}{\partial b} = \delta \text{ where } \delta = \hat y - y",
     ["correct", "wrong"]),
    (r"\frac{\partial L}{\partial w} = \delta x \\ \delta = 2(\hat y - y) \\ \frac{\partial L}{\partial b} = \delta \\ \delta = \hat y - y",
     ["unreadable", "correct"]),
    # what is known says nothing new in parentheses
    (r"\frac{\partial L}{\partial w} = 2(\hat y - y)x \quad (\hat y := wx + b), \quad \frac{\partial L}{\partial b} = 2(\hat y - y)",
     ["correct", "correct"]),
    (r"\frac{\partial L}{\partial w} = 2(\hat y := y)", ["unreadable"]),
])  # fmt: skip
def test_a_name_is_moved_only_where_that_says_what_is_meant(text, verdicts):
    lines = tutor.check(LINE, latex.read(text, LINE)).lines
    assert [line.verdict for line in lines if line.quantity in ("dw", "db")] == verdicts


@pytest.mark.parametrize(("exercise", "text", "reasons"), [
    # the square of a name that could not be read is no numbered name of the exercise
    ("adam", r"g = \operatorname{foo}(x) \\ m_1 = (1-\beta_1)g \\ v_1 = (1-\beta_2)g^2",
     ["foo is not a name", "g has no value: line 1, which gives it, could not be read"]),
    ("adam", r"Let $g = \frac{\partial L}{\partial w}$. $$v_1 = (1-\beta_2)g^2$$", ["g has no value yet: line 1 defines it"]),
    ("mlp", r"\delta^{(2)} = \hat y - y \\ \delta^{(1)} = \operatorname{foo}(z_1) \\ \nabla_{b_1} L = \mathbf 1^\top \delta^{(1)}",
     ["foo is not a name", "delta1 has no value: line 1, which gives it, could not be read"]),
])  # fmt: skip
def test_a_name_whose_line_could_not_be_read_is_said_to_be_so(exercise, text, reasons):
    lines = [line for line in tutor.check(tutor.load(exercise), text).lines if line.verdict == "unreadable"]
    assert all(reason in line.reason for line, reason in zip(lines, [*reasons, reasons[-1]], strict=False)), lines
    assert lines


@pytest.mark.parametrize(("exercise", "text", "verdicts"), [
    ("affine", r"dY = dX\,W + X\,dW + \mathbf 1_N\,db^\top", []),
    ("affine", r"\mathrm dY = \mathrm dX\,W + X\,\mathrm dW + \mathbf 1\,\mathrm db^\top", []),
    ("affine", r"dY_{ik} = \sum_j (dX_{ij}W_{jk} + X_{ij}\,dW_{jk}) + db_k", []),
    ("residual-block", r"dy = dx + (1-f^2)\odot(dx\,W + x\,dW)", []),
    ("affine", r"dX = dY W^\top", ["correct"]),
    ("affine", r"dX = dY\,W", ["wrong"]),
    ("affine", r"dY = dX\,W + X", ["unreadable"]),
    ("affine", r"dX = dY W^\top \\ dY = dX\,W", ["correct", "wrong"]),  # dX has a value: a gradient is read
])  # fmt: skip
def test_the_differential_of_a_step_is_no_gradient(exercise, text, verdicts):
    report = tutor.check(tutor.load(exercise), text)
    assert [line.verdict for line in report.lines] == verdicts
    assert bool(verdicts) != any("(a total differential)" in note for note in report.notes)


BCE, RELU = "sigmoid-bce", "mlp"
OF_Z1 = r"\frac{\partial L}{\partial z_1} = \frac{2}{ND_2}(\hat y - y)W_2^\top \odot "


@pytest.mark.parametrize(("exercise", "text", "verdict"), [
    (BCE, r"\nabla_z L = \sigma(z) - t, \qquad \text{where } \sigma(u) = \frac{1}{1+e^{-u}}", "correct"),
    (BCE, r"\nabla_z L = \sigma(z) - t \\ \sigma(u) = \frac{e^u}{1+e^u}", "correct"),
    (RELU, r"\mathrm{ReLU}'(u) = \begin{cases}1 & u>0\\0&u\le0\end{cases} \\" + OF_Z1 + r"\mathrm{ReLU}'(z_1)", "correct"),
    # another function under a known name, before or after the formula, in a sentence or a display of its own
    (BCE, r"\nabla_z L = \sigma(z) - t, \qquad \text{where } \sigma(u) = \tanh u", "unreadable"),
    (BCE, r"Let $\sigma(u) = \tanh u$. $$\nabla_z L = \sigma(z) - t$$", "unreadable"),
    (BCE, r"$$\nabla_z L = \sigma(z) - t$$ Here $$\sigma(u) = \frac{1}{1+e^u}$$", "unreadable"),
    (RELU, r"\phi'(u) = \mathbb 1[u > 0] \\" + OF_Z1 + r"\phi'(z_1)", "unreadable"),
    (LINE, r"g(u) = 2u \\ \frac{\partial L}{\partial b} = g(\hat y - y)", "unreadable"),
    (LINE, r"g(u) = 2u \\ \frac{\partial L}{\partial b} = 2(\hat y - y)", "correct"),
    ("sin-exp-cos-chain", r"f(u) = u \sin u \\ \frac{dL}{df_3} = f_3 - f_3", "wrong"),
])  # fmt: skip
def test_a_formula_may_say_what_a_function_is(exercise, text, verdict):
    exercise = tutor.load(exercise) if isinstance(exercise, str) else exercise
    lines = tutor.check(exercise, text).lines
    assert [line.verdict for line in lines] == [verdict]
    assert verdict != "unreadable" or "functions of one's own are read in code only" in lines[0].reason
