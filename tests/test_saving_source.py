"""Saved exercises: what a file written by us loads as, and how it reads."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import torch
from sympy import (
    Abs,
    Add,
    E,
    Eq,
    Float,
    Function,
    Heaviside,
    Max,
    Min,
    Mod,
    Mul,
    Ne,
    Piecewise,
    Product,
    Rational,
    S,
    Sum,
    ceiling,
    exp,
    log,
    pi,
    sqrt,
)
from test_exercises import MANY, MEMBERS

import tutor
from tutor.cli import main
from tutor.errors import ExerciseError, UsageError
from tutor.exercise import Exercise
from tutor.functions import clamp, log1p, relu
from tutor.operations import Convolution1d, CumulativeSum, Inverse, LogDet, MaxOver, MaxPool1d, Reshape
from tutor.proving import addresses
from tutor.symbolic.indices import reduce_over
from tutor.views.layout import laid_out
from tutor.views.source import source

ALIKE = (
    "name title level tags source requires hints strict_kinks size_symbols example_sizes full_sizes instances failures "
    "asked facts"
).split()
ROOT = Path(__file__).resolve().parent.parent


@cache
def loaded(address: str) -> Exercise:
    return tutor.load(address)


def declared(q) -> tuple:
    return q.name, q.kind, q.indices, q.expr, hash(q.expr), q.domain, q.below


def saved(ex: Exercise, folder: Path) -> Exercise:
    return tutor.load(ex.save(folder / "saved.py"))


def same(again: Exercise, ex: Exercise) -> None:
    """All that an exercise is, but for the path and the id of a family's member."""
    for name in ALIKE:
        assert getattr(again, name) == getattr(ex, name), name
    assert list(again.size_symbols) == list(ex.size_symbols)
    own = list(again.index_symbols.items())[: len(ex.index_symbols)]  # bound ones may follow
    assert own == list(ex.index_symbols.items())
    assert list(map(declared, again)) == list(map(declared, ex))
    assert source(again) == source(ex)


# -- the catalogue -----------------------------------------------------------------------------------


@pytest.mark.parametrize("address", MEMBERS)
def test_a_saved_exercise_loads_as_itself(address, tmp_path):
    ex = loaded(address)
    again = saved(ex, tmp_path)
    same(again, ex)
    assert again.statement == ex.statement


@pytest.mark.parametrize("address", [a for a in addresses() if len(loaded(a).quantities) <= MANY])
def test_its_derivation_is_the_same(address, tmp_path):
    ex = loaded(address)
    assert str(saved(ex, tmp_path).derive()) == str(ex.derive()).replace(ex.id, ex.name)


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
def test_saved_files_are_as_ruff_wants_them(tmp_path):
    for n, address in enumerate(MEMBERS):
        loaded(address).save(tmp_path / f"member_{n}.py")
    tidy(tmp_path)


def tidy(folder: Path) -> None:
    ours = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for command in (["check", *ours, "--config", f"src = ['{ROOT}']"], ["format", "--diff", *ours]):
        done = subprocess.run(["ruff", *command, str(folder)], capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr


# -- numbers, names and texts ------------------------------------------------------------------------------


def scalar(formula, **given) -> Exercise:
    """An exercise of w, x > 0 and one formula of both."""
    exercise = Exercise("small", **given)
    w, x = exercise.parameter("w"), exercise.input("x", domain="positive")
    exercise.loss("L", formula(w, x))
    return exercise


FORMULAS = {
    "rationals": (
        lambda w, x: w * x / 3 + Rational(1, 100000) - Rational(3, 7),
        "w * x / 3 - Rational(299993, 700000)",
    ),
    "a small number": (lambda w, x: sqrt(w**2 + Rational(1, 100000)) + x, "sqrt(w**2 + Rational(1, 100000)) + x"),
    "a long decimal": (lambda w, x: w * x * Rational(44715, 10**6), "Rational(8943, 200000) * w * x"),
    "a float": (lambda w, x: 0.1 * w * x, "0.1 * w * x"),
    "floats far out": (lambda w, x: 1e-30 * w + 1e20 * x, "1e-30 * w + 1e20 * x"),
    "a whole float": (lambda w, x: 2.0 * w * x, "2.0 * w * x"),
    "thirty digits": (lambda w, x: Float("0.1", 30) * w * x, "precision="),
    "pi": (lambda w, x: pi * w + sqrt(2 / pi) * x, "pi * w"),
    "e": (lambda w, x: E * w * x + exp(-x), "exp(1) * w * x + exp(-x)"),
    "powers": (lambda w, x: w**3 / x**2 + x ** Rational(1, 3) + x**w + 2**w, "x ** Rational(1, 3)"),
    "roots": (lambda w, x: w / sqrt(x) + 1 / x + w / sqrt(2), "w / sqrt(x)"),
    "signs": (lambda w, x: -(w - x) * (1 - x) / x - Abs(x - w), "Abs("),
    "a number in a sum": (lambda w, x: x * (2 * w - 2 * x), "x"),
    "a bounded one": (lambda w, x: clamp(w, 0, 6) + clamp(x, 1) + clamp(w * x, -S.Infinity, 1), "clamp(w, 0, 6)"),
    "cases": (lambda w, x: Piecewise((w, (w > 0) & (x < w)), (x, Ne(w, x) | (w < -1)), (0, True)), "Piecewise((w, "),
    "others of SymPy": (lambda w, x: Max(w, x, 1) + Min(w, x) + log1p(x) + Heaviside(w), "Max("),
    "a function with a slope": (lambda w, x: S(0) + log(x) * __import__("sympy").loggamma(x) + w, "loggamma(x)"),
}


@pytest.mark.parametrize("what", FORMULAS)
def test_a_formula_is_read_back_and_reads_well(what, tmp_path):
    formula, shown = FORMULAS[what]
    ex = scalar(formula)
    same(saved(ex, tmp_path), ex)
    assert shown in source(ex)


def test_the_other_side_of_a_relation_is_kept(tmp_path):
    ex = scalar(lambda w, x: Piecewise((w, S(0) < w), (x, Eq(x, 2)), (x * w, True)))
    same(saved(ex, tmp_path), ex)


def test_a_formula_that_sympy_would_evaluate_is_read_back_evaluated(tmp_path):
    ex = Exercise("unevaluated")
    N = ex.sizes("N")
    i, j = ex.indices(i=N, j=N)
    w, x = ex.parameter("w", i), ex.parameter("x", j)
    inner = reduce_over(Sum, w[i] * x[j], [j])
    ex.step("s", [], reduce_over(Sum, inner, [i]))
    ex.loss("L", Mul(2, Add(ex["s"].symbol, 3), evaluate=False))
    again = saved(ex, tmp_path)
    assert again["s"].expr == Sum(w[i] * x[j], j, i)
    assert again["L"].expr == 2 * ex["s"].symbol + 6


def hostile() -> Exercise:
    """Every name that the file could want for itself."""
    exercise = Exercise("hostile-names")
    S_, N, I, E_, Q, pi_ = exercise.sizes("S N I E Q pi")  # noqa: E741
    l, O, Sum_, dup = exercise.indices(l=N, O=S_, Sum=I, exp_=E_)  # noqa: E741
    given = exercise.input("exercise", l)
    torch_ = exercise.input("torch", O)
    forward = exercise.input("forward", domain="positive")
    other = exercise.input("float", dup)
    unused = exercise.parameter("__builtins__", Sum_)
    weight = exercise.parameter("exp", l)
    step = exercise.step("sqrt", [l], exp(weight[l]) * given[l] + relu(forward) + pi * S_ + pi_)
    seen = exercise.step("Piecewise", [l], Piecewise((step[l], step[l] > 0), (-S.Infinity, True)))
    more = Sum(torch_[O], O) + Sum(unused[Sum_], Sum_) + sqrt(forward) + Q + Sum(other[dup], dup)
    exercise.loss("log", Sum(log(step[l] + 2) + Max(seen[l], 0), l) + more)
    return exercise


def test_names_of_the_file_and_of_the_exercise_stay_apart(tmp_path):
    ex = hostile()
    same(saved(ex, tmp_path), ex)
    text = source(ex)
    for line in ('exp__ = exercise.parameter("exp", l)', 'exercise_ = exercise.input("exercise", l)',
                 'forward_ = exercise.input("forward", domain="positive")'):  # fmt: skip
        assert line in text


def test_names_that_python_folds_stay_apart(tmp_path):
    ex = Exercise("ligatures")
    N, M = ex.sizes("N ﬁ")
    i, j = ex.indices(**{"i": N, "ﬂ": M})
    fi, other = ex.parameter("fi", i), ex.parameter("ﬀ")
    ff = ex.input("ff", j)
    ex.loss("L", Sum(fi[i], i) * other * Sum(ff[j], j))
    ex.example(**{"N": 3, "ﬁ": 5})
    ex.points(**{"ﬀ": 2})
    same(saved(ex, tmp_path), ex)


def test_names_without_a_clash_stay(tmp_path):
    ex = Exercise("plain")
    S_, E_, D = ex.sizes("S E D")
    i, j = ex.indices(i=S_, j=E_)
    gamma, beta = ex.parameter("gamma", i), ex.parameter("beta", j)
    ex.loss("L", Sum(gamma[i], i) * Sum(beta[j], j) / S_)
    same(saved(ex, tmp_path), ex)
    assert 'gamma = exercise.parameter("gamma", i)' in source(ex) and 'S, E, D = exercise.sizes("S E D")' in source(ex)


TEXTS = [
    "Plain.",
    "Two\n\nparagraphs: `x`.",
    "LaTeX: $\\frac{1}{2} \\nabla$",
    'Three quotes: """ and \\ too.',
    'It ends with "quotes"',
    '"It" starts with them.',
    "It ends with a backslash \\",
    "Lines end  \nin blanks \n  and begin with them.",
    "\n  a margin\n",
    "tab\there, bell\a, return\r\nand \u2028 a separator",
    "梯度推导助教：每一行都" * 12 + "。",
    "word " * 60 + "end",
    "x" * 300,
    'it\'s "both" of them' * 9,
    "emoji 🎓 and a lone surrogate \ud800",
    "{braces} %s %(name)s",
    "\x00",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_kept(text, tmp_path):
    ex = scalar(lambda w, x: w * x, title=text, source=text, tags=[text, "b"], requires=[text], hints=[text, text])
    ex.statement = text
    again = saved(ex, tmp_path)
    same(again, ex)
    assert again.statement == text


def many() -> list[Exercise]:
    """What is not in the catalogue: facts, values, gradients, shared names of bound indices, given arrays."""
    return [facts(), values(), bound(), matrices(), long_formula()]


def facts() -> Exercise:
    exercise = Exercise("facts", level=3, strict_kinks=True)
    N, K = exercise.sizes("N K")
    i, k = exercise.indices(i=N, k=K)
    a = exercise.input("a", i, k)
    exercise.fact(Sum(a[i, k], k), 1, reason='by "design"')
    y = exercise.input("y", i, k, domain="one-hot")
    p = exercise.input("p", k, domain="probability")
    t = exercise.input("t", i, domain="index", below=2 * K + 1)
    E_ = exercise.indices(v=2 * K + 1)
    w = exercise.parameter("w", E_)
    exercise.fact(Sum(a[i, k] * p[k], k), 2)
    exercise.output("o", [i], Sum(a[i, k] * y[i, k] * p[k], k) * w[t[i]])
    exercise.full_size(N=20, K=10)
    exercise.example(N=3, K=5)
    return exercise


def values() -> Exercise:
    exercise = Exercise("values")
    N = exercise.sizes("N")
    i = exercise.indices(i=N)
    w, x, eta = exercise.parameter("w", i), exercise.input("x", i), exercise.input("eta", domain="fraction")
    L = exercise.loss("L", Sum(exp(w[i] * x[i]), i) / N)
    g = exercise.gradient("w")
    new = exercise.value("w_new", [i], w[i] - eta * g[i] / sqrt(g[i] ** 2 + Float("1e-8")))
    exercise.value("L_new", [], Sum(exp(new[i] * x[i]), i) / N - L * exercise.gradient("eta"))
    exercise.ask("w", "w_new", "L_new")
    exercise.points(w=2, w_new=0.5)
    exercise.instance(w=[1, -2.5], x=torch.tensor([3.0, 4.0]).tolist(), eta=0.1)
    exercise.fails_at(w=[1000.0, 0.0], x=[float("inf"), -float("inf")], eta=0.5)
    return exercise


def bound() -> Exercise:
    """Fresh bound indices over axes that differ, one by the name of a later quantity."""
    exercise = Exercise("bound")
    N, C, F, O, K = exercise.sizes("N C F O K")  # noqa: E741
    n, ch, f, o, tap, l = exercise.indices(n=N, ch=C, f=F, o=O, tap=K, l=2 * O + K)  # noqa: E741
    x = exercise.input("x", n, ch, l)
    w = exercise.parameter("w", f, ch, tap)
    h = exercise.step("h", [n, f, o], Convolution1d(x, w)[n, f, o])
    m = exercise.step("m", [n, ch, o], MaxPool1d(x, 2)[n, ch, o])
    k = exercise.parameter("k", f)
    s = exercise.step("s", [n, f, o], CumulativeSum(h[n, f, o], o))
    exercise.output("y", [n, f, o], s[n, f, o] * k[f] * Sum(m[n, ch, o], ch))
    return exercise


def matrices() -> Exercise:
    exercise = Exercise("matrices")
    D, T = exercise.sizes("D T")
    i, j, m, t, u = exercise.indices(i=D, j=D, m=D * T, t=T, u=1)
    A, b = exercise.parameter("A", i, j), exercise.input("b", m)
    r = exercise.step("r", [i, t], Reshape(b, (D, T))[i, t])
    v = exercise.step("v", [i, t], Sum(Inverse(A)[i, j] * r[j, t], j) * Product(r[i, t], t))
    z = exercise.step("z", [u], MaxOver(MaxOver(v[i, t], t), i) + Mod(ceiling(b[0]), 3))
    exercise.loss("L", LogDet(A) + z[0] + Sum(v[i, t] * v[j, t] * Piecewise((1, Eq(i, j)), (0, True)), i, j, t))
    return exercise


def long_formula() -> Exercise:
    exercise = Exercise("a-long-formula")
    N = exercise.sizes("N")
    names = [f"a_long_name_{n}" for n in range(12)]
    i, *_ = exercise.indices(i=N, **{f"an_index_with_a_long_name_{n}": N + n for n in range(9)})
    given = [exercise.input(name, i) for name in names]
    w = exercise.parameter("w", i)
    terms = Add(*(g[i] * w[i] ** (n + 2) for n, g in enumerate(given)))
    factors = Mul(*(g[i] for g in given))
    s = exercise.step("s", [i], sqrt(1 + terms**2) + terms / (1 + exp(-factors * w[i])) + exp(terms) ** 2 / factors)
    cases = Piecewise((terms, (factors > 0) & (terms < 0) | (s[i] > 3)), (-factors, factors < terms), (w[i], True))
    exercise.loss("L", -Sum(cases**2 * relu(terms - factors) - 1, i) / N)
    return exercise


@pytest.mark.parametrize("ex", many(), ids=lambda ex: ex.name)
def test_what_the_catalogue_lacks_is_kept(ex, tmp_path):
    again = saved(ex, tmp_path)
    if ex.name != "bound":  # two of its indices have one name, and the file has two
        same(again, ex)
    assert source(again) == source(ex)
    if ex.name != "a-long-formula":  # it is here for its lines
        assert str(again.derive()) == str(ex.derive())


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
def test_hostile_files_are_as_ruff_wants_them(tmp_path):
    formulas = [scalar(formula) for formula, _ in FORMULAS.values()]
    texts = [scalar(lambda w, x: w * x, title=t, statement=t, source=t, tags=[t], hints=[t, t]) for t in TEXTS]
    for n, ex in enumerate([hostile(), *formulas, *texts, *many()]):
        ex.save(tmp_path / f"hostile_{n}.py")
    tidy(tmp_path)


def stretched(statement: str) -> str:
    """Names of 7 letters for those of one, so that lines must break somewhere else."""
    return re.sub(r"\b([a-h])\b", r"\1_longer", statement)


STATEMENTS = [
    "x = f(a, b, [c, d, e], g(h, a*b + c), key=[a, b], other='text')",
    "x = f(a + b*c - d/e, (a, b < c), [a], -g(a, b)**2, a[b, c + d]**2 * (a + b)**-2)",
    "f(a, Piecewise((a + b, (a < b) & (c < d) | (d > e)), (b, ~(a >= b)), (c, True)))",
    "x = f(g(sqrt(a + b + c + d + e + f + g + h), a) / (a*b*c*d*e*f*g*h) + (a*b + c*d)*(e + f))",
    "x = f(-(a + b + c + d + e + f + g)*(a*b)/(c*d) - (a - b)**2*g(a), a[b + c, d, e, f, g, h, a, b, c + 1])",
    "x = f(a=[1, 2.5, 1e+30, 1e-08], b='it is', c=float('inf'), d=a.b**c.d)",
    "f('some text of many words here, and a few more words', ['some text of many words here, and a few more words'])",
    "x = f('text', title='some text of many words here, and a few more', hints=['some \"text\" of many words', 'b'])",
    "f(g(h(a + b + c + d + e + f + g + h + a + b + c + d)))",
    "f(a[a + b + c + d + e + f + g + h + a + b + c + d + e + f + g, b] ** 2, a)",
]


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("columns", [24, 40, 60, 80, 120])
def test_statements_are_laid_out_as_ruff_does(columns, monkeypatch):
    monkeypatch.setattr("tutor.views.layout.WIDTH", columns)
    text = "".join(laid_out(s) for each in STATEMENTS for s in (each, stretched(each)))
    command = ["ruff", "format", "--line-length", str(columns), "--isolated", "--diff", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# -- the reference ------------------------------------------------------------------------------------------

BODY = """
import torch.nn.functional as F

def loss(a):  # a comment, and a text of two lines
    return F.relu(a).sum()

return loss(t.w * t.x)
"""


def test_a_reference_that_is_given_is_written_and_kept(tmp_path):
    ex = scalar(lambda w, x: relu(w * x))
    ex.reference_source = BODY
    again = saved(ex, tmp_path)
    assert again.verify().agrees
    assert source(again) == source(ex)


def test_a_reference_that_stands_alone_is_kept():
    text = source(loaded("softmax-regression"))
    assert text.endswith(
        "\n\n\n@exercise.reference\ndef forward(t):\n    import torch\n\n"
        "    return torch.nn.functional.cross_entropy(torch.addmm(t.b, t.x, t.W), t.y)\n"
    )


def test_a_reference_that_leans_on_its_file_is_left_out(tmp_path):
    path = tmp_path / "leaning.py"
    path.write_text(
        source(scalar(lambda w, x: w * x)) + "\n\nfactor = 1\n\n\n@exercise.reference\ndef forward(t):\n"
        "    return factor * t.w * t.x\n"
    )
    assert "forward" not in source(tutor.load(path))


def test_a_saved_exercise_is_verified_from_the_command_line(tmp_path, capsys):
    path = loaded("softmax-regression").save(tmp_path / "mine.py")
    assert main(["verify", str(path)]) == 0
    assert "native torch" in capsys.readouterr().out


def test_a_reference_that_reads_its_family_is_left_out():
    assert "forward" not in source(loaded("conv2d"))


# -- the file -----------------------------------------------------------------------------------------------


def test_saving_says_where_and_makes_the_folder(tmp_path):
    path = loaded("mse").save(str(tmp_path / "new" / "folder" / "mine.py"))
    assert path == tmp_path / "new" / "folder" / "mine.py" and path.is_file()
    assert [file.name for file in path.parent.iterdir()] == ["mine.py"]


def test_a_file_that_is_there_stays_unless_told(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"mine.py is there already.*overwrite=True"):
        loaded("mse").save(path)
    assert path.read_text() == "mine"
    loaded("mse").save(path, overwrite=True)
    assert tutor.load(path).name == "mse"


@pytest.mark.parametrize("name", ["mine", "mine.txt", "mine.", ".py"])
def test_another_ending_is_refused_with_what_to_write(name, tmp_path):
    with pytest.raises(UsageError, match=r'end in .py; write save\(".*/(mine|mse).py"\)'):
        loaded("mse").save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_the_system_refuses_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.py").mkdir()
    for path in (tmp_path / "file" / "mine.py", tmp_path / "folder.py"):
        with pytest.raises(UsageError, match="cannot write"):
            loaded("mse").save(path, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.py"]


def test_nothing_is_written_of_an_exercise_that_would_not_load(tmp_path):
    ex = Exercise("endless")
    ex.input("x")
    with pytest.raises(ExerciseError, match="no loss and no output"):
        ex.save(tmp_path / "mine.py")
    assert not list(tmp_path.iterdir())


def test_a_value_that_no_file_holds_is_said(tmp_path):
    ex = scalar(lambda w, x: w * x)
    ex.instance(w=object(), x=1)
    with pytest.raises(UsageError, match="is no number and no list of numbers"):
        ex.save(tmp_path / "mine.py")
    assert not list(tmp_path.iterdir())


def test_a_function_that_no_file_imports_is_said(tmp_path):
    class bump(Function):
        def fdiff(self, argindex=1):
            return self.args[0]

    with pytest.raises(UsageError, match="bump cannot be imported"):
        scalar(lambda w, x: w * bump(x)).save(tmp_path / "mine.py")
