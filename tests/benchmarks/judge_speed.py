"""How fast the judge is, and how its notion of equality compares with others'.

    python tests/benchmarks/judge_speed.py [--repeats 5]

Times are warm and of one core; the process is measured in pairs, with and without us, one after the other. Sheets made
to cost much are judged in processes of their own. The comparison needs the package math-verify
(`pip install "math-verify[antlr4_13_2]"`); without it that column stays empty. Exits 1 if a limit is passed.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

import exam_wrong  # noqa: E402
from exam import addresses, plain_truth  # noqa: E402
from exam_course import Course, course, parsed, statement  # noqa: E402
from exam_right import Sheet  # noqa: E402

import tutor  # noqa: E402

LIMIT = 10.0  # seconds for one comparison
SECONDS, MEGABYTES = 1.0, 300.0  # for any sheet, beyond the import
failures: list[str] = []


def row(name: str, figure: str, limit: str, holds: bool) -> None:
    print(f"  {name:<62} {figure:>20}   {limit:<18} {'ok' if holds else 'TOO MUCH'}")
    if not holds:
        failures.append(name)


def timed(call: Callable[[], Any], runs: int) -> float:
    """Median seconds of a call that was made once before."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


# -- lines -----------------------------------------------------------------------------------------------------


def printed(where: Course, style: str = "torch") -> Sheet:
    """Every gradient in the form that the tutor prints."""
    names = [n for n in where.order if n not in where.given and where.forms["torch", n]]
    styles = {n: style if where.forms[style, n] else "torch" for n in names}
    return Sheet(where, [statement(where, n, parsed(where.forms[styles[n], n][0]), styles[n]) for n in names]).shown()


def spoilt(sheet: Sheet, dice: random.Random) -> list[Sheet]:
    """For each line the sheet with one random edit there that plain torch finds wrong."""
    made = []
    for n in range(len(sheet.statements)):
        for _ in range(40):
            found = exam_wrong.spoilt(sheet.where, sheet.statements, n, dice)
            if found is None:
                continue
            tried = [*sheet.statements[:n], found[0], *sheet.statements[n + 1 :]]
            if plain_truth(sheet.where, tried, sheet.statements).true[n] is False:
                made.append(Sheet(sheet.where, tried).shown())
                break
    return made


def lines(runs: int) -> None:
    gc.collect()
    gc.freeze()  # what is loaded already is not looked through again and again
    print("\nLines: every gradient of every exercise as printed; then each line spoilt in turn")
    print(
        f"  {'exercise':<36} {'lines':>6} {'right sheet':>12} {'a line':>9} {'with indices':>12} "
        f"{'wrong line':>11} {'most':>9}"
    )
    right, indexed, wrong = [], [], []
    for address in addresses():
        where = course(address)
        sheet = printed(where)
        whole = timed(lambda s=sheet: tutor.check(s.where.exercise, s.text), runs)
        each = whole / len(sheet.statements)
        other = printed(where, "index")
        with_indices = timed(lambda s=other: tutor.check(s.where.exercise, s.text), runs) / len(sheet.statements)
        indexed.append(with_indices)
        diagnoses = []
        for tried in spoilt(sheet, random.Random(address)):
            gc.collect()
            took = timed(lambda s=tried: tutor.check(s.where.exercise, s.text), min(runs, 3))
            diagnoses.append(max(took - whole, 0.0))
        right.append(each)
        wrong += diagnoses
        print(f"  {address:<36} {len(sheet.statements):>6} {whole * 1e3:>9.2f} ms {each * 1e3:>6.2f} ms "
              f"{with_indices * 1e3:>9.2f} ms {statistics.median(diagnoses) * 1e3:>8.1f} ms "
              f"{max(diagnoses) * 1e3:>6.0f} ms")  # fmt: skip
        if address == "makemore-mlp":
            batch_norm(whole, diagnoses)
    print()
    row(
        "right line, median over the exercises",
        f"{statistics.median(right) * 1e3:.2f} ms",
        "at most 0.5 ms",
        statistics.median(right) <= 5e-4,
    )
    row(
        "the same lines written with indices",
        f"{statistics.median(indexed) * 1e3:.2f} ms",
        "at most 0.5 ms",
        statistics.median(indexed) <= 5e-4,
    )
    median = statistics.median(wrong)
    row(
        "wrong line with its diagnosis, over the right sheet: median",
        f"{median * 1e3:.1f} ms",
        "at most 10 ms",
        median <= 0.01,
    )
    row("the same: most", f"{max(wrong) * 1e3:.0f} ms", "at most 100 ms", max(wrong) <= 0.1)
    for name, figure, limit, holds in kept:
        row(name, figure, limit, holds)


kept: list[tuple[str, str, str, bool]] = []


def batch_norm(whole: float, diagnoses: list[float]) -> None:
    spoilt_whole = whole + statistics.median(diagnoses)
    kept.append(("the 26 lines of makemore-mlp, all right", f"{whole * 1e3:.1f} ms", "under 15 ms", whole < 0.015))
    kept.append(
        (
            "the same with any one line spoilt, median",
            f"{spoilt_whole * 1e3:.1f} ms",
            "under 50 ms",
            spoilt_whole < 0.05,
        )
    )


def process(runs: int) -> None:
    print("\nThe whole process, over `import torch` alone")
    with tempfile.TemporaryDirectory() as folder:
        for address in ("linear-regression", "softmax-regression", "layer-norm", "makemore-mlp"):
            where = course(address)
            right = printed(where)
            wrong = spoilt(right, random.Random(address))[0]
            for kind, text in (("right", right.text), ("one line wrong", wrong.text)):
                sheet = Path(folder, "sheet.py")
                sheet.write_text(text, encoding="utf-8")
                extra = _pairs([sys.executable, "-m", "tutor", "check", str(sheet)], runs, int(kind != "right"))
                took = statistics.median(extra)
                row(f"tutor check {address}, {kind}", f"{took:+.2f} s", "at most 0.8 s", took <= 0.8)


def _pairs(command: list[str], runs: int, code: int) -> list[float]:
    """Seconds beyond `import torch`, each time measured beside it; one run before, which leaves the bytecode."""
    _process(command, code)
    return [-_process([sys.executable, "-c", "import torch"], 0) + _process(command, code) for _ in range(runs)]


def _process(command: list[str], code: int) -> float:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, cwd=Path(__file__).parents[2], check=False, env=env)
    took = time.perf_counter() - start
    assert done.returncode == code, done.stderr.decode()
    return took


# -- sheets made to cost much ----------------------------------------------------------------------------------


def _lines(count: int, line: str) -> str:
    return "\n".join(line.replace("#", str(n + 3)) for n in range(count))


HOSTILE: dict[str, tuple[str, str]] = {
    "500 wrong lines of scalars": ("linear-regression", _lines(500, "dw = #*(y_pred - y)*x")),
    "500 wrong lines of tensors": ("softmax-regression", _lines(500, "dz = (p + #*y)/N")),
    "500 wrong lines that read one another": ("mlp", _lines(
        125, "dy_pred = #*(y_pred - y)/(N*D2)\ndh1 = dy_pred @ W2\ndz1 = dh1*(1 + h1)\ndW1 = x @ dz1")),
    "500 wrong lines with indices": ("softmax-regression", _lines(500, "dz[i,k] = (p[i,k] + #*y[i,k])/N")),
    "500 wrong sums": ("softmax-regression", _lines(500, "dW[j,k] = Sum(x[i,j]*(p[i,k] + #*y[i,k]), i)")),
    "500 products that torch refuses": ("softmax-regression", _lines(500, "dW = x @ (p - #*y)")),
    "240 wrong lines of a deep network": (
        "makemore-mlp", _lines(240, "dlogits = #*(F.softmax(logits, 1) - F.one_hot(Yb, V))/n")),
    "250 wrong helpers": ("softmax-regression", _lines(250, "g# = (p + y)*#/N\ndW = x.T @ g#")),
    "500 wrong numbers": ("linear-regression", _lines(500, "dw = #")),
    "400 decimals in one number": ("linear-regression", "r = 1.13\n" + "r = r*1.01\n" * 400 + "dw = r"),
    "500 numbers of decimals": ("linear-regression", _lines(500, "dw = 1.13*2.27*#.31")),
    "500 unknown functions": ("softmax-regression", _lines(500, "dW = foo#(x)")),
    "200 lines without digits": (
        "linear-regression", _lines(200, "a# = (w + 1e12*#) - 1e12*#") + "\n" + _lines(200, "dw = 2*(a#*x + b - y)*x")),
    "2,000 right lines": ("softmax-regression", _lines(2000, "dz = (p - y)/N")),
    "loops in loops": ("softmax-regression", "dW = torch.zeros_like(W)\nfor i in range(100):\n    for j in range(100):"
                       "\n        for k in range(100):\n            dW[0, 0] += 1"),
    "20,000 rounds": (
        "softmax-regression", "dW = torch.zeros_like(W)\nfor i in range(20000):\n    dW[0, 0] += x[0, 0]*i"),
    "conditions in a loop": ("softmax-regression", "dW = torch.zeros_like(W)\nfor i in range(9000):\n"
                                 + _lines(150, "    if x[0, 0] > 9:\n        dW = #")),
    "calls that take long, in a loop": (
        "softmax-regression", "dW = torch.zeros_like(W)\nfor i in range(9000):\n"
        + _lines(99, "    h = torch.var(x) + torch.linalg.det(x @ x.T) + F.conv1d(x[None], x[None]).sum()")),
    "entries changed in a loop": (
        "softmax-regression", "dW = torch.zeros_like(W)\nfor i in range(9000):\n" + _lines(99, "    dW[0, 0] += #")),
    "28 wrong lines that may be read in many ways": (
        "softmax-regression", "b = 0\nx = torch.ones(N, D)\nW = torch.zeros(D, K)\n" + _lines(28, "dz = (p + #*y)/N")),
    "28 wrong lines after upstream gradients that go on": (
        "lstm-cell", "dcn = 2*dcn\ndhn = 2*dhn\n" + _lines(14, "df = #*dcn*c\ndi = #*dcn*g")),
    "12 wrong lines after upstream gradients that go on": (
        "lstm-cell", "dcn = 2*dcn\ndhn = 2*dhn\n" + _lines(6, "df = #*dcn*c\ndi = #*dcn*g")),
    "14 wrong lines that may be read in many ways": (
        "softmax-regression", "b = 0\nx = torch.ones(N, D)\nW = torch.zeros(D, K)\n" + _lines(14, "dz = (p + #*y)/N")),
    "a list that is doubled in a loop": ("softmax-regression", "g = [1]\nfor i in range(500):\n    g += g\ndz = g[0]"),
    "a list that grows in a loop": (
        "softmax-regression", "g = []\nfor i in range(9000):\n    g.append(x[0, 0])\ndz = g[0]"),
    "functions that call one another": (
        "mlp", "def f(a):\n    return " + "+".join(["a*a"]*50) + "\ndef g(a):\n    return f(a) + f(a)\n"
        + _lines(60, "dz1 = g(z1*#)")),
    "a list that is added up in a loop": (
        "softmax-regression", "g = [1]*1000\nfor i in range(9000):\n    h = sum(g)\ndz = h"),
    "a list of which a member is set in a loop": (
        "softmax-regression", "g = [None]*1000\nfor i in range(9000):\n    g[0] = x[0, 0]\ndz = g[0]"),
    "80 lines after a gradient that goes on": (
        "mlp", "dh1 = 2*(y_pred - y)/(N*D2) @ W2.T\n" + "dh1 *= (z1 > 0)\n"*40 + _lines(40, "dW1 = #*x.T @ dh1")),
    "modules with long names": ("mlp", "import " + "a."*40000 + "a as b\ndz1 = b.relu(z1)"),
    "masks in a loop": (
        "softmax-regression", "dW = torch.zeros_like(W)\nfor i in range(9000):\n" + _lines(99, "    h = x[x > #]")),
    "sums with indices in a loop": (
        "softmax-regression", "dW = torch.zeros_like(W)\nfor t in range(9000):\n"
        + _lines(99, "    dW[j,k] += Sum(x[i,j]*p[i,k]*p[i,k], i)")),
    "a column taken a million times": (
        "softmax-regression", "ix = torch.zeros(1000000, dtype=torch.long)\na = torch.ones(1000, 2)[:, ix]\ndW = a"),
    "towers of exponents": ("linear-regression", "dw = 9**9**9**9\ndb = w**9**9**9"),
    "a giant tensor": ("softmax-regression", "a = torch.ones(100000, 100000)\ndW = a"),
    "many large tensors": ("softmax-regression", _lines(30, "a# = torch.ones(1400, 1400)*#")),
    "large products": ("softmax-regression", "a = torch.ones(1400, 1400)\n" + _lines(20, "b# = a @ a")),
    "sizes as large as they may be": (
        "softmax-regression", "# sizes: N=100 D=500 K=1000\ndz = (p + y)/100\ndW = 2*x.T @ dz\ndb = dz.sum(1)"),
    "900 parentheses": ("linear-regression", "dw = " + "("*900 + "x" + ")"*900),
    "5,000 signs": ("linear-regression", "dw = " + "-"*5000 + "x"),
    "20,000 terms": ("linear-regression", "dw = " + "+".join(["x"]*20000)),
    "100,000 digits": ("linear-regression", "dw = " + "9"*100000),
    "a name of a million letters": ("linear-regression", "dw = " + "a"*1000000),
    "a million lines": ("linear-regression", "dw = x\n"*1000000),
}  # fmt: skip


def hostile() -> None:
    print("\nSheets made to cost much, the draws included: seconds, and memory beyond the import")
    if not hasattr(os, "fork"):
        return print("  needs fork")
    import resource

    import tutor.checking.repairs  # noqa: F401  all imports come before

    for name, (address, text) in HOSTILE.items():
        tutor.load(address)
        pipe, other = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_judged, args=(other, address, text))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        process.start()
        seconds, most = pipe.recv()
        process.join()
        megabytes = max(most - before, 0) / 1024
        fits = seconds <= SECONDS and megabytes <= MEGABYTES
        row(name, f"{seconds:.2f} s, {megabytes:.0f} MB", f"{SECONDS:.0f} s, {MEGABYTES:.0f} MB", fits)


def _judged(pipe: Any, address: str, text: str) -> None:
    import resource

    start = time.perf_counter()
    tutor.check(address, text)
    pipe.send((time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


# -- equality --------------------------------------------------------------------------------------------------

# two derivatives, whether they are the same function, and the domain of x and y
PAIRS: list[tuple[str, str, bool, str]] = [
    ("2*(x - y)", "2*x - 2*y", True, "real"),
    ("-2*x*(y - x*y - 1)", "2*x*(x*y + 1 - y)", True, "real"),
    ("1 - tanh(x)**2", "1/cosh(x)**2", True, "real"),
    ("1 - tanh(x)**2", "(1 - tanh(x))*(1 + tanh(x))", True, "real"),
    ("1 - tanh(x)**2", "1/cosh(x)", False, "real"),
    ("4/(exp(x) + exp(-x))**2", "1 - tanh(x)**2", True, "real"),
    ("exp(-x)/(1 + exp(-x))**2", "1/(1 + exp(-x))*(1 - 1/(1 + exp(-x)))", True, "real"),
    ("exp(-x)/(1 + exp(-x))**2", "exp(x)/(1 + exp(x))**2", True, "real"),
    ("1/(1 + exp(-x))", "(tanh(x/2) + 1)/2", True, "real"),
    ("1/(1 + exp(-x))", "exp(x)/(1 - exp(x))", False, "real"),
    ("log(exp(x) + exp(y))", "x + log(1 + exp(y - x))", True, "real"),
    ("exp(x)/(exp(x) + exp(y))", "1/(1 + exp(y - x))", True, "real"),
    ("exp(x)*exp(y)/(exp(x) + exp(y))**2", "1/(1 + exp(y - x)) - 1/(1 + exp(y - x))**2", True, "real"),
    ("sqrt(x**2)", "x", False, "real"),
    ("sqrt(x**2)", "abs(x)", True, "real"),
    ("x/sqrt(x**2)", "sign(x)", True, "real"),
    ("log(x**2)", "2*log(abs(x))", True, "real"),
    ("log(x*y)", "log(x) + log(y)", True, "positive"),
    ("sqrt(x)*sqrt(y)", "sqrt(x*y)", True, "positive"),
    ("-1/2*(x + 10**-5)**-1.5", "-1/(2*(x + 1/100000)*sqrt(x + 1/100000))", True, "positive"),
    ("(x**2 - y**2)/(x - y)", "x + y", True, "real"),
    ("(x + y)**3 - x**3 - y**3", "3*x*y*(x + y)", True, "real"),
    ("(x + 100000000) - 100000000", "x", True, "real"),
    ("sqrt(x**2 + 1) - x", "1/(sqrt(x**2 + 1) + x)", True, "real"),
    ("(1 - cos(x))/x**2", "2*sin(x/2)**2/x**2", True, "real"),
    ("cos(x)**2 - sin(x)**2", "cos(2*x)", True, "real"),
    ("sin(x)*cos(x)", "sin(2*x)/2", True, "real"),
    ("sin(x)", "x - x**3/6 + x**5/120 - x**7/5040", False, "real"),
    ("exp(1000*x)/(1 + exp(1000*x))", "1/(1 + exp(-1000*x))", True, "real"),
    ("exp(x + 800)/exp(800)", "exp(x)", True, "real"),
    ("exp(x) - 1", "2*exp(x/2)*sinh(x/2)", True, "real"),
    ("10**-20*x*y", "10**-20*x*(y + 10**-6)", False, "real"),
    ("x*y*10**20", "10**20*x*y + 10**13*y", False, "real"),
    ("Max(x, 0)", "(x + abs(x))/2", True, "real"),
    ("Max(-1, Min(1, x))", "Piecewise((x, abs(x) <= 1), (sign(x), True))", True, "real"),
    ("1.000001*x", "x", False, "real"),
    ("x*exp(-x**2/2) + erfc(-x/sqrt(2))/2", "(1 + erf(x/sqrt(2)))/2 + x*exp(-x**2/2)", True, "real"),
    ("tanh(log(x))", "(x**2 - 1)/(x**2 + 1)", True, "positive"),
]  # fmt: skip


def sympy_of(text: str, domain: str) -> Any:
    import sympy

    assumed = {"positive": True} if domain == "positive" else {"real": True}
    given = {name: sympy.Symbol(name, **assumed) for name in ("x", "y")}
    return sympy.sympify(text, locals=given, rational=True)  # the table's own text, nobody else's


def ours(a: str, b: str, domain: str) -> bool | None:
    """The judge's verdict on the line `v = a` where the exercise has v = b."""
    from sympy import Symbol

    exercise = tutor.Exercise("pair")
    x, y = (exercise.parameter(name, domain=domain) for name in ("x", "y"))
    exercise.loss("L", x * y)
    expr = sympy_of(b, domain).subs({Symbol(str(s), **s.assumptions0): s for s in (x, y)})
    exercise.value("v", [], expr.subs({k: s for k in expr.free_symbols for s in (x, y) if k.name == s.name}))
    line = tutor.check(exercise, f"v = {a}").line("v")
    return {"correct": True, "wrong": False}.get(line.verdict)


def by_simplify(a: str, b: str, domain: str) -> bool | None:
    import sympy

    return bool(sympy.simplify(sympy_of(a, domain) - sympy_of(b, domain)) == 0)


def by_equals(a: str, b: str, domain: str) -> bool | None:
    return sympy_of(a, domain).equals(sympy_of(b, domain))


def by_math_verify(a: str, b: str, domain: str) -> bool | None:
    import sympy
    from math_verify import parse, verify

    gold, answer = (parse(f"${sympy.latex(sympy_of(text, domain))}$") for text in (b, a))
    return bool(verify(gold, answer)) if gold and answer else None


JUDGES = {"ours": ours, "simplify(a-b)==0": by_simplify, "a.equals(b)": by_equals, "math-verify": by_math_verify}


@dataclass
class Outcome:
    verdict: bool | None
    seconds: float
    how: str = ""  # timeout, or the error


def _work(pipe: Any) -> None:
    """Answers one question after another, in a process that can be stopped."""
    import logging

    from sympy.core.cache import clear_cache

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    import torch

    torch.set_num_threads(1)
    while True:
        judge, pair = pipe.recv()
        clear_cache()
        start = time.perf_counter()
        try:
            verdict, how = JUDGES[judge](*pair), ""
        except Exception as error:  # noqa: BLE001  a peer may raise anything
            verdict, how = None, type(error).__name__
        pipe.send(Outcome(verdict, time.perf_counter() - start, how))


class Worker:
    """One process for the questions to one judge; a question past its time costs the process."""

    def __init__(self) -> None:
        self.process: Any = None

    def ask(self, judge: str, pair: tuple[str, str, str]) -> Outcome:
        if self.process is None:
            self.pipe, other = multiprocessing.Pipe()
            self.process = multiprocessing.get_context("spawn").Process(target=_work, args=(other,), daemon=True)
            self.process.start()
            self.pipe.send((judge, ("x", "x", "real")))  # imports, not counted
            self.pipe.recv()
        self.pipe.send((judge, pair))
        if self.pipe.poll(LIMIT):
            return self.pipe.recv()
        self.stop()
        return Outcome(None, LIMIT, "timeout")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None


def equality() -> None:
    print(
        f"\nEquality of {len(PAIRS)} pairs of derivatives, {LIMIT:.0f} s each, SymPy's cache cold; "
        "? is undecided or refused, ! a wrong verdict"
    )
    have = [j for j in JUDGES if j != "math-verify" or _installed("math_verify")]
    results: dict[str, list[Outcome]] = {}
    for judge in have:
        worker = Worker()
        results[judge] = [worker.ask(judge, (a, b, domain)) for a, b, _, domain in PAIRS]
        worker.stop()
    print(f"  {'a':<52} {'b':<52} {'true':<6}" + "".join(f"{j:>24}" for j in have))
    for n, (a, b, equal, _) in enumerate(PAIRS):
        print(
            f"  {a[:51]:<52} {b[:51]:<52} {'=' if equal else '≠':<6}"
            + "".join(f"{_cell(results[j][n], equal):>24}" for j in have)
        )
    for judge in have:
        wrong = sum(
            o.verdict is not None and o.verdict != pair[2] for o, pair in zip(results[judge], PAIRS, strict=True)
        )
        unsure = sum(o.verdict is None for o in results[judge])
        median = statistics.median(o.seconds for o in results[judge])
        print(
            f"  {judge:<20} {len(PAIRS) - wrong - unsure:>3} right {wrong:>3} wrong {unsure:>3} undecided   "
            f"median {median * 1e3:8.1f} ms"
        )
        if judge == "ours" and (wrong or unsure):
            failures.append("equality of pairs")


def _cell(outcome: Outcome, equal: bool) -> str:
    mark = "?" if outcome.verdict is None else "" if outcome.verdict == equal else "!"
    said = {True: "equal", False: "different", None: outcome.how or "undecided"}[outcome.verdict]
    return f"{mark}{said} {outcome.seconds * 1e3:.1f} ms"


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--part", choices=["lines", "process", "hostile", "equality"], action="append")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    parts: dict[str, Callable[[], None]] = {
        "lines": lambda: lines(given.repeats), "process": lambda: process(given.repeats), "hostile": hostile,
        "equality": equality,
    }  # fmt: skip
    for part in given.part or parts:
        parts[part]()
    print("\nall within their limits" if not failures else f"\nnot within their limits: {', '.join(failures)}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
