"""Texts for the fuzzer: sheets by grammar, right sheets spoilt at random, hostile ones, and raw text and bytes.

Everything is drawn from a `random.Random`. Seeded, that is fast; `hypothesis.strategies.randoms()` gives one as well,
so that hypothesis drives the same grammar and can shrink what it finds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import tutor
from tutor.checking import library
from tutor.symbolic.functions import FUNCTIONS

ROOT = Path(__file__).parents[2]
CANARY = "fuzz_canary"  # what a text touches if it is ever run: a file and a module of that name

# -- what an exercise gives to write with ----------------------------------------------------------------------


@dataclass
class Words:
    """The names of an exercise, and right sheets for it."""

    address: str
    exercise: Any
    forward: list[str]
    gradients: list[str]
    sizes: list[str]
    indices: list[str]
    axes: dict[str, int]  # of a name
    right: dict[str, list[str]] = field(default_factory=dict)  # kind -> whole sheets that read

    @property
    def names(self) -> list[str]:
        return [*self.forward, *self.gradients, *self.sizes, *self.indices]


@cache
def words(address: str) -> Words:
    ex = tutor.load(address)
    forward = [q.name for q in ex if q.kind != "value"]
    gradients = [f"d{q.name}" for q in ex if q.differentiable] + [q.name for q in ex.values]
    axes = {q.name: len(q.indices) for q in ex}
    axes |= {f"d{n}": axes[n] for n in forward if n in axes}
    made = Words(
        address, ex, forward, gradients, [str(s) for s in ex.size_symbols], [str(i) for i in ex.index_symbols], axes
    )
    made.right = _right(address, ex)
    return made


def _right(address: str, ex: Any) -> dict[str, list[str]]:
    """What the tutor prints itself, and the answers of the golden cases."""
    from tutor.symbolic.notation import latex_form, sheet_form

    ends = {q.name for q in ex.ends}
    gradients = [g for g in ex.derive().gradients.values() if g.name not in ends]
    torch_lines = [f"{g.symbol_name} = {g.torch}" for g in gradients if g.torch]
    index_lines = [f"{sheet_form(g.entry, ex)} = {sheet_form(g.expr, ex)}" for g in gradients]
    latex_lines = [f"{latex_form(g.entry, ex)} = {latex_form(g.expr, ex)}" for g in gradients]
    cases = [
        text
        for folder in sorted((ROOT / "tests" / "cases").glob(f"{address.split(':')[0]}--*"))
        for text in [(folder / "answer.py").read_text(encoding="utf-8")]
        if "\\frac" not in text
    ]
    plain = ["\n".join(torch_lines), "\n".join(index_lines), *cases]
    latex = [r"\begin{aligned}" + " \\\\\n".join(latex_lines) + r"\end{aligned}", "\n\n".join(latex_lines)]
    markdown = [
        f"Text\n\n```python\n{torch_lines[0] if torch_lines else index_lines[0]}\n```\n\n$$\n{latex_lines[-1]}\n$$\n"
    ]
    return {"python": plain, "latex": latex, "markdown": markdown, "notebook": [notebook(plain[:1], markdown)]}


def notebook(code: list[str], markdown: list[str]) -> str:
    cells = [{"cell_type": "code", "source": text.splitlines(True), "metadata": {}, "outputs": []} for text in code]
    cells += [{"cell_type": "markdown", "source": text, "metadata": {}} for text in markdown]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


# -- a grammar of Python sheets --------------------------------------------------------------------------------

ODD_NAMES = ["q", "tmp", "delta", "r", "g1", "torch", "np", "F", "T", "pi", "inf", "range", "Sum", "_", "__class__",
             "__builtins__", "self", "None", "True", "ß", "ŷ", "α", "a" * 300, "dd", "d", "dL_dw", "grad_W",
             "lambda"]  # fmt: skip
NUMBERS = ["0", "1", "2", "3", "-1", "0.5", "1e-5", "1.0", "10", "1/2", "1e308", "1e-308", "1e400", "7", "100", "0.0",
           "1_000", "9"*29, "9"*40, "0x10", "1j", "2.", ".5", "1e12", "Rational(1, 2)", "float('nan')",
           "1e-17"]  # fmt: skip
METHODS = sorted(library.METHOD)
FUNCTION_NAMES = sorted({*library.FUNCTION, *FUNCTIONS, *(s for row in FUNCTIONS.values() for s in row.spellings)})
NUMPY_NAMES = sorted(library.NUMPY)
EFFECTS = sorted(library.EFFECT)
MODULES = ["torch.", "np.", "", "F.", "torch.nn.functional.", "math.", "numpy.", "torch.linalg.", "sympy."]
BINARY = ["+", "-", "*", "/", "@", "**", "//", "%", "&", "|", "<", "<=", ">", ">=", "==", "!=", "^", "=", ",", " "]
WEIGHTS = [9, 9, 12, 6, 5, 3] + [1] * 14
ATTRIBUTES = "T mT shape grad data shape[0] size(0) ndim dtype real __class__ indices".split()
EINSUMS = ["ij,jk->ik", "ij", "i,i->", "ij->ji", "ii", "...i->i", "ij,ij->"]
UPDATES = ["+=", "-=", "*=", "/=", "**=", "@=", "//=", "%="]
DIMENSIONS = ["0", "1", "-1", "2", "(0, 1)", "None", "dim=0", "dim=1", "axis=0", "axis=-1", "1, keepdim=True",
              "0, keepdims=True", "dim=(0, 1), keepdim=True", "5", "True", "dim=None", "i", "0.5", "[0]"]  # fmt: skip
SUBSCRIPTS = ["0", ":", "None", "...", ":, None", "None, :", "0, 0", "::2", "-1", "range({n})",
              "range({n}), {v}", "{v}", "{v} > 0", "{i}", "{i}, {j}", "{i},{j},{i}", "1:", ":-1", "1:3, ::-1", "..., 0",
              "[0, 1]", "{n}", "10**9",
              "{v}, {v}", "torch.arange({n}), {v}", "{i}+1", "2*{i}", "{i}={j}", "", ":0", "-{i}",
              "{v}[{i}]"]  # fmt: skip


class Grammar:
    """Random sheets in Python syntax, mostly with the exercise's own names."""

    def __init__(self, words: Words, dice: random.Random):
        self.words, self.dice = words, dice
        self.own: list[str] = []

    def name(self) -> str:
        roll, dice = self.dice.random(), self.dice
        if roll < 0.45:
            return dice.choice(self.words.forward)
        if roll < 0.72:
            return dice.choice(self.words.gradients)
        if roll < 0.75:
            return local(self.words, dice)
        if roll < 0.85 and self.own:
            return dice.choice(self.own)
        if roll < 0.92:
            return dice.choice(self.words.sizes or ["2"])
        return dice.choice(ODD_NAMES)

    def expression(self, depth: int) -> str:
        dice, deeper = self.dice, depth - 1
        if depth <= 0:
            return self.name() if dice.random() < 0.75 else dice.choice(NUMBERS)
        roll = dice.random()
        if roll < 0.4:
            op = dice.choices(BINARY, WEIGHTS)[0]
            made = f"{self.expression(deeper)} {op} {self.expression(deeper)}"
            return f"({made})" if dice.random() < 0.4 else made
        if roll < 0.47:
            return f"{dice.choice(['-', '+', '~', 'not ', '*'])}{self.expression(deeper)}"
        if roll < 0.62:
            return f"{self.expression(0)}.{dice.choice(METHODS)}({self.arguments(deeper)})"
        if roll < 0.67:
            return f"({self.expression(deeper)}).{dice.choice(ATTRIBUTES)}"
        if roll < 0.80:
            module = dice.choice(MODULES)
            called = dice.choice(NUMPY_NAMES if module == "np." else FUNCTION_NAMES)
            return f"{module}{called}({self.arguments(deeper)})"
        if roll < 0.9:
            return f"{self.expression(0)}[{self.subscript()}]"
        if roll < 0.94:
            return f"torch.where({self.expression(deeper)}, {self.expression(deeper)}, {self.expression(0)})"
        if roll < 0.96:
            return f"torch.einsum('{dice.choice(EINSUMS)}', {self.name()}, {self.name()})"
        if roll < 0.98:
            return f"F.one_hot({self.name()}, {self.expression(0)})"
        return self.entry()

    def arguments(self, depth: int) -> str:
        dice = self.dice
        given = [self.expression(depth) for _ in range(dice.choice([0, 0, 1, 1, 2, 3]))]
        if dice.random() < 0.5:
            given.append(dice.choice(DIMENSIONS))
        return ", ".join(given)

    def subscript(self) -> str:
        dice = self.dice
        indices = self.words.indices or ["i"]
        return dice.choice(SUBSCRIPTS).format(
            n=dice.choice(self.words.sizes or ["3"]), v=self.name(), i=dice.choice(indices), j=dice.choice(indices)
        )

    # -- index style --

    def entry(self, name: str | None = None) -> str:
        """`z[i,k]`, mostly with as many indices as z has axes."""
        dice = self.dice
        name = name or dice.choice([*self.words.forward, *self.words.gradients])
        axes = self.words.axes.get(name, 1) + dice.choice([0] * 12 + [-1, 1])
        names = [*(self.words.indices or ["i"]), "a", "q", "0", "1"]
        items = [dice.choice(names) for _ in range(axes)]
        return f"{name}[{','.join(items)}]" if items else name

    def index_expression(self, depth: int) -> str:
        dice, deeper = self.dice, depth - 1
        if depth <= 0:
            return self.entry() if dice.random() < 0.8 else dice.choice([*NUMBERS, *self.words.sizes])
        roll = dice.random()
        if roll < 0.5:
            op = dice.choices(BINARY, WEIGHTS)[0]
            return f"({self.index_expression(deeper)} {op} {self.index_expression(deeper)})"
        if roll < 0.75:
            reducer = dice.choice(["Sum", "Sum", "Sum", "Mean", "Product", "MaxOver", "ArgMaxOver", "sum", "Max"])
            over = ", ".join(
                dice.choices([*(self.words.indices or ["i"]), "a", "q", "(i, 0, N)", "1"], k=dice.choice([1, 1, 2]))
            )
            return f"{reducer}({self.index_expression(deeper)}, {over})"
        if roll < 0.85:
            return f"{dice.choice(FUNCTION_NAMES)}({self.index_expression(deeper)})"
        if roll < 0.92:
            a, b = dice.choices([*(self.words.indices or ["i"]), self.entry(), "0"], k=2)
            return f"KroneckerDelta({a}, {b})"
        return f"where({self.index_expression(deeper)} > 0, {self.index_expression(deeper)}, 0)"

    # -- statements --

    def statement(self, indent: str = "", depth: int = 0) -> str:
        dice, roll = self.dice, self.dice.random()
        target = dice.choice(self.words.gradients) if dice.random() < 0.7 else self.name()
        if dice.random() < 0.08:
            target = local(self.words, dice)
        size = dice.choice([1, 1, 2, 2, 3, 4])
        if roll < 0.5:
            if dice.random() < 0.15:
                target = dice.choice(["tmp", "delta", "r", "q", "ix", "mask", "a_b", "dr"])
                self.own.append(target)
            return f"{indent}{target} = {self.expression(size)}"
        if roll < 0.68:
            return f"{indent}{self.entry(target)} = {self.index_expression(min(size, 3))}"
        if roll < 0.76:
            return f"{indent}{target} {dice.choice(UPDATES)} {self.expression(2)}"
        if roll < 0.82:
            return f"{indent}{target}[{self.subscript()}] {dice.choice(['=', '+=', '-='])} {self.expression(1)}"
        if roll < 0.85:
            return f"{indent}{target}.{dice.choice(EFFECTS)}({self.arguments(1)})"
        if roll < 0.88:
            return f"{indent}{target} = torch.zeros_like({self.name()})"
        if roll < 0.90:
            return f"{indent}{self.name()}, {self.name()} = {self.expression(2)}"
        if roll < 0.92:
            return f"{indent}{dice.choice(['a', 'dw', 'd' + target])} = {target} = {self.expression(1)}"
        if roll < 0.97 and depth < 3:
            variable = dice.choice([*(self.words.indices or ["i"]), "k", "row", target])
            over = dice.choice(["N", "n", "3", "2, 5", "0", "10**6", "x.shape[0]", "len(x)", "-1", self.expression(0)])
            body = [self.statement(indent + "    ", depth + 1) for _ in range(dice.choice([1, 1, 2, 3]))]
            return f"{indent}for {variable} in range({over}):\n" + "\n".join(body)
        return indent + dice.choice(ASIDES).format(target=target, name=self.name())

    def sheet(self) -> str:
        dice = self.dice
        lines = [self.statement() for _ in range(dice.choice([1, 1, 2, 3, 4, 6, 9]))]
        if dice.random() < 0.2:
            lines.insert(
                0, f"# sizes: {dice.choice(self.words.sizes or ['N'])}={dice.choice(['2', '32', '1', '999999', '0'])}"
            )
        return dice.choice(["\n", "\n", "\n", "\n\n", "; ", "\r\n"]).join(lines)


def local(words: Words, dice: random.Random) -> str:
    """`dz_dx`: a local derivative, or what looks like one."""
    names = [*words.forward, *words.exercise.quantities]
    return f"d{dice.choice(names)}_d{dice.choice(names)}"


ASIDES = [
    "print({target})", "import torch", "loss.backward()", "with torch.no_grad():\n    {target} = {name}", "# a comment",
    '"""text\nmore"""', "cmp('{target}', {target}, {name})", "{name}.grad = None", "{target} = ...", "{target}: {name}",
    "dL/d{name} = {name}", "∂L/∂{name} = {name}", "{target} == {name}", "d{name}_d{name} = {name}", "pass", "...",
    "if {name}:\n    {target} = 1", "def f(x):\n    return x", "{target} = {name} if {name} else 1", "return {target}",
    "{target} := {name}", "{name}.requires_grad_()", "from math import *", "assert {name}", "%timeit x", "!ls",
]  # fmt: skip

# -- a grammar of LaTeX ---------------------------------------------------------------------------------------

ATOMS = [r"\hat y", r"\alpha", r"\ell", r"\mathbb{1}", r"\delta_{ik}", r"\infty", r"\partial", r"\nabla", r"\bar x",
    r"\pi",
         r"\mathbf{W}", r"\mathrm{softmax}", r"\sigma", r"\ldots", r"\text{if }", r"\prime", r"\|x\|", "1", "2",
         "0.5", "i"]  # fmt: skip
LATEX_OPS = [
    "+",
    "-",
    r"\cdot",
    r"\odot",
    "",
    "",
    "",
    "/",
    r"\times",
    "=",
    r"\le",
    ",",
    "&",
    r"\\",
    r"\otimes",
    ">",
    "|",
    ";",
]
WRAPS = [r"\frac{{{a}}}{{{b}}}", r"\sum_{{{i}}} {a}", r"\sum_{{{i}=1}}^{{N}} {a}", r"\left({a}\right)", "({a})",
    r"\exp({a})",
         r"\mathbb{{1}}[{a} > 0]", "{a}^{{{b}}}", r"{a}^\top", "{a}_{{{i}}}", r"\sqrt{{{a}}}", r"\prod_{i} {a}",
         r"\log {a}",
         r"\begin{{cases}} {a} & \text{{if }} {b} > 0 \\ 0 & \text{{otherwise}} \end{{cases}}", r"\max({a}, {b})",
         "{a}'",
         r"\|{a}\|^2", r"\max_{{{i}}} {a}", r"\frac{{\partial {a}}}{{\partial {b}}}", r"\bigl[{a}\bigr]",
         r"\sqrt[3]{{{a}}}",
         r"\{{{a}\}}", r"\lfloor {a} \rfloor", r"\operatorname{{tanh}}({a})", r"\mathbf{{{a}}}", r"\tilde{{{a}}}",
         "{{{a}}}"]  # fmt: skip


class Latex:
    """Random mathematics with the exercise's names."""

    def __init__(self, words: Words, dice: random.Random):
        self.words, self.dice = words, dice

    def name(self) -> str:
        dice = self.dice
        name = dice.choice(self.words.forward)
        axes = self.words.axes.get(name, 0)
        below = "".join(dice.choice([*(self.words.indices or ["i"]), "i"]) for _ in range(axes))
        return f"{name}_{{{below}}}" if below and dice.random() < 0.7 else name.replace("_", dice.choice(["_", r"\_"]))

    def expression(self, depth: int) -> str:
        dice, deeper = self.dice, depth - 1
        if depth <= 0:
            return self.name() if dice.random() < 0.7 else dice.choice(ATOMS)
        if dice.random() < 0.5:
            return f"{self.expression(deeper)} {dice.choice(LATEX_OPS)} {self.expression(deeper)}"
        index = dice.choice([*(self.words.indices or ["i"]), "j", "ij"])
        return dice.choice(WRAPS).format(a=self.expression(deeper), b=self.expression(deeper), i=index)

    def left(self) -> str:
        name = self.name()
        return self.dice.choice([
            rf"\frac{{\partial L}}{{\partial {name}}}", f"d{name}", rf"\nabla_{{{name}}} L",
            rf"\partial L/\partial {name}",
            rf"\delta^{{{name}}}", self.expression(1),
        ])  # fmt: skip

    def line(self) -> str:
        amp = self.dice.choice(["", "&"])
        return f"{self.left()} {amp}= " + f" {amp}= ".join(
            self.expression(self.dice.choice([1, 2, 3])) for _ in range(self.dice.choice([1, 1, 2, 3]))
        )

    def text(self) -> str:
        dice = self.dice
        lines = [self.line() for _ in range(dice.choice([1, 2, 3]))]
        begin, end = dice.choice([
            (r"\begin{aligned}", r"\end{aligned}"), ("$$", "$$"), (r"\[", r"\]"), ("", ""), ("$", "$"),
            (r"\begin{align*}", r"\end{align*}"), ("Text. $$\n", "\n$$ more"), (r"\begin{equation}", r"\end{align}"),
        ])  # fmt: skip
        return begin + dice.choice([" \\\\\n", "\n", "\n\n", "$$ $$"]).join(lines) + end


LANGUAGES = ["python", "", "py", "sh", "math", "latex", "{.python}"]


def markdown(words: Words, dice: random.Random) -> str:
    made = []
    for _ in range(dice.choice([1, 2, 3, 5])):
        made.append(dice.choice([
            lambda: f"```{dice.choice(LANGUAGES)}\n{Grammar(words, dice).sheet()}\n```",
            lambda: f"$$\n{Latex(words, dice).line()}\n$$",
            lambda: f"```math\n{Latex(words, dice).text()}\n~~~",
            lambda: f"Some *text* with `code` and ${Latex(words, dice).expression(1)}$.",
            lambda: f"<!-- exercise: {words.address} -->",
            lambda: "# Heading\n\n- item\n    indented",
            lambda: "````\n```python\n" + Grammar(words, dice).statement(),
        ])())  # fmt: skip
    return dice.choice(["\n\n", "\n"]).join(made)


def random_notebook(words: Words, dice: random.Random) -> str:
    code = [Grammar(words, dice).sheet() for _ in range(dice.choice([0, 1, 2]))]
    prose = [markdown(words, dice) for _ in range(dice.choice([0, 1, 2]))]
    data = json.loads(notebook(code, prose))
    for _ in range(dice.choice([0, 0, 1, 2])):  # JSON that is not quite a notebook
        cells = data.get("cells")
        cell = dice.choice(cells) if isinstance(cells, list) and cells and isinstance(cells[0], dict) else data
        key = dice.choice(["source", "cell_type", "cells", "outputs", "metadata", "nbformat"])
        cell[key] = dice.choice([None, 3, [], {}, "x", ["a", 3], {"a": "b"}, True, 1e308, ["dw = 1\n"] * 3, "raw"])
    text = json.dumps(data, ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, 1]))
    return mutated(text, words, dice, 1) if dice.random() < 0.3 else text


# -- right texts, spoilt -----------------------------------------------------------------------------------------

BITS = ["(", ")", "[", "]", "{", "}", "'", '"', '"""', "\\", "#", "@", "=", "==", ":=", ":", ";", ",", ".", "..",
    "**", "->",
        "\n", "\t", " ", "\r", "\x00", "\x0b", "\u200b", "\ufeff", "\u2028", "\ud800", "\udfff", "𝐱", "ﬁ", "ﾊ", "é",
        "e\u0301",
        "−", "×", "²", "√", "Σ", "∂", "（", "）", "＝", "١", "½", "\U0001f600", "\\frac", "$", "$$", "&", "\\\\", "_",
        "^", "`",
        "```", "%", "~", "!", "?", "0", "9", "e", "j", "lambda x: x", "*args", "**k", "yield", "await x", "f''",
        "b''", "x if x else x",
        "[x for x in x]", "(x := 1)", "__class__", ".__dict__", "import os", "exec(x)", "d", "T", "grad", "None", "-",
        "+", "/",
        "\\\n", "\x1a", "\x7f", "\u202e", "ᵀ", "⊤", "ⅈ", "\U000e0041", "# exercise: mlp", "# sizes: N=3"]  # fmt: skip


def mutated(text: str, words: Words, dice: random.Random, most: int = 4) -> str:
    for _ in range(dice.randint(1, most)):
        if not text:
            return dice.choice(BITS)
        at = dice.randrange(len(text) + 1)
        to = min(len(text), at + dice.choice([1, 1, 2, 3, 8, 30]))
        kind = dice.randrange(12)
        lines = text.split("\n")
        if kind == 0:
            text = text[:at] + text[to:]
        elif kind in (1, 2):
            text = text[:at] + dice.choice(BITS) + text[at:]
        elif kind == 3:
            text = text[:at] + dice.choice(BITS) + text[to:]
        elif kind == 4:
            text = text[:at] + text[at:to] * dice.choice([2, 3, 10, 60]) + text[to:]
        elif kind == 5:
            dice.shuffle(lines)
            text = "\n".join(lines)
        elif kind == 6:
            del lines[dice.randrange(len(lines))]
            text = "\n".join(lines)
        elif kind == 7:
            lines.insert(dice.randrange(len(lines) + 1), Grammar(words, dice).statement())
            text = "\n".join(lines)
        elif kind in (8, 9):
            name, other = dice.choice(words.names), dice.choice([*words.names, *NUMBERS])
            text = text.replace(name, other, dice.choice([1, 1, -1]))
        elif kind == 10:
            text = text[:at]
        else:
            n = dice.randrange(len(lines))
            lines[n] = dice.choice([" ", "    ", "\t"]) + lines[n]
            text = "\n".join(lines)
    return text[:120_000]


# -- hostile texts ---------------------------------------------------------------------------------------------

TOUCH = [
    f"open('{CANARY}', 'w').write('x')", f"exec(\"open('{CANARY}','w')\")", f"eval(\"__import__('{CANARY}')\")",
    f"__import__('{CANARY}')", f"__import__('os').system('touch {CANARY}')", f"os.system('touch {CANARY}')",
    f"torch.os.system('touch {CANARY}')", f"torch.save(x, '{CANARY}')", f"x.numpy().tofile('{CANARY}')",
    f"np.save('{CANARY}', x)",
    f"torch.load('{CANARY}')", f"().__class__.__base__.__subclasses__()[0]('{CANARY}')",
    f"pathlib.Path('{CANARY}').touch()",
    f"torch.utils.cpp_extension.load('{CANARY}')", f"(lambda: open('{CANARY}','w'))()",
    f"[open('{CANARY}','w') for i in range(1)]",
    f"f\"{{open('{CANARY}','w')}}\"", f"getattr(torch, 'save')(x, '{CANARY}')", f"torch.jit.script('{CANARY}')",
    f"torch.hub.load('{CANARY}', 'x')", f"sympify('__import__(\"{CANARY}\")')", f"x.__reduce_ex__(2)[0]('{CANARY}')",
    f"print(open('{CANARY}', 'w'))", f"torch._C._cuda_init() or open('{CANARY}','w')",
    f"breakpoint() or open('{CANARY}','w')",
    f"(y := open('{CANARY}', 'w'))", f"globals()['__builtins__']['open']('{CANARY}', 'w')",
    f"compile(\"open('{CANARY}','w')\", '', 'exec')",
    f"x.apply_(lambda v: open('{CANARY}','w'))", f"x.map_(x, lambda a, b: open('{CANARY}','w'))", "exit()", "quit()",
    "input()",
    f"type('X', (), {{'__del__': lambda s: open('{CANARY}','w')}})()",
    f"torch.from_file('{CANARY}', shared=True, size=10)",
    f"np.fromfile('{CANARY}')", f"np.memmap('{CANARY}', mode='w+', shape=9)", "x.share_memory_()",
    f"x.storage()._write_file('{CANARY}')",
]  # fmt: skip
FRAMES = [
    "{t} = {c}", "{c}", "{t} = x + {c}", "{t}[{c}] = 1", "for i in {c}:\n    {t} = 1", "with {c}:\n    {t} = 1",
    "print({c})",
    "{t} = torch.where({c}, 1, 0)", "import os; {c}", "assert {c}", "{t}: {c} = 1", "def f(x={c}): pass",
    "class A({c}): pass",
    "@{c}\ndef f(): pass", "@{c}\nclass A: pass", "{t} += {c}", "del {c}", "raise {c}", "lambda: {c}",
    "cmp({c}, dw, w)",
    "# exercise: {c}", "{t} = 1  # {c}", '"""\n{c}\n"""', "%run {c}", "!{c}", "if {c}:\n    {t} = 1",
    "while {c}:\n    {t} = 1",
    "try:\n    {c}\nexcept:\n    {t} = 1", "from {m} import *", "import {m}", "import {m} as torch",
    "import torch.{m}", "{t} = {m}.x",
    "$$ {t} = {c} $$", "\\input{{{m}}} {t} = 1", "\\write18{{touch {m}}}", "\\openout{{{m}}}", "```python\n{c}\n```",
    "{t} = torch.einsum({c}, x)", "{t} = F.one_hot(x, {c})", "async def f():\n    await {c}", "{t} = '{m}'.format({c})",
]  # fmt: skip


def _touching(words: Words, dice: random.Random) -> str:
    target = dice.choice(words.gradients)
    return dice.choice(FRAMES).format(t=target, c=dice.choice(TOUCH), m=CANARY)


def _tower(words: Words, dice: random.Random) -> str:
    base = dice.choice(["9", "2", "-2", "0.5", "1e300", "N", "x", "(-1)", "10", dice.choice(words.forward)])
    power = dice.choice(["**", "^"])
    return power.join([base] * dice.choice([2, 3, 5, 20, 60, 500]))


def _deep(words: Words, dice: random.Random) -> str:
    n, name = dice.choice([10, 39, 41, 79, 81, 200, 1500]), dice.choice(words.forward)
    return dice.choice([
        "(" * n + name + ")" * n, "(" * n + name, "-" * n + name, "~" * n + name, name + ".T" * n, name + "[0]" * n,
        "[" * n + name + "]" * n, "torch.exp(" * n + name + ")" * n, name + "+" + name + f"+{name}" * n,
        f"{name}*" * n + name,
        f"{name}@" * n + name, f"({name}+" * n + "1" + ")" * n, "{" * n + "}" * n, f"{name}**" * n + "2",
        f"{name}, " * n,
        "not " * n + name, f"{name}<" * n + name, "f(" * n, f"{name}(" * n + ")" * n, "x if " * n,
        "lambda x:" * n + "x",
        f"{name}.sum(" * n + ")" * n, f"{name}/(1 + " * n + name + ")" * n, "*" * n + name,
        f"{name}.clone()" + ".clone()" * n,
        "()" * n, f"torch.stack(({name}, " * n + "))" * n, "Sum(" * n + name + ", i)" * n, "'" * n, '"' * n, "\\" * n,
    ])  # fmt: skip


BIG = "10**9 2**31 2**62 2**63 2**64 10**30 1000000 9999999999 -1 1e18 20000 1999999 N*10**6".split()


def _giant(words: Words, dice: random.Random) -> str:
    big = dice.choice(BIG)
    name = dice.choice(words.forward)
    return dice.choice([
        f"torch.zeros({big})", f"torch.ones({big}, {big})", f"torch.eye({big})", f"torch.arange({big})",
        f"range({big})",
        f"{name}.repeat({big})", f"{name}.expand({big})", f"{name}.view({big})", f"{name}.reshape(-1, {big})",
        f"[0]*{big}",
        f"torch.full(({big},), 1.0)", f"{name}.unsqueeze({big})", f"{name}.sum({big})", f"{name}[{big}]",
        f"{name}[:{big}]",
        f"F.one_hot(torch.tensor({big}), {big})", f"F.one_hot(x.long(), {big})", f"torch.linspace(0, 1, {big})",
        f"{name}**{big}",
        f"torch.tile({name}, ({big}, {big}))", f"np.zeros(({big}, {big}))",
        f"torch.outer(torch.ones(1999), torch.ones({big}))",
        "torch.ones(2000, 1000) @ torch.ones(1000, 2000)", "torch.ones(1400, 1400) @ torch.ones(1400, 1400)",
        f"{big}**{big}",
        f"torch.einsum('i,j,k,l->ijkl', {', '.join(['torch.ones(1999)'] * 4)})", f"torch.ones({','.join(['2'] * 60)})",
        f"torch.ones(1000000) + torch.ones({big}, 1)", f"torch.cat([{name}]*{big})",
        f"torch.tensor([{'[' * 70}1{']' * 70}])",
        "torch.cumsum(torch.ones(1999999), 0)", "torch.ones(1999999).sort().values",
        "torch.linalg.inv(torch.eye(1400))",
        f"torch.eye(1400)**{big}", f"torch.linalg.matrix_power(torch.eye(1000), {big})", f"math.factorial({big})",
        f"math.comb({big}, 7)",
        f"torch.combinations(torch.arange(2000), {big})", f"{name}.pow({big}).pow({big})", f"1e308*{big}*1e308",
        "torch.ones(1999999).view(1, -1).T",
        f"Sum({name}, (i, 0, {big}))", f"'a'*{big}", f"torch.triu(torch.ones(1400,1400), {big})",
        f"torch.roll({name}, {big})",
        f"{name}.diag().diag().diag()", "torch.kron(torch.ones(1400), torch.ones(1400))",
        "torch.det(torch.eye(1400))", f"{name} << {big}",
        f"Rational({big}, {big})", f"round({name}, {big})", "torch.svd(torch.eye(1400))",
        "torch.linalg.pinv(torch.eye(1000))",
    ])  # fmt: skip


def _loops(words: Words, dice: random.Random) -> str:
    name, n = dice.choice(words.gradients), dice.choice(["100", "2000", "19999", "20000", "20001", "10**9", "N"])
    leaf = dice.choice(words.forward)
    body = dice.choice([
        f"{name} = {name} + {leaf}", f"{name} += {leaf}", "a = a + a", "a = torch.exp(a)", "a = a @ a",
        f"{name} = {name} @ {name}.T",
        f"{name}[i] += {leaf}[i]", "a = torch.cat([a, a])", "a = a*a", "a = a.clone()",
        "a = torch.ones(99, 99) @ torch.ones(99, 99)",
        "a = (a, a)", "a = [a, a]", "a = torch.ones(1999)", "i = 3", "a = torch.linalg.inv(torch.eye(40))",
        "a = torch.stack([a, a])", "a = a**a", "a, b = b, a",
        f"a = {'+'.join(['a'] * 60)}", f"{name}[i,k] = Sum({leaf}[i,k], i)", "a = 10**a",
        f"a = a*1.0001 + {leaf}.sum()", "a += a.T", "a = a << 1",
    ])  # fmt: skip
    start = dice.choice(
        ["a = 1", "a = 2.0", f"a = {leaf}", "a = torch.ones(2, 2)", f"{name} = torch.zeros_like({leaf})", "a = b = x"]
    )
    if dice.random() < 0.3:
        inner = dice.choice(["100", "20", "N", "10**5"])
        return f"{start}\nfor i in range({n}):\n    for j in range({inner}):\n        {body}\n{name} = a"
    if dice.random() < 0.2:
        depth = dice.choice([3, 6, 7, 30])
        head = "\n".join(f"{'  ' * d}for i{d} in range({dice.choice(['1', '2', '10'])}):" for d in range(depth))
        return f"{start}\n{head}\n{'  ' * depth}{body}\n{name} = a"
    return f"{start}\nfor i in range({n}):\n    {body}\n{name} = a"


def _selves(words: Words, dice: random.Random) -> str:
    """Updates that read themselves, and two names for one tensor."""
    a, b = dice.choice(words.gradients), dice.choice([*words.gradients, *words.forward])
    return dice.choice([
        f"{a} = {a}", f"{a} += {a}", f"{a} = {b}\n{b} = {a}", f"{a} = {b}\n{a} += {b}\n{b} += {a}",
        f"{a} = {b} = {a} = {b}",
        f"{a} = {b}\n{a}.zero_()", f"{a} = {b}.view(-1)\n{a} += 1", f"{a} = {b}.T\n{a}.T.add_({a})",
        f"{a}[{a} > 0] = {a}",
        f"{a} = {b}.expand_as({b})\n{a} += 1", f"{a} = {b}[None]\n{a}[0] += {a}[0]",
        f"{a} = {b}\n{a}[...] = {a}.flip(0)",
        f"{a} = torch.zeros_like({b})\n{a} += {a}\n{a} = {a}", f"{b} = 3\n{a} = {b}", f"{b} *= 0\n{a} = {b}",
        f"{a}, {a} = {b}, {b}",
        f"{a}, {b} = {b}, {a}", f"{a} = ({a}, {b})", f"{a} = {b}.data\n{a}.data += 1",
        f"{a}.grad = {b}\n{b}.grad = {a}",
        f"{a} = {b}.sum(0)\n{b} = {a}\n{a} = {b}.sum(0)", f"N = 5\n{a} = N", f"for {a} in range(3):\n    {a} = {a}",
        f"x = y\ny = x\n{a} = x",
        f"{a} = {b}.unfold(0, 2, 1)\n{a} += 1", f"{a} = {b}.as_strided((9,), (0,))\n{a} += 1",
        f"{a} = {b}.diagonal()\n{a} += {a}",
    ])  # fmt: skip


def _names(words: Words, dice: random.Random) -> str:
    name, t = dice.choice(["a" * 3900, "а" * 50, "ﬁ", "𝐝𝐖", "d" * 90 + "W", "_" * 99, "__" + "a", "ａ", "x\u0301", "İ",
        "ſ", "d_d", "dL_d",
                        "grad_", "d" + "x_d" * 40 + "y", "Ⅷ", "ªº", "µ", "K", "x·", "·x", "def", "None", "dNone",
                        "__import__", "dL_d__class__"]), \
        dice.choice(words.gradients)  # fmt: skip
    return dice.choice([f"{name} = {t}", f"{t} = {name}", f"{t} = {name}.T", f"{t} = x.{name}", f"{t}[{name}] = 1",
        f"{name}[i] = x[i]",
                        f"{name} = 1\n{t} = {name}*x", f"{t} = {name}({t})", f"d{name} = {t}",
                        f"{t} = torch.{name}(x)", f"for {name} in range(2):\n  {t} = {name}",
                        f"{t} = x.sum({name}=1)", f"\\frac{{\\partial L}}{{\\partial {name}}} = {t}",
                        f"# sizes: {name}=3\n{t} = 1", f"# exercise: {name}"])  # fmt: skip


def _long(words: Words, dice: random.Random) -> str:
    t, name = dice.choice(words.gradients), dice.choice(words.forward)
    n = dice.choice([50, 400, 501, 3000, 20000])
    return dice.choice([
        f"{t} = " + "+".join([name] * n), f"{t} = {name}\n" * n, f"{t} = " + name * n, f"{t} = " + " " * n + name,
        "\n" * n + f"{t} = {name}",
        f"h{n} = {name}\n" * min(n, 499) + f"{t} = h{n}",
        "\n".join(f"h{k} = h{k - 1}*{name}" if k else f"h0 = {name}" for k in range(min(n, 480))),
        f"{t} = " + "(" * 39 + "+".join([name] * (n // 4)) + ")" * 39, f"{t} = '{'x' * n}'", "#" * n, "$" * n,
        "`" * n, "```" * n, "=" * n,
        f"{t} = " + "[".join([name] * n), f"{t} = " + ",".join([name] * n), "\\frac{" * n, "\\frac" * n, "{" * n,
        "\\begin{aligned}" * n,
        "$$" + "&=".join([t] * n) + "$$", "$$" + "+".join([name] * n) + "= 1 $$",
        "$$" + "\\hat " * n + name + "= 1$$", "\\left(" * n,
        f"{t} \\\n" * n, "<!--" * n, "# exercise: mlp\n" * n, "# sizes: N=2\n" * n, "~~~\n" * n, "'''\n" * n,
        "\\sum_i " * n + name, "dx/dy " * n,
        f"{t} = " + "∂x/∂y*" * n + "1", "^" * n, "²" * n, f"{t} = x" + "ᵀ" * n, f"{t} = " + "\u3000" * n + name,
        "0" * n, "9" * n + "x", "1_" * n,
        f"{t} = " + " ".join([name] * n), f"{t} = " + "(a b)" * n, f"{t} = " + "sum_i " * n, "d" * n + "/d", "%" * n,
        "{\"cells\": " + "[" * n, f"{t} = x[" + "0," * n + "]",
        f"{t} = " + "x'" * n, f"{t} = " + f"{name}.T " * n, "|" * n, "$$|" * n, f"$${t} = " + "|x|" * n + "$$",
        f"$${t} = " + "x^{" * n + "}" * n + "$$",
        f"{t} = " + f"torch.exp({name})*" * (n // 8) + name, f"{t} = " + "-" * n + "1",
        "; ".join([f"{t} = {name}"] * min(n, 600)), f"{t} = {t} = " * min(n, 300) + name,
    ])  # fmt: skip


def _sizes(words: Words, dice: random.Random) -> str:
    """Sizes that are pinned, since numbers of the sheet need them."""
    extents = [dice.choice([2, 7, 30, 63, 250, 999]) + n for n, _ in enumerate(words.sizes)]
    pins = ", ".join(f"{name}={extent}" for name, extent in zip(words.sizes, extents, strict=True))
    target = dice.choice([local(words, dice), dice.choice(words.gradients)])
    value = dice.choice([dice.choice(words.forward), "1", *words.gradients])
    return f"# sizes: {pins}\n{target} = {value}/{dice.choice(extents or [3])}\n{dice.choice(words.right['python'])}"


def _odd_formats(words: Words, dice: random.Random) -> str:
    t = dice.choice(words.gradients)
    return dice.choice([
        "", " ", "\n", "\x00", "\ufeff", "\ud800", f"{t} = \ud800", f"{t}\x00 = 1", "{}", "[]", "null",
        '{"cells": null}', '{"cells": [null]}',
        '{"cells": [{}]}', '{"cells": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"cells": [{"cell_type": "code", "source": null}]}', '{"cells": {"a": 1}}',
        '{"cells": [{"cell_type": ["code"], "source": 1e400}]}', '{"cells":' + "9" * 5000 + "}",
        '{"cells": [{"cell_type": "code", "source": [["x"]]}]}',
        f"# exercise:\n{t} = 1", f"# exercise: ../../../etc/passwd\n{t} = 1",
        f"# exercise: {words.address}\n# exercise: {words.address}\n{t} = 1",
        f"# exercise: mlp:layers=99999999\n{t} = 1", f"# sizes: N=0\n{t} = 1",
        f"# sizes: N=1000000, D=1000000, K=1000000\n{t} = 1", f"# sizes: N=-1\n{t}=1",
        f"# sizes: N=1\n{t} = 1",
        f"# sizes: {words.sizes[0] if words.sizes else 'N'}=100000\n{t} = {dice.choice(words.forward)}",
        "# sizes: " + "N=2," * 999,
        f"# sizes: {', '.join(f'{s}=300' for s in words.sizes)}\n{t} = {dice.choice(words.forward)}",
        f"# sizes: Q=3\n{t} = 1",
        f"{t} = 1 {t} = 2", f"{t} =", f"= {t}", "=", "==", f"{t} = =", f"{t} = 1 = 2", f"1 = {t}", f"{t} + 1 = 2",
        f"({t}) = 1", f"[{t}] = 1", f"{t}() = 1",
        f"*{t} = 1, 2", f"{t}[0][0][0] = 1", f"{t}.a.b.c = 1", f"{t}.grad.grad = 1", f"x.T = {t}", f"x.T[0] = {t}",
        f"{t}[i,i] = x[i]", f"{t}[i+1] = 1", f"{t}[] = 1",
        "\\begin{cases}", "\\end{aligned}", "$$ \\begin{a} $$", "\\frac{}{}", "\\frac{\\partial L}{\\partial} = 1",
        "\\(", "$", "\\", "\\ ", "$$ = $$", "$$ & = & $$",
        f"$$ {t} = \\text{{{'x' * 200}}} $$", "\\def\\x{\\x}\\x", "\\begin{aligned}\\begin{aligned}", "$$ \\sum $$",
        "$$ \\sum_{i} = 1 $$", "$$ x^^^ = 1 $$", "$$ _ = 1 $$",
    ])  # fmt: skip


HOSTILE_VALUES: list[Callable[[Words, random.Random], str]] = [_tower, _deep, _giant]
HOSTILE: list[Callable[[Words, random.Random], str]] = [
    _touching,
    _touching,
    _loops,
    _selves,
    _names,
    _long,
    _odd_formats,
    _sizes,
]


def hostile(words: Words, dice: random.Random) -> str:
    roll = dice.random()
    if roll < 0.4:
        value = dice.choice(HOSTILE_VALUES)(words, dice)
        target = dice.choice(words.gradients)
        text = dice.choice(["{t} = {v}", "{t} = {v}", "a = {v}\n{t} = a", "{t} = x*({v})", "{t}[{v}] = 1",
            "{t} += {v}", "for i in range({v}):\n    {t} = 1",
                            "{t}[i] = {v}", "$$ {t} = {v} $$", "print({v})", "{t} = torch.exp({v})", "{t} = x[{v}]",
                            "{v} = {t}"])  # fmt: skip
        text = text.replace("{t}", target).replace("{v}", value)
    else:
        text = dice.choice(HOSTILE)(words, dice)
    if dice.random() < 0.3:
        text += "\n" + hostile(words, dice)
    if dice.random() < 0.2:
        text = dice.choice(words.right["python"]) + "\n" + text
    if dice.random() < 0.15:
        text = mutated(text, words, dice, 2)
    return text


# -- raw -----------------------------------------------------------------------------------------------------------


def raw_text(words: Words, dice: random.Random) -> str:
    """Characters without a grammar, many of them of Python and LaTeX, some from anywhere in Unicode."""
    common = "dwxyzWb=+-*/@()[]{}.,:;'\"\\ \n\t#$%^&_<>|~`!0123456789eEijk"
    made = []
    for _ in range(dice.choice([1, 5, 20, 80, 300])):
        roll = dice.random()
        if roll < 0.8:
            made.append(dice.choice(common))
        else:
            made.append(dice.choice(BITS) if roll < 0.9 else chr(dice.randrange(0x110000)))
    return "".join(made)


def raw_bytes(words: Words, dice: random.Random) -> bytes:
    roll = dice.random()
    if roll < 0.3:
        return bytes(dice.randrange(256) for _ in range(dice.choice([0, 1, 4, 30, 300])))
    text = dice.choice([t for several in words.right.values() for t in several])
    if roll < 0.6:
        data = bytearray(text.encode("utf-8"))
        for _ in range(dice.choice([1, 2, 8])):
            at = dice.randrange(len(data) + 1)
            data[at : at + dice.choice([0, 1, 2])] = bytes([dice.randrange(256)])
        return bytes(data)
    coding = dice.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "gbk", "utf-7"])
    return mutated(text, words, dice).encode(coding, "replace" if dice.random() < 0.5 else "ignore")
